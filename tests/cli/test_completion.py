"""What Tab offers, asked as shells ask."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from sgonz.cli.completion import KINDS, STATES
from sgonz.cli.examples import EXAMPLES
from sgonz.cli.main import sgonz
from sgonz.cli.sections import SECTIONS
from sgonz.plan.runs import Dataset, Kind, Model, RunSpec, Settings, State
from sgonz.store.store import open_store

HEAVY = ["torch", "sqlalchemy", "transformers", "submitit", "rich", "jinja2", "numpy"]
CODE = f"""
import sys
sys.argv[0] = "sgonz"
from sgonz.cli.main import main
try:
    main()
finally:
    print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""


@pytest.fixture
def work(tmp_path: Path) -> Path:
    dataset = Dataset(name="reviews", task="tagging", format="conllu", metric="f1")
    runs = [RunSpec(run_id=run_id, kind=Kind.FINETUNE, dataset=dataset, model=Model(name="my-bert"), settings=Settings())
            for run_id in ("9f0c12", "9fee00", "a00001")]  # fmt: skip
    with open_store(tmp_path / "work" / "sgonz.db", workspace=tmp_path / "work", create=True) as store:
        sweep = store.add_sweep(name="autumn", text="", spec_json="{}", cluster="x", time=1.0, provenance={})
        store.add_runs(sweep, runs)
        store.set_tags("autumn", ["paper"])
    return tmp_path


def offered(folder: Path, *words: str, shell: str = "bash") -> list[str]:
    """Values that are offered for the last of these words."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SGONZ_")}
    environment |= {
        "_SGONZ_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": " ".join(("sgonz", *words)),
        "COMP_CWORD": str(len(words)),
    }
    if shell == "fish":
        environment["COMP_CWORD"] = words[-1]
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stderr.strip() == "[]", done.stderr
    return (
        [line.partition(",")[2] for line in done.stdout.splitlines() if line]
        if shell == "bash"
        else done.stdout.splitlines()
    )


def test_commands_sweeps_and_clusters(work: Path) -> None:
    (work / "jobs").mkdir()
    (work / "jobs" / "mine.toml").write_text("")
    assert offered(work, "re") == ["report", "results", "resume", "retry"]
    assert {"mine", "demo", "speedy_gonzales"} <= set(offered(work, "run", ""))
    assert "demo" in offered(work, "plan", "de")
    assert "patagon" in offered(work, "run", "demo", "--cluster", "pa")


def test_what_the_work_folder_holds(work: Path) -> None:
    assert offered(work, "logs", "9f") == ["9f0c12", "9fee00"]
    assert offered(work, "report", "") == ["autumn", "paper"]
    assert offered(work, "status", "--sweep", "a") == ["autumn"]
    assert "dataset = reviews" in offered(work, "results", "--where", "dataset")
    (work / "work").rename(work / "elsewhere")
    assert offered(work, "logs", "9f") == []
    assert offered(work, "logs", "--workdir", "elsewhere", "9fe") == ["9fee00"]


def test_models_and_queries(work: Path) -> None:
    assert "albeto-tiny" in offered(work, "benchmark", "--models", "albeto-t")
    assert offered(work, "benchmark", "--models", "beto-cased,albeto-x") == [
        "beto-cased,albeto-xlarge",
        "beto-cased,albeto-xxlarge",
    ]
    assert offered(work, "query", "lea") == ["leaderboard", "learning_curves"]


def test_a_damaged_database_offers_nothing(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "sgonz.db").write_bytes(b"not a database" * 100)
    assert offered(tmp_path, "logs", "") == []


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_answered_too(work: Path, shell: str) -> None:
    assert any("9f0c12" in line for line in offered(work, "logs", "9f", shell=shell))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_how_to_ask(shell: str) -> None:
    done = CliRunner().invoke(sgonz, ["completion", shell])
    assert done.exit_code == 0
    assert f"_SGONZ_COMPLETE={shell}_complete" in done.output


def test_bash_takes_the_script() -> None:
    script = CliRunner().invoke(sgonz, ["completion", "bash"]).output
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


def test_help_lists_every_command_once_with_its_whole_first_sentence() -> None:
    text = CliRunner().invoke(sgonz, ["--help"]).output
    listed = [
        line.split()[0]
        for line in text.split("Start here:")[1].splitlines()
        if line.startswith("  ") and line[2] != " "
    ]
    assert sorted(listed) == sorted(sgonz.commands)
    named = [name for _, names in SECTIONS for name in names]
    assert len(named) == len(set(named))


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_an_example_in_help_can_be_typed(name: str) -> None:
    """Every word of it is known to its command."""
    for line, _ in EXAMPLES[name]:
        program, command, *words = shlex.split(line.partition(" > ")[0])
        assert (program, command) == ("sgonz", name)
        with sgonz.commands[name].make_context(name, words):
            pass
    assert all(
        line in CliRunner().invoke(sgonz, [name, "--help"], terminal_width=200).output
        for line, _ in EXAMPLES[name]
    )


def test_states_and_kinds_are_those_of_runs() -> None:
    assert tuple(map(str, State)) == STATES
    assert tuple(str(kind) for kind in Kind if kind is not Kind.NOOP) == KINDS

"""Notes and tags: written with one command, shown where a sweep is shown, and understood by the selector."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sgonz.cli.main import sgonz
from sgonz.errors import SgonzError

ROWS = "dataset,model,learning_rate,batch_size,epochs,validation_loss,seconds\npos,beto,5e-5,16,3,0.5,9\nner,beto,5e-5,16,3,0.4,9\n"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    for name in ("first", "second"):
        (tmp_path / f"{name}.csv").write_text(ROWS.replace("5e-5", "5e-5" if name == "first" else "3e-5"))
        run(tmp_path, "import", str(tmp_path / f"{name}.csv"))
    return tmp_path


def run(work: Path, *arguments: str) -> str:
    found = CliRunner().invoke(sgonz, arguments, env={"SGONZ_WORKDIR": str(work)}, catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.stdout


def answer(work: Path, *arguments: str) -> Any:
    return json.loads(run(work, *arguments, "--format", "json"))


def test_notes_and_tags_are_shown_wherever_a_sweep_is(work: Path) -> None:
    run(work, "note", "first", "lower rates were worse")
    run(work, "tag", "first", "paper", "keep")
    run(work, "tag", "first", "keep", "--remove")
    status = answer(work, "status", "--sweep", "first")
    assert status["tags"] == ["paper"]
    assert [note["text"] for note in status["notes"]] == ["lower rates were worse"]
    assert "lower rates were worse" in run(work, "status", "--sweep", "first")
    listed = {sweep["name"]: sweep for sweep in answer(work, "sweeps")}
    assert (listed["first"]["tags"], listed["first"]["note"]) == (["paper"], "lower rates were worse")
    assert (listed["second"]["tags"], listed["second"]["note"]) == ([], None)


def test_note_can_be_taken_away_by_its_number(work: Path) -> None:
    for text in ("one", "two"):
        run(work, "note", "first", text)
    run(work, "note", "first", "--remove", "1")
    assert [(row["number"], row["text"]) for row in answer(work, "note", "first")] == [(2, "two")]


def test_tag_stands_for_the_newest_sweep_that_has_it(work: Path) -> None:
    run(work, "tag", "first", "paper")
    assert answer(work, "status", "--sweep", "paper")["sweep"] == "first"


def test_selector_finds_runs_by_the_tags_of_their_sweeps(work: Path) -> None:
    run(work, "tag", "first", "paper")
    for sweep, size in (("first", 2), ("second", 0)):
        assert len(answer(work, "results", "--all", "--sweep", sweep, "--where", "tags = paper")) == size


def test_rebuilt_database_has_them_too(work: Path) -> None:
    run(work, "note", "first", "kept")
    run(work, "tag", "second", "paper")
    before = answer(work, "sweeps")
    (work / "sgonz.db").unlink()
    run(work, "db", "rebuild")
    assert answer(work, "sweeps") == before


def test_no_new_database_is_made_beside_the_history_of_one_that_is_gone(work: Path) -> None:
    (work / "sgonz.db").unlink()
    for command in (["status"], ["import", str(work / "first.csv")], ["run", "demo", "--yes"]):
        with pytest.raises(SgonzError, match=r"its database .* is gone"):
            run(work, *command)
    assert not (work / "sgonz.db").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tag", "first", "two words"), "cannot be a tag"),
        (("tag", "nowhere", "paper"), "holds no sweep nowhere"),
        (("note", "first", "  "), "a note needs words"),
        (("note", "first", "--remove", "7"), "has no note 7"),
    ],
)
def test_what_makes_no_sense_is_refused(work: Path, arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(SgonzError, match=message):
        run(work, *arguments)

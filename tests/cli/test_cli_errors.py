"""Bad input: one clear message, exit code 2, no traceback, nothing half-written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from sgonz.cli.main import sgonz as command

SWEEP = """
name = "mine"
[datasets.reviews]
path = "."
task = "classification"
format = "jsonl"
files = { train = "train.jsonl", validation = "dev.jsonl", test = "test.jsonl" }
[models.mine]
path = "model"
[finetune]
models = ["mine"]
grid.batch_size = [2]
"""


def rows(*labels: str) -> str:
    return "".join(json.dumps({"sentence1": f"texto {label}", "label": label}) + "\n" for label in labels)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sweep.toml").write_text(SWEEP)
    for name in ("train", "dev", "test"):
        (tmp_path / f"{name}.jsonl").write_text(rows("a", "b"))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"model_type": "bert"}')
    for name in ("tokenizer.json", "model.safetensors"):
        (tmp_path / "model" / name).touch()
    return tmp_path


def sgonz(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sgonz", *arguments], capture_output=True, text=True, cwd=folder, check=False,
        env={**os.environ, "SGONZ_WORKDIR": str(folder / "work"), **environment},
    )  # fmt: skip


def refused(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    for part in parts:
        assert part in done.stderr


def no_runs(folder: Path) -> None:
    work = folder / "work"
    assert not (work / "sgonz.db").exists()
    assert not list(work.glob("runs/*/*"))
    assert not list(work.glob("jobs/*"))


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (
            ("grid.batch_size", "grid.batch_sise"),
            ("finetune.grid.batch_sise is not a setting", "did you mean batch_size?"),
        ),
        (("[2]", '["x"]'), ("finetune.grid.batch_size[0]: expected a whole number, got text",)),
        (("[2]", "[]"), ("finetune.grid.batch_size is empty",)),
        (('models = ["mine"]', 'models = ["mien"]'), ("model 'mien' is not known; did you mean mine?",)),
        (('models = ["mine"]', 'models = ["mine"'), ("not valid TOML", "line")),
        (("[datasets.reviews]", "[datasets.xnlii]"), ("train.jsonl",)),
        (('"train.jsonl"', '"trian.jsonl"'), ("trian.jsonl", "missing")),
        (('path = "model"', 'path = "modle"'), ("modle", "config.json")),
    ],
)
def test_a_bad_sweep_file_is_refused_before_anything_is_written(
    folder: Path, change: tuple[str, str], parts: tuple[str, ...]
):
    text = SWEEP.replace(*change)
    if "xnlii" in text:
        text = 'name = "mine"\ndatasets = ["xnlii"]\n[finetune]\nmodels = ["beto-cased"]\n'
        parts = ("data set 'xnlii' is not known; did you mean xnli?",)
    (folder / "sweep.toml").write_text(text)
    refused(sgonz(folder, "run", "sweep.toml"), *parts)
    no_runs(folder)


def test_a_broken_line_is_named_with_file_and_line(folder: Path):
    (folder / "train.jsonl").write_text(rows("a", "b") + '{"sentence1": "x"\n')
    refused(sgonz(folder, "run", "sweep.toml"), "train.jsonl:3:")
    no_runs(folder)


def test_a_label_that_training_never_had_is_refused(folder: Path):
    (folder / "test.jsonl").write_text(rows("a", "c"))
    refused(sgonz(folder, "run", "sweep.toml"), "test.jsonl", "'c'")
    no_runs(folder)


def test_an_unknown_profile_lists_those_that_exist(folder: Path):
    refused(sgonz(folder, "run", "sweep.toml", "--cluster", "locla"), "locla", "did you mean local?")
    assert not (folder / "work").exists()


def test_this_machine_cannot_be_left_alone_with_a_sweep(folder: Path):
    refused(
        sgonz(folder, "submit", "sweep.toml", "--detach"), "--detach is for Slurm", "sgonz advance --every"
    )
    assert not (folder / "work").exists()


def test_runs_here_need_what_trains_before_anything_is_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setitem(sys.modules, "torch", None)  # as where it is not installed
    done = CliRunner().invoke(command, ["run", "sweep.toml", "--workdir", str(folder / "work")])
    assert isinstance(done.exception, ModuleNotFoundError)
    assert done.exception.name == "torch"
    assert not (folder / "work").exists()


def test_a_missing_sweep_file_lists_those_that_exist(folder: Path):
    refused(sgonz(folder, "run", "nothing"), "there is no sweep file nothing", "demo")


def test_a_name_that_stands_beside_says_its_path(folder: Path):
    refused(sgonz(folder, "plan", "sweep"), "there is no sweep sweep in jobs/", "its path: sweep.toml")
    (folder / "jobs").mkdir()
    refused(sgonz(folder, "plan", "jobs"), "jobs is a folder, not a sweep file")


def test_a_corrupt_store_is_not_touched(folder: Path):
    (folder / "work").mkdir()
    garbage = b"this is not a database" * 400
    (folder / "work" / "sgonz.db").write_bytes(garbage)
    refused(sgonz(folder, "status"), "sgonz.db")
    refused(sgonz(folder, "run", "sweep.toml"), "sgonz.db")
    assert (folder / "work" / "sgonz.db").read_bytes() == garbage


def test_a_work_folder_that_cannot_be_made_is_refused(folder: Path):
    (folder / "file").write_text("")
    refused(sgonz(folder, "run", "sweep.toml", "--workdir", "file/below"), "cannot be written", "--workdir")


def test_an_empty_work_folder_says_what_to_do(folder: Path):
    refused(sgonz(folder, "status"), "holds no sweep yet", "sgonz run")


def test_a_bad_selector_and_a_bad_option_are_refused(folder: Path):
    refused(sgonz(folder, "plan", "sweep.toml", "--set", "finetune"), "expected KEY=VALUE")
    refused(sgonz(folder, "plan", "sweep.toml", "--fromat", "json"), "--fromat")


def test_plan_warns_of_missing_files_and_goes_on(folder: Path):
    (folder / "train.jsonl").unlink()
    done = sgonz(folder, "plan", "sweep.toml", "--format", "json")
    assert done.returncode == 0
    assert "train.jsonl" in json.loads(done.stdout)["warnings"][0]
    assert not (folder / "work").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk can be mounted by root only")
def test_a_full_disk_is_said_and_nothing_is_lost(folder: Path):
    disk = folder / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        refused(sgonz(folder, "run", "sweep.toml", "--workdir", str(disk / "work")), "no space left")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_package_that_is_not_installed_is_named_with_how_to_get_it(folder: Path):
    (folder / "transformers.py").write_text(
        "raise ModuleNotFoundError('No module named transformers', name='transformers')"
    )
    sample = 'name = "s"\ndatasets = ["pos"]\n[sample]\nsize = 40\n[finetune]\nmodels = ["sample-bert"]\n'
    (folder / "sample.toml").write_text(sample)
    refused(
        sgonz(folder, "run", "sample.toml", PYTHONPATH=str(folder)),
        "transformers",
        "pip install 'sgonz[train]'",
    )


def test_a_sweep_that_is_declined_leaves_no_trace(folder: Path):
    rates = ", ".join(f"{number}e-6" for number in range(1, 102))
    (folder / "sweep.toml").write_text(SWEEP + f"grid.learning_rate = [{rates}]\n")
    (folder / "shared.toml").write_text('scheduler = "slurm"\n')
    done = sgonz(folder, "run", "sweep.toml", "--cluster", "shared.toml")
    assert done.returncode == 130
    assert "Send 101 runs" in done.stderr
    no_runs(folder)


def test_a_place_that_cannot_be_written_is_named_without_a_traceback(folder: Path):
    (folder / "file").write_text("")
    refused(sgonz(folder, "run", "sweep.toml", "--workdir", str(folder / "file" / "work")), "file")

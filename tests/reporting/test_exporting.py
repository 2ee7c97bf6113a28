"""Learning curves for other tools, read back."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stores import half_done

from sgonz.rundir import Workdir
from sgonz.store.store import open_store


@pytest.fixture(scope="module")
def workdir(tmp_path_factory: pytest.TempPathFactory) -> Workdir:
    return half_done(tmp_path_factory.mktemp("half"))


def export(workdir: Workdir, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sgonz", "export", "--workdir", str(workdir.root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def scalars(path: Path) -> Iterator[tuple[str, int, float]]:
    """What an event file says, read as its format is defined: length, checksum, message, checksum."""
    from tensorboardX.proto.event_pb2 import Event

    content, at = path.read_bytes(), 0
    while at < len(content):
        size = int.from_bytes(content[at : at + 8], "little")
        event: Any = Event.FromString(content[at + 12 : at + 12 + size])
        yield from (
            (value.tag, event.step, value.simple_value)
            for value in event.summary.value
            if not value.HasField("metadata")
        )
        at += 16 + size


def test_event_files_say_what_the_store_says(workdir: Workdir, tmp_path: Path) -> None:
    for _ in range(2):  # again, and nothing is there twice
        done = export(workdir, "--tensorboard", str(tmp_path / "curves"))
        assert done.returncode == 0, done.stderr
    files = sorted((tmp_path / "curves").rglob("events.out.tfevents.*"))
    assert len(files) == 11
    run_id = "xnli-beto-cased-2-5e-05"
    (file,) = [path for path in files if path.parent.name.endswith(run_id)]
    with open_store(workdir.store, workspace=workdir.root, read_only=True) as store:
        told = {(name, score.epoch): value for score in store.epochs(run_id) for name, value in (
            ("loss/train", score.train_loss), ("loss/validation", score.validation_loss),
            ("validation/accuracy", score.validation["accuracy"]))}  # fmt: skip
    assert {(tag, step): value for tag, step, value in scalars(file)} == pytest.approx(told)


def test_a_csv_file_has_a_line_for_every_epoch_and_score(workdir: Workdir, tmp_path: Path) -> None:
    done = export(
        workdir, "--curves", str(tmp_path / "curves.csv"), "--where", "model = own-model and seed = 2"
    )
    assert done.returncode == 0, done.stderr
    with (tmp_path / "curves.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    with open_store(workdir.store, workspace=workdir.root, read_only=True) as store:
        for run_id in {row["run_id"] for row in rows}:
            losses = {
                int(row["epoch"]): float(row["value"])
                for row in rows
                if (row["run_id"], row["name"]) == (run_id, "loss/validation")
            }
            assert losses == {score.epoch: score.validation_loss for score in store.epochs(run_id)}
    assert len(rows) == 2 * 2 * 3


def test_nothing_to_export_is_said(workdir: Workdir) -> None:
    done = export(workdir)
    assert done.returncode == 2
    assert "--tensorboard DIR" in done.stderr

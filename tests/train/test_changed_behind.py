"""What was edited between planning and running does not pass for what was planned."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from sgonz.plan.runs import Kind, Outcome
from sgonz.rundir import RunDir
from sgonz.workdir.fingerprints import Fingerprints

PRINTS = Fingerprints(None)


@pytest.fixture
def run(bench, tmp_path: Path) -> RunDir:
    """A run of a data set and a model of its own, each with its fingerprint."""
    planned = bench.run("planned", Kind.FINETUNE, "text", "albert", settings={"epochs": 1})
    spec = planned.read_spec()
    files = {split: shutil.copy(file, tmp_path) for split, file in spec.dataset.files.items()}
    folder = shutil.copytree(bench.folders["albert"], tmp_path / "albert")
    spec = msgspec.structs.replace(
        spec,
        dataset=msgspec.structs.replace(spec.dataset, files=files, fingerprint=PRINTS.of_dataset(files)),
        model=msgspec.structs.replace(
            spec.model, path=str(folder), fingerprint=PRINTS.of_local_model(folder, None)
        ),
    )
    planned.spec.write_bytes(msgspec.json.encode(spec))
    return planned


def test_what_is_as_it_was_planned_trains(bench, run):
    assert bench.do(run).outcome is Outcome.COMPLETED


def test_edited_data_are_refused_and_leave_nothing_that_later_runs_would_read(bench, run):
    with Path(run.read_spec().dataset.files["train"]).open("a") as stream:
        stream.write("\n")
    ended = bench.do(run)
    assert ended.outcome is Outcome.FAILED
    assert "not those that this run was planned with" in ended.error
    assert not [*(bench.workdir.cache / "tokenised").glob("[0-9a-f]*")]


def test_another_model_in_the_same_folder_is_refused(bench, run):
    with (Path(run.read_spec().model.path) / "config.json").open("a") as stream:
        stream.write("\n")
    ended = bench.do(run)
    assert ended.outcome is Outcome.FAILED
    assert "the model that this run was planned with" in ended.error

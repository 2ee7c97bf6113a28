"""What is left is told by what runs like these took in any sweep of the work folder, from the first look on."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from plan.small_sweep import small_sources, small_sweep

from sgonz.looking.scene import Request
from sgonz.looking.watching import Subject, Watcher
from sgonz.plan.expand import finetune_runs
from sgonz.plan.history import History, Trial, noted
from sgonz.plan.outlook import seconds_left
from sgonz.plan.runs import Kind
from sgonz.rundir import Workdir
from sgonz.store.rows import GroupRow
from sgonz.store.store import open_store
from sgonz.workdir import costs


def test_the_live_screen_begins_with_what_was_measured_before(tmp_path: Path) -> None:
    workdir = Workdir(tmp_path)
    workdir.create()
    sweep = small_sweep()
    runs = finetune_runs(sweep, small_sources())
    epoch = Trial(device="cpu", batch_size=16, seconds_per_epoch=100.0)
    costs.write(workdir, noted(History(), [(run, epoch) for run in runs if run.dataset.name == "pos"]))
    with open_store(workdir.store, workspace=workdir.root, create=True) as store:
        number = store.add_sweep(
            name=sweep.name, text="", spec_json="{}", cluster="here", time=1.0, provenance={}
        )
        store.add_runs(number, runs)
        of = Subject(store=store, workdir=workdir, sweep_id=number, name=sweep.name, cluster="here")
        parts = {part.dataset: part for part in Watcher(of).look(Request()).parts}
    epochs = sum(run.settings.epochs for run in runs if run.dataset.name == "pos")
    assert parts["pos"].seconds_left == pytest.approx(100.0 * epochs)
    assert parts["mldoc"].seconds_left < 0.1 * parts["pos"].seconds_left  # nothing like it was measured


def test_what_was_measured_elsewhere_goes_before_what_ended_here_as_for_turns() -> None:
    done = GroupRow(kind=Kind.FINETUNE, dataset="d", model="m", open=False, measured=True, runs=1, seconds=90.0,
                    epochs=3, epochs_done=3)  # fmt: skip
    to_do = msgspec.structs.replace(done, open=True, measured=False, runs=2, epochs=6, epochs_done=0)
    key = (Kind.FINETUNE, "d", "m")
    assert seconds_left([done, to_do], lambda *of: 1.0) == {key: 180.0}
    assert seconds_left([done, to_do], lambda *of: 1.0, lambda *of: 7.0) == {key: 42.0}

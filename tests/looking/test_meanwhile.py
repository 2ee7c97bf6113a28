"""Between two turns the live screen shows what workers have written, and leaves it to a turn to collect it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from plan.small_sweep import small_sources, small_sweep

from sgonz import events
from sgonz.coordinator import last_turn
from sgonz.events import Event, JobStarted, Progress, RunEnded, RunStarted
from sgonz.looking.scene import Request
from sgonz.looking.watching import Subject, Watcher
from sgonz.plan.expand import finetune_runs
from sgonz.plan.runs import Outcome, State
from sgonz.rundir import Workdir
from sgonz.store.store import Store, open_store

TAG = "sgonz-1"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    workdir = Workdir(tmp_path)
    workdir.create()
    with open_store(workdir.store, workspace=workdir.root, create=True) as store:
        yield store


@pytest.fixture
def sent(store: Store, tmp_path: Path) -> tuple[Subject, list[str]]:
    """A sweep all of whose runs were sent in one job, and their ids in its order."""
    runs = [run for run in finetune_runs(small_sweep(), small_sources()) if run.dataset.name == "pos"]
    number = store.add_sweep(name="small", text="", spec_json="{}", cluster="here", time=1.0, provenance={})
    store.add_runs(number, runs)
    ids = [run.run_id for run in runs]
    store.add_submission(tag=TAG, sequence=1, sweep_id=number, cluster="here", elements=[ids], time=2.0)
    store.mark_sent(TAG, ["7_0"], 3.0)
    return Subject(store=store, workdir=Workdir(tmp_path), sweep_id=number, name="small", cluster="here"), ids


def write(of: Subject, *said: Event) -> None:
    path = of.workdir.job(TAG) / "events" / "0.0.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as stream:
        for event in said:
            events.append(stream, event)


def begun(of: Subject, ids: list[str]) -> None:
    """The first run is done, the second half way, and the third failed."""
    write(
        of,
        JobStarted(time=4.0, host="n1", pid=1),
        RunStarted(time=4.0, run_id=ids[0], attempt=1),
        RunEnded(time=5.0, run_id=ids[0], attempt=1, outcome=Outcome.COMPLETED),
        RunStarted(time=5.0, run_id=ids[2], attempt=1),
        RunEnded(time=5.0, run_id=ids[2], attempt=1, outcome=Outcome.FAILED),
        RunStarted(time=6.0, run_id=ids[1], attempt=1),
        Progress(time=7.0, run_id=ids[1], epoch=1, step=30, steps=60, loss=0.5, rows_per_second=8.0),
    )


def test_what_runs_and_what_is_done_shows_before_a_turn_collects_it(sent: tuple[Subject, list[str]]) -> None:
    of, ids = sent
    assert Watcher(of).look(Request()).states == {State.SUBMITTED: len(ids)}
    begun(of, ids)
    scene = Watcher(of).look(Request())
    assert scene.states == {State.SUBMITTED: 2, State.RUNNING: 1, State.COMPLETED: 1}
    [doing] = scene.running
    assert (doing.row.run_id, doing.share, scene.running_total) == (ids[1], 0.5, 1)
    listed = Watcher(of).look(Request(page="runs")).listed.rows
    assert {row.run_id: row.state for row in listed}[ids[0]] is State.COMPLETED
    assert of.store.offsets() == {}  # nothing was collected


def test_a_look_reads_on_where_the_last_one_ended(sent: tuple[Subject, list[str]]) -> None:
    of, ids = sent
    begun(of, ids)
    watcher = Watcher(of)
    assert watcher.look(Request()).running_total == 1
    write(of, RunEnded(time=8.0, run_id=ids[1], attempt=1, outcome=Outcome.COMPLETED))
    watcher.meanwhile._due = 0.0  # the time of the next look
    assert watcher.look(Request()).states == {State.SUBMITTED: 2, State.COMPLETED: 2}


def test_a_turn_that_was_just_made_has_the_last_word(sent: tuple[Subject, list[str]]) -> None:
    of, ids = sent
    begun(of, ids)
    last_turn.note(of.workdir, 0, ())
    assert Watcher(of).look(Request()).states == {State.SUBMITTED: len(ids)}


def test_a_filter_holds_for_what_has_begun_since(sent: tuple[Subject, list[str]]) -> None:
    of, ids = sent
    begun(of, ids)
    assert Watcher(of).look(Request(where=f"run_id = {ids[0]}")).states == {State.COMPLETED: 1}
    assert Watcher(of).look(Request(where="dataset = mldoc")).states == {}

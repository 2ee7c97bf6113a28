"""A turn in which nothing happened reads no runs, and one in which anything did reads them all."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sgonz.cluster.local import LocalCluster
from sgonz.cluster.profile import load_profile
from sgonz.coordinator import standing
from sgonz.coordinator.coordinator import Coordinator
from sgonz.coordinator.turn import Turn, look, turn
from sgonz.coordinator.turning import LONGEST, pause_after
from sgonz.events import RunEnded, RunStarted
from sgonz.looking import answers
from sgonz.plan.expand import Sources
from sgonz.plan.runs import Dataset, Kind, Model, Outcome, RunSpec, Settings, State
from sgonz.plan.snapshot import Decision
from sgonz.plan.spec import decode
from sgonz.rundir import Workdir
from sgonz.store.rows import EndedJob
from sgonz.store.store import open_store

TABLE = {"name": "s", "datasets": ["d"], "finetune": {"models": ["m"]}, "evaluate": False}
POS = Dataset(name="d", task="tagging", format="conllu", metric="f1")


def a_run(run_id: str, kind: Kind) -> RunSpec:
    return RunSpec(run_id=run_id, kind=kind, dataset=POS, model=Model(name="m"), settings=Settings())


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Coordinator]:
    """A sweep whose one run waits after a failure, and nothing at work."""
    work = Workdir(tmp_path)
    work.create()
    profile = load_profile("local")
    with open_store(work.store, workspace=tmp_path, create=True) as store:
        sweep = store.add_sweep(name="s", text="", spec_json="{}", cluster="local", time=1.0, provenance={})
        store.add_runs(sweep, [a_run("a", Kind.FINETUNE)])
        store.add_submission(tag="t", sequence=1, sweep_id=sweep, cluster="local", elements=[["a"]], time=1.0)
        store.mark_sent("t", ["x"], 1.0)
        now = time.time()
        failed = RunEnded(
            time=now, run_id="a", attempt=1, outcome=Outcome.FAILED, signature="E:1", error="boom"
        )
        store.apply("f", [RunStarted(time=now, run_id="a", attempt=1), failed], 9, tag="t", element=0)
        store.end_jobs([EndedJob(tag="t", element=0, outcome=Outcome.COMPLETED, evidence="left")], now)
        yield Coordinator(
            workdir=work,
            store=store,
            cluster=LocalCluster(profile),
            profile=profile,
            sweep_id=sweep,
            sweep=decode(TABLE, "test"),
            sources=Sources(datasets={"d": POS}, models={"m": Model(name="m")}),
        )


def test_turn_with_nothing_new_stands_on_the_last_one(at: Coordinator) -> None:
    first = turn(at)
    assert turn(at, first).rows is first.rows
    another_process = turn(at, rows_wanted=False)
    assert (another_process.rows, another_process.answer) == ((), first.answer)


def test_whatever_is_written_by_anybody_is_seen(at: Coordinator) -> None:
    first = turn(at)
    with open_store(at.workdir.store, workspace=at.workdir.root) as other:
        other.set_state(["a"], State.CANCELLED, reason="by hand", time=3.0)
    second = turn(at, first)
    assert second.rows[0].state is State.CANCELLED
    assert turn(at, first).rows is not first.rows  # although the second turn left that all is quiet


def test_failed_run_is_due_when_its_pause_is_over(at: Coordinator) -> None:
    first = turn(at)
    [row] = first.rows
    assert row.ended is not None
    due = row.ended + at.sweep.retry.delay_seconds
    assert standing.due(at.sweep, first.rows) == due
    assert standing.found(at.store, at.sweep_id, due - 1) is not None
    assert standing.found(at.store, at.sweep_id, due) is None


def test_status_of_a_turn_that_acted_is_not_kept(at: Coordinator) -> None:
    turn(at)
    at.store.set_state(["a"], State.CANCELLED, time=3.0)
    assert standing.found(at.store, at.sweep_id, 0.0) is None


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED, State.PENDING])
def test_status_of_a_large_sweep_counts_runs_as_they_stand_and_reads_none(
    at: Coordinator, monkeypatch: pytest.MonkeyPatch, state: State
) -> None:
    turn(at)
    assert standing.latest(at.store, at.sweep_id) is None  # a small one is worked out anew
    monkeypatch.setattr(standing, "LARGE", 1)
    at.store.add_runs(at.sweep_id, [a_run("b", Kind.EVALUATE), a_run("c", Kind.FINETUNE)])
    at.store.set_state(["a", "b"], state, reason="by hand", time=3.0)
    rows, decision = look(at)
    exact = answers.plain(answers.status(at.sweep, rows, decision))
    latest = answers.plain(standing.latest(at.store, at.sweep_id))
    assert {**latest, "waiting": {}, "finished": False} == {**exact, "waiting": {}, "finished": False}


def test_what_a_turn_that_acted_found_is_there_to_be_shown_but_decides_nothing(
    at: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "LARGE", 1)
    standing.keep(at.store, at.sweep_id, turn(at).answer, standing.ACTED, None, None)
    assert standing.found(at.store, at.sweep_id, 0.0) is None
    latest = standing.latest(at.store, at.sweep_id)
    assert latest is not None
    assert (latest["runs"], latest["finished"]) == ({"PENDING": 1}, False)


@pytest.mark.parametrize(
    ("sent", "cpu_seconds", "pause"),
    [(0, 0.001, 0.3), (0, 0.2, 4.0), (0, 60.0, LONGEST), (5, 0.2, 0.3)],
    ids=["short", "long", "very long", "sent jobs"],
)
def test_turns_of_a_large_sweep_leave_the_machine_to_others(sent: int, cpu_seconds: float, pause: float):
    decision = Decision(actions=(), waiting={}, teachers={}, finished=False)
    last = Turn(
        decision=decision, rows=(), ended=(), sent=sent, problems=(), answer={}, changes=0, cpu_seconds=cpu_seconds
    )  # fmt: skip
    assert pause_after(last, 0.3) == pytest.approx(pause)

"""Whatever is done, in whatever order: all databases agree, and no rule is broken on the way."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs
from store_examples import a_run, a_sweep, completed, ended, epoch, left, send, started

from sgonz.plan.runs import Outcome, State
from sgonz.plan.state import RunRow
from sgonz.store.connect import Journal
from sgonz.store.rows import EndedJob
from sgonz.store.store import Store, open_store

RUNS = [f"run{number}" for number in range(4)]
Step = Callable[[Store, int], None]
some_runs = st.lists(st.sampled_from(RUNS), min_size=1, max_size=3, unique=True)
some_outcomes = st.sampled_from([outcome for outcome in Outcome if outcome is not Outcome.COMPLETED])
tags = st.integers(1, 4).map(lambda number: f"t{number}")
attempts = st.integers(1, 3)
numbers = itertools.count()


def submit(runs: list[str]) -> Step:
    def step(store: Store, sweep: int) -> None:
        pending = {run.run_id for run in store.snapshot() if run.state is State.PENDING}
        if wanted := [run for run in runs if run in pending]:
            send(store, sweep, f"t{store.next_sequence()}", wanted)

    return step


def write(tag: str, lines: list[Any]) -> Step:
    def step(store: Store, sweep: int) -> None:
        file = f"jobs/{tag}/events/0.1.jsonl"
        store.apply(file, lines, store.offsets().get(file, 0) + 1, tag=tag, element=0)

    return step


def extend(tag: str, runs: list[str]) -> Step:
    def step(store: Store, sweep: int) -> None:
        pending = {run.run_id for run in store.snapshot() if run.state is State.PENDING}
        if any(job.tag == tag and job.idle for job in store.live_jobs()):
            store.extend_job(tag, 0, [run for run in runs if run in pending], 30.0)

    return step


def end(tag: str, outcome: Outcome) -> Step:
    over = EndedJob(tag=tag, element=0, outcome=outcome, evidence="looked")
    return lambda store, sweep: store.end_jobs([over], 70.0)


def decide(runs: list[str], state: State) -> Step:
    return lambda store, sweep: store.set_state(runs, state, reason=f"made {state}", time=80.0)


def renew(runs: list[str]) -> Step:
    def step(store: Store, sweep: int) -> None:
        fences = {run.run_id: run.attempts + 1 for run in store.snapshot() if run.run_id in runs}
        store.renew(fences, "made again", "made again at work", 90.0)

    return step


def select(runs: list[str]) -> Step:
    return lambda store, sweep: store.mark_selected(runs[:1], runs[1:], sweep_id=sweep)


def fault(run: str, attempt: int, outcome: Outcome, signature: str | None) -> list[Any]:
    return [ended(run, outcome, attempt, signature=signature, error=signature)]


lines = st.one_of(
    st.builds(started, st.sampled_from(RUNS), attempts),
    st.builds(
        lambda run, number, attempt: [epoch(run, number, attempt)], st.sampled_from(RUNS), attempts, attempts
    ),
    st.builds(lambda run, attempt: [completed(run, attempt)], st.sampled_from(RUNS), attempts),
    st.builds(fault, st.sampled_from(RUNS), attempts, some_outcomes, st.sampled_from(["E:1", "E:2", None])),
    st.just([left()]),
)
steps = st.lists(
    st.one_of(
        st.builds(submit, some_runs),
        st.builds(write, tags, st.lists(lines, max_size=4).map(lambda parts: list(itertools.chain(*parts)))),
        st.builds(extend, tags, some_runs),
        st.builds(end, tags, some_outcomes),
        st.builds(decide, some_runs, st.sampled_from([State.PENDING, State.FAILED, State.CANCELLED])),
        st.builds(select, some_runs),
        st.builds(renew, some_runs),
    ),
    max_size=12,
)
few = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


def everything(store: Store, sweep: int) -> tuple[Any, ...]:
    return (
        store.snapshot(sweep),
        store.results(sweep),
        store.attempts(),
        [store.epochs(run) for run in RUNS],
        [structs.replace(job, sweep_id=0) for job in store.live_jobs()],  # numbered by the database
        store.counts(sweep),
        store.offsets(),
        store.sweeps()[0].states,
    )


def counted(rows: Sequence[RunRow]) -> dict[tuple[str, str], dict[State, int]]:
    """What the database counts, counted from the rows themselves."""
    found: dict[tuple[str, str], dict[State, int]] = {}
    for row in rows:
        states = found.setdefault((row.kind, row.dataset), {})
        states[row.state] = states.get(row.state, 0) + 1
    return found


@few
@given(done=steps)
def test_all_databases_hold_the_same(shared_postgres: str, tmp_path: Path, done: list[Step]) -> None:
    folder = tmp_path / str(next(numbers))
    places: list[tuple[Any, Journal | None]] = [
        (folder / "sgonz.db", "wal"), (folder / "rollback.db", "delete"), (shared_postgres, None),
    ]  # fmt: skip
    seen = []
    for location, journal in places:
        with open_store(location, workspace=folder, create=True, journal=journal) as store:
            sweep = a_sweep(store, [a_run(run) for run in RUNS])
            for step in done:
                step(store, sweep)
            seen.append(everything(store, sweep))
            assert counted(store.snapshot(sweep)) == store.counts(sweep) == store.counts()
    assert seen[0] == seen[1] == seen[2]


@few
@given(done=steps)
def test_rules_hold_after_every_step(tmp_path: Path, done: list[Step]) -> None:
    folder = tmp_path / str(next(numbers))
    with open_store(folder / "sgonz.db", workspace=folder, create=True) as store:
        sweep = a_sweep(store, [a_run(run) for run in RUNS])
        for step in done:
            before = {run.run_id: run for run in store.snapshot()}
            step(store, sweep)
            live = {(job.tag, job.element) for job in store.live_jobs()}
            for run in store.snapshot():
                was = before[run.run_id]
                assert run.attempts >= was.attempts
                assert run.state.is_live == (run.tag is not None)
                if run.tag is not None and run.element is not None:
                    assert (run.tag, run.element) in live
                if was.state is State.COMPLETED and not (run.reason or "").startswith("made"):
                    assert (run.state, run.validation) == (State.COMPLETED, was.validation)

"""The decisions of a sweep through thousands of imagined hours: whatever goes wrong, it ends with nothing lost or done twice."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1]))
from plan.small_sweep import small_sources, small_sweep

from sgonz.plan.expand import finetune_runs
from sgonz.plan.runs import Kind, State
from sgonz.simulate.world import Faults, World

shares = st.floats(0.0, 0.4)


NO_FAULTS = Faults()


def world(faults: Faults = NO_FAULTS, *, slots: int = 3, target: float = 3600.0, seed: int = 0,
          at_once: int = 1) -> World:  # fmt: skip
    sweep, sources = small_sweep(), small_sources()
    return World(sweep=sweep, sources=sources, runs=finetune_runs(sweep, sources), seconds=lambda row: 600.0,
                 runs_at_once=lambda row: at_once, slots=slots, target_seconds=target, faults=faults, seed=seed)  # fmt: skip


def test_an_undisturbed_sweep_completes_everything_once():
    made = world()
    assert made.live_forever().finished
    assert {row.state for row in made.rows.values()} == {State.COMPLETED}
    assert {row.kind for row in made.rows.values()} == {
        Kind.FINETUNE,
        Kind.LOGITS,
        Kind.DISTILL,
        Kind.EVALUATE,
    }
    assert set(made.completions.values()) == {1}
    assert made.gpu_seconds == 600.0 * len(made.rows)


def test_more_slots_never_make_a_sweep_later():
    assert world(slots=8).live_forever().finished
    few, many = world(slots=1), world(slots=8)
    few.live_forever(), many.live_forever()
    assert many.now <= few.now


def test_runs_that_share_a_gpu_share_its_time():
    alone, beside = world(slots=1), world(slots=1, at_once=2)
    assert alone.live_forever().finished
    assert beside.live_forever().finished
    assert set(beside.completions.values()) == {1}
    assert alone.gpu_seconds / 2 <= beside.gpu_seconds < alone.gpu_seconds
    assert beside.now < alone.now


@settings(max_examples=150, deadline=None)
@given(
    faults=st.builds(Faults, failed=shares, lost=shares, preempted=shares),
    slots=st.integers(1, 6),
    target=st.sampled_from([300.0, 1800.0, 7200.0]),
    seed=st.integers(0, 10**6),
    at_once=st.integers(1, 3),
)
def test_whatever_goes_wrong_a_sweep_ends_with_nothing_lost_or_done_twice(
    faults: Faults, slots: int, target: float, seed: int, at_once: int
):
    made = world(faults, slots=slots, target=target, seed=seed, at_once=at_once)
    decision = made.live_forever()
    assert not made.jobs
    assert all(count == 1 for count in made.completions.values())
    completed = {row.run_id for row in made.rows.values() if row.state is State.COMPLETED}
    assert completed == set(made.completions)
    if decision.finished:
        assert all(row.state.is_final for row in made.rows.values())
    else:  # failures in a row, or a canary's: somebody is asked, and told why
        assert decision.for_person

"""The decision: what follows from what is known."""

from __future__ import annotations

import math
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory import Memory
from small_sweep import small_sources, small_sweep

from sgonz.plan import decide as decisions
from sgonz.plan.decide import Snapshot, decide
from sgonz.plan.expand import finetune_runs
from sgonz.plan.runs import Kind, State

replace = msgspec.structs.replace


@pytest.fixture
def memory() -> Memory:
    return Memory(small_sweep(), small_sources())


def test_everything_ready_is_sent_once(memory: Memory):
    memory.turn()
    assert set(memory.sent) == set(memory.ids(Kind.FINETUNE))
    assert memory.turn().actions == ()
    assert set(memory.sent.values()) == {1}


def test_one_data_set_goes_on_while_another_still_trains(memory: Memory):
    for number, run_id in enumerate(memory.ids(Kind.FINETUNE, "pos")):
        memory.complete(run_id, loss=1.0 - number / 10)
    decision = memory.turn()
    best = memory.ids(Kind.FINETUNE, "pos")[-1]
    assert decision.teachers == {"mldoc": None, "pos": best}
    assert [memory.rows[run_id].needs for run_id in memory.ids(Kind.LOGITS)] == [(best,)]
    assert len(memory.ids(Kind.DISTILL, "pos")) == 2
    assert not memory.ids(Kind.DISTILL, "mldoc")


def test_students_wait_for_the_logits_and_say_so(memory: Memory):
    for run_id in memory.ids(Kind.FINETUNE, "pos"):
        memory.complete(run_id)
    memory.turn()
    (logits,) = memory.ids(Kind.LOGITS)
    memory.change(logits, state=State.RUNNING)
    student = memory.ids(Kind.DISTILL)[0]
    memory.change(student, state=State.PENDING)
    assert memory.decide().waiting[student] == f"needs {logits}, which is RUNNING"
    memory.complete(logits)
    memory.turn()
    assert memory.rows[student].state is State.SUBMITTED


@pytest.mark.parametrize("loss", [None, math.nan, math.inf, -math.inf])
def test_a_run_without_a_finite_loss_never_wins(memory: Memory, loss: float | None):
    bad, *others = memory.ids(Kind.FINETUNE, "pos")
    memory.complete(bad, loss=loss)
    for run_id in others:
        memory.complete(run_id, loss=2.0)
    assert memory.turn().teachers["pos"] in others


def test_a_failed_run_never_wins_even_with_a_low_loss(memory: Memory):
    bad, *others = memory.ids(Kind.FINETUNE, "pos")
    memory.change(bad, state=State.FAILED, validation_loss=-1.0)
    for run_id in others:
        memory.complete(run_id, loss=2.0)
    assert memory.turn().teachers["pos"] in others


def test_a_collapsed_run_wins_only_where_all_collapsed(memory: Memory):
    low, *others = memory.ids(Kind.FINETUNE, "pos")
    memory.complete(low, loss=0.1, flags=("constant_predictions",))
    for run_id in others:
        memory.complete(run_id, loss=2.0)
    assert memory.decide().teachers["pos"] in others
    for run_id in others:
        memory.complete(run_id, loss=2.0, flags=("majority_level",))
    assert memory.decide().teachers["pos"] == low


def test_a_run_far_below_its_group_is_collapsed(memory: Memory):
    low, *others = memory.ids(Kind.FINETUNE, "pos")
    memory.complete(low, loss=0.1, validation={"f1": 50.0})
    for run_id in others:
        memory.complete(run_id, loss=2.0, validation={"f1": 90.0})
    assert memory.decide().teachers["pos"] in others


def test_ties_go_to_the_lower_rate(memory: Memory):
    for run_id in memory.ids(Kind.FINETUNE, "pos"):
        memory.complete(run_id, loss=1.0)
    teacher = memory.decide().teachers["pos"]
    assert memory.rows[str(teacher)].learning_rate == 1e-5


def test_ties_between_models_go_to_fewer_macs_before_anything_else(memory: Memory):
    for run_id in memory.ids(Kind.FINETUNE, "pos"):
        memory.complete(run_id, loss=1.0)
    for lighter, macs in (
        ("albeto", {"albeto": 1.0, "beto": 2.0}),
        ("beto", {"albeto": 3.0, "beto": 2.0}),
        ("beto", {"beto": 2.0}),
    ):
        memory.macs = macs
        assert memory.rows[str(memory.decide().teachers["pos"])].model == lighter


def test_what_the_other_criterion_would_have_chosen_is_told(memory: Memory):
    first, second, *others = memory.ids(Kind.FINETUNE, "pos")
    memory.complete(first, loss=0.1, validation={"f1": 70.0})
    memory.complete(second, loss=0.2, validation={"f1": 75.0})
    assert memory.decide().teachers_by_metric["pos"] is None
    for run_id in others:
        memory.complete(run_id, loss=0.3, validation={"f1": 60.0})
    decision = memory.decide()
    assert decision.teachers["pos"] == decision.teachers_by_loss["pos"] == first
    assert decision.teachers_by_metric["pos"] == second
    memory.sweep = replace(memory.sweep, teacher=replace(memory.sweep.teacher, select="validation_f1"))
    decision = memory.decide()
    assert decision.teachers["pos"] == decision.teachers_by_metric["pos"] == second
    assert decision.teachers_by_loss["pos"] == first


def test_a_score_is_chosen_highest():
    memory = Memory(
        replace(small_sweep(), teacher=replace(small_sweep().teacher, per_dataset={"pos": "validation_f1"})),
        small_sources(),
    )
    for number, run_id in enumerate(memory.ids(Kind.FINETUNE, "pos")):
        memory.complete(run_id, loss=float(number), validation={"f1": 80.0 + number})
    assert memory.decide().teachers["pos"] == memory.ids(Kind.FINETUNE, "pos")[-1]


def test_stop_and_quorum_keep_the_gate_shut():
    for policy, opens in (
        ('on_failure = "stop"\n', False),
        ("on_failure = {quorum = 0.9}\n", False),
        ("on_failure = {quorum = 0.5}\n", True),
    ):
        memory = Memory(small_sweep(policy), small_sources())
        bad, *others = memory.ids(Kind.FINETUNE, "pos")
        memory.change(bad, state=State.FAILED)
        for run_id in others:
            memory.complete(run_id)
        assert (memory.decide().teachers["pos"] is not None) is opens


def test_a_gate_waits_for_runs_that_a_person_stopped(memory: Memory):
    held, *others = memory.ids(Kind.FINETUNE, "pos")
    memory.change(held, state=State.CANCELLED, reason="cancelled by hand")
    for run_id in others:
        memory.complete(run_id, loss=2.0)
    assert memory.turn().teachers["pos"] is None
    assert not memory.ids(Kind.LOGITS)
    memory.complete(held, loss=1.0)
    assert memory.turn().teachers["pos"] == held


def test_a_failure_is_tried_again_after_a_pause_that_doubles(memory: Memory):
    run_id = memory.ids(Kind.FINETUNE)[0]
    memory.fail(run_id, "A")
    assert memory.decide().waiting[run_id] == "failed before; tried again in 30 s"
    memory.fail(run_id, "B")
    assert memory.decide().waiting[run_id] == "failed before; tried again in 60 s"
    memory.now += 61
    memory.turn()
    assert memory.rows[run_id].state is State.SUBMITTED


@pytest.mark.parametrize(
    ("signatures", "reason"),
    [
        (["A", "A"], "the same failure 2 times in a row"),
        (["A", "B", "A"], "failed 3 times"),
        (["RunError: no checkpoint"], "a second try would end the same way"),
        (["DataError: line 3"], "a second try would end the same way"),
    ],
)
def test_failures_become_final(memory: Memory, signatures: list[str], reason: str):
    run_id = memory.ids(Kind.FINETUNE)[0]
    for signature in signatures:
        memory.fail(run_id, signature)
    memory.turn()
    assert (memory.rows[run_id].state, memory.rows[run_id].reason) == (State.FAILED, reason)


def test_a_run_that_starts_higher_up_the_ladder_is_not_given_up_and_does_not_wait(memory: Memory):
    run_id = memory.ids(Kind.FINETUNE)[0]
    for _ in range(4):
        memory.fail(run_id, "OutOfMemoryError")
    snapshot = Snapshot(now=memory.rows[run_id].ended or 0.0, sweep=memory.sweep, runs=list(memory.rows.values()), metrics={}, free_jobs=None,
                        target_seconds=100.0, seconds=lambda row: 10.0,
                        climbed=lambda row: row.run_id == run_id)  # fmt: skip
    actions = decide(snapshot).actions
    assert not any(isinstance(action, decisions.Fail) for action in actions)
    assert any(
        run_id in job for action in actions if isinstance(action, decisions.Submit) for job in action.jobs
    )


def test_what_needs_a_failed_run_is_skipped_and_comes_back_with_it(memory: Memory):
    for run_id in memory.ids(Kind.FINETUNE, "pos"):
        memory.complete(run_id)
    memory.turn()
    (logits,) = memory.ids(Kind.LOGITS)
    for run_id in memory.ids(Kind.DISTILL):
        memory.change(run_id, state=State.PENDING)
    memory.change(logits, state=State.FAILED)
    memory.turn()
    assert {memory.rows[run_id].state for run_id in memory.ids(Kind.DISTILL)} == {State.SKIPPED}
    memory.change(logits, state=State.PENDING)
    memory.turn()
    assert not [run_id for run_id in memory.ids(Kind.DISTILL) if memory.rows[run_id].state is State.SKIPPED]


def test_a_better_teacher_supersedes_the_old_one_and_its_students(memory: Memory):
    for run_id in memory.ids(Kind.FINETUNE, "pos"):
        memory.complete(run_id, loss=1.0)
    memory.turn()
    old = set(memory.ids(Kind.DISTILL))
    done, pending = sorted(old)
    memory.complete(done)
    memory.change(pending, state=State.PENDING)
    grown = replace(memory.sweep.finetune, grid={"learning_rate": [1e-5, 2e-5, 9e-5]})
    memory.sweep = replace(memory.sweep, finetune=grown)
    memory.add(finetune_runs(memory.sweep, memory.sources))
    memory.turn()  # the grid is open again: nothing is lost while it is
    assert not memory.rows[done].superseded
    for run_id in memory.ids(Kind.FINETUNE, "pos"):
        if memory.rows[run_id].state is not State.COMPLETED:
            memory.complete(run_id, loss=0.1)
    memory.turn()
    assert memory.rows[done].superseded
    assert memory.rows[done].state is State.COMPLETED
    assert memory.rows[pending].state in (State.CANCELLED, State.SUBMITTED)
    assert len(memory.ids(Kind.LOGITS)) == 2
    assert len(set(memory.ids(Kind.DISTILL)) - old) == 2


def test_where_there_is_no_test_split_nobody_is_evaluated(memory: Memory):
    memory.known["untested"] = frozenset({"mldoc"})
    for run_id in memory.ids(Kind.FINETUNE):
        memory.complete(run_id)
    memory.turn()
    assert memory.ids(Kind.EVALUATE, "pos")
    assert not memory.ids(Kind.EVALUATE, "mldoc")


def test_winners_are_evaluated_once_per_data_set_and_model(memory: Memory):
    for run_id in memory.ids(Kind.FINETUNE):
        memory.complete(run_id)
    memory.turn()
    assert len(memory.ids(Kind.EVALUATE)) == 4
    memory.turn()
    assert len(memory.ids(Kind.EVALUATE)) == 4


def test_slots_limit_the_jobs_and_share_the_work(memory: Memory):
    decision = memory.decide(slots=2)
    (submit,) = [action for action in decision.actions if isinstance(action, decisions.Submit)]
    assert sorted(len(job) for job in submit.jobs) == [4, 4]
    assert memory.decide(slots=0).actions == ()
    assert set(memory.decide(slots=0).waiting.values()) == {"no free slot"}


@given(seed=st.integers(0, 10_000))
def test_any_mixture_of_outcomes_ends_and_nothing_completed_runs_again(seed: int):
    """Random schedules of success, failure and interruption through the whole chain."""
    chance = random.Random(seed)
    memory = Memory(small_sweep(), small_sources())
    completed: set[str] = set()
    for _ in range(400):
        memory.now += 100
        decision = memory.turn(slots=chance.choice([1, 2, 5, None]))
        live = [row for row in memory.rows.values() if row.state.is_live]
        assert all(memory.rows[run_id].state is State.COMPLETED for run_id in completed)
        if decision.finished:
            break
        if decision.stuck:  # a person looks, and lets it go on
            memory.say("resume")
        for row in live:
            event = chance.random()
            if event < 0.55:
                memory.complete(
                    row.run_id,
                    loss=chance.choice([chance.random(), math.nan, None]) if event < 0.1 else chance.random(),
                )
                completed.add(row.run_id)
            elif event < 0.75:
                memory.fail(row.run_id, chance.choice("AB"))
            elif event < 0.9:
                memory.change(
                    row.run_id, state=State.PENDING, interruptions=row.interruptions + 1, ended=memory.now
                )
    else:
        pytest.fail("the sweep did not end")
    assert all(row.state.is_final for row in memory.rows.values())
    for dataset, teacher in decision.teachers.items():
        losses = [row.validation_loss for row in memory.rows.values() if row.kind is Kind.FINETUNE and row.dataset == dataset
                  and row.state is State.COMPLETED and row.validation_loss is not None and math.isfinite(row.validation_loss)]  # fmt: skip
        assert (memory.rows[teacher].validation_loss if teacher else None) == min(losses, default=None)

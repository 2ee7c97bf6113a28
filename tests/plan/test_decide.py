"""The decision: what follows from what is known."""

from __future__ import annotations

import math
import random
from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_sweep import small_sources, small_sweep

from sgonz.plan import decide as decisions
from sgonz.plan.decide import Decision, Snapshot, decide
from sgonz.plan.expand import Sources, distill_runs, evaluate_run, finetune_runs, logits_run
from sgonz.plan.runs import Kind, Outcome, RunSpec, State
from sgonz.plan.spec import Sweep
from sgonz.plan.state import RunRow

replace = msgspec.structs.replace


class Memory:
    """A store in memory: enough to carry a decision's actions out."""

    def __init__(self, sweep: Sweep, sources: Sources) -> None:
        self.sweep, self.sources = sweep, sources
        self.specs: dict[str, RunSpec] = {}
        self.rows: dict[str, RunRow] = {}
        self.now = 1000.0
        self.macs: dict[str, float] = {}
        self.sent: Counter[str] = Counter()
        self.add(finetune_runs(sweep, small_sources()))

    def add(self, runs: list[RunSpec]) -> None:
        for run in runs:
            self.specs[run.run_id] = run
            self.rows.setdefault(
                run.run_id,
                RunRow(run_id=run.run_id, kind=run.kind, dataset=run.dataset.name, model=run.model.name, seed=run.seed,
                       learning_rate=run.settings.learning_rate, batch_size=run.settings.batch_size,
                       epochs=run.settings.epochs, needs=tuple(need.run_id for need in run.needs)),
            )  # fmt: skip

    def change(self, run_id: str, **facts: object) -> None:
        self.rows[run_id] = replace(self.rows[run_id], **facts)

    def complete(self, run_id: str, loss: float | None = 0.5, **facts: object) -> None:
        self.change(
            run_id, state=State.COMPLETED, validation_loss=loss, ended=self.now, seconds=10.0, **facts
        )

    def fail(self, run_id: str, signature: str = "ValueError") -> None:
        row = self.rows[run_id]
        repeats = row.signature_repeats + 1 if row.signature == signature else 1
        self.change(run_id, state=State.PENDING, failures=row.failures + 1, signature=signature, signature_repeats=repeats,
                    last_outcome=Outcome.FAILED, ended=self.now)  # fmt: skip

    def decide(self, slots: int | None = None) -> Decision:
        return decide(
            Snapshot(now=self.now, sweep=self.sweep, runs=list(self.rows.values()), metrics={"mldoc": "f1", "pos": "f1"},
                     free_jobs=slots, target_seconds=100.0, seconds=lambda row: 10.0, macs=self.macs)
        )  # fmt: skip

    def turn(self, slots: int | None = None) -> Decision:
        """Decide and act until only submissions are left, as the coordinator does."""
        while True:
            decision = self.decide(slots)
            for action in decision.actions:
                self.act(action)
            if all(isinstance(action, decisions.Submit) for action in decision.actions):
                return decision

    def act(self, action: decisions.Action) -> None:
        match action:
            case decisions.Fail(run_id=run_id, reason=reason):
                self.change(run_id, state=State.FAILED, reason=reason)
            case decisions.Skip(run_id=run_id, reason=reason):
                self.change(run_id, state=State.SKIPPED, reason=reason)
            case decisions.Revive(run_ids=run_ids):
                for run_id in run_ids:
                    self.change(run_id, state=State.PENDING, reason=None)
            case decisions.Cancel(run_ids=run_ids, reason=reason):
                for run_id in run_ids:
                    self.change(run_id, state=State.CANCELLED, reason=reason)
            case decisions.Select(selected=selected, superseded=superseded):
                for run_id in self.rows:
                    self.change(run_id, selected=run_id in selected, superseded=run_id in superseded)
            case decisions.OpenGate(teacher=teacher):
                logits = logits_run(self.sweep, self.specs[teacher])
                self.add([logits, *distill_runs(self.sweep, self.sources, logits)])
            case decisions.Evaluate(run_ids=run_ids):
                self.add([evaluate_run(self.sweep, self.specs[run_id]) for run_id in run_ids])
            case decisions.Submit(jobs=jobs):
                for run_id in (run_id for job in jobs for run_id in job):
                    self.sent[run_id] += 1
                    self.change(run_id, state=State.SUBMITTED)

    def ids(self, kind: Kind, dataset: str | None = None) -> list[str]:
        return [
            row.run_id for row in self.rows.values() if row.kind is kind and dataset in (None, row.dataset)
        ]


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


def test_a_run_that_starts_higher_up_the_ladder_is_not_given_up(memory: Memory):
    run_id = memory.ids(Kind.FINETUNE)[0]
    for _ in range(4):
        memory.fail(run_id, "OutOfMemoryError")
    snapshot = Snapshot(now=1e9, sweep=memory.sweep, runs=list(memory.rows.values()), metrics={}, free_jobs=None,
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

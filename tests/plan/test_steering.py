"""What a person says, caps, budgets, canaries and broken circuits: which runs wait, and with which reason."""

from __future__ import annotations

from typing import Any

import pytest
from memory import Memory
from msgspec.structs import replace
from small_sweep import small_sources, small_sweep

from sgonz.plan.budget import warning
from sgonz.plan.expand import finetune_runs
from sgonz.plan.nodes import NodeRecord
from sgonz.plan.orders import Order, Orders, holds, priorities, with_order
from sgonz.plan.runs import Kind, Outcome, State
from sgonz.plan.state import INVALIDATED_AT_WORK, JobRow, RunRow

POS = "dataset = pos"


@pytest.fixture
def memory() -> Memory:
    return Memory(small_sweep(), small_sources())


def large(settings: str = "") -> Memory:
    """A sweep with 20 runs of every data set and model."""
    memory = Memory(small_sweep(settings), small_sources())
    grid = {"learning_rate": [number * 1e-6 for number in range(1, 21)]}
    memory.sweep = replace(memory.sweep, finetune=replace(memory.sweep.finetune, grid=grid))
    memory.rows.clear()
    memory.add(finetune_runs(memory.sweep, memory.sources))
    return memory


def live(memory: Memory) -> list[RunRow]:
    return [row for row in memory.rows.values() if row.state.is_live]


# orders


@pytest.mark.parametrize(
    ("said", "held"),
    [
        ([("pause", None)], {"pos", "mldoc"}),
        ([("pause", POS)], {"pos"}),
        ([("drain", POS)], {"pos"}),
        ([("pause", None), ("resume", POS)], {"mldoc"}),
        ([("pause", POS), ("resume", None)], set()),
        ([("resume", None), ("pause", POS)], {"pos"}),
        ([("pause", POS), ("resume", POS), ("pause", POS)], {"pos"}),
        ([("pause", "dataset = pos"), ("resume", "kind = finetune")], set()),
    ],
)
def test_newest_word_on_a_run_counts(memory: Memory, said: list[tuple[Any, str | None]], held: set[str]):
    for what, where in said:
        memory.now += 1
        memory.say(what, where)
    kept = holds(memory.orders)
    assert {row.dataset for row in memory.rows.values() if kept(row)} == held


def test_words_that_mean_nothing_any_more_are_forgotten():
    orders = Orders()
    for number in range(5):
        orders = with_order(orders, Order(what="pause", where=POS, time=float(number)))
        orders = with_order(orders, Order(what="priority", where=POS, time=float(number), value=1.0))
    assert len(orders.said) == 2
    orders = with_order(orders, Order(what="resume", time=9.0))
    assert [order.what for order in orders.said] == ["priority", "resume"]


def test_priority_of_the_newest_word_counts(memory: Memory):
    memory.say("priority", value=1.0)
    memory.say("priority", POS, value=5.0)
    urgency = priorities(memory.orders)
    assert {row.dataset: urgency(row) for row in memory.rows.values()} == {"mldoc": 1.0, "pos": 5.0}


def test_paused_runs_are_not_sent_and_say_so_and_sent_ones_go_on(memory: Memory):
    memory.known["runs_per_job"] = 1
    memory.turn(slots=1)
    sent = {row.run_id for row in live(memory)}
    memory.say("pause", reason="a talk")
    decision = memory.turn()
    assert {row.run_id for row in live(memory)} == sent
    assert set(decision.waiting.values()) == {"paused by hand (a talk); `sgonz resume` goes on"}
    assert decision.taken_back == {}
    assert not decision.stuck  # she knows
    memory.say("resume")
    memory.turn()
    assert len(live(memory)) == len(memory.rows)


def test_students_planned_later_are_paused_by_their_selector(memory: Memory):
    memory.say("pause", "kind = distill")
    for run_id in memory.ids(Kind.FINETUNE, "pos"):
        memory.complete(run_id)
    memory.turn()
    memory.complete(*memory.ids(Kind.LOGITS))
    decision = memory.turn()
    assert all(decision.waiting[run_id].startswith("paused") for run_id in memory.ids(Kind.DISTILL))


def test_a_missing_need_is_said_before_a_pause(memory: Memory):
    for run_id in memory.ids(Kind.FINETUNE, "pos"):
        memory.complete(run_id)
    memory.say("pause")
    memory.turn()
    (logits,) = memory.ids(Kind.LOGITS)
    waiting = memory.decide().waiting
    assert waiting[logits].startswith("paused")
    assert all(waiting[run_id].startswith(f"needs {logits}") for run_id in memory.ids(Kind.DISTILL))


def test_drained_runs_are_taken_back_from_their_jobs_unless_they_run(memory: Memory):
    first, second, *_ = memory.ids(Kind.FINETUNE, "pos")
    memory.change(first, state=State.RUNNING, tag="t1", element=0)
    memory.change(second, state=State.SUBMITTED, tag="t1", element=0)
    memory.say("drain")
    assert memory.decide().taken_back == {"t1": (second,)}
    memory.say("resume")
    assert memory.decide().taken_back == {}


# caps and priorities


def test_max_jobs_counts_what_is_out(memory: Memory):
    memory.known["runs_per_job"] = 1
    memory.orders = replace(memory.orders, max_jobs=3)
    decision = memory.turn()
    assert len(live(memory)) == 3
    assert "cap: max_jobs = 3, and 0 jobs are out" in set(decision.waiting.values()).pop()
    memory.known["busy"] = [JobRow(tag="t", element=n, sequence=1) for n in range(3)]
    assert memory.decide().actions == ()
    memory.orders = replace(memory.orders, max_jobs=1)  # lower than what is out: nothing is stopped
    assert memory.decide().taken_back == {}
    memory.orders = replace(memory.orders, max_jobs=5)
    memory.turn()
    assert len(live(memory)) >= 5


def test_max_gpus_counts_the_gpus_of_jobs_that_are_out(memory: Memory):
    memory.known |= {"runs_per_job": 1, "gpus": lambda row: 2 if row.model == "beto" else 0}
    memory.orders = replace(memory.orders, max_gpus=5)
    decision = memory.turn()
    assert sum(row.model == "beto" for row in live(memory)) == 2
    assert sum(row.model == "albeto" for row in live(memory)) == 4  # asks for none
    assert {why for why in decision.waiting.values() if "cap" in why} == {
        "cap: max_gpus = 5, and 4 are in use; `sgonz set` changes it"
    }
    memory.known["busy"] = [
        JobRow(tag="t", element=0, sequence=1, run_ids=(row.run_id,))
        for row in live(memory)
        if row.model == "beto"
    ]
    assert memory.decide().actions == ()


def test_urgent_runs_are_sent_first_and_apart(memory: Memory):
    memory.say("priority", "dataset = pos and model = albeto", value=3.0)
    (submit,) = [action for action in memory.decide(slots=1).actions if hasattr(action, "jobs")]
    (job,) = submit.jobs
    assert {(memory.rows[run_id].dataset, memory.rows[run_id].model) for run_id in job} == {("pos", "albeto")}


def test_what_an_urgent_run_needs_is_urgent_too(memory: Memory):
    for run_id in memory.ids(Kind.FINETUNE, "pos"):
        memory.complete(run_id)
    for run_id in memory.ids(Kind.FINETUNE, "mldoc"):
        memory.complete(run_id)
    memory.say("priority", "kind = distill and dataset = pos", value=3.0)
    memory.turn(slots=0)
    memory.known["runs_per_job"] = 1
    (submit,) = [action for action in memory.decide(slots=1).actions if hasattr(action, "jobs")]
    (first,) = submit.jobs[0]
    assert (memory.rows[first].kind, memory.rows[first].dataset) == (Kind.LOGITS, "pos")


# budget


def test_nothing_is_sent_that_would_not_fit_beside_what_is_promised():
    memory = Memory(small_sweep("budget = {gpu_hours = 0.01}\n"), small_sources())  # 36 s; a run takes 10
    decision = memory.turn()
    assert len(live(memory)) == 3
    assert all("budget: 0 of 0.01 GPU-hours are used" in why for why in decision.waiting.values())
    for row in live(memory):
        memory.complete(row.run_id)
    memory.known["used_gpu_hours"] = 30 / 3600
    decision = memory.turn()
    assert not live(memory)
    assert decision.stuck
    assert warning(decision.budget) == "budget: 83 % of 0.01 GPU-hours are used or promised"
    memory.orders = replace(memory.orders, gpu_hours=1.0)
    memory.turn()
    assert len(live(memory)) >= 5


def test_gpus_of_a_job_count_in_the_budget():
    memory = Memory(small_sweep("budget = {gpu_hours = 0.01}\n"), small_sources())
    memory.known["gpus"] = lambda row: 3
    memory.turn()
    assert len(live(memory)) == 1


def test_what_was_sent_and_does_not_fit_any_more_is_taken_back_before_it_begins():
    memory = Memory(small_sweep("budget = {gpu_hours = 0.02}\n"), small_sources())  # 72 s; a run takes 10
    memory.turn()
    for number, row in enumerate(live(memory)):
        memory.change(row.run_id, tag="t", element=number)
    one, other, *waiting = live(memory)
    for row in (one, other):
        memory.change(row.run_id, state=State.RUNNING)
    memory.known["seconds"] = lambda row: 30.0  # three times as long as was thought
    memory.known["begun"] = {one.run_id: memory.now - 20.0, other.run_id: memory.now - 50.0}
    memory.known["used_gpu_hours"] = (
        20 / 3600
    )  # 10 s are left of one, and nothing of the other: room for one more
    decision = memory.decide()
    assert decision.over_budget == {row.run_id for row in waiting[1:]}
    assert decision.taken_back == {"t": tuple(row.run_id for row in waiting[1:])}
    assert decision.for_person[waiting[1].run_id].startswith("budget: 0.00556 of 0.02 GPU-hours are used")
    memory.known["used_gpu_hours"] = 72 / 3600
    memory.known["seconds"] = lambda row: 0.0  # whatever is predicted
    assert memory.decide().over_budget == {row.run_id for row in waiting}
    memory.orders = replace(memory.orders, gpu_hours=1.0)
    assert not memory.decide().taken_back


def test_without_a_budget_nothing_is_said(memory: Memory):
    assert memory.decide().budget is None
    assert warning(None) is None


# canaries


def test_one_run_of_a_shape_goes_first_and_the_others_follow_its_first_step():
    memory = large()
    decision = memory.turn()
    first = live(memory)
    assert {(row.dataset, row.model) for row in first} == {
        (d, m) for d in ("mldoc", "pos") for m in ("beto", "albeto")
    }
    assert len(first) == 4
    assert len(decision.waiting) == 76
    assert all("goes first; the others follow its first step" in why for why in decision.waiting.values())
    memory.known["stepped"] = frozenset({first[0].run_id})
    memory.turn()
    assert len(live(memory)) == 3 + 20
    memory.complete(first[1].run_id)
    memory.turn()
    assert len(live(memory)) == 2 + 20 + 19


def test_canaries_get_jobs_of_their_own_where_there_is_room():
    memory = large()
    (submit,) = [action for action in memory.decide().actions if hasattr(action, "jobs")]
    assert [len(job) for job in submit.jobs] == [1, 1, 1, 1]


def test_data_sets_of_one_task_share_a_canary():
    memory = large()
    memory.known["tasks"] = {"mldoc": "classification", "pos": "classification"}
    memory.turn()
    assert len(live(memory)) == 2


def test_a_wrong_setting_costs_one_canary_for_each_shape():
    memory = large()
    for _ in range(20):
        memory.now += 1000
        decision = memory.turn()
        for row in live(memory):
            memory.fail(row.run_id, "KeyError in readers")
    assert decision.stuck
    failed = [row for row in memory.rows.values() if row.state is State.FAILED]
    assert len(failed) == 4
    assert sum(memory.sent.values()) == 8  # each of them tried twice
    assert set(memory.sent) == {row.run_id for row in failed}
    why = decision.waiting[memory.ids(Kind.FINETUNE, "pos")[-1]]
    assert "failed (KeyError in readers); `sgonz retry` or `sgonz resume` goes on" in why


@pytest.mark.parametrize("way", ["retry", "resume"])
def test_a_person_lets_a_group_go_on_after_its_canary_failed(way: str):
    memory = large()
    memory.turn()
    failed, *_ = live(memory)
    memory.change(
        failed.run_id, state=State.FAILED, last_outcome=Outcome.FAILED, signature="E", ended=memory.now
    )
    like = [row for row in memory.rows.values() if (row.dataset, row.model) == (failed.dataset, failed.model)]
    memory.turn()
    assert not [row for row in like if memory.rows[row.run_id].state.is_live]
    memory.now += 10
    if way == "resume":
        memory.say("resume", f"model = {failed.model}")
        memory.turn()
        assert sum(memory.rows[row.run_id].state.is_live for row in like) == 19
    else:
        memory.change(failed.run_id, state=State.PENDING, failures=0, signature=None, attempts=1)
        memory.turn()
        assert [row.run_id for row in like if memory.rows[row.run_id].state.is_live] == [failed.run_id]


@pytest.mark.parametrize(
    ("settings", "sent"),
    [
        ("", 4),
        ("canary = {first = false}\n", 80),
        ("canary = {above = 20}\n", 80),
        ("canary = {above = 19}\n", 4),
    ],
)
def test_canaries_are_for_large_groups_and_can_be_switched_off(settings: str, sent: int):
    memory = large(settings)
    memory.turn()
    assert len(live(memory)) == sent


def test_a_small_sweep_goes_at_once(memory: Memory):
    memory.turn()
    assert len(live(memory)) == 8


def test_a_paused_run_is_nobodys_canary():
    memory = large()
    memory.say("pause", "learning_rate < 5e-6")
    memory.turn()
    assert len(live(memory)) == 4
    assert all((row.learning_rate or 0) >= 5e-6 for row in live(memory))


# circuits


def failing(memory: Memory, count: int, signature: str = "E", dataset: str = "pos") -> list[str]:
    """So many runs fail one after another, each once."""
    failed = [run_id for run_id in memory.ids(Kind.FINETUNE, dataset) if not memory.rows[run_id].failures][
        :count
    ]
    for run_id in failed:
        memory.now += 1
        memory.fail(run_id, signature)
    return failed


def test_same_failure_again_and_again_holds_the_like_and_takes_back_what_was_sent():
    memory = large("canary = {first = false}\n")
    failing(memory, 2)
    sent = memory.ids(Kind.FINETUNE, "pos")[-1]
    memory.change(sent, state=State.SUBMITTED, tag="t9", element=0)
    assert not memory.decide().for_person
    failing(memory, 1)
    decision = memory.decide()
    held = {memory.rows[run_id].dataset for run_id in decision.for_person}
    assert held == {"pos"}
    assert decision.taken_back == {"t9": (sent,)}
    assert "3 runs like it in a row failed the same way (E)" in next(iter(decision.for_person.values()))


def test_jobs_that_end_the_same_way_on_one_node_after_another_are_the_same_failure():
    memory = large("canary = {first = false}\n")
    for node in ("n1", "n2", "n1"):
        failing(memory, 1, f"job ended FAILED on {node}")
    assert "(job ended FAILED)" in next(iter(memory.decide().for_person.values()))


@pytest.mark.parametrize("between", ["success", "another failure"])
def test_only_the_same_failure_in_a_row_counts(between: str):
    memory = large("canary = {first = false}\n")
    failing(memory, 2)
    memory.now += 1
    if between == "success":
        memory.complete(memory.ids(Kind.FINETUNE, "pos")[10], last_outcome=Outcome.COMPLETED)
    else:
        failing(memory, 1, "F")
    failing(memory, 2)
    assert not memory.decide().for_person
    failing(memory, 1)
    assert memory.decide().for_person


def test_what_a_bad_node_did_holds_nobody():
    memory = large("canary = {first = false}\n")
    failing(memory, 4, "job ended FAILED on n1")
    assert memory.decide().for_person
    lost = tuple(memory.now - number for number in range(4))
    memory.known["nodes"] = [NodeRecord(node="n1", lost=lost), NodeRecord(node="n2", began=memory.now - 9)]
    decision = memory.decide()
    assert set(decision.excluded) == {"n1"}
    assert not decision.for_person


def test_resuming_forgives_what_was_before_and_nothing_later():
    memory = large("canary = {first = false}\n")
    failing(memory, 3)
    memory.now += 1
    memory.say("resume")
    assert not memory.decide().for_person
    failing(memory, 2)
    assert not memory.decide().for_person
    failing(memory, 1)
    assert memory.decide().for_person


def test_memory_that_will_be_given_breaks_no_circuit():
    memory = large("canary = {first = false}\n")
    failing(memory, 3)
    memory.known["climbed"] = lambda row: True
    assert not memory.decide().for_person


def test_a_data_set_that_fails_with_every_model_is_held_alone():
    memory = large("canary = {first = false}\n")
    for model in ("beto", "albeto", "beto"):
        run_id = next(
            row.run_id for row in memory.rows.values()
            if (row.dataset, row.model, row.failures) == ("pos", model, 0)
        )  # fmt: skip
        memory.now += 1
        memory.fail(run_id, "DecodeError")
    assert {memory.rows[run_id].dataset for run_id in memory.decide().for_person} == {"pos"}


# invalidated runs


def test_a_run_that_was_invalidated_at_work_waits_for_its_job_to_leave(memory: Memory):
    run_id = memory.ids(Kind.FINETUNE)[0]
    memory.change(run_id, reason=INVALIDATED_AT_WORK + "wrong labels", generation=2)
    memory.known["in_jobs"] = frozenset({run_id})
    assert memory.decide().waiting == {run_id: "invalidated while a job had it; that job has not left yet"}
    memory.known["in_jobs"] = frozenset()
    assert memory.decide().waiting == {}


def test_students_of_an_invalidated_teacher_wait_and_everything_else_stays(memory: Memory):
    for run_id in memory.ids(Kind.FINETUNE):
        memory.complete(run_id, loss=0.5)
    memory.turn()
    for kind in (Kind.LOGITS, Kind.DISTILL, Kind.EVALUATE):
        for run_id in memory.ids(kind):
            memory.complete(run_id)
    memory.turn()
    (logits,) = memory.ids(Kind.LOGITS, "pos")
    (teacher,) = memory.rows[logits].needs
    again = [teacher, logits, *memory.ids(Kind.DISTILL, "pos")]
    before = dict(memory.rows)
    for run_id in again:
        memory.change(run_id, state=State.PENDING, validation_loss=None, generation=2)
    decision = memory.turn()
    assert decision.waiting[logits] == f"needs {teacher}, which is SUBMITTED"
    memory.complete(teacher, loss=0.5)
    memory.turn()
    assert memory.decide().teachers["pos"] == teacher
    changed = {run_id for run_id, row in memory.rows.items() if row.state is not before[run_id].state}
    assert changed <= set(again)

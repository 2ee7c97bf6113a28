from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from sgonz.plan.retention import CHECKPOINTS, bytes_to_come, removable
from sgonz.plan.runs import Kind, State
from sgonz.plan.selection import best
from sgonz.plan.state import RunRow

replace = msgspec.structs.replace


def row(run_id: str, loss: float | None, state: State = State.COMPLETED, **fields: object) -> RunRow:
    values = {"kind": Kind.FINETUNE, "dataset": "pos", "model": "m", **fields}
    return RunRow(run_id=run_id, state=state, validation_loss=loss, **values)


def logits(run_id: str, teacher: str, state: State) -> RunRow:
    return row(run_id, None, state, kind=Kind.LOGITS, needs=(teacher,))


def gone(rows: list[RunRow], keep: str = "best", **fields: object) -> set[str]:
    return removable(
        rows, keep, criterion=lambda dataset: "validation_loss", collapsed_ids=set(), macs={}, **fields
    )


GRID = [row("a", 0.3), row("b", 0.1), row("c", 0.2)]


def test_the_best_of_a_group_stays_and_the_others_go():
    assert gone(GRID) == {"a", "c"}


def test_all_keeps_all():
    assert gone(GRID, "all", finished=True) == set()


def test_nothing_goes_while_a_point_of_the_group_is_to_come():
    assert gone([*GRID, row("d", None, State.RUNNING)]) == set()


def test_failed_points_hold_nothing_up_and_have_no_weights():
    assert gone([*GRID, row("d", None, State.FAILED)]) == {"a", "c"}


def test_what_an_unfinished_run_reads_stays_here_and_elsewhere():
    assert gone([*GRID, logits("l", "a", State.PENDING)]) == {"c"}
    assert gone([*GRID, logits("l", "a", State.FAILED)]) == {"c"}  # it may be tried again
    assert gone(GRID, needed={"c"}) == {"a"}


def test_scores_alone_are_kept_once_the_sweep_is_finished_and_not_before():
    assert gone(GRID, "scores") == {"a", "c"}
    assert gone(GRID, "scores", finished=True) == {"a", "b", "c"}


def test_a_group_without_a_usable_run_keeps_what_it_has():
    assert gone([row("a", None), row("b", float("nan"))]) == set()


def test_stored_logits_go_with_their_teacher_or_at_the_end_and_never_while_a_student_is_to_come():
    student = row("s", 0.5, kind=Kind.DISTILL, needs=("l",))
    done = [logits("l", "b", State.COMPLETED), student]
    assert gone(done) == set()
    assert gone(done, "scores", finished=True) == {"l", "s"}
    assert gone([replace(done[0], superseded=True), replace(student, superseded=True)]) == {"l"}
    at_work = replace(student, superseded=True, state=State.RUNNING)
    assert gone([replace(done[0], superseded=True), at_work]) == set()
    failed = replace(student, state=State.FAILED)
    assert gone([done[0], failed], "scores", finished=True) == set()  # it may be tried again


def test_room_for_what_is_to_come_is_counted_by_what_is_kept():
    weights = 4 * 100
    coming = [row(name, None, State.PENDING) for name in "abc"]
    assert bytes_to_come(coming, "all", {"m": 100}) == (CHECKPOINTS + 3) * weights
    assert bytes_to_come(coming, "best", {"m": 100}) == (CHECKPOINTS + 3) * weights  # one stays, two go
    groups = [*coming, *(replace(each, run_id=f"{each.run_id}2", dataset="ner") for each in coming)]
    assert bytes_to_come(groups, "best", {"m": 100}) == (CHECKPOINTS + 4) * weights
    assert bytes_to_come(groups, "scores", {"m": 100}) == (CHECKPOINTS + 2) * weights
    live = [replace(each, state=State.RUNNING) for each in coming]
    assert bytes_to_come(live, "all", {"m": 100}) == 3 * (CHECKPOINTS + 1) * weights
    assert bytes_to_come(GRID, "all", {"m": 100}) == 0
    assert bytes_to_come(coming, "all", {}) == 0


states = st.sampled_from([State.COMPLETED, State.FAILED, State.PENDING, State.RUNNING, State.SKIPPED])
points = st.lists(
    st.tuples(st.sampled_from(["m", "n"]), st.floats(0, 9), states, st.booleans()), min_size=1, max_size=12
)


@given(points, st.data())
def test_what_is_selected_or_read_by_an_unfinished_run_or_best_never_goes(drawn, data):
    rows = [
        row(f"r{at}", loss, state, model=model, selected=selected)
        for at, (model, loss, state, selected) in enumerate(drawn)
    ]
    readers = [
        logits(f"l{at}", data.draw(st.sampled_from(rows)).run_id, data.draw(states)) for at in range(3)
    ]
    removed = gone(rows + readers)
    assert not removed & {
        need for reader in readers if reader.state is not State.COMPLETED for need in reader.needs
    }
    assert not removed & {each.run_id for each in rows if each.selected or each.state is not State.COMPLETED}
    for model in ("m", "n"):
        group = [each for each in rows if each.model == model]
        if chosen := best(group, "validation_loss", set()):
            assert chosen.run_id not in removed


@given(
    st.lists(st.tuples(states, st.booleans()), min_size=2, max_size=6), st.lists(st.tuples(states, st.booleans()), max_size=6),
    st.sampled_from(["best", "scores", "all"]), st.booleans(), st.data(),
)  # fmt: skip
def test_what_a_run_to_come_reads_is_never_removed_whatever_is_kept(teachers, students, keep, finished, data):
    """A chain of teachers, their logits, students and exams in any states."""
    rows = [row(f"t{at}", 0.1 * at, state, superseded=old) for at, (state, old) in enumerate(teachers)]
    rows += [
        replace(logits(f"l{at}", f"t{at}", data.draw(states)), superseded=data.draw(st.booleans()))
        for at in range(len(teachers))
    ]
    for at, (state, old) in enumerate(students):
        need = f"l{data.draw(st.integers(0, len(teachers) - 1))}"
        rows.append(row(f"s{at}", 0.2, state, kind=Kind.DISTILL, needs=(need,), superseded=old))
        rows.append(
            row(f"e{at}", None, data.draw(states), kind=Kind.EVALUATE, needs=(f"s{at}",), superseded=old)
        )
    removed = gone(rows, keep, finished=finished)
    read = {
        need for each in rows if each.state is not State.COMPLETED and (not each.superseded or each.state.is_live)
        for need in each.needs
    }  # fmt: skip
    assert not removed & read
    assert all(each.state is State.COMPLETED for each in rows if each.run_id in removed)
    assert keep != "all" or not removed

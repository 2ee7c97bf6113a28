"""explain: the true reason why a run stands where it stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sgonz.cli import options
from sgonz.cluster.base import NoAnswer
from sgonz.commands.choosing import chosen, looked
from sgonz.commands.planning import show
from sgonz.control.failing import failures
from sgonz.coordinator.coordinator import Coordinator, closing
from sgonz.plan.decide import Decision
from sgonz.plan.runs import Kind, State
from sgonz.plan.state import JobRow, RunRow
from sgonz.plan.wording import number_of
from sgonz.sweep.opening import reopen
from sgonz.sweep.planned import workdir_of


def explain(name: str, workdir: str | None, sweep: str | None, *, output: str) -> None:
    at = reopen(workdir_of(workdir), sweep)
    at.cluster.when_late(options.say)
    with closing(at):
        rows, decision = looked(at)
        if name in at.sweep.dataset_names:
            answer = of_gate(name, rows, decision)
        else:
            answer = of_run(at, chosen(rows, None, [name])[0], rows, decision)
    if output == "json":
        options.print_json(answer)
    else:
        show(
            [{"field": field, "value": value} for field, value in answer.items()], output, ("field", "value")
        )


def of_run(at: Coordinator, row: RunRow, rows: Sequence[RunRow], decision: Decision) -> dict[str, Any]:
    """Where a run stands and why."""
    job = next(
        (job for job in at.store.live_jobs() if (job.tag, job.element) == (row.tag, row.element)), None
    )
    newest = next(iter(failures(at, [row])), None)
    return {
        "run_id": row.run_id, "kind": row.kind, "dataset": row.dataset, "model": row.model, "state": row.state,
        "reason": _reason(at, row, rows, decision, job), "needs": list(row.needs), "attempts": row.attempts,
        "failures": row.failures, "last_failure": row.signature,
        "error": newest.error if newest else None, "what_helps": newest.remedy if newest else None, "generation": row.generation, "job": row.tag,
        "scheduler_id": job.external_id if job else None, "folder": str(at.workdir.run(row.run_id).root),
        "model_folder": _model_folder(at, row),
    }  # fmt: skip


def _model_folder(at: Coordinator, row: RunRow) -> str | None:
    """Where `from_pretrained` finds a run's weights; None where they were not kept, or are not there yet."""
    folder = at.workdir.run(row.run_id).output / "model"
    return str(folder) if folder.is_dir() else None


def of_gate(dataset: str, rows: Sequence[RunRow], decision: Decision) -> dict[str, Any]:
    """Whether a data set has its teacher, and what it waits for."""
    grid = [row for row in rows if row.kind is Kind.FINETUNE and row.dataset == dataset]
    open_rows = [row for row in grid if not row.state.is_final or row.state is State.CANCELLED]
    teacher = decision.teachers.get(dataset)
    reasons = Counter(decision.waiting.get(row.run_id) or row.reason or str(row.state) for row in open_rows)
    why = "open: its teacher is chosen" if teacher else "shut: its grid is not done" if open_rows else (
        "shut: too many of its grid gave no usable result for this sweep's on_failure"
    )  # fmt: skip
    return {
        "dataset": dataset, "gate": why, "teacher": teacher,
        "teacher_model": next((row.model for row in grid if row.run_id == teacher), None), "runs": len(grid), "not_done": len(open_rows),
        "waiting": dict(reasons), "missing": [row.run_id for row in open_rows[:20]],
    }  # fmt: skip


def _reason(
    at: Coordinator, row: RunRow, rows: Sequence[RunRow], decision: Decision, job: JobRow | None
) -> str | None:
    if row.state is State.SUBMITTED:
        back = row.run_id in decision.taken_back.get(row.tag or "", ())
        held = decision.for_person.get(row.run_id) if back else None
        return f"{held}; it is taken back from its job" if held else _of_sent(at, row, rows, job)
    if row.state is State.PENDING:
        return decision.waiting.get(row.run_id) or "ready; the next turn sends it"
    return row.reason


def _of_sent(at: Coordinator, row: RunRow, rows: Sequence[RunRow], job: JobRow | None) -> str:
    """Behind what a run stands in its job's list, or what the scheduler says of the job."""
    if job is None or job.external_id is None:
        return "its job is about to be sent"
    if job.started:
        by_id: Mapping[str, RunRow] = {other.run_id: other for other in rows}
        before = job.run_ids[: job.run_ids.index(row.run_id)] if row.run_id in job.run_ids else ()
        ahead = [run_id for run_id in before if run_id in by_id and by_id[run_id].state.is_live]
        return (
            f"its job runs; {number_of(len(ahead), 'run stands', 'runs stand')} before it in the job's list"
        )
    try:
        return at.cluster.explain(job) or "its job was sent and has not begun"
    except NoAnswer as silence:
        return f"its job was sent and has not begun; {silence.message}"

"""What a store would know, held in memory: the rows of a sweep, and what the actions of a decision change in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from sgonz.plan import actions
from sgonz.plan.expand import Sources, distill_runs, evaluate_run, logits_run
from sgonz.plan.runs import RunSpec, State
from sgonz.plan.spec import Sweep
from sgonz.plan.state import RunRow


@dataclass(kw_only=True)
class Ledger:
    """Every run with its row; who derives from it says what sending a job means."""

    sweep: Sweep
    sources: Sources
    rows: dict[str, RunRow] = field(default_factory=dict)
    specs: dict[str, RunSpec] = field(default_factory=dict)

    def add(self, runs: Sequence[RunSpec]) -> None:
        for run in runs:
            self.specs.setdefault(run.run_id, run)
            self.rows.setdefault(run.run_id, new_row(run))

    def change(self, run_id: str, **facts: object) -> None:
        self.rows[run_id] = replace(self.rows[run_id], **facts)

    def send(self, run_ids: Sequence[str]) -> None:
        """A job with these runs."""
        raise NotImplementedError

    def act(self, action: actions.Action) -> None:
        """What the coordinator writes to the store for an action, to these rows."""
        match action:
            case actions.Fail(run_id=run_id, reason=reason):
                self.change(run_id, state=State.FAILED, reason=reason)
            case actions.Skip(run_id=run_id, reason=reason):
                self.change(run_id, state=State.SKIPPED, reason=reason)
            case actions.Revive(run_ids=run_ids):
                for run_id in run_ids:
                    self.change(run_id, state=State.PENDING, reason=None)
            case actions.Cancel(run_ids=run_ids, reason=reason):
                for run_id in run_ids:
                    self.change(run_id, state=State.CANCELLED, reason=reason)
            case actions.Select(selected=selected, superseded=superseded):
                for run_id, row in self.rows.items():
                    marks = (run_id in selected, run_id in superseded)
                    if marks != (row.selected, row.superseded):
                        self.change(run_id, selected=marks[0], superseded=marks[1])
            case actions.OpenGate(teacher=teacher):
                logits = logits_run(self.sweep, self.specs[teacher])
                self.add([logits, *distill_runs(self.sweep, self.sources, logits)])
            case actions.Evaluate(run_ids=run_ids):
                self.add([evaluate_run(self.sweep, self.specs[run_id]) for run_id in run_ids])
            case actions.Submit(jobs=jobs):
                for run_ids in jobs:
                    self.send(run_ids)


def new_row(run: RunSpec) -> RunRow:
    settings = run.settings
    return RunRow(
        run_id=run.run_id, kind=run.kind, dataset=run.dataset.name, model=run.model.name, seed=run.seed,
        learning_rate=settings.learning_rate, batch_size=settings.batch_size, epochs=settings.epochs,
        needs=tuple(need.run_id for need in run.needs),
    )  # fmt: skip

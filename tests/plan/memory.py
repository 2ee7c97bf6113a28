"""A store in memory, and a person who speaks: enough to carry decisions out."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
from small_sweep import small_sources

from sgonz.plan import decide as decisions
from sgonz.plan.decide import Decision, Snapshot, decide
from sgonz.plan.expand import Sources, distill_runs, evaluate_run, finetune_runs, logits_run
from sgonz.plan.orders import Order, Orders, What, with_order
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
        self.orders = Orders()
        self.known: dict[str, Any] = {}  # more facts of the snapshot
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

    def say(self, what: What, where: str | None = None, **facts: Any) -> None:
        """What a person says now."""
        self.orders = with_order(self.orders, Order(what=what, where=where, time=self.now, **facts))

    def decide(self, slots: int | None = None) -> Decision:
        facts: dict[str, Any] = {
            "now": self.now, "sweep": self.sweep, "runs": list(self.rows.values()), "free_jobs": slots,
            "metrics": {"mldoc": "f1", "pos": "f1"}, "target_seconds": 100.0, "seconds": lambda row: 10.0,
            "macs": self.macs, "orders": self.orders, **self.known,
        }  # fmt: skip
        return decide(Snapshot(**facts))

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

"""A store in memory, and a person who speaks: enough to carry decisions out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from small_sweep import small_sources

from sgonz.plan import decide as decisions
from sgonz.plan.decide import Decision, Snapshot, decide
from sgonz.plan.expand import Sources, finetune_runs
from sgonz.plan.orders import Order, Orders, What, with_order
from sgonz.plan.runs import Kind, Outcome, State
from sgonz.plan.spec import Sweep
from sgonz.simulate.ledger import Ledger


class Memory(Ledger):
    """A store in memory: enough to carry a decision's actions out."""

    def __init__(self, sweep: Sweep, sources: Sources) -> None:
        super().__init__(sweep=sweep, sources=sources)
        self.now = 1000.0
        self.macs: dict[str, float] = {}
        self.sent: Counter[str] = Counter()
        self.orders = Orders()
        self.known: dict[str, Any] = {}  # more facts of the snapshot
        self.add(finetune_runs(sweep, small_sources()))

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

    def send(self, run_ids: Sequence[str]) -> None:
        for run_id in run_ids:
            self.sent[run_id] += 1
            self.change(run_id, state=State.SUBMITTED)

    def ids(self, kind: Kind, dataset: str | None = None) -> list[str]:
        return [
            row.run_id for row in self.rows.values() if row.kind is kind and dataset in (None, row.dataset)
        ]

"""What a person has said about a sweep while it runs: holds, caps and priorities. The newest word on a run counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from sgonz.plan.state import RunRow
from sgonz.plan.where import parse

What = Literal["pause", "drain", "resume", "priority"]
Matches = Callable[[RunRow], bool]


class Order(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One word about some runs: those of a selector, planned later or not, or these, or all of them."""

    what: What
    where: str | None = None
    run_ids: tuple[str, ...] = ()
    time: float
    reason: str | None = None
    value: float = 0.0  # of a priority

    @property
    def speaks_of_all(self) -> bool:
        return self.where is None and not self.run_ids

    @property
    def is_hold(self) -> bool:
        """Whether it says if runs may be sent."""
        return self.what != "priority"


class Orders(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything that was said and still counts, oldest first."""

    said: tuple[Order, ...] = ()
    max_jobs: int | None = None  # jobs of the sweep at a time, waiting ones included
    max_gpus: int | None = None  # GPUs of these jobs together
    gpu_hours: float | None = None  # instead of the sweep file's budget


def with_order(orders: Orders, order: Order) -> Orders:
    """The orders with one more; what it makes meaningless is left out."""
    kept = [
        said
        for said in orders.said
        if said.is_hold != order.is_hold
        or not (order.speaks_of_all or (said.where, said.run_ids) == (order.where, order.run_ids))
    ]
    return replace(orders, said=(*kept, order))


def holds(orders: Orders) -> Callable[[RunRow], Order | None]:
    """The order that keeps a run from being sent; None where the last word on it lets it go."""
    newest = _newest([order for order in orders.said if order.is_hold])
    return lambda row: order if (order := newest(row)) is not None and order.what != "resume" else None


def released(orders: Orders) -> Callable[[RunRow], float]:
    """When a run was last let go; failures before that are forgiven."""
    newest = _newest([order for order in orders.said if order.what == "resume"])
    return lambda row: order.time if (order := newest(row)) is not None else 0.0


def priorities(orders: Orders) -> Callable[[RunRow], float]:
    """How urgent a run is; 0 where nobody said so."""
    newest = _newest([order for order in orders.said if order.what == "priority"])
    return lambda row: order.value if (order := newest(row)) is not None else 0.0


def matches(order: Order) -> Matches:
    """Whether an order speaks of a run."""
    if order.run_ids:
        return _among(frozenset(order.run_ids))
    return parse(order.where) if order.where is not None else lambda row: True


def _among(run_ids: frozenset[str]) -> Matches:
    return lambda row: row.run_id in run_ids


def _newest(said: list[Order]) -> Callable[[RunRow], Order | None]:
    known = [(order, matches(order)) for order in reversed(said)]
    return lambda row: next((order for order, speaks_of in known if speaks_of(row)), None)

"""What a person says of a sweep while it runs: written down first, then told to the jobs that are out."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from sgonz import lock
from sgonz.coordinator import Coordinator, look, tell_workers
from sgonz.errors import SpecError
from sgonz.plan.orders import Order, Orders, What, with_order
from sgonz.plan.runs import Count, Positive
from sgonz.plan.spec import convert, unknown_key
from sgonz.sending import dismiss

CAPS: dict[str, object] = {"max_jobs": Count, "max_gpus": Count, "gpu_hours": Positive}
SETTABLE = (*CAPS, "priority")
NOTHING = ("none", "")


def say(
    at: Coordinator,
    what: What,
    *,
    where: str | None = None,
    run_ids: Sequence[str] = (),
    reason: str | None = None,
    value: float = 0.0,
) -> None:
    """Write an order down and carry it out as far as jobs go; said again, it changes nothing."""
    with lock.hold(at.workdir, what):
        order = Order(
            what=what, where=where, run_ids=tuple(run_ids), time=time.time(), reason=reason, value=value
        )
        at.journal.write(what, sweep=at.sweep.name, order=msgspec.to_builtins(order))
        at.store.set_orders(at.sweep_id, with_order(at.store.orders(at.sweep_id), order))
        _, decision = look(at)
        tell_workers(at, decision)
        if what == "drain" and order.speaks_of_all:
            dismiss(at)


def change(at: Coordinator, settings: dict[str, float | None]) -> Orders:
    """Raise, lower or lift caps; None lifts one, or goes back to what the sweep file says."""
    with lock.hold(at.workdir, "set"):
        at.journal.write("set", sweep=at.sweep.name, **settings)
        orders = replace(at.store.orders(at.sweep_id), **settings)
        at.store.set_orders(at.sweep_id, orders)
    return orders


def settings_of(pairs: Sequence[str]) -> dict[str, float | None]:
    """KEY=VALUE pairs as values. Raises SpecError: no such key, not a number, too small."""
    found: dict[str, float | None] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if name not in SETTABLE:
            raise unknown_key(name, SETTABLE, "set")
        if not equals:
            raise SpecError(f"set {pair}: expected {name}=VALUE", hint=f"Such as {name}=8, or {name}=none.")
        found[name] = _value(name, text)
    return found


def _value(name: str, text: str) -> float | None:
    if text.lower() in NOTHING:
        return None
    try:
        value: float = int(text)
    except ValueError:
        try:
            value = float(text)
        except ValueError:
            raise SpecError(f"set {name}={text}: {text!r} is not a number", hint=f"Or {name}=none.") from None
    checked: float = convert(value, CAPS.get(name, float), "set", name)
    return checked

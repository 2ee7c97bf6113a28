"""What a person says of a sweep while it runs: written down first, then told to the jobs that are out."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from sgonz.coordinator.coordinator import Coordinator
from sgonz.coordinator.seeing import snapshot
from sgonz.coordinator.sending import dismiss
from sgonz.coordinator.turn import tell_workers
from sgonz.errors import SpecError
from sgonz.plan.converting import convert, unknown_key
from sgonz.plan.decide import decide
from sgonz.plan.orders import Order, Orders, What, with_order
from sgonz.plan.runs import Count, Positive
from sgonz.workdir import lock

CAPS: dict[str, object] = {"max_jobs": Count, "max_gpus": Count, "gpu_hours": Positive}
SETTABLE = (*CAPS, "priority")
NOTHING = ("none", "")
HELD = {"pause": "paused", "drain": "drained"}


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
        tell_workers(at, decide(snapshot(at, at.store.snapshot(at.sweep_id))))
        if what == "drain" and order.speaks_of_all:
            dismiss(at)


def change(at: Coordinator, settings: dict[str, float | None]) -> Orders:
    """Raise, lower or lift caps; None lifts one, or goes back to what the sweep file says."""
    with lock.hold(at.workdir, "set"):
        at.journal.write("set", sweep=at.sweep.name, **settings)
        orders = replace(at.store.orders(at.sweep_id), **settings)
        at.store.set_orders(at.sweep_id, orders)
    return orders


def listed(orders: Orders) -> list[dict[str, object]]:
    """What was said of a sweep and still counts, oldest first; then its caps."""
    said: list[dict[str, object]] = [
        {"said": order.what, "value": None if order.is_hold else order.value,
         "runs": order.where or ", ".join(order.run_ids) or "all",
         "since": time.strftime("%Y-%m-%d %H:%M", time.localtime(order.time)), "reason": order.reason}
        for order in orders.said
    ]  # fmt: skip
    caps = {name: getattr(orders, name) for name in CAPS}
    return said + [
        {"said": name, "value": value, "runs": "all", "since": None, "reason": None}
        for name, value in caps.items()
        if value is not None
    ]


def spoken(orders: Orders) -> list[str]:
    """What keeps runs of a sweep from being sent, as sentences, for whoever types its command again."""
    held = [
        f"{HELD[order.what]} by hand: {order.where or ', '.join(order.run_ids) or 'all runs'}; `sgonz resume` goes on"
        for order in orders.said
        if order.what in HELD
    ]
    return held + [
        f"{name} = {value:g}; `sgonz set` changes it"
        for name in CAPS
        if (value := getattr(orders, name)) is not None
    ]


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

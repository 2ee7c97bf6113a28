"""cancel, retry, pause, resume, drain, set, invalidate: commands by which a person changes what happens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import click
import msgspec

from sgonz.cli import options
from sgonz.commands.choosing import chosen, looked
from sgonz.commands.planning import show
from sgonz.control import failing, steering
from sgonz.control.invalidating import following
from sgonz.control.invalidating import invalidate as invalidate_runs
from sgonz.control.runs import cancel as cancel_runs
from sgonz.control.runs import may_be_retried
from sgonz.control.runs import retry as retry_runs
from sgonz.coordinator import detached
from sgonz.coordinator.coordinator import Coordinator, closing
from sgonz.errors import SpecError
from sgonz.plan.orders import Order, What, holds, matches
from sgonz.plan.state import RunRow
from sgonz.plan.wording import number_of
from sgonz.sweep.opening import reopen
from sgonz.sweep.planned import workdir_of

COLUMNS = ("run_id", "kind", "dataset", "model", "state")
NONE_YET = "no unfinished run is meant now; one that is planned later"
Act = Callable[[Coordinator, Sequence[RunRow]], int]


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs a command speaks of, and whether it only says so."""

    workdir: str | None
    sweep: str | None
    where: str | None
    limit: int | None
    dry_run: bool
    output: str


def cancel(run_ids: Sequence[str], *, yes: bool, **selection: Any) -> None:
    asked = Selection(**selection)
    at = _opened(asked)
    with closing(at):
        found = [row for row in chosen(looked(at)[0], asked.where, run_ids) if not row.state.is_final]
        found = found[: asked.limit]
        if found and not (run_ids or asked.where or asked.dry_run or yes):
            click.confirm(
                f"Cancel all {len(found)} unfinished runs of {at.sweep.name}?", abort=True, err=True
            )
        # Also where nothing is left to cancel: one that was killed half-way may have left jobs behind.
        _do(at, found, "cancelled", cancel_runs, asked, none="no run cancelled")
        if not asked.dry_run:
            detached.settle(at, {at.sweep.name: looked(at)[1].finished})


def retry(
    run_ids: Sequence[str], *, signature: str | None, memory_gb: float | None, **selection: Any
) -> None:
    asked = Selection(**selection)
    at = _opened(asked)
    with closing(at):
        found = chosen(looked(at)[0], asked.where, run_ids)
        if signature is not None:
            found = failing.with_signature(at, found, signature)
        named = bool(run_ids or asked.where or signature)
        found = [row for row in found if may_be_retried(row) and (named or row.state.is_final)][: asked.limit]
        if run_ids and not found:
            options.say(
                "only failed, skipped and cancelled runs are retried; `sgonz invalidate` does finished ones again"
            )
        act: Act = retry_runs
        if memory_gb is not None:
            act = partial(failing.retry_with_memory, memory_gb=memory_gb)
        _do(at, found, "ready to be tried again; `sgonz run` or `sgonz advance` sends them", act, asked)


def say(what: What, run_ids: Sequence[str], *, reason: str | None = None, **selection: Any) -> None:
    """pause, drain and resume: an order about a selector, also for runs planned later, or about these runs."""
    asked = Selection(**selection)
    at = _opened(asked)
    with closing(at):
        rows, decision = looked(at)
        order = _order(what, rows, run_ids, asked)
        spoken_of = matches(order)
        held = holds(at.store.orders(at.sweep_id))
        found = [
            row
            for row in rows
            if spoken_of(row)
            and not row.state.is_final
            and (what != "resume" or held(row) is not None or row.run_id in decision.for_person)
        ]
        done = {"pause": "held back until `sgonz resume`", "resume": "free to go on",
                "drain": "kept from beginning until `sgonz resume`; those that run go on to their end"}[what]  # fmt: skip

        def act(at: Coordinator, rows: Sequence[RunRow]) -> int:
            steering.say(at, what, where=order.where, run_ids=order.run_ids, reason=reason)
            return len(rows)

        none = {"resume": "nothing was held back"}.get(what, f"{NONE_YET} would be {done.split(';')[0]}")
        _do(at, found, done, act, asked, none=none)


def change(pairs: Sequence[str], **selection: Any) -> None:
    """Caps of a sweep, and priorities of runs."""
    asked, settings = Selection(**selection), steering.settings_of(pairs)
    if "priority" not in settings and (asked.where or asked.limit):
        raise SpecError("set: --where and --limit go with priority", hint="Caps are for a sweep as a whole.")
    at = _opened(asked)
    with closing(at):
        if not pairs:
            said = steering.listed(at.store.orders(at.sweep_id))
            if not said and asked.output == "table":
                options.say(
                    f"nothing was said about {at.sweep.name} so far; for example: sgonz set max_jobs=8"
                )
                return
            show(
                said,
                asked.output,
                ("said", "value", "runs", "since", "reason"),
            )
            return
        caps = {name: value for name, value in settings.items() if name != "priority"}
        if caps and not asked.dry_run:
            steering.change(at, caps)
        if caps:
            _show_caps(at, caps, asked)
        if "priority" in settings:
            _prioritise(at, settings["priority"] or 0.0, asked)


def invalidate(run_ids: Sequence[str], *, reason: str | None, yes: bool, **selection: Any) -> None:
    asked = Selection(**selection)
    if not (run_ids or asked.where):
        raise SpecError("invalidate: which runs?", hint="Name runs, or choose them with --where.")
    if not (reason or asked.dry_run):
        raise SpecError("invalidate: why?", hint="Say --reason TEXT: it is kept with what is put aside.")
    at = _opened(asked)
    with closing(at):
        picked = chosen(looked(at)[0], asked.where, run_ids, asked.limit)
        found = following(at.store.snapshot(), {row.run_id for row in picked})
        if len(found) > len(picked) and not (asked.dry_run or yes):
            after = len(found) - len(picked)
            click.confirm(
                f"{number_of(after, 'run follows', 'runs follow')} from these and will be done again too. Go on?",
                abort=True,
                err=True,
            )

        def act(at: Coordinator, rows: Sequence[RunRow]) -> int:
            return len(invalidate_runs(at, picked, reason or ""))

        _do(at, found, "planned again; what there was is kept in generations/ of their folders", act, asked)


def _opened(asked: Selection) -> Coordinator:
    at = reopen(workdir_of(asked.workdir), asked.sweep)
    at.cluster.when_late(options.say)
    return at


def _prioritise(at: Coordinator, value: float, asked: Selection) -> None:
    rows, _ = looked(at)
    order = _order("priority", rows, (), asked)
    speaks_of = matches(order)
    found = [row for row in rows if speaks_of(row) and not row.state.is_final]

    def act(at: Coordinator, rows: Sequence[RunRow]) -> int:
        steering.say(at, "priority", where=order.where, run_ids=order.run_ids, value=value)
        return len(rows)

    done = f"of priority {value:g}; the highest is sent first"
    _do(at, found, done, act, asked, none=f"{NONE_YET} would be of priority {value:g}")


def _order(what: What, rows: Sequence[RunRow], run_ids: Sequence[str], asked: Selection) -> Order:
    """A selector stands for whatever it fits, now or later; ids and a limit mean these runs alone."""
    if not run_ids and asked.limit is None:
        return Order(what=what, where=_checked(asked.where, rows), time=0.0)
    found = [row for row in chosen(rows, asked.where, run_ids) if not row.state.is_final][: asked.limit]
    if not found:
        raise SpecError(f"{what}: no unfinished run is meant", hint="`sgonz status` shows where runs stand.")
    return Order(what=what, run_ids=tuple(row.run_id for row in found), time=0.0)


def _checked(where: str | None, rows: Sequence[RunRow]) -> str | None:
    chosen(rows, where)  # what cannot be read is said before anything is written
    return where


def _show_caps(at: Coordinator, caps: Mapping[str, float | None], asked: Selection) -> None:
    orders = at.store.orders(at.sweep_id)
    now = {name: getattr(orders, name) for name in caps} | (dict(caps) if asked.dry_run else {})
    if asked.output == "json":
        options.print_json({"sweep": at.sweep.name, "dry_run": asked.dry_run, **now})
        return
    if asked.output != "table":
        told = [{"sweep": at.sweep.name, "cap": name, "value": value} for name, value in now.items()]
        options.print_rows(told, asked.output, ("sweep", "cap", "value"))
        return
    would = "would be" if asked.dry_run else "is"
    for name, value in now.items():
        options.say(f"{name} of {at.sweep.name} {would} {'not set' if value is None else f'{value:g}'}")


def _do(
    at: Coordinator, rows: Sequence[RunRow], done: str, act: Act, asked: Selection, *, none: str | None = None
) -> None:
    """Say which runs are meant, or act on them; with `none`, which says so, also where no run is meant yet."""
    listed = [{name: getattr(row, name) for name in COLUMNS} for row in rows]
    if not asked.dry_run:
        count = act(at, rows) if rows or none else 0
    if asked.output != "table":
        options.print_rows(listed, asked.output, COLUMNS)
    elif asked.dry_run:
        for row in rows:
            click.echo(f"{row.run_id}  {row.kind}  {row.dataset}  {row.model}  {row.state}")
    if asked.dry_run:
        options.say(f"{_counted(len(rows))} would be {done.split(';')[0]}")
    else:
        options.say(f"{_counted(count)} {done}" if count else none or f"no run {done.split(';')[0]}")


def _counted(count: int) -> str:
    return number_of(count, "run") if count else "no run"

"""cancel, retry: commands by which a person changes what happens."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click

from sgonz import detached, options
from sgonz.commands.looking import chosen
from sgonz.control import cancel as cancel_runs
from sgonz.control import retry as retry_runs
from sgonz.coordinator import Coordinator, closing, look
from sgonz.opening import reopen
from sgonz.plan.runs import State
from sgonz.plan.state import RunRow
from sgonz.planned import workdir_of

AGAIN = (State.FAILED, State.SKIPPED, State.CANCELLED)


def cancel(
    run_ids: Sequence[str],
    *,
    workdir: str | None,
    sweep: str | None,
    where: str | None,
    limit: int | None,
    dry_run: bool,
    yes: bool,
) -> None:
    at = reopen(workdir_of(workdir), sweep)
    with closing(at):
        found = [row for row in chosen(look(at)[0], where, run_ids) if not row.state.is_final][:limit]
        if found and not (run_ids or where or dry_run or yes):
            click.confirm(
                f"Cancel all {len(found)} unfinished runs of {at.sweep.name}?", abort=True, err=True
            )
        _do(at, found, "cancelled", cancel_runs, dry_run)
        if found and not dry_run:
            detached.settle(at, {at.sweep.name: look(at)[1].finished})


def retry(
    run_ids: Sequence[str],
    *,
    workdir: str | None,
    sweep: str | None,
    where: str | None,
    limit: int | None,
    dry_run: bool,
) -> None:
    at = reopen(workdir_of(workdir), sweep)
    with closing(at):
        found = [row for row in chosen(look(at)[0], where, run_ids) if row.state in AGAIN][:limit]
        _do(
            at,
            found,
            "ready to be tried again; `sgonz run` or `sgonz advance` sends them",
            retry_runs,
            dry_run,
        )


def _do(
    at: Coordinator,
    rows: Sequence[RunRow],
    done: str,
    act: Callable[[Coordinator, Sequence[RunRow]], int],
    dry_run: bool,
) -> None:
    if dry_run:
        for row in rows:
            click.echo(f"{row.run_id}  {row.kind}  {row.dataset}  {row.model}  {row.state}")
        options.say(f"{len(rows)} runs would be {done.split(';')[0]}")
        return
    count = act(at, rows) if rows else 0
    options.say(f"{count} runs {done}")

"""logs: the ends of runs' logs, and what runs write as they write it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click

from sgonz.cli import options
from sgonz.commands.choosing import chosen, looked
from sgonz.coordinator.coordinator import closing
from sgonz.plan.runs import State
from sgonz.plan.state import RunRow
from sgonz.sweep.opening import reopen
from sgonz.sweep.planned import workdir_of

FOLLOW_SECONDS = 1.0  # between looks at logs; a shared disk shows them no sooner


def logs(
    run_ids: Sequence[str],
    workdir: str | None,
    sweep: str | None,
    where: str | None,
    limit: int | None,
    lines: int,
    *,
    output: str,
) -> None:
    at = reopen(workdir_of(workdir), sweep)
    with closing(at):
        rows, _ = looked(at)
    found = chosen(rows, where, run_ids, limit)
    if not run_ids and not where:
        found = [row for row in found if row.state is State.FAILED][: limit or 5]
        if not found:
            options.say("no run failed; name one, or choose with --where")
    if output != "table":
        told = [
            {"run_id": row.run_id, "kind": row.kind, "dataset": row.dataset, "model": row.model, "state": row.state,
             "file": str(at.workdir.run(row.run_id).log), "lines": _tail(at.workdir.run(row.run_id).log, lines).splitlines()}
            for row in found
        ]  # fmt: skip
        options.print_rows(told, output, ("run_id", "kind", "dataset", "model", "state", "file", "lines"))
        return
    for row in found:
        path = at.workdir.run(row.run_id).log
        click.echo(f"== {row.run_id}  {row.kind}  {row.dataset}  {row.model}  {row.state}  {path}")
        click.echo(_tail(path, lines) if path.exists() else f"(no log: {row.reason or 'it has not begun'})")


def follow_logs(
    run_ids: Sequence[str], workdir: str | None, sweep: str | None, where: str | None, lines: int
) -> None:
    """Print what runs write as they write it, until they are over; without a choice, of whatever runs."""
    from sgonz.looking.following import Followed, follow

    at = reopen(workdir_of(workdir), sweep)
    asked = bool(run_ids or where)

    def named(row: RunRow) -> Followed:
        return Followed(
            f"{row.run_id[:8]} {row.kind} {row.dataset}/{row.model} | ", at.workdir.run(row.run_id).log
        )

    def wanted() -> tuple[dict[str, Followed], bool]:
        # The store knows what the last turn saw; a log or a result on disk is there before that.
        rows = chosen(at.store.snapshot(at.sweep_id), where, run_ids)
        going = [row for row in rows if (not row.state.is_final if asked else row.state.is_live)]
        left = [row for row in going if not at.workdir.run(row.run_id).result.exists()]
        shown = rows if asked else [row for row in left if at.workdir.run(row.run_id).log.exists()]
        return {row.run_id: named(row) for row in shown}, not left

    with closing(at):
        if not asked and not wanted()[0]:
            options.say("nothing runs now; name a run, or choose with --where, to wait for it")
        for line in follow(wanted, lines, lambda: time.sleep(FOLLOW_SECONDS)):
            click.echo(line)


def _tail(path: Path, lines: int) -> str:
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - 400 * lines))
            return "\n".join(stream.read().decode(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return "(no log yet)"

"""clean, efficiency: commands that look after disks and requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
import msgspec

from sgonz.cli import options
from sgonz.cli.working import working
from sgonz.commands.choosing import chosen
from sgonz.coordinator import retention, tidying
from sgonz.coordinator.coordinator import Coordinator, closing
from sgonz.looking import efficiency as measured
from sgonz.plan.retention import Keep
from sgonz.plan.wording import number_of
from sgonz.rundir import JobList, Workdir
from sgonz.sweep.opening import reopen
from sgonz.sweep.planned import workdir_of
from sgonz.workdir import costs
from sgonz.workdir.lock import hold

EFFICIENCY_COLUMNS = ("kind", "model", "dataset", "device", "resource", "runs", "memory_gb", "host_gb", "asked_memory_gb",
                      "minutes", "asked_minutes", "micro_batch", "device_use", "kwh", "proposal")  # fmt: skip
CLEAN_COLUMNS = ("run_id", "kind", "dataset", "model", "size_mb")
REASON = "sgonz clean"


def clean(
    workdir: str | None,
    sweep: str | None,
    where: str | None,
    limit: int | None,
    *,
    keep: Keep | None,
    dry_run: bool,
    yes: bool,
    output: str,
) -> None:
    at = reopen(workdir_of(workdir), sweep)
    with closing(at), hold(at.workdir, "cleaning"):
        with working("looking for weights"):
            found = _found(at, keep, where, limit)
            listed = _sized(at, found)
        _show_rows(CLEAN_COLUMNS, listed, output)
        size = sum(each.size for each in found)
        options.say(f"{number_of(len(found), 'run')}, {size / 2**30:.2f} GiB; their scores stay")
        if dry_run or not found:
            return
        if not yes:
            click.confirm("Remove these weights?", abort=True, err=True)
        with working("removing weights"):
            free = tidying.remove(at, found, REASON)
        options.say(f"{free / 2**30:.2f} GiB are free again")


def efficiency(workdir: str | None, sweep: str | None, where: str | None, *, output: str) -> None:
    at = reopen(workdir_of(workdir), sweep)
    with closing(at), working("reading attempts"):
        runs = chosen(at.store.snapshot(at.sweep_id), where)
        attempts = at.store.attempts([row.run_id for row in runs])
        places = {tag: _place(at.workdir, tag) for tag in {each.tag for each in attempts}}
        found = measured.rows(at.profile, runs, attempts, places, costs.read(at.workdir))
    _show_rows(EFFICIENCY_COLUMNS, found, output)


def _found(
    at: Coordinator, keep: Keep | None, where: str | None, limit: int | None
) -> list[retention.Weights]:
    rows = at.store.snapshot(at.sweep_id)
    wanted = {row.run_id for row in chosen(rows, where)}
    finished = all(row.state.is_final for row in rows)
    ids = tidying.removable(at, rows, keep or at.sweep.keep, finished=finished) & wanted
    renewed = wanted.intersection(tidying.renewed(rows, keep or at.sweep.keep))
    return retention.weights_of(at.workdir, ids, renewed)[:limit]


def _sized(at: Coordinator, found: Sequence[retention.Weights]) -> list[dict[str, Any]]:
    meant = {row.run_id: row for row in at.store.snapshot(at.sweep_id)}
    return [
        {"run_id": each.run_id, "kind": meant[each.run_id].kind, "dataset": meant[each.run_id].dataset,
         "model": meant[each.run_id].model, "size_mb": round(each.size / 2**20, 1)}
        for each in found
    ]  # fmt: skip


def _place(workdir: Workdir, tag: str) -> str | None:
    try:
        return msgspec.json.decode((workdir.job(tag) / "job.json").read_bytes(), type=JobList).resource
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _show_rows(columns: Sequence[str], rows: Sequence[dict[str, Any]], output: str) -> None:
    if output != "table":
        options.print_rows(rows, output, columns)
        return
    from sgonz.view.tables import show_rows

    if rows:
        show_rows(columns, rows)

"""history: what happened while somebody was away."""

from __future__ import annotations

import time

import click
import msgspec

from sgonz.cli import options
from sgonz.cli.working import working
from sgonz.looking import happened, seen
from sgonz.looking.happened import Of
from sgonz.rundir import Workdir
from sgonz.store.rows import SweepRow
from sgonz.store.store import Store
from sgonz.sweep.opening import Stored, named, open_existing
from sgonz.sweep.planned import workdir_of

COLUMNS = (
    "what",
    "time",
    "kind",
    "dataset",
    "model",
    "state",
    "runs",
    "run_id",
    "score",
    "score_before",
    "reason",
)


def history(workdir: str | None, sweep: str | None, since: str, *, output: str) -> None:
    folder, now = workdir_of(workdir), time.time()
    with open_existing(folder, read_only=True) as store, working("looking back"):
        of = of_row(store, folder, named(store, sweep, folder))
        moment = (
            seen.last(folder, of.name)
            if since == "last"
            else 0.0
            if since == "start"
            else seen.moment_of(since, now)
        )
        found = happened.since(of, moment, now)
        models = happened.teachers_of(store, found)
    if output == "json":
        options.print_json(found)
    elif output == "table":
        click.echo("\n".join(happened.told(found, models)))
    else:
        options.print_rows(happened.as_rows(found), output, COLUMNS)
    if since == "last":
        seen.remember(folder, of.name, now)


def of_row(store: Store, folder: Workdir, row: SweepRow) -> Of:
    stored = msgspec.json.decode(row.spec_json, type=Stored)
    return Of(
        store=store, workdir=folder, sweep_id=row.id, name=row.name, datasets=tuple(stored.sources.datasets)
    )

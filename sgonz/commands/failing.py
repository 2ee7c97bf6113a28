"""failures: the command that shows what went wrong as groups."""

from __future__ import annotations

import click
import msgspec

from sgonz.cli import options
from sgonz.cli.working import working
from sgonz.commands.choosing import chosen
from sgonz.commands.planning import show
from sgonz.control import failing as found_failing
from sgonz.coordinator.coordinator import closing
from sgonz.plan.remedy import FailureGroup
from sgonz.plan.wording import number_of
from sgonz.sweep.opening import reopen
from sgonz.sweep.planned import workdir_of

COLUMNS = ("signature", "runs", "unsolved", "attempts", "gpu_hours", "example", "error", "remedy")


def failures(
    workdir: str | None, sweep: str | None, output: str, where: str | None, limit: int | None
) -> None:
    at = reopen(workdir_of(workdir), sweep)
    with closing(at), working("reading failures"):
        rows = chosen(at.store.snapshot(at.sweep_id), where)
        groups = found_failing.failures(at, rows)[:limit]
    found = [
        {**msgspec.to_builtins(group), "gpu_hours": round(group.gpu_hours, 4)} for group in groups
    ]  # fmt: skip
    if not found and output == "table":
        options.say("no attempt of these runs has failed")
        return
    if output == "table":
        for group in groups:
            click.echo(_paragraph(group))
    else:
        show(found, output, COLUMNS)


def _hours(hours: float) -> str:
    return "under 0.01" if 0 < hours < 0.01 else f"{hours:.2f}"


def _paragraph(group: FailureGroup) -> str:
    """A group as people read it: a table would cut what is worth reading."""
    where = ", ".join((*group.kinds, *group.models, *group.datasets))
    return (
        f"{group.signature}\n  {number_of(group.runs, 'run')} ({group.unsolved} without a result to this day), {number_of(group.attempts, 'attempt')}, "
        f"{_hours(group.gpu_hours)} GPU-hours lost; {where}\n  for example {group.example}: {group.error}\n  what helps: {group.remedy}\n"
    )

"""failures: the command that shows what went wrong as groups."""

from __future__ import annotations

import msgspec

from sgonz import failing as found_failing
from sgonz import options
from sgonz.commands.looking import chosen
from sgonz.commands.planning import show
from sgonz.coordinator import closing
from sgonz.opening import reopen
from sgonz.planned import workdir_of

COLUMNS = ("signature", "runs", "unsolved", "attempts", "gpu_hours", "example", "error", "remedy")


def failures(
    workdir: str | None, sweep: str | None, output: str, where: str | None, limit: int | None
) -> None:
    at = reopen(workdir_of(workdir), sweep)
    with closing(at):
        rows = chosen(at.store.snapshot(at.sweep_id), where)
        groups = found_failing.failures(at, rows)[:limit]
    found = [
        {**msgspec.to_builtins(group), "gpu_hours": round(group.gpu_hours, 4)} for group in groups
    ]  # fmt: skip
    if not found and output == "table":
        options.say("no attempt of these runs has failed")
        return
    show(found, output, COLUMNS)

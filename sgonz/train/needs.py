"""What a run reads of others: where that is damaged or gone, its own run makes it again and this one waits."""

from __future__ import annotations

from pathlib import Path

from sgonz.rundir import RunDir, bytes_in
from sgonz.train.running import NotYet, Running
from sgonz.workdir import removal


def made_again(running: Running, needed: RunDir, folder: Path, problem: str) -> NotYet:
    """Take what is left of a folder away and mark it, by which a turn has its run done again; what to raise then."""
    if running.crew.leads and needed.result.exists():  # else it is on its way already
        removal.mark(needed, problem, size=bytes_in(folder))
        removal.take_away(folder)
    return NotYet(f"{problem}; {needed.root.name} makes it again first")

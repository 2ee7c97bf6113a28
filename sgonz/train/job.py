"""One element of a submission, begun by a worker: what it has to do and where it says what happened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sgonz import events
from sgonz.events import Event
from sgonz.rundir import JobList, Workdir
from sgonz.train.told import Told


@dataclass(frozen=True, kw_only=True)
class Job:
    """What everything in a worker's process works on."""

    folder: Path
    jobs: JobList
    element: int
    restart: int
    event_file: Path
    stream: IO[bytes]
    told: Told

    @property
    def workdir(self) -> Workdir:
        return Workdir(self.folder.parents[1])

    def emit(self, event: Event) -> None:
        events.append(self.stream, event)

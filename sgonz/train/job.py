"""One element of a submission, begun by a worker: what it has to do and where it says what happened."""

from __future__ import annotations

import os

from sgonz import bare

TYPE_CHECKING = False  # a worker starts without typing
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from sgonz.events import Event
    from sgonz.rundir import JobList
    from sgonz.train.told import Told


class Job:
    """What everything in a worker's process works on."""

    def __init__(
        self, folder: str, listed: dict[str, Any], *, element: int, restart: int, event_file: str, told: Told
    ) -> None:
        self.folder = folder
        self.listed = listed  # job.json, as the standard library reads it
        self.element = element
        self.restart = restart
        self.event_file = event_file
        self.told = told
        self._jobs: JobList | None = None
        self._stream = os.open(event_file, os.O_WRONLY | os.O_APPEND)

    def run_folder(self, run_id: str) -> str:
        return bare.run_folder(self.folder.rsplit("/", 2)[0], run_id)

    def say(self, event: str, **facts: Any) -> None:
        """Append an event, by the name that sgonz.events has for it; one write for each line."""
        self.append(bare.line(event, **facts))

    def append(self, content: bytes) -> None:
        os.write(self._stream, content)

    # For what has imported more.

    def emit(self, event: Event) -> None:
        from sgonz import events

        self.append(events.line(event))

    @property
    def jobs(self) -> JobList:
        if self._jobs is None:
            import msgspec

            from sgonz.rundir import JobList

            self._jobs = msgspec.convert(self.listed, JobList)
        return self._jobs

    @property
    def path(self) -> Path:
        from pathlib import Path

        return Path(self.folder)

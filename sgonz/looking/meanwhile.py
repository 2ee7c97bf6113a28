"""What workers have written since the last turn, laid over what the store says; looking changes nothing in it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from sgonz.coordinator.collection import event_files, read_stretch
from sgonz.events import AnyEvent, RunEnded, RunStarted, size
from sgonz.plan.runs import Kind, Outcome, State
from sgonz.plan.state import JobRow, RunRow
from sgonz.rundir import Workdir
from sgonz.store import collect, jobs, watched
from sgonz.store.transaction import Transaction

LOOK_SECONDS = 2.0  # between two looks at the event files of all live jobs
SHARE = 0.05  # of the time that such looks may take
Moved = tuple[RunRow, RunRow]  # a run as the store has it, and as it stands now
Counts = Mapping[tuple[Kind, str], Mapping[State, int]]


class Meanwhile:
    """Remembers how far event files were read since the store last changed, and what they said of runs."""

    def __init__(self, workdir: Workdir) -> None:
        self._workdir = workdir
        self._changes = -1
        self._live: list[JobRow] = []
        self._offsets: dict[str, int] = {}
        self._states: dict[str, State] = {}
        self._due = 0.0

    def moved(self, at: Transaction, scope: watched.Scope, changes: int) -> list[Moved]:
        """Runs that have begun or are done although the store has them in a job's list."""
        if changes != self._changes:
            self._changes, self._live, self._states, self._due = changes, jobs.live_jobs(at), {}, 0.0
            self._offsets = collect.offsets(at, {job.tag for job in self._live})
        began = time.monotonic()
        if began >= self._due:
            self._hear()
            ended = time.monotonic()
            self._due = ended + max(LOOK_SECONDS, (ended - began) / SHARE)
        return [
            (row, msgspec.structs.replace(row, state=self._states[row.run_id]))
            for row in watched.some(at, scope, self._states)
            if row.state.is_live and row.state is not self._states[row.run_id]
        ]

    def _hear(self) -> None:
        for _, name, path in event_files(self._workdir, self._live):
            for event in self._new(name, path):
                match event:
                    case RunStarted():
                        self._states[event.run_id] = State.RUNNING
                    case RunEnded(outcome=Outcome.COMPLETED):
                        self._states[event.run_id] = State.COMPLETED
                    case RunEnded():  # whether it is tried again is for a turn to say
                        self._states.pop(event.run_id, None)

    def _new(self, name: str, path: Path) -> Sequence[AnyEvent]:
        offset = self._offsets.get(name, 0)
        if size(path) <= offset:
            return ()
        events, self._offsets[name], _ = read_stretch(path, offset)
        return events


def counted(counts: Counts, moved: Iterable[Moved]) -> Counts:
    """Counts of the store, with these runs where they stand now."""
    found = {key: dict(states) for key, states in counts.items()}
    for before, now in moved:
        states = found.setdefault((now.kind, now.dataset), {})
        states[before.state] = states.get(before.state, 1) - 1
        states[now.state] = states.get(now.state, 0) + 1
    return {
        key: {state: states[state] for state in State if states.get(state)} for key, states in found.items()
    }

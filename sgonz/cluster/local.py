"""This machine as a cluster: a number of slots, jobs that outlive the coordinator, liveness without guessing."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from sgonz.cluster.base import JobReport, JobStatus, JobUsage, Written
from sgonz.cluster.processes import UNKNOWN_START, Identity, Process, processes, send, start_of
from sgonz.cluster.profile import Profile
from sgonz.plan.state import JobRow
from sgonz.rundir import JobList, Workdir, write_atomic
from sgonz.workdir.codebase import setup_lines

if TYPE_CHECKING:
    from sgonz.cluster.local_executor import WorkerExecutor

WORKER, MEMBER = "sgonz.train.worker", "sgonz.train.member"
CONTROLLER = "submitit.local._local"
GRACE_SECONDS = 40.0  # a little longer than a worker waits for its run's checkpoint
KILL_SECONDS = 5.0  # a killed process that waits for a dead disk does not end
LOOK_SECONDS = 0.05
NEVER_STARTED = Identity.here(0, UNKNOWN_START)  # no process has the number 0, so it is gone


class LocalCluster:
    """Jobs as processes. Holds the numbers of those it started itself, to reap them."""

    def __init__(
        self, profile: Profile, python: str = sys.executable, *, grace_seconds: float = GRACE_SECONDS
    ) -> None:
        self._profile = profile
        self._python = python
        self._grace_seconds = grace_seconds
        self._children: set[int] = set()

    def free_slots(self, live: Sequence[JobRow]) -> int:
        return max(0, self._profile.slots - sum(not job.ended for job in live))

    def array_limit(self) -> None:
        return None

    def submit(self, workdir: Workdir, jobs: JobList) -> list[str]:
        """Start a controller and a worker for every element; `PID:START@HOST/BOOT` of each controller."""
        folder = workdir.job(jobs.tag).absolute()
        if not (folder / "job.json").exists():
            write_atomic(folder / "job.json", msgspec.json.encode(jobs))
        setup = setup_lines(workdir, jobs.code)
        return [self._start(folder, element, jobs.processes, setup) for element in range(len(jobs.elements))]

    def written(self, workdir: Workdir, jobs: JobList) -> list[Written]:
        folder, setup = workdir.job(jobs.tag).absolute(), setup_lines(workdir, jobs.code)
        made = (self._executor(folder, number, jobs.processes, setup) for number in range(len(jobs.elements)))
        return [Written(command=str(executor._submitit_command_str)) for executor in made]

    def _executor(self, folder: Path, element: int, processes: int, setup: Sequence[str]) -> WorkerExecutor:
        from sgonz.cluster.local_executor import WorkerExecutor  # submitit: 0.1 s, and only here

        executor = WorkerExecutor(
            _controller_folder(folder, element),
            worker=[self._python, "-u", "-m", WORKER, str(folder), str(element)],
            setup=(*self._profile.setup, *setup),
            members=[self._python, "-u", "-m", MEMBER, str(folder), str(element)],
            processes=processes,
            output=folder / f"{element}.out",
        )
        _, resource = self._profile.resource_for("default")
        if resource.max_minutes:
            executor.update_parameters(timeout_min=resource.max_minutes)
        return executor

    def _start(self, folder: Path, element: int, processes: int, setup: Sequence[str]) -> str:
        executor = self._executor(folder, element, processes, setup)
        pid = executor.start()
        self._children.add(pid)
        # A child cannot lose its number before it is reaped, so a missing one has ended already.
        return str(Identity.here(pid, start_of(pid) or UNKNOWN_START))

    def poll(self, live: Sequence[JobRow]) -> dict[tuple[str, int], JobReport]:
        """RUNNING or GONE; a job of another machine is not in the answer."""
        self._reap()
        found = processes()
        statuses = {}
        for job in live:
            if (identity := _identity(job)) is not None and identity.is_local is not None:
                alive = _first(job, identity, found) is not None
                statuses[(job.tag, job.element)] = JobReport(
                    status=JobStatus.RUNNING if alive else JobStatus.GONE
                )
        return statuses

    @property
    def keeps_accounts(self) -> bool:
        return False

    def used(self, external_ids: Sequence[str]) -> dict[str, JobUsage]:
        return {}

    def remarks(self) -> list[str]:
        return []

    def avoid(self, workdir: Workdir, nodes: Collection[str], live: Sequence[JobRow]) -> None:
        """There is one node, and it is here."""

    def cancel(self, jobs: Sequence[JobRow]) -> None:
        """Ask every job to stop, and after the grace time kill what is left of its session."""
        firsts = self._alive(jobs)
        for first in firsts:
            send(first, signal.SIGTERM)  # a controller hands it on to its worker, once
        deadline = time.monotonic() + self._grace_seconds
        while self._alive(jobs) and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
        deadline = time.monotonic() + KILL_SECONDS
        while (left := _members(firsts)) and time.monotonic() < deadline:
            for process in left:
                send(process, signal.SIGKILL)
            time.sleep(LOOK_SECONDS)
            self._reap()

    def pause(self) -> float:
        return 0.0

    def look_now(self) -> None:
        """It may always be looked at."""

    def when_late(self, say: Callable[[str], None]) -> None:
        """This machine answers at once."""

    def withdraw(self, jobs: Sequence[JobRow]) -> None:
        """None waits to begin."""

    def explain(self, job: JobRow) -> str | None:
        """Processes begin at once."""
        return None

    def find(self, workdir: Workdir, tag: str) -> list[str] | None:
        """Look for living controllers and workers of a submission by what they were started with.

        Elements that have ended, or were never started, get an id that is gone; None when none lives.
        """
        folder = workdir.job(tag).absolute()
        try:
            jobs = msgspec.json.decode((folder / "job.json").read_bytes(), type=JobList)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        found = processes()
        ids = [_started(folder, element, found) for element in range(len(jobs.elements))]
        if not any(ids):
            return None
        return [str(identity or NEVER_STARTED) for identity in ids]

    def _alive(self, jobs: Sequence[JobRow]) -> list[Process]:
        self._reap()
        found = processes()
        identities = ((job, identity) for job in jobs if (identity := _identity(job)) is not None)
        return [first for job, identity in identities if (first := _first(job, identity, found)) is not None]

    def _reap(self) -> None:
        for pid in tuple(self._children):
            ended = pid
            with contextlib.suppress(ChildProcessError):
                ended, _ = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._children.discard(pid)


def _identity(job: JobRow) -> Identity | None:
    try:
        return Identity.read(job.external_id or "")
    except ValueError:  # not sent yet, or not by this kind of cluster
        return None


def _first(job: JobRow, identity: Identity, found: Mapping[int, Process]) -> Process | None:
    """The process that signals for a job go to: its controller, or its worker where only that is left."""
    if not identity.is_local:
        return None
    controller = found.get(identity.pid)
    if controller is not None:
        return controller if controller.start == identity.start else None
    ours = f"/{job.tag} {job.element}"
    for process in found.values():
        if process.session == identity.pid and WORKER in process.command and process.command.endswith(ours):
            return process
    return None


def _members(firsts: Sequence[Process]) -> list[Process]:
    """Every process of the sessions of these, which had them to themselves: submitting begins a session."""
    found = processes()
    starts = {first.session: first.start for first in firsts if first.pid == first.session}
    sessions = {first.session for first in firsts}
    for number in starts.keys() & found.keys():
        if found[number].start != starts[number]:
            sessions.discard(number)  # ended long ago, and somebody else's by now
    return [process for process in found.values() if process.session in sessions]


def _started(folder: Path, element: int, found: Mapping[int, Process]) -> Identity | None:
    controller = f"{CONTROLLER} {_controller_folder(folder, element)}"
    worker = f"{WORKER} {folder} {element}"
    for process in found.values():
        if process.command.endswith(controller):
            return Identity.here(process.pid, process.start)
    for process in found.values():
        if process.command.endswith(worker) and process.session not in found:
            return Identity.here(process.session, UNKNOWN_START)
    return None


def _controller_folder(folder: Path, element: int) -> Path:
    """Where submitit's controller keeps what it writes; its name is how a controller is found again."""
    return folder / "controllers" / str(element)

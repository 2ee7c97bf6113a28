"""Sweeps that nobody watches: a small job makes a turn and queues the next one, until they are done.

advance.json in the work folder says which sweeps those are and which job is the current one. A job that is not the
current one leaves at once, so two of them never go on beside each other, whatever died in between.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from sgonz.cluster.base import Cluster, HeldByQuota, NoAnswer, SubmissionRefused
from sgonz.cluster.profile import Profile, load_profile
from sgonz.coordinator.coordinator import Coordinator
from sgonz.errors import SgonzError, UserError
from sgonz.plan.state import JobRow
from sgonz.rundir import Workdir, write_atomic
from sgonz.workdir import lock
from sgonz.workdir.journal import Journal
from sgonz.workdir.layout import short_name

ADVANCE_FORMAT = 1
SOON_SECONDS = 600.0  # a run that is due before that is waited for by the clock, not by the end of a job
IDLE_TURNS = 5  # turns' distances to wait where nothing runs and nothing is due: a quota, a silent cluster
ELSEWHERE = (
    "Where nodes may not submit jobs, make the turns on a login node: sgonz watch --advance in a terminal that "
    "stays open, or sgonz advance from cron."
)


class Drive(msgspec.Struct, frozen=True, kw_only=True):
    """advance.json."""

    version: int = ADVANCE_FORMAT
    sweeps: dict[str, str] = {}  # name -> file or name of the cluster profile it runs on
    number: int = 0  # of the last advance job; grows, and names it
    job: str | None = None  # what Slurm calls it; None until that is known
    queued: float | None = None
    turned: float | None = None  # when an advance job last made a turn
    problem: str | None = None  # why none is queued


class NotQueued(SgonzError):
    """The job that makes the next turn could not be sent; the next advance tries again."""


def read(workdir: Workdir) -> Drive:
    try:
        return msgspec.json.decode(_path(workdir).read_bytes(), type=Drive)
    except FileNotFoundError:
        return Drive()


def tag(workdir: Workdir, number: int) -> str:
    return f"{stem(workdir)}{number:06d}"


def is_advance_job(workdir: Workdir) -> bool:
    """Whether this process is in an advance job of this work folder."""
    return os.environ.get("SLURM_JOB_NAME", "").startswith(stem(workdir))


def is_left_behind(workdir: Workdir) -> bool:
    """Whether this process is in an advance job after which another one was queued."""
    return is_advance_job(workdir) and not _is_current(workdir, read(workdir))


def require_scheduler(profile: Profile) -> None:
    """Refuse to let go of a sweep where no scheduler would go on with it."""
    if profile.scheduler != "slurm":
        raise UserError(
            f"--detach is for Slurm; the profile {profile.name} is this machine",
            hint="Here, leave a terminal open with sgonz run, or let sgonz advance --every 60 make the turns.",
        )


def prepare(at: Coordinator) -> None:
    """Before a turn of a sweep that is, or is to be, detached. Raises UserError where that cannot be."""
    from sgonz.cluster import slurm_advance

    require_scheduler(at.profile)
    slurm_advance.reserve(at.cluster)


def told(workdir: Workdir, sweep: str) -> dict[str, Any] | None:
    """What `sgonz status` says of who makes a sweep's turns; None where people do."""
    drive = read(workdir)
    if sweep not in drive.sweeps:
        return None
    return {"job": drive.job, "queued": drive.queued, "turned": drive.turned, "problem": drive.problem}


def settle(
    at: Coordinator, finished: Mapping[str, bool], *, detach: Mapping[str, str] = MappingProxyType({})
) -> None:
    """After turns of these sweeps: queue the next turn of those that are detached, or none when all are done.

    `detach` names sweeps that are from now on, with their cluster profiles. Nothing where a job for the next turn is
    there already. Raises NotQueued.
    """
    from sgonz.cluster import slurm_advance

    before = read(at.workdir)
    if not before.sweeps and not detach:
        return
    with lock.hold(at.workdir, "queueing the next turn"):
        drive = read(at.workdir)
        left = {name: cluster for name, cluster in {**drive.sweeps, **detach}.items()
                if not finished.get(name, False)}  # fmt: skip
        mine = is_advance_job(at.workdir) and _is_current(at.workdir, drive)
        drive = msgspec.structs.replace(drive, sweeps=left, turned=time.time() if mine else drive.turned)
        _write(at.workdir, drive)
        try:
            if not left:
                if drive.number and not mine:
                    slurm_advance.take_back(at.cluster, tag(at.workdir, drive.number))
                return
            if (
                drive.number
                and not mine
                and (ids := slurm_advance.queued(at.cluster, tag(at.workdir, drive.number)))
            ):
                _write(at.workdir, msgspec.structs.replace(drive, job=ids[0], problem=None))
                return
        except NoAnswer as silence:
            raise NotQueued(f"whether a job makes the next turn is not known: {silence.message}") from silence
        _queue(at.workdir, at.cluster, at.profile, drive, _wait(at))


def go_on_blindly(workdir: Workdir) -> None:
    """Queue another try later, from an advance job to which the database did not answer. Raises NotQueued."""
    from sgonz.sweep.opening import cluster_of

    with lock.hold(workdir, "queueing the next turn"):
        drive = read(workdir)
        if _is_current(workdir, drive) and drive.sweeps:
            profile = load_profile(next(iter(drive.sweeps.values())))
            wait = Wait(seconds=IDLE_TURNS * profile.advance.every_seconds)
            _queue(workdir, cluster_of(profile, workdir), profile, drive, wait)


@dataclass(frozen=True, kw_only=True)
class Wait:
    """What the next turn waits for: so many seconds, and the end of one of these jobs."""

    seconds: float
    jobs: Sequence[JobRow] = ()


def _wait(at: Coordinator) -> Wait:
    seconds = at.profile.advance.every_seconds
    kept = at.store.standing(at.sweep_id)
    due = kept.until - time.time() if kept is not None and kept.until is not None else SOON_SECONDS
    if due < SOON_SECONDS:
        return Wait(seconds=max(seconds, due))
    live = at.store.live_jobs()
    return Wait(seconds=seconds if live else IDLE_TURNS * seconds, jobs=live)


def _queue(workdir: Workdir, cluster: Cluster, profile: Profile, drive: Drive, wait: Wait) -> None:
    """The intent is written before anything is sent: a job that it does not name leaves at once."""
    from sgonz.cluster import slurm_advance

    drive = msgspec.structs.replace(
        drive, number=drive.number + 1, job=None, queued=time.time(), problem=None
    )
    _write(workdir, drive)
    name = tag(workdir, drive.number)
    command = [sys.executable, "-m", "sgonz", "advance", "--detach", "--workdir", str(workdir.root)]
    folder = workdir.root / "advance"
    try:
        job = slurm_advance.queue(
            cluster, profile, folder, name, command, after=wait.jobs, seconds=wait.seconds
        )
    except (HeldByQuota, NoAnswer, SubmissionRefused) as refused:
        _write(workdir, msgspec.structs.replace(drive, problem=refused.message))
        raise NotQueued(
            f"the job that makes the next turn could not be sent: {refused.message}", hint=ELSEWHERE
        ) from refused
    _write(workdir, msgspec.structs.replace(drive, job=job))
    Journal(workdir.journal).write("advance_job", tag=name, job=job)


def _is_current(workdir: Workdir, drive: Drive) -> bool:
    return os.environ.get("SLURM_JOB_NAME") == tag(workdir, drive.number)


def stem(workdir: Workdir) -> str:
    """What the names of all advance jobs of a work folder begin with."""
    return f"sgonz-{short_name(workdir)}-advance-"


def _path(workdir: Workdir) -> Path:
    return workdir.root / "advance.json"


def _write(workdir: Workdir, drive: Drive) -> None:
    if read(workdir) != drive:
        write_atomic(_path(workdir), msgspec.json.encode(drive))

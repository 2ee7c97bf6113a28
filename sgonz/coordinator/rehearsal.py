"""What the next turn would send, thought through on a copy of the store: nothing is written and nothing is sent."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from sgonz.cluster.base import Written
from sgonz.cluster.profile import Profile
from sgonz.coordinator.coordinator import Coordinator, closing
from sgonz.coordinator.sending import job_list_of, submissions, waits
from sgonz.coordinator.turn import look
from sgonz.plan.actions import Submit
from sgonz.rundir import Workdir
from sgonz.store.connect import is_url
from sgonz.store.copying import copy
from sgonz.store.maintain import backup
from sgonz.store.store import open_store
from sgonz.sweep.opening import begin, database
from sgonz.sweep.planned import Planned
from sgonz.workdir import codebase

SHORTER = "{minutes} minutes are asked for, twice what runs like these took; partitions that allow it are open to it"


def rehearse(planned: Planned, profile: Profile, workdir: Workdir) -> list[Written]:
    """Every submission that `submit` would make now, in order."""
    with _scratch(profile, workdir) as location:
        store = open_store(location, workspace=workdir.root, create=True, recorded=False)
        with closing(begin(store, planned, profile, workdir, codebase.kept_as())) as at:
            at.store.add_runs(at.sweep_id, planned.runs)
            return list(scripts(at))


def scripts(at: Coordinator) -> Iterator[Written]:
    """What a decision made now would send; workers that wait for more are given theirs without a submission."""
    at.cluster.array_limit()  # raises NoAnswer where nothing could be sent for that alone
    sequence = at.store.next_sequence()
    waiting = sum(waits(at, job) for job in at.store.live_jobs())
    _, decision = look(at)
    for action in decision.actions:
        if not isinstance(action, Submit):
            continue
        jobs = action.jobs[waiting:]
        specs = {spec.run_id: spec for spec in at.store.specs(run_id for job in jobs for run_id in job)}
        for place, part in submissions(at, jobs, specs):
            jobs_sent = job_list_of(at, part, place, sequence, specs)
            why = "" if jobs_sent.minutes is None else SHORTER.format(minutes=jobs_sent.minutes)
            for each in at.cluster.written(at.workdir, jobs_sent):
                yield replace(each, why=why)
            sequence += 1


@contextmanager
def _scratch(profile: Profile, workdir: Workdir) -> Iterator[Path]:
    """A database to think with: as the work folder's stands, in a place that is gone afterwards."""
    location = database(profile, workdir)
    if not is_url(location) and not Path(location).exists():
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder) / "sgonz.db"
        return
    beside = workdir.root / f".dry-run-{os.getpid()}.db"  # where a work folder has the same name in it
    try:
        if is_url(location):
            copy(location, beside)
        else:
            backup(Path(location), beside)
        yield beside
    finally:
        for ending in ("", "-wal", "-shm", "-journal"):
            beside.with_name(beside.name + ending).unlink(missing_ok=True)

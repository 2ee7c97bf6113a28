"""A cluster looked over from end to end: commands, site, disk, database, and a probe on a node."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sgonz import __version__
from sgonz.cluster.doctor import (
    Check,
    Health,
    check_commands,
    check_controller,
    check_quota,
    check_site,
    green,
    red,
    yellow,
)
from sgonz.cluster.probing import Probe, probe_here, probe_slurm
from sgonz.cluster.profile import Profile
from sgonz.cluster.slurm_requests import Requests, clean_environment
from sgonz.cluster.verdicts import judge
from sgonz.errors import SgonzError, StoreSilent
from sgonz.plan.expand import Sources
from sgonz.rundir import Workdir
from sgonz.store.connect import MOUNTS, file_system, is_url, journal_for, shown
from sgonz.sweep.hub import datasets_of, models_of
from sgonz.sweep.opening import database

LITTLE_GB = 50.0  # a grid's checkpoints and caches
NOTHING_GB = 1.0


def check_up(
    profile: Profile, workdir: Workdir, sources: Sources | None, *, wait: float, python: str = sys.executable,
    say: Callable[[str], None] | None = None,
) -> Iterator[Check]:  # fmt: skip
    """Every line as soon as it is known; what cannot work after a red one is not tried.

    `say` hears that the controller is slow.
    """
    requests = Requests(60.0, profile.expanded_environment)
    requests.when_late = say
    slurm = profile.scheduler == "slurm"
    found: list[Check] = []
    if slurm:
        found = check_commands(clean_environment(profile.expanded_environment))
        yield from found
        if not _stopped(found):
            found.append(check_controller(requests))
            yield found[-1]
        if not _stopped(found):
            site = check_site(requests, profile)
            found += site
            yield from site
    disk = _disk(workdir)
    yield from disk
    if not _stopped(disk):
        yield _database(profile, workdir)
    if _stopped([*found, *disk]):
        return
    yield from _node(profile, workdir, sources, requests, wait, python)


def _stopped(found: Sequence[Check]) -> bool:
    return any(check.health is Health.RED for check in found)


def _disk(workdir: Workdir) -> list[Check]:
    try:
        workdir.create()
    except SgonzError as error:
        return [red("work folder here", error.message, error.hint or "")]
    checks = []
    kind = file_system(workdir.root, MOUNTS.read_text()) if MOUNTS.exists() else ""
    journal = journal_for(workdir.root, MOUNTS.read_text()) if MOUNTS.exists() else "wal"
    why = "write-ahead log" if journal == "wal" else "rollback journal, as network file systems want it"
    checks.append(green("file system", f"{workdir.root} is on {kind or 'unknown'}; SQLite: {why}"))
    free = shutil.disk_usage(workdir.root).free / 2**30
    remedy = "Free some, or choose another folder with --workdir."
    if free < NOTHING_GB:
        checks.append(red("space", f"{free:.1f} GiB are free", remedy))
    elif free < LITTLE_GB:
        checks.append(yellow("space", f"{free:.0f} GiB are free", remedy))
    else:
        checks.append(green("space", f"{free:.0f} GiB are free"))
    return [*checks, *check_quota(workdir.root)]


def _database(profile: Profile, workdir: Workdir) -> Check:
    from sgonz.store.store import open_store

    location = database(profile, workdir)
    try:
        if not is_url(location) and not Path(location).exists():
            return green("database", f"{shown(location)} will be made by the first sweep")
        open_store(location, workspace=workdir.root, read_only=True).close()
    except StoreSilent as error:
        return red("database", error.message, error.hint or "")
    except SgonzError as error:
        if is_url(location) and "holds no" in error.message:
            return green("database", f"{shown(location)} answers; the first sweep makes its tables")
        return red("database", error.message, error.hint or "")
    return green("database", f"{shown(location)} can be read")


def _node(
    profile: Profile, workdir: Workdir, sources: Sources | None, requests: Requests, wait: float, python: str
) -> Iterator[Check]:
    asked: dict[str, object] = {
        "models": models_of(sources) if sources else [],
        "datasets": datasets_of(sources) if sources else [],
    }
    folder = workdir.root / f".doctor-{os.getpid()}"
    _, resource = profile.resource_for("default")
    try:
        found = _probed(profile, folder, asked, requests, wait, python)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    yield from judge(found, resource if profile.real_gpus else None, str(workdir.root), python, __version__)


def _probed(
    profile: Profile,
    folder: Path,
    asked: dict[str, object],
    requests: Requests,
    wait: float,
    python: str,
) -> Probe:
    if profile.scheduler == "slurm":
        _, resource = profile.resource_for("default")
        return probe_slurm(folder, profile, resource, requests, asked, wait, python)
    return probe_here(folder, profile, asked, wait, python)

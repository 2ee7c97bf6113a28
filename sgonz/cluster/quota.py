"""What the site's quota commands say: how much of a file system is used, and how much may be."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from sgonz.cluster.base import NoAnswer
from sgonz.cluster.quota_words import (
    Quota,
    read_fileset,
    read_lfs,
    read_lfs_project,
    read_mmlsquota,
    read_quota,
)

MOUNTS = Path("/proc/self/mountinfo")
GPFS_COMMANDS = Path("/usr/lpp/mmfs/bin")  # where they are installed, which is in few people's PATH
SECONDS = 10.0  # for all commands of one look together


class Mount(NamedTuple):
    """Where a folder lies."""

    kind: str  # of file system
    source: str
    point: str


def ask_quota() -> list[Quota] | None:
    """What `quota` says, None where the site has no such command; parallel file systems count otherwise, see `quotas_of`.

    Raises NoAnswer where it does not answer.
    """
    command = shutil.which("quota")
    if command is None:
        return None
    try:
        return read_quota(_said([command, "-w", "-p"], time.monotonic() + SECONDS))
    except subprocess.TimeoutExpired as silence:
        raise NoAnswer("the quota command does not answer") from silence


def quota_of(folder: Path, mounts: str | None = None) -> Quota | None:
    """The limit that leaves a folder the least; None where there is none, or nobody can say."""
    found = quotas_of(folder, mounts)
    return min(found, key=lambda quota: quota.limit - quota.used, default=None)


def quotas_of(folder: Path, mounts: str | None = None) -> list[Quota]:
    """All limits that hold for a folder, its group's and project's included where the file system has such."""
    mount = mounted_at(folder, MOUNTS.read_text() if mounts is None and MOUNTS.exists() else mounts or "")
    if mount is None:
        return []
    try:
        if mount.kind == "lustre":
            return _of_lustre(folder, mount)
        if mount.kind == "gpfs":
            return _of_gpfs(folder, mount)
        return [quota for quota in ask_quota() or () if quota.device in (mount.source, mount.point)]
    except (NoAnswer, OSError, subprocess.SubprocessError):
        return []


def _of_lustre(folder: Path, mount: Mount) -> list[Quota]:
    command = shutil.which("lfs")
    if command is None:
        return []
    until = time.monotonic() + SECONDS
    owners = {"-u": (str(os.getuid()), ""), "-g": (str(folder.stat().st_gid), ", of the group")}
    project = read_lfs_project(_said([command, "project", "-d", str(folder)], until))
    if project is not None:
        owners["-p"] = (project, ", of the project")
    return [
        quota
        for option, (number, whose) in owners.items()
        for quota in read_lfs(_said([command, "quota", "-q", option, number, mount.point], until), mount.point + whose)
    ]  # fmt: skip


def _of_gpfs(folder: Path, mount: Mount) -> list[Quota]:
    places = os.pathsep.join([os.environ.get("PATH", os.defpath), str(GPFS_COMMANDS)])
    command, attributes = shutil.which("mmlsquota", path=places), shutil.which("mmlsattr", path=places)
    if command is None:
        return []
    until, device = time.monotonic() + SECONDS, mount.source.removeprefix("/dev/")
    fileset = read_fileset(_said([attributes, "-L", str(folder)], until)) if attributes else None
    owners = {"-u": (str(os.getuid()), ""), "-g": (str(folder.stat().st_gid), ", of the group")}
    if fileset is not None:
        owners["-j"] = (fileset, f", of the fileset {fileset}")
    return [
        quota
        for option, (name, whose) in owners.items()
        for quota in read_mmlsquota(_said([command, "-Y", option, name, device], until), mount.point + whose, fileset)
    ]  # fmt: skip


def _said(command: list[str], until: float) -> str:
    """What a command prints, whatever its exit status. Raises TimeoutExpired where it is not done by then.

    It is not waited for long after that: whoever asks a file system that hangs may not even be killed.
    """
    with tempfile.TemporaryFile() as answer:  # a pipe would be held open by whatever the command has started
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=answer, stderr=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1.0)
            raise
        answer.seek(0)
        return answer.read().decode(errors="replace")


def mounted_at(folder: Path, mounts: str) -> Mount | None:
    """What is mounted where a folder lies.

    `mounts`: lines of mountinfo, whose third word is the device's number.
    """
    number = os.stat(folder).st_dev
    wanted = f"{os.major(number)}:{os.minor(number)}"
    for line in mounts.splitlines():
        words = line.split()
        if words[2] == wanted and "-" in words:
            kind, source = words[words.index("-") + 1 :][:2]
            return Mount(kind, source, words[4])
    return None

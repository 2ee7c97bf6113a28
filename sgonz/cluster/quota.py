"""What the site's quota command says: how much of a file system is used, and how much may be."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from msgspec import Struct

from sgonz.cluster.base import NoAnswer

MOUNTS = Path("/proc/self/mountinfo")


class Quota(Struct, frozen=True, kw_only=True):
    """One limit, in GiB."""

    device: str  # as it is mounted
    used: float
    limit: float


def ask_quota() -> list[Quota] | None:
    """What `quota` says, None where the site has no such command; parallel file systems count otherwise and are left out.

    Raises NoAnswer where it does not answer.
    """
    command = shutil.which("quota")
    if command is None:
        return None
    try:
        said = subprocess.run([command, "-w", "-p"], capture_output=True, text=True, timeout=10, check=False)
    except subprocess.TimeoutExpired as silence:
        raise NoAnswer("the quota command does not answer") from silence
    return read_quota(said.stdout)


def read_quota(text: str) -> list[Quota]:
    """Lines of `quota -w -p`: file system, used and allowed, where there is a limit."""
    found = []
    for line in text.splitlines():
        words = re.sub(r"\*", "", line).split()
        if len(words) >= 4 and all(word.isdigit() for word in words[1:4]):
            used, soft, hard = (int(word) / 2**20 for word in words[1:4])
            if limit := soft or hard:
                found.append(Quota(device=words[0], used=used, limit=limit))
    return found


def quota_of(folder: Path, mounts: str | None = None) -> Quota | None:
    """The limit that holds for a folder; None where there is none, or nobody can say."""
    try:
        quotas = ask_quota()
    except NoAnswer:
        return None
    names = mounted_at(folder, MOUNTS.read_text() if mounts is None and MOUNTS.exists() else mounts or "")
    return next((quota for quota in quotas or () if quota.device in names), None)


def mounted_at(folder: Path, mounts: str) -> tuple[str, ...]:
    """Names of what is mounted where a folder lies, its own and its place's; quota uses either.

    `mounts`: lines of mountinfo, whose third word is the device's number.
    """
    number = os.stat(folder).st_dev
    wanted = f"{os.major(number)}:{os.minor(number)}"
    for line in mounts.splitlines():
        words = line.split()
        if words[2] == wanted and "-" in words:
            return words[words.index("-") + 2], words[4]
    return ()

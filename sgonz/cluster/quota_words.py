"""What quota commands print: of ordinary file systems, of Lustre, of GPFS. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

from msgspec import Struct

NUMBER = re.compile(
    r"\[?(\d+)\]?\*?"
)  # in brackets where not every server answered, with a star where it is over
KIB_IN_GIB = 2**20


class Quota(Struct, frozen=True, kw_only=True):
    """One limit, in GiB."""

    device: str  # as it is mounted, and whose the limit is where it is not the user's
    used: float
    limit: float


def read_quota(text: str) -> list[Quota]:
    """Lines of `quota -w -p`: file system, used and allowed, where there is a limit."""
    found = []
    for line in text.splitlines():
        words = line.replace("*", "").split()
        if len(words) >= 4 and all(word.isdigit() for word in words[1:4]):
            found += _quota(words[0], *map(int, words[1:4]))
    return found


def read_lfs(text: str, device: str) -> list[Quota]:
    """What `lfs quota -q` says of one user, group or project: a name, which may stand on a line of its own, then used,
    soft and hard in KiB, the time that is left, and the same for files.
    """
    words = text.split()[1:9]
    numbers = [found for word in words[:3] if (found := NUMBER.fullmatch(word))]
    return (
        _quota(device, *(int(found[1]) for found in numbers)) if len(numbers) == 3 and len(words) == 8 else []
    )


def read_lfs_project(text: str) -> str | None:
    """The number of a folder's project, of `lfs project -d`: a number, whether new files inherit it, the folder."""
    words = text.split()
    return words[0] if words and words[0].isdigit() and words[0] != "0" else None


def read_mmlsquota(text: str, device: str, fileset: str | None) -> list[Quota]:
    """Lines of `mmlsquota -Y`: words between colons, named by a line of headings. Limits of other filesets are left out."""
    found = []
    for row in _rows(text):
        inside = row.get("filesetname", "")
        if row.get("quotaType") != "FILESET" and inside and fileset is not None and inside != fileset:
            continue
        numbers = [row.get(name, "") for name in ("blockUsage", "blockQuota", "blockLimit")]
        if all(number.isdigit() for number in numbers):
            found += _quota(device, *map(int, numbers))
    return found


def read_fileset(text: str) -> str | None:
    """The fileset that a folder lies in, of `mmlsattr -L`."""
    match = re.search(r"^fileset name:[ \t]*(\S+)", text, re.MULTILINE)
    return match[1] if match else None


def _rows(text: str) -> Iterator[dict[str, str]]:
    names: list[str] = []
    for line in text.splitlines():
        words = [unquote(word) for word in line.split(":")]
        if words[0] != "mmlsquota" or len(words) < 4:
            continue
        if words[2] == "HEADER":
            names = words
        elif names:
            yield dict(zip(names, words, strict=False))


def _quota(device: str, used: int, soft: int, hard: int) -> list[Quota]:
    """None where there is no limit; given in KiB."""
    limit = soft or hard
    return [Quota(device=device, used=used / KIB_IN_GIB, limit=limit / KIB_IN_GIB)] if limit else []

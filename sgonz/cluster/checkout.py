"""What git says of a folder of code."""

from __future__ import annotations

import subprocess
from pathlib import Path

SECONDS = 20  # a login node's disk may be slow; without an answer nothing is claimed


def is_dirty(checkout: Path) -> bool | None:
    """Whether files differ from the commit or are new; None where that cannot be known."""
    said = _git(checkout, "status", "--porcelain")
    return None if said is None else bool(said)


def commit_of(checkout: Path) -> str | None:
    return _git(checkout, "rev-parse", "HEAD")


def _git(checkout: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(checkout), *arguments],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None

"""When somebody last asked what happened: a file of the user's own, so that looking changes nothing for others."""

from __future__ import annotations

import contextlib
import os
import re
import time
from datetime import datetime
from pathlib import Path

import msgspec

from sgonz.errors import SpecError
from sgonz.rundir import Workdir, write_atomic

UNITS = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604_800.0}


def last(workdir: Workdir, sweep: str) -> float:
    """The moment of the last question; 0 where there was none."""
    return _read().get(_key(workdir, sweep), 0.0)


def remember(workdir: Workdir, sweep: str, moment: float) -> None:
    """What is seen now is not told again. A home that cannot be written is no reason to say nothing."""
    with contextlib.suppress(OSError):
        write_atomic(_path(), msgspec.json.encode({**_read(), _key(workdir, sweep): moment}))


def moment_of(text: str, now: float | None = None) -> float:
    """The moment that `2h`, `3d`, `2026-11-20` or `2026-11-20 18:30` means. Raises SpecError for anything else."""
    now = time.time() if now is None else now
    span = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([mhdw])", text.strip())
    if span:
        return now - float(span[1]) * UNITS[span[2]]
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except ValueError:
        raise SpecError(
            f"--since {text!r} is no moment",
            hint="Say last, 30m, 2h, 3d, a date such as 2026-11-20, or start.",
        ) from None


def _read() -> dict[str, float]:
    try:
        return msgspec.json.decode(_path().read_bytes(), type=dict[str, float])
    except (OSError, msgspec.DecodeError):
        return {}


def _key(workdir: Workdir, sweep: str) -> str:
    return f"{workdir.root}\t{sweep}"


def _path() -> Path:
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "sgonz" / "seen.json"

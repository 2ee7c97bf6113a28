"""Weights and stored logits leave a run's folder, with a mark by which they are made again where they are read after all."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from sgonz.rundir import RunDir, write_atomic


def mark(run: RunDir, reason: str, *, size: int) -> None:
    """Say that what the run left to be read is gone, or is about to be; `size` in bytes."""
    write_atomic(run.removed, msgspec.json.encode({"time": time.time(), "size": size, "reason": reason}))


def take_away(folder: Path) -> None:
    """Remove a folder as a whole: nobody finds half of it, and whoever has its files open keeps them."""
    aside = folder.with_name(f".{folder.name}.removed")
    shutil.rmtree(aside, ignore_errors=True)
    with suppress(FileNotFoundError):  # somebody else was first
        os.rename(folder, aside)
    shutil.rmtree(aside, ignore_errors=True)

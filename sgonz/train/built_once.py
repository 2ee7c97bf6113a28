"""Folders that one process builds and every other one reads."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from sgonz.rundir import disk_errors


def built_once(folder: Path, build: Callable[[Path], None]) -> Path:
    """The folder, built under a lock and renamed into place when it is whole; later callers find it there."""
    if folder.is_dir():
        return folder
    with disk_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder.with_name(f".{folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.is_dir():  # somebody else was first
                return folder
            draft = folder.with_name(f".{folder.name}.draft")
            shutil.rmtree(draft, ignore_errors=True)  # of a builder that was killed
            draft.mkdir()
            build(draft)
            os.rename(draft, folder)
    return folder

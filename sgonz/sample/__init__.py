"""Corpora and models that sgonz makes itself, so that everything can be tried without a download."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
from contextlib import redirect_stdout
from pathlib import Path

from sgonz.errors import WorkdirError
from sgonz.rundir import disk_errors, write_atomic
from sgonz.sample.corpora import write_corpora

__all__ = ["make", "write_corpora"]

VERSION = 1  # raised when the same seed and size give other files
MARKER = "sample.json"  # written last: what is there is whole
PARTS = ("data", "models")


def make(folder: Path, seed: int = 1, size: int = 400) -> None:
    """Write <folder>/data and <folder>/models, unless they are there already.

    Nobody sees half of them, and whoever comes while they are made waits. Raises WorkdirError where the
    folder holds a sample of another seed or size, or where it cannot be written.
    """
    marker = folder / MARKER
    wanted = {"version": VERSION, "seed": seed, "size": size}
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f".{MARKER}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if marker.exists():
                _check(marker, wanted)
                return
            draft = folder / ".draft"
            shutil.rmtree(draft, ignore_errors=True)  # of a process that was killed
            _write(draft, seed=seed, size=size)
            for part in PARTS:
                shutil.rmtree(folder / part, ignore_errors=True)  # as above
                os.rename(draft / part, folder / part)
            draft.rmdir()
            write_atomic(marker, (json.dumps(wanted) + "\n").encode())


def _write(draft: Path, *, seed: int, size: int) -> None:
    write_corpora(draft / "data", seed=seed, size=size)
    with redirect_stdout(sys.stderr):  # DeepSpeed, where it is installed, tells there what devices it found
        from sgonz.train.sample_models import write_models  # heavy: not where the sample is there

        write_models(draft / "models", draft / "data", seed=seed)


def _check(marker: Path, wanted: dict[str, int]) -> None:
    found = json.loads(marker.read_text())
    if found != wanted:
        raise WorkdirError(
            f"{marker.parent} holds another sample: {_described(found)}, not {_described(wanted)}",
            hint="Choose another folder, or remove that one.",
        )


def _described(facts: dict[str, int]) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items())

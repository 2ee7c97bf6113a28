"""More runs for a job whose list is done, so that a warm worker is used again.

Coordinator and worker race for the next numbered file of the element, which only one of them can make: the
coordinator's holds runs (or none, which sends the worker home), the worker's says that it has left.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

from sgonz.rundir import Element

LEFT = HOME = Element(run_ids=())


def offer(job_folder: Path, element: int, more: Element) -> bool:
    """Hand runs to a waiting worker, or send it HOME; False where it has left."""
    number = sum(1 for _ in (job_folder / "more").glob(f"{element}.*.json"))
    if number and read(job_folder, element, number - 1) == LEFT:
        return False
    return _make(job_folder, element, number, more)


def leave(job_folder: Path, element: int, number: int) -> bool:
    """Say that the worker leaves; False where an offer came first."""
    return _make(job_folder, element, number, LEFT)


def read(job_folder: Path, element: int, number: int) -> Element | None:
    """What stands in one numbered file; None where it is not there yet."""
    try:
        return msgspec.json.decode(_path(job_folder, element, number).read_bytes(), type=Element)
    except FileNotFoundError:
        return None


def _make(job_folder: Path, element: int, number: int, content: Element) -> bool:
    path = _path(job_folder, element, number)
    path.parent.mkdir(exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    draft.write_bytes(msgspec.json.encode(content))
    try:
        os.link(draft, path)  # whole, and only if nobody was faster
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


def _path(job_folder: Path, element: int, number: int) -> Path:
    return job_folder / "more" / f"{element}.{number}.json"

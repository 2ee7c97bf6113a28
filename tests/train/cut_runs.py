"""Runs that are cut short in every way a machine knows, and what is left of them to compare."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

import msgspec
from hypothesis import strategies as st
from safetensors.torch import load_file

from sgonz import events
from sgonz.events import EpochEnded, Event
from sgonz.rundir import RunDir
from sgonz.train.execute import execute, never

CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link")
FIELDS = ("train_loss", "validation_loss", "validation", "learning_rate", "improved", "patience_left")


class Cut(msgspec.Struct, frozen=True):
    """One way to end an attempt early: asked at a step, or killed at a step, a file operation, a byte of a file."""

    how: Literal["asked", "step", "file", "byte"]
    at: int


def cuts(steps: int, files: int, size: int) -> st.SearchStrategy[list[Cut]]:
    """One to three cuts of a run of so many steps, file operations and bytes in its largest file."""
    counts = {"asked": steps, "step": steps, "file": files, "byte": size}
    return st.lists(
        st.sampled_from(sorted(counts)).flatmap(
            lambda how: st.integers(0, counts[how]).map(lambda at: Cut(how, at))
        ),
        min_size=1,
        max_size=3,
    )


def in_child(run: RunDir, attempt: int, told: Path, cut: Cut | None = None) -> int:
    """Do a run in a process of its own, its events appended to a file; the process's wait status."""
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1]
    try:
        stop = prepared(cut, run) if cut else never
        with told.open("ab", buffering=0) as stream:
            events.append(
                stream, execute(run, attempt, lambda event: events.append(stream, event), stop=stop)
            )
    finally:
        os._exit(0)


def prepared(cut: Cut, run: RunDir) -> Callable[[], bool]:
    """Make this process end as asked; what the run asks between steps."""
    if cut.how == "file":
        count_files(run, cut.at)
    elif cut.how == "byte":
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python would make it an error that can be caught
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (cut.at, cut.at))
    if cut.how not in ("asked", "step"):
        return never
    left = iter(range(cut.at))

    def stop() -> bool:
        reached = next(left, None) is None
        if reached and cut.how == "step":
            os.kill(os.getpid(), signal.SIGKILL)
        return reached

    return stop


def count_files(run: RunDir, at: int) -> None:
    """Kill this process just before the change number `at` of names in the run's folder."""
    left, root = iter(range(at)), str(run.root)

    def hook(name: str, arguments: tuple[Any, ...]) -> None:
        # Inside of rmtree names are relative to an open folder.
        concerned = name in CHANGES and (
            str(arguments[0]).startswith(root) or not os.path.isabs(str(arguments[0]))
        )
        if concerned and next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def changes_of(work: Callable[[], None], root: Path) -> int:
    """How many names a piece of work changes; counted in this process, for as long as it lasts."""
    counting, count = True, 0

    def hook(name: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if counting and name in CHANGES:
            count += 1

    sys.addaudithook(hook)
    work()
    counting = False
    return count


def read(told: Path) -> list[Event]:
    return [event for event, _ in events.read(told, 0) if event is not None]


def history(found: Iterable[Event]) -> dict[tuple[int, int], tuple[Any, ...]]:
    """What was told of every validation; one that was made twice must have come out the same."""
    rows: dict[tuple[int, int], tuple[Any, ...]] = {}
    for event in found:
        if isinstance(event, EpochEnded):
            row = tuple(getattr(event, name) for name in FIELDS)
            assert rows.setdefault((event.epoch, event.step), row) == row
    return rows


def weights(run: RunDir) -> dict[str, bytes]:
    """Every tensor of the final model, bit for bit."""
    found = load_file(run.output / "model" / "model.safetensors")
    return {name: tensor.numpy().tobytes() for name, tensor in found.items()}

"""Workers started for real, their processes, and what they have told so far."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

from job_folders import PATIENCE, spec, told, write_job

from sgonz.events import AnyEvent, RunStarted
from sgonz.plan.runs import Kind, RunSpec
from sgonz.rundir import JobList, Workdir

TAG = "sgonz-test-000001"
Start = Callable[..., "subprocess.Popen[bytes]"]


def work(start: Start, workdir: Workdir, jobs: JobList, *arguments: str, **environment: str) -> None:
    assert start(write_job(workdir, jobs), *(arguments or ("0",)), **environment).wait(PATIENCE) == 0


def in_session(session: int) -> list[int]:
    """Living processes of a session."""
    return list(_groups(session))


def run_processes(session: int) -> list[int]:
    """Processes of runs in a worker's session: each leads a process group of its own."""
    return [pid for pid, group in _groups(session).items() if pid == group != session]


def _groups(session: int) -> dict[int, int]:
    """The process group of every living process of a session, told in the same moment."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] not in "ZX":
            found[int(name)] = int(fields[2])
    return found


def tell(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to those that have not ended in the meantime."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def hanging(run_id: str, folder: Path) -> RunSpec:
    """A fine-tuning that waits for ever to open its data."""
    pipe = folder / f"{run_id}.jsonl"
    os.mkfifo(pipe)
    return spec(run_id, Kind.FINETUNE, train=str(pipe))


def started(folder: Path) -> list[str]:
    """Runs begun so far."""
    return [event.run_id for event in so_far(folder) if isinstance(event, RunStarted)]


def has(folder: Path, kind: type[AnyEvent], *, restart: int = 0) -> bool:
    return any(isinstance(event, kind) for event in so_far(folder, restart))


def so_far(folder: Path, restart: int = 0) -> list[AnyEvent]:
    return told(folder, restart=restart) if (folder / "events" / f"0.{restart}.jsonl").exists() else []

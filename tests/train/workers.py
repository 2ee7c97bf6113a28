"""Workers started for real, their processes, and what they have told so far."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from job_folders import spec, told, write_job

from sgonz.events import AnyEvent, RunStarted
from sgonz.plan.runs import Kind, RunSpec
from sgonz.rundir import JobList, Workdir

TAG = "sgonz-test-000001"
Start = Callable[..., "subprocess.Popen[bytes]"]


def work(start: Start, workdir: Workdir, jobs: JobList, *arguments: str, **environment: str) -> None:
    assert start(write_job(workdir, jobs), *(arguments or ("0",)), **environment).wait(120) == 0


def in_session(session: int) -> list[int]:
    """Living processes of a session."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] not in "ZX":
            found.append(int(name))
    return found


def run_processes(session: int) -> list[int]:
    """Processes of runs in a worker's session: each leads a process group of its own."""
    return [pid for pid in in_session(session) if pid != session and os.getpgid(pid) == pid]


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

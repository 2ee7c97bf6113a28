"""The work folder: the names in it, and how files in it are written so that a reader never sees half of one."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from sgonz.errors import WorkdirError
from sgonz.events import RunEnded
from sgonz.plan.runs import RunSpec

JOB_FORMAT = 1


@dataclass(frozen=True)
class Workdir:
    """Names inside one work folder."""

    root: Path

    @property
    def store(self) -> Path:
        return self.root / "sgonz.db"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def journal(self) -> Path:
        return self.root / "coordinator.jsonl"

    @property
    def history(self) -> Path:
        return self.root / "history.json"

    @property
    def jobs(self) -> Path:
        return self.root / "jobs"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def by_name(self) -> Path:
        return self.root / "by-name"

    def run(self, run_id: str) -> RunDir:
        return RunDir(self.root / "runs" / run_id[:2] / run_id)

    def job(self, tag: str) -> Path:
        return self.jobs / tag

    def create(self) -> None:
        """Make the folder, readable by its owner alone; say clearly why not when that fails."""
        with disk_errors(self.root):
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (self.root / "runs", self.jobs, self.cache):
                folder.mkdir(mode=0o700, exist_ok=True)
            probe = self.root / f".probe-{os.getpid()}"
            probe.write_bytes(b"x")
            probe.unlink()


@dataclass(frozen=True)
class RunDir:
    """Names inside one run's folder."""

    root: Path

    @property
    def spec(self) -> Path:
        return self.root / "run.json"

    @property
    def claims(self) -> Path:
        return self.root / "claim"

    @property
    def checkpoint(self) -> Path:
        return self.root / "checkpoint"

    @property
    def smaller(self) -> Path:
        """How the next attempt begins after one that memory ended, and where that was."""
        return self.checkpoint / "smaller.json"

    @property
    def output(self) -> Path:
        return self.root / "output"

    @property
    def result(self) -> Path:
        return self.output / "scores.json"

    @property
    def measured(self) -> Path:
        """A benchmark's rows, every latency included."""
        return self.output / "benchmark.json"

    @property
    def cancel(self) -> Path:
        """Its presence asks whoever works on the run, or is about to, to leave it."""
        return self.root / "cancel"

    @property
    def log(self) -> Path:
        return self.root / "log.txt"

    @property
    def workdir(self) -> Workdir:
        return Workdir(self.root.parents[2])

    def read_spec(self) -> RunSpec:
        return msgspec.json.decode(self.spec.read_bytes(), type=RunSpec)

    def read_result(self) -> RunEnded | None:
        """The finished run's result, or None while there is none."""
        try:
            return msgspec.json.decode(self.result.read_bytes(), type=RunEnded)
        except FileNotFoundError:
            return None


class Element(msgspec.Struct, frozen=True, kw_only=True):
    """One job of a submission: the runs that it does, in order."""

    run_ids: tuple[str, ...]
    specs_at: int | None = (
        None  # byte of runs.jsonl where theirs begin; None where every run has its run.json
    )


class JobList(msgspec.Struct, frozen=True, kw_only=True):
    """job.json: what every element of a submission has to do; written before anything is sent."""

    version: int = JOB_FORMAT
    tag: str
    sweep: str = ""  # for readable links to the runs' folders
    sequence: int  # grows with every submission of a work folder; a later one fences out an earlier one
    threads: int = 1
    runs_at_once: int = 1  # processes of runs that an element keeps
    linger_seconds: float = 0.0  # how long a worker that is done waits for more before it leaves
    resource: str | None = None  # class of the cluster profile; None: its default
    memory_gb: float | None = None  # where it is more than the class's own
    code: str | None = None  # which copy of sgonz the workers run; None: the installed version
    processes: int = 1  # that do a run together
    deepspeed: dict[str, Any] | None = None  # its configuration, where it trains
    elements: tuple[Element, ...]


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """Who works on a run: the highest attempt is the only one that may change its folder."""

    attempt: int
    sequence: int
    restart: int
    tag: str
    element: int
    host: str
    pid: int
    time: float


class ClaimRefused(Exception):
    """A later job works on this run, or a result is already there."""


def claim(run: RunDir, *, tag: str, sequence: int, element: int, restart: int) -> Claim:
    """Take the next attempt at a run.

    Attempts are files made with O_EXCL, which is atomic on network file systems too. Raises ClaimRefused
    when a later submission (or a later restart of this one) holds the run.
    """
    run.claims.mkdir(parents=True, exist_ok=True)
    while True:
        last = last_claim(run)
        if last is not None and (last.sequence, last.restart) > (sequence, restart):
            raise ClaimRefused(f"held by {last.tag} element {last.element}, attempt {last.attempt}")
        mine = Claim(attempt=last.attempt + 1 if last else 1, sequence=sequence, restart=restart, tag=tag,
                     element=element, host=os.uname().nodename, pid=os.getpid(), time=time.time())  # fmt: skip
        draft = run.claims / f".draft-{mine.host}-{mine.pid}"
        draft.write_bytes(msgspec.json.encode(mine))
        try:
            os.link(draft, run.claims / f"{mine.attempt:06d}.json")  # fails if somebody was faster
        except FileExistsError:
            continue
        finally:
            draft.unlink()
        return mine


def last_claim(run: RunDir) -> Claim | None:
    try:
        names = sorted(entry.name for entry in os.scandir(run.claims) if entry.name.endswith(".json"))
    except FileNotFoundError:
        return None
    return msgspec.json.decode((run.claims / names[-1]).read_bytes(), type=Claim) if names else None


def still_holds(run: RunDir, attempt: int) -> bool:
    """Whether nobody took the run over since this attempt claimed it; asked before every rename."""
    last = last_claim(run)
    return last is None or last.attempt <= attempt


def write_atomic(path: Path, content: bytes, *, lasting: bool = True) -> None:
    """Write a whole file under a temporary name, then rename it into place.

    Not `lasting` is for what can be made again: a machine that loses its power may leave it empty.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as stream:
            stream.write(content)
            stream.flush()
            if lasting:
                os.fsync(stream.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what a disk refuses into an error that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise WorkdirError(
                f"no space left for {path}",
                hint="Free space or choose another folder with --workdir; nothing was lost.",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise WorkdirError(
                f"{path} cannot be written: {error.strerror}",
                hint="Choose a folder of your own with --workdir or SGONZ_WORKDIR.",
            ) from error
        raise

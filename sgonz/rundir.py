"""The work folder: the names in it, and how files in it are written so that a reader never sees half of one."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from sgonz import bare
from sgonz.errors import WorkdirError
from sgonz.events import RunEnded
from sgonz.plan.runs import RunSpec

JOB_FORMAT = bare.JOB_FORMAT
READ = ("model", "logits")  # in a run's output: what other runs read, and what takes room


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
        return RunDir(Path(bare.run_folder(str(self.root), run_id)))

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
    def removed(self) -> Path:
        """Its presence says that weights or logits were here and are not any more; see sgonz.workdir.removal."""
        return self.output / "weights_removed.json"

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
    minutes: int | None = None  # where its runs are known to take less than the class's own
    code: str | None = None  # which copy of sgonz the workers run; None: the installed version
    processes: int = 1  # that do a run together
    deepspeed: dict[str, Any] | None = None  # its configuration, where it trains
    on_gpu: bool = False  # its class asks for GPUs that are real: a run that finds none fails
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


def claim(run: RunDir, *, tag: str, sequence: int, element: int, restart: int) -> Claim:
    """Take the next attempt at a run. Raises ClaimRefused when a later submission or restart holds it."""
    mine = bare.take(str(run.root), tag=tag, sequence=sequence, element=element, restart=restart)
    return Claim(**mine)


def last_claim(run: RunDir) -> Claim | None:
    return msgspec.convert(bare.last_claim(str(run.claims)), Claim | None)


def still_holds(run: RunDir, attempt: int) -> bool:
    """Whether nobody took the run over since this attempt claimed it; asked before every rename."""
    return bare.still_holds(str(run.root), attempt)


def write_atomic(path: Path, content: bytes, *, lasting: bool = True) -> None:
    """Write a whole file under a temporary name, then rename it into place.

    Not `lasting` is for what can be made again: a machine that loses its power may leave it empty.
    """
    bare.write_atomic(str(path), content, lasting=lasting)


@contextmanager
def disk_errors(path: Path, *, option: str = "--workdir or SGONZ_WORKDIR") -> Iterator[None]:
    """Turn what a disk refuses into an error that says what to do; `option` is what names another folder."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise WorkdirError(
                f"no space left for {path}",
                hint=f"Free space or choose another folder with {option}; nothing was lost.",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise WorkdirError(
                f"{path} cannot be written: {error.strerror}",
                hint=f"Choose a folder of your own with {option}.",
            ) from error
        raise


def bytes_in(folder: Path) -> int:
    """What a folder takes on disk, in bytes."""
    return sum(
        os.stat(os.path.join(place, name)).st_size for place, _, names in os.walk(folder) for name in names
    )

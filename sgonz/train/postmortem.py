"""How a run ended whose process died without saying so."""

from __future__ import annotations

import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sgonz import events
from sgonz.events import RunEnded
from sgonz.plan.runs import Outcome
from sgonz.rundir import RunDir
from sgonz.train.told import CANCEL

TAIL_BYTES = 8192
# What libraries that end the process where memory ends say before: those in Rust, those in C++.
ABORTED = re.compile(r"memory allocation of \d+ bytes failed|std::bad_alloc")
CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, kw_only=True)
class Death:
    """What the worker saw."""

    status: int | None  # exit status, negative for a signal; None where the process never came up
    asked: bytes | None  # what the run had been asked before
    oom_killed: bool  # the kernel killed a process of this job for its memory meanwhile
    began: float


def ended(run: RunDir, attempt: int, death: Death) -> RunEnded:
    """The end of an attempt that nobody told, from what is on disk and how its process left."""
    result = run.read_result()
    if result is not None:  # the last thing a run writes: it was done
        return msgspec.structs.replace(result, time=time.time(), attempt=attempt, adopted=True)
    last = last_line(run.log)
    outcome, what = _judge(death)
    if death.status == -signal.SIGABRT and death.asked is None and (said := ABORTED.search(_tail(run.log))):
        outcome, what, last = Outcome.OUT_OF_MEMORY, "ended for want of memory of the host", said[0]
    return RunEnded(
        time=time.time(), run_id=run.root.name, attempt=attempt, outcome=outcome, seconds=time.time() - death.began,
        error=f"{what}: {last}" if last else what,
        signature=re.sub(r"0x[0-9a-f]+|\d+", "#", f"{what}: {last}")[:300] if outcome is Outcome.FAILED else None,
    )  # fmt: skip


def _judge(death: Death) -> tuple[Outcome, str]:
    if death.asked is not None:
        outcome = Outcome.CANCELLED if death.asked == CANCEL else Outcome.PREEMPTED
        return outcome, "killed before its checkpoint was written"
    if death.status is None:
        return Outcome.FAILED, "the fork server could not start it, see the job's output"
    if death.status == -signal.SIGKILL and death.oom_killed:
        return Outcome.OUT_OF_MEMORY, "killed by the kernel, out of memory of the host"
    if death.status < 0:
        return Outcome.FAILED, f"killed by {_signal_name(-death.status)}"
    return Outcome.FAILED, f"left with exit status {death.status}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals have no name
        return f"signal {number}"


def last_line(log: Path) -> str:
    """The last thing that this attempt printed; empty where it printed nothing."""
    last = ""
    for line in filter(None, map(str.strip, _tail(log).splitlines())):
        if not last.startswith("Fatal Python error"):  # what follows one is where it happened
            last = line
    return last[:300]


def _tail(log: Path) -> str:
    """The end of what this attempt printed."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - TAIL_BYTES))
            text = stream.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    _, header, after = text.rpartition("=== attempt")
    return after.partition("\n")[2] if header else text


def has_ended(event_file: Path, offset: int, run_id: str, attempt: int) -> bool:
    """Whether an attempt's end stands in an event file, from `offset` on."""
    return any(
        isinstance(event, RunEnded) and (event.run_id, event.attempt) == (run_id, attempt)
        for event, _ in events.read(event_file, offset)
    )


def missing_newline(event_file: Path) -> bytes:
    """What completes the last line of a file, so that the next one is not lost with a torn one."""
    with event_file.open("rb") as stream:
        if not stream.seek(0, 2):
            return b""
        stream.seek(-1, 2)
        return b"" if stream.read(1) == b"\n" else b"\n"


def oom_kills() -> int:
    """How many processes the kernel has killed for memory: of this control group, or of the machine without one."""
    for path, key in _oom_counters():
        try:
            found = re.search(rf"^{key} (\d+)$", path.read_text(), re.MULTILINE)
        except OSError:
            continue
        if found:
            return int(found[1])
    return 0


def _oom_counters() -> list[tuple[Path, str]]:
    """Files that count, the nearest first: control groups of version 2, of version 1, the whole machine."""
    counters = []
    try:
        groups = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    except OSError:
        groups = []
    for number, controllers, group in groups:
        inside = group.lstrip("/")
        if number == "0" and inside:  # the root group has no count of its own
            counters += [
                (root / inside / "memory.events", "oom_kill") for root in (CGROUPS, CGROUPS / "unified")
            ]
        elif "memory" in controllers.split(","):
            counters.append((CGROUPS / "memory" / inside / "memory.oom_control", "oom_kill"))
    return [*counters, (Path("/proc/vmstat"), "oom_kill")]

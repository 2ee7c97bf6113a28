"""The lines that workers append to event files: what they say, how they are written and read back.

One file per job attempt, one complete JSON object per line, read by byte offset. A reader takes whole
lines only; a torn last line waits until it is whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec

from sgonz.plan.runs import Outcome

EVENT_FORMAT = 1


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """Base of all events; `time` is seconds since the epoch, UTC."""

    v: int = EVENT_FORMAT
    time: float


class JobStarted(Event, frozen=True, kw_only=True, tag="job_started"):
    """A worker runs on a node and knows its list."""

    host: str
    pid: int
    restart: int = 0
    device: str = "cpu"
    versions: dict[str, str] = {}


class RunStarted(Event, frozen=True, kw_only=True, tag="run_started"):
    """A run was claimed and its process started."""

    run_id: str
    attempt: int


class RunReady(Event, frozen=True, kw_only=True, tag="run_ready"):
    """Model and data are loaded; training begins or goes on."""

    run_id: str
    attempt: int
    device: str
    precision: str
    epoch: int  # epochs already done, from a checkpoint
    steps: int  # optimizer steps that the run plans
    rows: int  # training examples, sentences or windows
    micro_batch: int
    parameters: int


class Progress(Event, frozen=True, kw_only=True, tag="progress"):
    """Where a run stands inside an epoch; written every few seconds, may be missed."""

    run_id: str
    epoch: int
    step: int
    steps: int
    loss: float
    rows_per_second: float


class MemoryShort(Event, frozen=True, kw_only=True, tag="memory_short"):
    """A step did not fit the device and was made in smaller parts, as all that follow will be."""

    run_id: str
    attempt: int
    step: int
    micro_batch: int  # rows at a time from here on
    recompute: bool = False  # activations are computed again instead of kept
    reading: bool = False  # rows were scored or answered, not learned from


class EpochEnded(Event, frozen=True, kw_only=True, tag="epoch_ended"):
    """One validation."""

    run_id: str
    attempt: int
    epoch: int
    step: int
    train_loss: float | None  # None where no step was made since the last one
    validation_loss: float | None  # None when it was not finite
    validation: dict[str, float] = {}
    learning_rate: float
    seconds: float
    improved: bool
    patience_left: int | None = None
    micro_batch: int = 0
    peak_memory_mb: float | None = None  # since the last one: the device's, else the process's
    host_memory_mb: float | None = None  # the process's
    device_use: float | None = None  # percent of the time that a kernel ran
    energy_joules: float | None = None  # of the whole device


class RunEnded(Event, frozen=True, kw_only=True, tag="run_ended"):
    """How an attempt ended, and with COMPLETED the run's result."""

    run_id: str
    attempt: int
    outcome: Outcome
    seconds: float = 0.0
    best_epoch: int | None = None
    epochs_done: int | None = None
    validation_loss: float | None = None  # of the best checkpoint, evaluated again after reloading it
    validation: dict[str, float] = {}
    test: dict[str, float] = {}
    flags: tuple[str, ...] = ()  # constant_predictions, majority_level, ...
    notes: dict[str, str | int | float] = {}  # what was counted: rows dropped, windows, coverage, cache bytes
    error: str | None = None  # one line
    signature: str | None = None  # the same for the same failure in the same place
    adopted: bool = False  # the result was already on disk
    left: dict[str, int] = {}  # bytes on disk that other runs may read, by what it is: model, logits
    device: str | None = None  # as the driver names it; of runs that train
    seconds_per_step: float | None = None  # of this attempt, validations left out
    peak_memory_mb: float | None = None  # of this attempt: the device's, else the process's
    host_memory_mb: float | None = None  # of this attempt: the process's
    device_use: float | None = None  # percent of this attempt's time that a kernel ran
    energy_joules: float | None = None  # of the whole device, while this attempt ran


class JobEnded(Event, frozen=True, kw_only=True, tag="job_ended"):
    """The worker leaves: its list is done, or it was told to go."""

    reason: str = "done"


AnyEvent = JobStarted | RunStarted | RunReady | Progress | MemoryShort | EpochEnded | RunEnded | JobEnded
_decoder = msgspec.json.Decoder(AnyEvent)
_encoder = msgspec.json.Encoder()


def append(stream: IO[bytes], event: Event) -> None:
    """Write one line and hand it to the system; a reader on another node may see it later."""
    stream.write(line(event))
    stream.flush()


def line(event: Event) -> bytes:
    return _encoder.encode(event) + b"\n"


def read(path: Path, offset: int) -> Iterator[tuple[AnyEvent | None, int]]:
    """Events from `offset` on, each with the offset after it; None for a line that cannot be understood."""
    with path.open("rb") as stream:
        stream.seek(offset)
        for line in stream:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            try:
                yield _decoder.decode(line), offset
            except msgspec.DecodeError:
                yield None, offset


def element_and_start(name: str) -> tuple[int, int] | None:
    """Which element of a submission wrote this event file, and at which of its starts: `<element>.<start>.jsonl`."""
    element, _, rest = name.partition(".")
    start, _, ending = rest.partition(".")
    named = element.isdecimal() and start.isdecimal() and ending == "jsonl"
    return (int(element), int(start)) if named else None


def size(path: Path) -> int:
    """Bytes in the file, 0 where it is not there."""
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0

"""Event files read once and by rule: whole lines, known versions, each file's content one time."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from sgonz.events import EVENT_FORMAT, AnyEvent, element_and_start, size
from sgonz.plan.state import JobRow
from sgonz.rundir import Workdir
from sgonz.store.rows import Problem, Stretch
from sgonz.store.store import Store

MOST_BYTES = 32 * 2**20  # of one file in one look, so that memory stays small after a long absence
NOT_EVENTS = "lines that are not events"
NEWER = "events of a newer version"
TRUNCATED = "shorter than what was read"
TORN = "a torn last line of a job that is over"
DUPLICATE = "a copy of another event file"
MISNAMED = "not named as an event file"

_decoder = msgspec.json.Decoder(AnyEvent)


class Versioned(msgspec.Struct, frozen=True):
    """As much of a line as every version has."""

    v: int = 0


_version = msgspec.json.Decoder(Versioned)


def collect(store: Store, workdir: Workdir, jobs: Sequence[JobRow]) -> tuple[list[str], list[str]]:
    """Apply new event lines of these jobs: ids of runs whose attempt ended, and what was wrong."""
    now = time.time()
    ended: list[str] = []
    found: list[Problem] = []
    while True:
        stretches, wrong = _look(workdir, jobs, store.offsets())
        if not stretches:
            break
        for stretch, applied in zip(stretches, store.collect(stretches, now), strict=True):
            ended += applied.ended
            found += stretch.problems
        if all(stretch.offset >= size(workdir.root / stretch.file) for stretch in stretches):
            break
    _remember(store, wrong, now)
    return ended, [f"{problem.file}: {problem.rule}" for problem in (*found, *wrong)]


def note_torn(store: Store, workdir: Workdir, jobs: Sequence[JobRow]) -> None:
    """Remember what is left in the files of jobs that are over: nobody will end these lines."""
    offsets = store.offsets()
    now = time.time()
    unread = {problem.file for problem in store.problems() if problem.rule in (DUPLICATE, MISNAMED)}
    torn = [
        Problem(file=name, rule=TORN, count=1, detail=f"{left} bytes are left out")
        for _, name, path in event_files(workdir, jobs)
        if name not in unread and (left := size(path) - offsets.get(name, 0)) > 0
    ]
    _remember(store, torn, now)


def read_stretch(
    path: Path, offset: int, limit: int | None = None
) -> tuple[list[AnyEvent], int, list[Problem]]:
    """Events from byte `offset` on (up to byte `limit`), where they end, and lines that gave none."""
    most = MOST_BYTES if limit is None else limit - offset
    with path.open("rb") as stream:
        stream.seek(offset)
        content = stream.read(most)
        if len(content) == most and b"\n" not in content:
            content += stream.readline()
    whole = content[: content.rfind(b"\n") + 1]
    events: list[AnyEvent] = []
    left_out = {NEWER: 0, NOT_EVENTS: 0}
    for line in whole.split(b"\n")[:-1]:
        event = decode(line)
        if isinstance(event, str):
            left_out[event] += 1
        else:
            events.append(event)
    problems = [
        Problem(file="", rule=rule, count=count, detail="left out")
        for rule, count in left_out.items()
        if count
    ]
    return events, offset + len(whole), problems


def decode(line: bytes) -> AnyEvent | str:
    """The event of a line, or why it is left out."""
    try:
        event = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return NEWER if _version_of(line) > EVENT_FORMAT else NOT_EVENTS
    return event if event.v <= EVENT_FORMAT else NEWER


def _version_of(line: bytes) -> int:
    try:
        return _version.decode(line).v
    except (msgspec.DecodeError, UnicodeDecodeError):
        return 0


def event_files(workdir: Workdir, jobs: Sequence[JobRow]) -> Iterator[tuple[JobRow | None, str, Path]]:
    """Files in the event folders of these jobs, in order; None for a file that is no element's."""
    by_element = {(job.tag, job.element): job for job in jobs}
    for tag in dict.fromkeys(job.tag for job in jobs):
        for path in sorted((workdir.job(tag) / "events").glob("[!.]*"), key=file_order):
            written = element_and_start(path.name)
            job = by_element.get((tag, written[0])) if written else None
            if job is not None or not written:
                yield job, str(path.relative_to(workdir.root)), path


def file_order(path: Path) -> tuple[int, int, str]:
    """By element, then from its first start to its last: the tenth comes after the ninth."""
    return (*(element_and_start(path.name) or (-1, -1)), path.name)


def _look(
    workdir: Workdir, jobs: Sequence[JobRow], offsets: Mapping[str, int]
) -> tuple[list[Stretch], list[Problem]]:
    """What is new in the files of these jobs, and files that are not read."""
    stretches: list[Stretch] = []
    wrong: list[Problem] = []
    files = list(event_files(workdir, jobs))
    starts: dict[tuple[str, int], list[Path]] = defaultdict(list)  # the files of every element, in order
    for job, _, path in files:
        if job is not None:
            starts[job.tag, job.element].append(path)
    for job, name, path in files:
        offset, there = offsets.get(name, 0), size(path)
        if job is None:
            wrong.append(Problem(file=name, rule=MISNAMED, detail="not read"))
        elif there < offset:
            wrong.append(Problem(file=name, rule=TRUNCATED, detail=f"{there} bytes of {offset}; waits"))
        elif there > offset:
            if offset == 0 and (original := _original(path, starts[job.tag, job.element])):
                wrong.append(Problem(file=name, rule=DUPLICATE, detail=f"of {original}; not read"))
                continue
            events, end, problems = read_stretch(path, offset)
            if end > offset:
                named = [msgspec.structs.replace(problem, file=name) for problem in problems]
                stretches.append(
                    Stretch(file=name, events=events, offset=end, tag=job.tag, element=job.element,
                            problems=named)
                )  # fmt: skip
    return stretches, wrong


def _original(path: Path, starts: Sequence[Path]) -> str | None:
    """The earlier file of the same element that this one is a copy of; two workers never say the same."""
    earlier = [other for other in starts if file_order(other) < file_order(path)]
    if not earlier or not (first := _first_line(path)).endswith(b"\n"):
        return None
    return next((other.name for other in earlier if _first_line(other) == first), None)


def _first_line(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.readline()


def _remember(store: Store, found: Sequence[Problem], now: float) -> None:
    """Keep problems that are not known as they stand; most looks find nothing new."""
    if not found:
        return
    known = {(problem.file, problem.rule, problem.detail) for problem in store.problems()}
    new = [
        msgspec.structs.replace(problem, first=now, last=now)
        for problem in found
        if (problem.file, problem.rule, problem.detail) not in known
    ]
    if new:
        store.note_problems(new)

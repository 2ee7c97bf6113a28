"""Failures by what they have in common, and what a person can do about each kind."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from msgspec import Struct

from sgonz.plan.nodes import anywhere
from sgonz.plan.runs import Outcome

TWICE = re.compile(r"^(\w+) in [^:]*: (?=\1\b)")  # "DataError in readers.lines: DataError: what it says"

# Words of an error -> what helps; the first that fits is shown.
REMEDIES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("OutOfMemoryError", "CUDA out of memory"),
     "a smaller max_length or batch, or a resource class with a larger device: add it to the profile below this one"),
    ((Outcome.OUT_OF_MEMORY, "MemoryError", "oom", "Cannot allocate memory"),
     "more memory of the host: sgonz retry --signature {signature} --memory GB"),
    (("No space left", "Disk quota"), "free space (sgonz clean), then sgonz retry --signature {signature}"),
    (("ModuleNotFoundError", "ImportError"), "install it in the environment that the profile's setup lines activate"),
    (("DataError", "UnicodeDecodeError"), "mend the data set; its fingerprint changes with it, so `sgonz run` plans new runs"),
    (("ModelError", "OfflineModeIsEnabled", "LocalEntryNotFoundError", "HFValidationError"),
     "see that the model can be read where jobs run, then sgonz retry --signature {signature}"),
    (("SpecError", "RunError"), "change the sweep: a second try ends the same way"),
    (("DeviceError",), "`sgonz doctor` says what torch sees on a node; then sgonz retry --signature {signature}"),
    (("CUDA error", "CUBLAS", "NCCL", "ECC"), "a node may be broken: exclude it in the profile, then sgonz retry --signature {signature}"),
    ((Outcome.TIMEOUT,), "a longer max_minutes in the profile, where runs do not get far between two limits"),
    ((Outcome.NODE_FAIL, Outcome.PREEMPTED, Outcome.UNKNOWN), "nothing: such runs go on from their checkpoints by themselves"),
    (("job ended",), "see the job's own output; a set-up line of the profile may fail"),
)  # fmt: skip
OTHERWISE = "read the log (sgonz logs {example}); then sgonz retry --signature {signature}"


def said(signature: str) -> str:
    """A signature as people read it: the place in the code and the error's name, once more, are left out."""
    return TWICE.sub("", signature)


class Failure(Struct, frozen=True, kw_only=True):
    """One attempt that gave no result."""

    run_id: str
    kind: str
    dataset: str
    model: str
    attempt: int
    outcome: Outcome
    signature: str | None
    error: str | None
    gpu_hours: float
    ended: float
    is_open: bool  # whether its run has no result to this day


class FailureGroup(Struct, frozen=True, kw_only=True):
    """Attempts that ended the same way."""

    signature: str
    attempts: int
    runs: int
    unsolved: int  # runs that have no result to this day
    gpu_hours: float
    kinds: tuple[str, ...]
    datasets: tuple[str, ...]
    models: tuple[str, ...]
    example: str  # the newest run
    error: str
    remedy: str


def grouped(failures: Iterable[Failure]) -> list[FailureGroup]:
    """The groups with unsolved runs first, then by what they cost."""
    groups: dict[str, list[Failure]] = defaultdict(list)
    for failure in failures:
        groups[name_of(failure)].append(failure)
    found = [_group(name, members) for name, members in groups.items()]
    return sorted(found, key=lambda group: (-group.unsolved, -group.gpu_hours, group.signature))


def name_of(failure: Failure) -> str:
    """What a failure is grouped by: where and how it failed, or at least how it ended."""
    return anywhere(failure.signature) or str(failure.outcome)


def remedy(signature: str, error: str | None, outcome: str, example: str) -> str:
    """What a person can do about it."""
    said = f"{signature} {error or ''} {outcome}"
    advice = next((advice for words, advice in REMEDIES if any(word in said for word in words)), OTHERWISE)
    quoted = f"'{signature.partition(':')[0].replace(chr(39), '?')}'"  # its beginning is enough
    return advice.format(signature=quoted, example=example)


def _group(name: str, members: Sequence[Failure]) -> FailureGroup:
    newest = max(members, key=lambda failure: failure.ended)
    return FailureGroup(
        signature=name,
        attempts=len(members),
        runs=len({failure.run_id for failure in members}),
        unsolved=len({failure.run_id for failure in members if failure.is_open}),
        gpu_hours=sum(failure.gpu_hours for failure in members),
        kinds=_names(failure.kind for failure in members),
        datasets=_names(failure.dataset for failure in members),
        models=_names(failure.model for failure in members),
        example=newest.run_id,
        error=newest.error or "",
        remedy=remedy(name, newest.error, newest.outcome, newest.run_id),
    )


def _names(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(words)))

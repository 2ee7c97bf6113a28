"""What Slurm prints, as values: states, folded array indices, the lines of squeue and sacct."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sgonz.cluster.base import JobReport, JobStatus
from sgonz.cluster.slurm_ids import Key
from sgonz.plan.runs import Outcome

QUEUED, RUNNING, GONE = JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.GONE
STATES: dict[str, tuple[JobStatus, Outcome | None]] = {
    "PENDING": (QUEUED, None),
    "CONFIGURING": (QUEUED, None),
    "EXPEDITING": (QUEUED, None),
    "REQUEUED": (QUEUED, None),
    "REQUEUE_FED": (QUEUED, None),
    "REQUEUE_HOLD": (QUEUED, None),
    "RESV_DEL_HOLD": (QUEUED, None),
    "SPECIAL_EXIT": (QUEUED, None),
    "RUNNING": (RUNNING, None),
    "COMPLETING": (RUNNING, None),
    "RESIZING": (RUNNING, None),
    "SIGNALING": (RUNNING, None),
    "STAGE_OUT": (RUNNING, None),
    "STOPPED": (RUNNING, None),
    "SUSPENDED": (RUNNING, None),
    # In good order; what became of its runs is in their events, and one that it left open has no outcome yet.
    "COMPLETED": (GONE, Outcome.UNKNOWN),
    "BOOT_FAIL": (GONE, Outcome.NODE_FAIL),
    "CANCELLED": (GONE, Outcome.CANCELLED),
    "DEADLINE": (GONE, Outcome.TIMEOUT),
    "FAILED": (GONE, Outcome.FAILED),
    "FLUSHED": (GONE, Outcome.UNKNOWN),  # our word; see read_sacct
    "LAUNCH_FAILED": (GONE, Outcome.NODE_FAIL),
    "NODE_FAIL": (GONE, Outcome.NODE_FAIL),
    "OUT_OF_MEMORY": (GONE, Outcome.OUT_OF_MEMORY),
    "PREEMPTED": (GONE, Outcome.PREEMPTED),
    "REVOKED": (GONE, Outcome.CANCELLED),
    "TIMEOUT": (GONE, Outcome.TIMEOUT),
}
SQUEUE_FORMAT = "%F|%K|%T|%q|%a|%N|%r"  # nothing that a user can name, except QOS and account
SACCT_FORMAT = "JobID,State,ExitCode,End,NodeList"
QUOTA_WORDS = ("SubmitJob", "MaxSubmit", "GrpSubmit", "temporarily unable", "Rate limit exceeded")
SILENCE_WORDS = ("Unable to contact", "timed out", "Connection refused", "connect failure", "Socket timed out",
                 "slurm_persist_conn", "Connection reset", "Zero Bytes were transmitted", "Connection rejected",
                 "Connection forced closed")  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One line of squeue or sacct: all of these indices of one array are in one state."""

    array: int
    indices: frozenset[int] | None  # None: the whole array, or what no other line of it names
    state: str
    evidence: str
    qos: str = ""
    account: str = ""
    reason: str = ""  # why it waits
    node: str = ""  # where it is or was, if that is one node

    @property
    def is_held(self) -> bool:
        """Whether it waits for a person, as after a node could not start it: `launch failed requeued held`."""
        return self.state == "PENDING" and "held" in self.reason.lower()

    @property
    def report(self) -> JobReport | None:
        """None for a state that is not known: then nothing is concluded from it."""
        known = STATES.get(self.state)
        if known is None:
            return None
        status, outcome = known
        return JobReport(
            status=status, outcome=outcome or Outcome.UNKNOWN, evidence=self.evidence, node=self.node
        )

    @property
    def is_over(self) -> bool:
        return STATES.get(self.state, (QUEUED, None))[0] is GONE


def read_squeue(text: str) -> list[Line]:
    """Lines of `squeue -h -o SQUEUE_FORMAT`; one that cannot be understood is left out."""
    found = []
    for fields in _rows(text, 7):
        array, indices, state, qos, account, nodes, reason = fields
        if array.isdigit():
            reason = "" if reason == "None" else reason
            evidence = f"squeue: {state}" + (f" ({reason})" if reason else "")
            found.append(
                Line(int(array), read_indices(indices), state, evidence, qos, account, reason, _one(nodes))
            )
    return found


def read_sacct(text: str) -> list[Line]:
    """Lines of `sacct -X -n -P -o SACCT_FORMAT`.

    `CANCELLED by 1000` is CANCELLED. A bare CANCELLED nobody asked for: a controller that has lost its state
    closes so what the accounting still has open.
    """
    found = []
    for job, words, code, end, nodes in _rows(text, 5):
        array, _, indices = job.partition("_")
        if array.isdigit():
            state = "FLUSHED" if words == "CANCELLED" else words.split(" ", 1)[0]
            evidence = f"sacct: {words}, exit code {code}, ended {end}"
            found.append(Line(int(array), read_indices(indices), state, evidence, node=_one(nodes)))
    return found


def by_key(lines: Sequence[Line], wanted: Iterable[Key]) -> dict[Key, Line]:
    """The line of every wanted job; one that stands for a whole array speaks for what no other line names."""
    named: dict[Key, Line] = {}
    whole: dict[int, Line] = {}
    for line in lines:
        if line.indices is None:
            whole[line.array] = line
        else:
            named |= {(line.array, index): line for index in line.indices}
    found = {key: named.get(key) or whole.get(key[0]) for key in wanted}
    return {key: line for key, line in found.items() if line is not None}


def read_indices(text: str) -> frozenset[int] | None:
    """The indices of `7`, `[4-6,9%2]` or `0-8:4`; None where there are none."""
    indices: set[int] = set()
    for part in text.strip("[]").split("%", 1)[0].split(","):
        span, _, step = part.partition(":")
        first, _, last = span.partition("-")
        if not first.isdigit():
            return None
        indices.update(range(int(first), int(last or first) + 1, int(step or 1)))
    return frozenset(indices)


def fold(indices: list[int]) -> str:
    """The shortest way to write indices for Slurm: `0-4,7`."""
    parts: list[str] = []
    ordered = sorted(set(indices))
    start = 0
    for place, index in enumerate(ordered):
        if place + 1 == len(ordered) or ordered[place + 1] != index + 1:
            first = ordered[start]
            parts.append(f"{first}" if first == index else f"{first}-{index}")
            start = place + 1
    return ",".join(parts)


def is_quota(message: str) -> bool:
    """Whether sbatch was refused for a limit that waiting cures."""
    return any(word in message for word in QUOTA_WORDS)


def is_silence(message: str) -> bool:
    """Whether the controller did not answer, so that a submission may or may not have arrived."""
    return any(word in message for word in SILENCE_WORDS)


def _one(nodes: str) -> str:
    """A node's name; nothing for several of them, or for none."""
    return "" if re.search(r"[\[,\s]", nodes) else nodes


def _rows(text: str, width: int) -> Iterator[list[str]]:
    for line in text.splitlines():
        fields = [field.strip() for field in line.split("|", width - 1)]
        if len(fields) == width:
            yield fields

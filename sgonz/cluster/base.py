"""What the coordinator asks of a cluster, whether that is Slurm or this machine."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from sgonz.errors import SgonzError, UserError
from sgonz.plan.runs import Outcome
from sgonz.plan.state import JobRow
from sgonz.rundir import JobList, Workdir


class JobStatus(StrEnum):
    QUEUED = "QUEUED"  # sent, not started yet
    RUNNING = "RUNNING"  # its worker lives
    GONE = "GONE"  # known to have ended, in whatever way


@dataclass(frozen=True, kw_only=True)
class JobReport:
    """What is known for certain of one job."""

    status: JobStatus
    outcome: Outcome = Outcome.UNKNOWN  # how it ended, where it is GONE and that is known
    evidence: str = "the job is gone"
    node: str = ""  # where it is or was, if that is one node and known


@dataclass(frozen=True, kw_only=True)
class JobUsage:
    """One job, all its starts together."""

    elapsed: float  # seconds
    state: str
    exit_code: str = ""
    node: str = ""
    gres: str = ""
    gpus: int | None = None  # None where the accounting does not count them
    peak_memory_mb: float | None = None
    owner: str = ""


@dataclass(frozen=True, kw_only=True)
class Written:
    """A submission as it would be sent."""

    command: str  # as typed at a prompt
    script: str = ""  # the file that it names, where it names one
    why: str = ""  # it asks for something else than its class says


class NoAnswer(SgonzError):
    """The cluster did not answer, so nothing is known and nothing is concluded."""


class HeldByQuota(SgonzError):
    """A limit leaves no room for a submission now; nothing of it was sent."""


class SubmissionRefused(UserError):
    """The cluster does not take a submission as it stands; nothing of it was sent."""


class Cluster(Protocol):
    def free_slots(self, live: Sequence[JobRow]) -> int | None:
        """How many more jobs can be sent now; None for as many as there are. May raise NoAnswer."""

    def array_limit(self) -> int | None:
        """The most jobs that one submission can hold; None where there is no such limit. May raise NoAnswer."""

    def submit(self, workdir: Workdir, jobs: JobList) -> list[str]:
        """Start every element of a submission whose job.json is on disk; one external id per element, in order.

        Raises HeldByQuota or SubmissionRefused when nothing was sent, NoAnswer when that cannot be known.
        """

    def written(self, workdir: Workdir, jobs: JobList) -> list[Written]:
        """What `submit` would send, by the same functions; nothing is written."""

    def poll(self, live: Sequence[JobRow]) -> dict[tuple[str, int], JobReport]:
        """What is known for certain, by (tag, element); a job that nothing is known of is not in it."""

    @property
    def keeps_accounts(self) -> bool:
        """Whether it can be asked what jobs used."""

    def pause(self) -> float:
        """Seconds until it may be looked at again."""

    def look_now(self) -> None:
        """Let the next look be now, whatever was asked before: the last one of a sweep, say."""

    def used(self, external_ids: Sequence[str]) -> dict[str, JobUsage] | None:
        """What jobs that are over used, as far as that is known; None while it should not be asked.

        Raises NoAnswer where it does not answer.
        """

    def when_late(self, say: Callable[[str], None]) -> None:
        """Be told in the middle of a long wait for an answer, once until there is one."""

    def remarks(self) -> list[str]:
        """What people should know of the last looks, once: that there was no answer, say."""

    def avoid(self, workdir: Workdir, nodes: Collection[str], live: Sequence[JobRow]) -> None:
        """From now on, keep jobs off these nodes; those that wait too. Silence changes nothing."""

    def cancel(self, jobs: Sequence[JobRow]) -> None:
        """End these jobs and nothing else; one that has ended already is no error."""

    def withdraw(self, jobs: Sequence[JobRow]) -> None:
        """Take these jobs, all that wait of their submissions, out of the queue; silence changes nothing."""

    def explain(self, job: JobRow) -> str | None:
        """Why a job that was sent has not begun; None where nobody but its worker knows. May raise NoAnswer."""

    def find(self, workdir: Workdir, tag: str) -> list[str] | None:
        """External ids of a submission that was sent under this tag, one per element; None where it was not sent.

        Raises NoAnswer while neither is certain.
        """

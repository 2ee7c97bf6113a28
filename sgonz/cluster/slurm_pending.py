"""Why Slurm has not started a job, in words, with its own estimate of when it will."""

from __future__ import annotations

import time

from sgonz.cluster.base import NoAnswer
from sgonz.cluster.slurm_requests import Requests

# Slurm's word -> what it means for whoever waits; a word that is not here is shown as it is.
MEANINGS = {
    "Priority": "jobs of higher priority are before it",
    "Resources": "it is the next one, and waits for nodes to become free",
    "BeginTime": "its begin time has not come, or Slurm lets a requeued job wait two minutes",
    "Dependency": "it waits for another job",
    "JobHeldUser": "it is held by its user; scontrol release lets it go",
    "JobHeldAdmin": "it is held by an administrator",
    "JobArrayTaskLimit": "as many elements of its array run as it allows",
    "Licenses": "it waits for a licence",
    "PartitionDown": "its partition is down",
    "PartitionInactive": "its partition takes no jobs to run at the moment",
    "PartitionTimeLimit": "its time limit is longer than the partition's: lower max_minutes in the profile",
    "PartitionNodeLimit": "it asks for more nodes than the partition has: change nodes in the profile",
    "ReqNodeNotAvail": "a node that it needs is down, drained or reserved",
    "Reservation": "it waits for its reservation to begin",
    "InvalidAccount": "its account is not valid: change account in the profile",
    "InvalidQOS": "its QOS is not valid: change qos in the profile",
    "NodeDown": "a node that it needs is down",
    "None": "Slurm has not looked at it yet",
}
LIMITS = {
    "QOS": "a limit of its QOS is reached", "Assoc": "a limit of its account is reached",
    "MaxJobsPerAccount": "its account has as many jobs as it may",
    "Max": "a limit of its account or of the site is reached",
}  # fmt: skip
FORMAT = "%T|%r|%S"
FORGOTTEN = "Invalid job id"  # squeue, of a job that ended some minutes ago: an error, and yet an answer


def reason(requests: Requests, array: int, index: int) -> str | None:
    """What squeue says of one job, as a sentence. Raises NoAnswer."""
    try:
        return sentence(requests.ask("squeue", "-h", "--jobs", f"{array}_{index}", "-o", FORMAT))
    except NoAnswer as silence:
        if FORGOTTEN not in silence.message:
            raise
        return "Slurm's queue does not have its job any more; the next turn finds out how it ended"


def sentence(answer: str) -> str | None:
    """What squeue said of one job (`FORMAT`) as a sentence; None where it does not know the job."""
    lines = [line for line in answer.splitlines() if line.count("|") >= 2]
    if not lines:
        return None
    state, reason, start = lines[0].split("|", 2)
    if state != "PENDING":
        return f"Slurm says that its job is {state}"
    meaning = MEANINGS.get(reason) or next(
        (text for word, text in LIMITS.items() if reason.startswith(word)), None
    )
    known = f"in Slurm's queue: {reason}" + (f" ({meaning})" if meaning else "")
    return known + (
        f"; expected to start {when}" if (when := _moment(start.strip())) else "; no estimate of its start"
    )


def _moment(start: str) -> str | None:
    """Seconds since the epoch, as SLURM_TIME_FORMAT asks for, or the moment as Slurm writes it."""
    if start in ("", "N/A", "Unknown"):
        return None
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(int(start))) if start.isdecimal() else start

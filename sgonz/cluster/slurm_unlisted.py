"""What is concluded of jobs that squeue, which did answer, does not know any more."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

from sgonz.cluster.base import JobReport, JobStatus
from sgonz.cluster.slurm_ids import Key
from sgonz.cluster.slurm_words import Line, by_key
from sgonz.plan.runs import Outcome
from sgonz.plan.state import JobRow

Name = tuple[str, int]  # tag and element
LEFT = JobReport(status=JobStatus.GONE, evidence="its worker said that it leaves, and it left squeue")


def reports(
    unlisted: Mapping[Name, tuple[Key, JobRow]],
    accounted: Sequence[Line],
    *,
    known_arrays: Iterable[int],
    missing: Mapping[str, float],
    patience: float,
) -> dict[Name, JobReport | None]:
    """What sacct says of each, else that it vanished; None where nothing can be concluded yet.

    `known_arrays`: of which squeue or sacct knows some job. `missing`: since when both have not known a job.
    """
    known, arrays = by_key(accounted, [key for key, _ in unlisted.values()]), frozenset(known_arrays)
    found: dict[Name, JobReport | None] = {}
    for name, (key, job) in unlisted.items():
        line = known.get(key)
        if line is not None and line.is_over:
            found[name] = line.report
        else:
            waited = line is None and key[0] in arrays and not job.started
            found[name] = _vanished(missing.get(missing_name(key)), patience, waited=waited)
    return found


def missing_name(key: Key) -> str:
    """What a job is called in the notes of requests."""
    return f"{key[0]}_{key[1]}"


def _vanished(since: float | None, patience: float, *, waited: bool) -> JobReport | None:
    """A job that both have not known for long enough; None before that.

    Of an array of which others are known, one that never started was cancelled while it `waited`: Slurm takes it
    out of the array's line in the queue and keeps no record of it.
    """
    if since is None or time.time() - since < patience:
        return None
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(since))
    evidence = f"neither squeue nor sacct has known it since {when}"
    if waited:
        evidence += "; of its array others are known: it was cancelled while it waited"
    outcome = Outcome.CANCELLED if waited else Outcome.UNKNOWN
    return JobReport(status=JobStatus.GONE, outcome=outcome, evidence=evidence)

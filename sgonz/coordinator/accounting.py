"""Jobs that are over and what they used: asked once of the cluster, else reckoned from their events."""

from __future__ import annotations

import getpass
import time
from collections.abc import Sequence

import msgspec

from sgonz.cluster.base import JobUsage, NoAnswer
from sgonz.cluster.profile import Profile
from sgonz.cluster.site import read_gpus
from sgonz.coordinator.coordinator import Coordinator
from sgonz.plan.budget import is_budgeted
from sgonz.plan.wording import number_of
from sgonz.rundir import JobList, Workdir
from sgonz.store.rows import EndedJobRow, UsageRow

PATIENCE = 600.0  # seconds that an accounting which answers may take to know a job


def settle(at: Coordinator) -> list[str]:
    """Account what can be; remarks. Jobs that nothing is known of yet are left to a later turn."""
    budgeted = is_budgeted(at.sweep, at.store.orders(at.sweep_id))
    waiting = at.store.unaccounted(early=budgeted)
    if not waiting:
        return []
    now = time.time()
    try:
        known = at.cluster.used([job.external_id for job in waiting])
    except NoAnswer as silence:
        return [f"{silence.message}; hours are those of event files until it does"]
    if known is None:  # not now
        return []
    kept = at.cluster.keeps_accounts
    told = [job for job in waiting if _is_whole(job, known.get(job.external_id))]
    heard = {job.external_id for job in told}
    lost = [
        job for job in waiting if job.external_id not in heard and (not kept or now - job.ended > PATIENCE)
    ]
    classes = _gpus_by_tag(at.workdir, at.profile, [*told, *lost])
    usages = [_from_cluster(job, known[job.external_id], classes[job.tag]) for job in told]
    at.store.account_jobs([*usages, *(_from_events(job, classes[job.tag]) for job in lost)], now)
    if kept and lost:
        return [
            f"the accounting knows nothing of {number_of(len(lost), 'job')}; their hours are those of event files"
        ]
    return []


def _is_whole(job: EndedJobRow, used: JobUsage | None) -> bool:
    """Whether the accounting has caught up with a job: one whose worker spoke was on a node."""
    return used is not None and (job.started is None or bool(used.node))


def _from_cluster(job: EndedJobRow, used: JobUsage, asked: int) -> UsageRow:
    return UsageRow(
        tag=job.tag, element=job.element, elapsed=used.elapsed, gpus=asked if used.gpus is None else used.gpus,
        counted_by="sacct", owner=used.owner, node=used.node, gres=used.gres, peak_memory_mb=used.peak_memory_mb,
        cluster_state=used.state, exit_code=used.exit_code,
    )  # fmt: skip


def _from_events(job: EndedJobRow, asked: int) -> UsageRow:
    """From its worker's first words to its last, or to when it was seen to be over; nothing where it never spoke."""
    elapsed = max(0.0, (job.left or job.ended) - job.started) if job.started is not None else 0.0
    return UsageRow(tag=job.tag, element=job.element, elapsed=elapsed, gpus=asked, counted_by="events",
                    owner=getpass.getuser(), node=job.host or "")  # fmt: skip


def _gpus_by_tag(workdir: Workdir, profile: Profile, jobs: Sequence[EndedJobRow]) -> dict[str, int]:
    """How many GPUs each submission asked for."""
    found = {}
    for tag in {job.tag for job in jobs}:
        try:
            content = (workdir.job(tag) / "job.json").read_bytes()
            name = msgspec.json.decode(content, type=JobList).resource
        except (FileNotFoundError, msgspec.DecodeError):
            name = None
        asked = profile.resources.get(name or "") or profile.resource_for("default")[1]
        found[tag] = asked.nodes * sum(read_gpus(asked.gres or "").values())
    return found

"""What jobs cost: as long as they have worked, then by the cluster's own count, shared out among their attempts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import bindparam, case, func, select, update

from sgonz.store.rows import EndedJobRow, JobUse, UsageRow
from sgonz.store.tables import attempts, jobs, submissions
from sgonz.store.transaction import Transaction, chunks

_run_ids = msgspec.json.Decoder(tuple[str, ...])
COLUMNS = (
    "node",
    "gres",
    "gpus",
    "elapsed",
    "peak_memory_mb",
    "exit_code",
    "cluster_state",
    "owner",
    "counted_by",
)


def use_of(at: Transaction, sweep_id: int, now: float) -> list[JobUse]:
    """How long every job of a sweep has had its place: until now, until its worker's last word, or as accounted."""
    same_job = (attempts.c.workspace_id == jobs.c.workspace_id) & (attempts.c.tag == jobs.c.tag)
    last_seen = func.coalesce(func.max(attempts.c.seen), jobs.c.started)
    left = func.coalesce(jobs.c.left, last_seen)
    found = (
        select(
            jobs.c.run_ids, jobs.c.started, jobs.c.elapsed, jobs.c.gpus,
            case((jobs.c.ended.is_(None) & jobs.c.left.is_(None), now), (left > last_seen, left), else_=last_seen)
            .label("last"),
        )
        .join_from(
            jobs,
            submissions,
            (submissions.c.workspace_id == jobs.c.workspace_id) & (submissions.c.tag == jobs.c.tag),
        )
        .join(attempts, same_job & (attempts.c.element == jobs.c.element), isouter=True)
        .where(jobs.c.workspace_id == at.workspace, submissions.c.sweep_id == sweep_id)
        .where(jobs.c.started.is_not(None) | jobs.c.elapsed.is_not(None))
        .group_by(jobs.c.tag, jobs.c.element, jobs.c.run_ids, jobs.c.started, jobs.c.left, jobs.c.ended,
                  jobs.c.elapsed, jobs.c.gpus)
    )  # fmt: skip
    return [
        JobUse(
            run_ids=_run_ids.decode(row.run_ids),
            seconds=max(row.elapsed or 0.0, row.last - row.started if row.started is not None else 0.0),
            gpus=row.gpus,
        )
        for row in at.connection.execute(found)
    ]


def unaccounted(at: Transaction, *, early: bool = False) -> list[EndedJobRow]:
    """Jobs that are over and not accounted yet, of submissions whose jobs are all over: one request asks for many.

    With `early` also those whose neighbours still run, where hours count as soon as they are used.
    """
    waiting = select(jobs.c.tag).where(jobs.c.workspace_id == at.workspace, jobs.c.accounted.is_(None))
    live = waiting.where(jobs.c.ended.is_(None)).distinct()
    found = (
        select(
            jobs.c.tag,
            jobs.c.element,
            jobs.c.external_id,
            jobs.c.started,
            jobs.c.left,
            jobs.c.ended,
            jobs.c.host,
        )
        .where(jobs.c.workspace_id == at.workspace, jobs.c.accounted.is_(None), jobs.c.ended.is_not(None))
        .where(jobs.c.external_id.is_not(None))
        .order_by(jobs.c.tag, jobs.c.element)
    )
    wanted = found if early else found.where(jobs.c.tag.not_in(live))
    return [EndedJobRow(**row._asdict()) for row in at.connection.execute(wanted)]


def account_jobs(at: Transaction, usages: Sequence[UsageRow], time: float) -> None:
    """Keep what jobs used; each attempt gets its part of the job's time, by how long it took itself."""
    if not usages:
        return
    at.connection.execute(
        update(jobs)
        .where(jobs.c.workspace_id == at.workspace)
        .where(jobs.c.tag == bindparam("its_tag"), jobs.c.element == bindparam("its_element"))
        .values(accounted=time, **{name: bindparam(f"new_{name}") for name in COLUMNS}),
        [
            {"its_tag": each.tag, "its_element": each.element,
             **{f"new_{name}": getattr(each, name) for name in COLUMNS}}
            for each in usages
        ],
    )  # fmt: skip
    parts = _parts(at, {(each.tag, each.element): each for each in usages})
    if parts:
        at.connection.execute(
            update(attempts)
            .where(attempts.c.workspace_id == at.workspace)
            .where(attempts.c.run_id == bindparam("this"), attempts.c.attempt == bindparam("number"))
            .values(device_seconds=bindparam("part")),
            parts,
        )


def _parts(at: Transaction, usages: dict[tuple[str, int], UsageRow]) -> list[dict[str, Any]]:
    """Loading and waiting between runs is shared out with them, so that the parts add up to the job."""
    took = func.coalesce(attempts.c.seconds, attempts.c.seen - attempts.c.started)
    columns = [attempts.c.tag, attempts.c.element, attempts.c.run_id, attempts.c.attempt, took]
    made: dict[tuple[str, int], list[tuple[str, int, float]]] = defaultdict(list)
    for tags in chunks(tag for tag, _ in usages):
        found = select(*columns).where(attempts.c.workspace_id == at.workspace, attempts.c.tag.in_(tags))
        for tag, element, run_id, attempt, seconds in at.connection.execute(found):
            if (tag, element) in usages:
                made[tag, element].append((run_id, attempt, max(0.0, seconds or 0.0)))
    parts = []
    for name, tried in made.items():
        used = usages[name]
        whole = used.elapsed * max(1, used.gpus)
        total = sum(seconds for *_, seconds in tried)
        for run_id, attempt, seconds in tried:
            share = seconds / total if total else 1 / len(tried)
            parts.append({"this": run_id, "number": attempt, "part": whole * share})
    return parts

"""Failed attempts of a sweep as groups, and retrying a group, with more memory where that is what it takes."""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Sequence

import msgspec

from sgonz.control.runs import release_failed
from sgonz.coordinator import climbing
from sgonz.coordinator.coordinator import Coordinator
from sgonz.coordinator.seeing import gpus_of
from sgonz.errors import SpecError
from sgonz.plan.ladder import Climb, Place
from sgonz.plan.remedy import Failure, FailureGroup, grouped, name_of
from sgonz.plan.runs import Outcome, State
from sgonz.plan.state import RunRow
from sgonz.workdir import costs, lock


def failures(at: Coordinator, rows: Sequence[RunRow]) -> list[FailureGroup]:
    """Attempts at these runs that gave no result, grouped by signature."""
    return grouped(_failures(at, rows))


def with_signature(at: Coordinator, rows: Sequence[RunRow], signature: str) -> list[RunRow]:
    """The runs whose last attempt ended in a group: its name, its beginning, or a shell pattern."""
    last = {failure.run_id: failure for failure in _failures(at, rows)}  # oldest first
    chosen = {run_id for run_id, failure in last.items() if _fits(name_of(failure), signature)}
    if not chosen:
        names = sorted({name_of(failure) for failure in last.values()})
        raise SpecError(
            f"--signature {signature}: no failure of these runs is called so",
            hint=f"There are: {', '.join(names[:8]) or 'none'}. `sgonz failures` lists them.",
        )
    return [row for row in rows if row.run_id in chosen]


def retry_with_memory(at: Coordinator, rows: Sequence[RunRow], memory_gb: float) -> int:
    """Have runs like these ask for so much memory of the host from now on, and try these again."""
    if not at.profile.resources:
        raise SpecError(
            f"--memory: cluster {at.profile.name} has no resource classes that ask for memory",
            hint="On this machine runs take what they need.",
        )
    with lock.hold(at.workdir, "retry"):
        history, now = costs.read(at.workdir), time.time()
        asked = dict.fromkeys((row.kind, row.model, row.dataset) for row in rows)
        kept = [
            climb for climb in history.climbs
            if climb.cluster != at.profile.name or (climb.kind, climb.model, climb.dataset) not in asked
        ]  # fmt: skip
        raised = []
        for kind, model, dataset in asked:
            place = climbing.place_of(history, at.profile, kind, model, dataset)
            resource = place.resource if place else at.profile.resource_for(model)[0]
            raised.append(
                Climb(cluster=at.profile.name, kind=kind, model=model, dataset=dataset, since=now,
                      place=Place(resource=resource, memory_gb=memory_gb), reason="asked for by hand")
            )  # fmt: skip
        costs.write(at.workdir, msgspec.structs.replace(history, climbs=(*kept, *raised)))
        return release_failed(at, rows, memory_gb=memory_gb)


def _fits(name: str, signature: str) -> bool:
    return name == signature or name.startswith(signature) or fnmatch.fnmatchcase(name, signature)


def _failures(at: Coordinator, rows: Sequence[RunRow]) -> list[Failure]:
    """Oldest first."""
    by_id = {row.run_id: row for row in rows}
    found = []
    for tried in at.store.attempts(by_id):
        if tried.outcome is None or tried.outcome in (Outcome.COMPLETED, Outcome.CANCELLED, Outcome.PRUNED):
            continue
        row = by_id[tried.run_id]
        _, resource = at.profile.resource_for(row.model)
        seconds = tried.seconds if tried.seconds is not None else tried.seen - tried.started
        found.append(
            Failure(
                run_id=row.run_id, kind=row.kind, dataset=row.dataset, model=row.model, attempt=tried.attempt,
                outcome=tried.outcome, signature=tried.signature, error=tried.error or tried.evidence,
                gpu_hours=seconds * max(1, gpus_of(resource)) / 3600, ended=tried.ended or tried.seen,
                is_open=row.state is not State.COMPLETED,
            )
        )  # fmt: skip
    return found + _without_attempt(rows, {failure.run_id for failure in found})


def _without_attempt(rows: Sequence[RunRow], known: set[str]) -> list[Failure]:
    """Runs whose jobs ended before any of them could begin."""
    return [
        Failure(
            run_id=row.run_id, kind=row.kind, dataset=row.dataset, model=row.model, attempt=0,
            outcome=row.last_outcome, signature=row.signature, error=row.reason, gpu_hours=0.0,
            ended=row.ended or 0.0, is_open=row.state is not State.COMPLETED,
        )
        for row in rows
        if row.failures and row.last_outcome is not None and row.run_id not in known
    ]  # fmt: skip

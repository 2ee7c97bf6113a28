"""What follows from ends: costs are remembered, and what memory ended starts higher up the profile's ladder."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec
from msgspec import to_builtins
from msgspec.structs import asdict

from sgonz.cluster.base import JobReport
from sgonz.cluster.profile import Profile
from sgonz.plan.history import History
from sgonz.plan.ladder import Climb, Place, Rung, climb
from sgonz.plan.runs import Kind, Outcome
from sgonz.plan.state import JobRow, RunRow
from sgonz.rundir import JobList, Workdir
from sgonz.store.rows import AttemptRow, SplitRow
from sgonz.store.store import Store
from sgonz.workdir import costs
from sgonz.workdir.journal import Journal

TOGETHER = (Kind.FINETUNE, Kind.DISTILL)  # done by several processes where a class has several
DEVICE_WORDS = ("OutOfMemoryError", "CUDA", "HIP", "CUBLAS", "CUDNN")


def remember(workdir: Workdir, store: Store, profile: Profile, run_ids: Collection[str]) -> None:
    """Take in the ends of these runs' last attempts; every step up the ladder stands in the journal too."""
    costs.record(workdir, run_ids)
    for attempt in _last(store.attempts(run_ids) if run_ids and profile.resources else ()):
        if attempt.outcome is Outcome.OUT_OF_MEMORY:
            _climb(workdir, store, profile, attempt)


def cut_off(gone: Iterable[tuple[JobRow, JobReport]]) -> set[str]:
    """Runs of jobs of which the cluster says that memory ended them, whatever their workers could still say."""
    return {
        run_id for job, report in gone if report.outcome is Outcome.OUT_OF_MEMORY for run_id in job.run_ids
    }


def _last(attempts: Sequence[AttemptRow]) -> Collection[AttemptRow]:
    return {row.run_id: row for row in sorted(attempts, key=lambda row: row.attempt)}.values()


def _climb(workdir: Workdir, store: Store, profile: Profile, attempt: AttemptRow) -> None:
    spec, history = store.spec(attempt.run_id), costs.read(workdir)
    ran_at = _ran_at(workdir, profile, attempt, spec.model.name)
    host = not any(word in (attempt.error or "") for word in DEVICE_WORDS)
    tried = Climb(
        cluster=profile.name, kind=spec.kind, model=spec.model.name, dataset=spec.dataset.name, place=ran_at,
        since=attempt.ended or attempt.seen,
        reason=f"{'the host' if host else 'the device'} had too little memory in {ran_at.resource}",
    )  # fmt: skip
    known = _known(history, profile, spec.kind, spec.model.name, spec.dataset.name)
    found = climb(ladder_of(profile, spec.kind), known, ran_at, tried, host=host)
    if found is None:
        return
    workdir.run(attempt.run_id).smaller.unlink(missing_ok=True)  # it says what fits below
    others = [each for each in history.climbs if each is not known]
    costs.write(workdir, msgspec.structs.replace(history, climbs=(*others, found)))
    if known is None or known.place != found.place:
        Journal(workdir.journal).write("climbed", run=attempt.run_id, kind=spec.kind, model=found.model,
                                       dataset=found.dataset, came_from=ran_at, to=found.place, reason=found.reason)  # fmt: skip


def ladder_of(profile: Profile, kind: Kind) -> list[Rung]:
    """The profile's resource classes in their order; those of several processes are for training alone."""
    return [
        Rung(name=name, memory_gb=asked.memory_gb, max_memory_gb=asked.max_memory_gb)
        for name, asked in profile.resources.items()
        if asked.crew == 1 or kind in TOGETHER
    ]


def place_of(history: History, profile: Profile, kind: Kind, model: str, dataset: str) -> Place | None:
    """Where a run starts on this cluster; None where its profile knows no resource classes."""
    if not profile.resources:
        return None
    if known := _known(history, profile, kind, model, dataset):
        return known.place
    name, asked = profile.resource_for(model)
    if asked.crew > 1 and kind not in TOGETHER:  # one process does it, and needs no more than one GPU
        name = profile.resource_for("default")[0]
    return Place(resource=name)


def climbed_since(history: History, profile: Profile, row: RunRow) -> bool:
    """Whether a run that memory ended starts higher up than where that was."""
    known = _known(history, profile, row.kind, row.model, row.dataset)
    return row.last_outcome is Outcome.OUT_OF_MEMORY and known is not None and known.since >= (row.ended or 0)


def steps(history: History, profile: Profile, rows: Sequence[RunRow]) -> list[dict[str, Any]]:
    """What memory made smaller or moved, of the models and data sets of these runs, as `status` says it."""
    there = {(row.kind, row.model, row.dataset) for row in rows}
    found = [
        {"kind": each.kind, "model": each.model, "dataset": each.dataset, "resource": each.place.resource,
         "memory_gb": each.place.memory_gb, "reason": each.reason, "passed": to_builtins(each.passed)}
        for each in history.climbs
        if each.cluster == profile.name and (each.kind, each.model, each.dataset) in there
    ]  # fmt: skip
    for cost in history.costs:
        shape = cost.shape
        if (cost.micro_batch or cost.recompute) and (shape.kind, shape.model, shape.dataset) in there:
            found.append({"kind": shape.kind, "model": shape.model, "dataset": shape.dataset, "device": shape.device,
                          "micro_batch": cost.micro_batch, "recompute": cost.recompute})  # fmt: skip
    return found


def splits(found: Sequence[SplitRow]) -> list[dict[str, Any]]:
    """What runs tried in smaller parts, finished or not: by shape and device, the steps of the run that went farthest."""
    tried: dict[tuple[Any, ...], dict[str, list[SplitRow]]] = defaultdict(lambda: defaultdict(list))
    for row in found:
        tried[row.kind, row.model, row.dataset, row.device][row.run_id].append(row)
    answer = []
    for (kind, model, dataset, device), by_run in tried.items():
        run_id, farthest = max(by_run.items(), key=lambda each: sum(len(row.splits) for row in each[1]))
        steps_taken = [{"attempt": row.attempt, **asdict(split)} for row in farthest for split in row.splits]
        answer.append(
            {"kind": kind, "model": model, "dataset": dataset, "device": device, "runs": len(by_run), "run_id": run_id,
             "under_way": sum(rows[-1].outcome is None for rows in by_run.values()), "steps": steps_taken}
        )  # fmt: skip
    return answer


def _known(history: History, profile: Profile, kind: Kind, model: str, dataset: str) -> Climb | None:
    wanted = (profile.name, kind, model, dataset)
    return next(
        (each for each in history.climbs if (each.cluster, each.kind, each.model, each.dataset) == wanted),
        None,
    )


def _ran_at(workdir: Workdir, profile: Profile, attempt: AttemptRow, model: str) -> Place:
    """What the job of an attempt had asked for."""
    named = profile.resource_for(model)[0]
    try:
        jobs = msgspec.json.decode((workdir.job(attempt.tag) / "job.json").read_bytes(), type=JobList)
    except (FileNotFoundError, msgspec.DecodeError):
        return Place(resource=named)
    return Place(resource=jobs.resource or named, memory_gb=jobs.memory_gb)

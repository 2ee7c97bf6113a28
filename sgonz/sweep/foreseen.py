"""What a plan comes to before anything is sent: hours by kind, jobs, and when it may be done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from sgonz.cluster.profile import A100, Profile, Resource
from sgonz.plan.choice import Choice
from sgonz.plan.estimate import Seconds, done_at, first_guess, predictor
from sgonz.plan.expand import distill_runs, logits_run
from sgonz.plan.history import History
from sgonz.plan.packing import pack
from sgonz.plan.prediction import Measured, epoch_seconds, recall
from sgonz.plan.runs import TRAINED, Kind, RunSpec
from sgonz.plan.state import RunRow
from sgonz.plan.wording import number_of
from sgonz.sweep.choosing import choices, first_memory_gb, resolved, shorter_limit
from sgonz.sweep.planned import Planned
from sgonz.sweep.workloads import workloads_of

FIRST = "first estimate, from the model's size"


def foreseen(planned: Planned, profile: Profile | None, history: History) -> dict[str, Any]:
    """`profile`: of the cluster that was named; without one, hours are those of an A100 and no jobs are made.

    Hours are those of jobs: runs that share a GPU share its time.
    """
    specs = [*planned.runs, *later(planned)]
    rows, measured = [as_row(run) for run in specs], epoch_seconds(history, specs)
    guess = _guess(planned, profile, rows, measured)
    chosen = chosen_classes(planned, profile, history) if profile else {}
    settled = resolved(profile, chosen) if profile else None
    busy = busy_seconds(guess, settled) if settled else guess
    by_kind: dict[str, float] = defaultdict(float)
    for row in rows:
        by_kind[row.kind] += busy(row) / 3600
    answer: dict[str, Any] = {
        "predicted_hours_by_kind": {kind: round(hours, 2) for kind, hours in by_kind.items()},
        "estimated_by": _sources(rows, measured, specs, history, profile),
        "memory": _memory(specs, history),
    }
    if settled is not None:
        stages = _stages(rows, busy, settled)
        answer["jobs"] = _jobs(stages, guess, settled)
        if settled.scheduler == "slurm":
            answer["asks"] = _asks(stages, {spec.run_id: spec for spec in specs}, settled, history)
        answer["classes"] = [
            {"model": model, "class": each.name, "why": each.why} for model, each in chosen.items()
        ]
    return answer


def chosen_classes(planned: Planned, profile: Profile, history: History) -> dict[str, Choice]:
    """Which of several resource classes each model's runs start in, students included."""
    if not profile.chooses:
        return {}
    specs = [*planned.runs, *later(planned)]
    guess = predicted(planned, profile, history)
    return choices(profile, specs, recall(history), lambda spec: guess(as_row(spec)))


def predicted(planned: Planned, profile: Profile, history: History) -> Seconds:
    """How long any run of a sweep takes, those that are not planned yet included: by what its like took, else a guess."""
    specs = [*planned.runs, *later(planned)]
    return _guess(planned, profile, [as_row(run) for run in specs], epoch_seconds(history, specs))


def busy_seconds(alone: Seconds, profile: Profile) -> Seconds:
    """For how long runs keep their jobs busy: those that go on side by side share the time."""
    return lambda row: alone(row) / profile.runs_at_once_of(row.model)


def _guess(
    planned: Planned,
    profile: Profile | None,
    rows: Sequence[RunRow],
    measured: Callable[[RunRow], float | None],
) -> Seconds:
    macs = profile.speed if profile else A100
    return predictor(rows, first_guess(workloads_of(planned.resolution.sources), macs), measured)


def _sources(
    rows: Sequence[RunRow],
    measured: Callable[[RunRow], float | None],
    specs: Sequence[RunSpec],
    history: History,
    profile: Profile | None,
) -> str:
    """Where the hours come from, in words."""
    trained = [row for row in rows if row.kind in TRAINED]
    known = sum(measured(row) is not None for row in trained)
    first = f"{FIRST} and the text, on {profile.name if profile else 'an A100'}"
    if not known:
        return first
    found = recall(history)
    shapes = {each.shape: each.runs for spec in specs if (each := found(spec)) is not None}
    by_runs = f"measured on {number_of(sum(shapes.values()), 'run')}"
    return (
        by_runs
        if known == len(trained)
        else f"{by_runs} for {known} of {len(trained)}; {FIRST} for the others"
    )


def _memory(specs: Sequence[RunSpec], history: History) -> list[dict[str, Any]]:
    """What each model is predicted to take at its largest batch and length, and where that is known from.

    A model of which nothing is there yet, as before a sample is made, is left out.
    """
    found = recall(history)
    largest: dict[str, tuple[tuple[int, int], RunSpec]] = {}
    for spec in specs:
        if spec.kind in TRAINED:
            size = (spec.settings.batch_size * spec.settings.max_length, spec.settings.batch_size)
            if spec.model.name not in largest or size > largest[spec.model.name][0]:
                largest[spec.model.name] = (size, spec)
    rows = (_of_model(spec, found(spec)) for _, spec in largest.values())
    return [row for row in rows if row["memory_gb"] is not None]


def _of_model(spec: RunSpec, known: Measured | None) -> dict[str, Any]:
    batch_size, length = spec.settings.batch_size, spec.settings.max_length
    peak: float | None
    if known is not None and known.peak_memory_mb is not None:
        peak, by = known.peak_memory_mb / 1024, f"measured on {number_of(known.runs, 'run')}, {known.device}"
    else:
        peak, by = first_memory_gb(spec), FIRST
    return {
        "model": spec.model.name, "batch_size": batch_size, "length": length,
        "micro_batch": known.micro_batch if known else None,
        "seconds_per_step": known.seconds_per_step if known else None,
        "memory_gb": None if peak is None else round(peak, 2), "estimated_by": by,
    }  # fmt: skip


def later(planned: Planned) -> list[RunSpec]:
    """What follows when teachers are known, with any model in their place: students are trained for as long."""
    teachers = {run.dataset.name: run for run in planned.runs if run.kind is Kind.FINETUNE}
    found: list[RunSpec] = []
    for teacher in teachers.values() if planned.sweep.distill else ():
        logits = logits_run(planned.sweep, teacher)
        found += [logits, *distill_runs(planned.sweep, planned.resolution.sources, logits)]
    return found


def _stages(rows: Sequence[RunRow], busy: Seconds, profile: Profile) -> list[list[list[RunRow]]]:
    """Runs as they would be packed into jobs, stage by stage."""
    found = []
    for stage in (Kind.FINETUNE, Kind.LOGITS, Kind.DISTILL):
        own = {row.run_id: row for row in rows if row.kind is stage}
        packed = pack(
            list(own.values()), seconds=busy, target_seconds=profile.target_minutes * 60,
            runs_per_job=profile.runs_per_job, jobs=None, resource=lambda row: profile.resource_for(row.model)[0],
        )  # fmt: skip
        found.append([[own[run_id] for run_id in job] for job in packed])
    return found


def _jobs(stages: Sequence[Sequence[Sequence[RunRow]]], guess: Seconds, profile: Profile) -> dict[str, Any]:
    """How many jobs that is, and how long it takes at best and one job after the other."""
    slots = profile.slots if profile.scheduler == "local" else None
    sizes = [len(job) for stage in stages for job in stage]
    longest = total = 0.0
    for stage in stages:
        lengths = [done_at(map(guess, job), profile.runs_at_once_of(job[0].model)) for job in stage]
        total += sum(lengths)
        longest += max([*lengths, *([sum(lengths) / slots] if slots else [])], default=0.0)
    return {
        "cluster": profile.name, "jobs": len(sizes), "runs_per_job": [min(sizes, default=0), max(sizes, default=0)],
        "target_minutes": profile.target_minutes, "slots": slots, "runs_per_gpu": profile.runs_per_gpu,
        "hours_at_best": round(longest / 3600, 2), "hours_one_by_one": round(total / 3600, 2),
    }  # fmt: skip


def _asks(
    stages: Sequence[Sequence[Sequence[RunRow]]],
    specs: Mapping[str, RunSpec],
    profile: Profile,
    history: History,
) -> list[dict[str, Any]]:
    """What jobs would ask Slurm for: GPUs, minutes, and the partitions that allow these."""
    alike: dict[str, dict[str, Any]] = {}
    for stage in stages:
        by_class: dict[str, list[list[RunSpec]]] = defaultdict(list)
        for job in stage:
            name, _ = profile.resource_for(job[0].model)
            by_class[name].append([specs[row.run_id] for row in job])
        for name, jobs in by_class.items():
            asked = _asked(name, profile, jobs, history)
            alike.setdefault(repr(asked), {**asked, "jobs": 0})["jobs"] += len(jobs)
    return list(alike.values())


def _asked(
    name: str, profile: Profile, jobs: Sequence[Sequence[RunSpec]], history: History
) -> dict[str, Any]:
    resource = profile.resources.get(name, Resource())
    minutes = shorter_limit(profile, resource, history, jobs) or resource.max_minutes
    fitting = profile.within_limits(replace(resource, max_minutes=minutes)).partitions
    passed_over = [each for each in resource.partitions if each not in fitting]
    return {
        "class": name,
        "gres": resource.gres,
        "minutes": minutes,
        "partitions": fitting,
        "too_short": passed_over,
    }


def as_row(run: RunSpec) -> RunRow:
    return RunRow(
        run_id=run.run_id,
        kind=run.kind,
        dataset=run.dataset.name,
        model=run.model.name,
        batch_size=run.settings.batch_size,
        epochs=run.settings.epochs,
    )

"""From a sweep to its runs: the grid at once, and what follows when a teacher or a winner is known."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import msgspec
from msgspec import Struct, structs

from sgonz.errors import SpecError
from sgonz.plan.grid import check_exclusions, check_size, excluded, points
from sgonz.plan.ids import with_id
from sgonz.plan.protocol import concerning, resolve
from sgonz.plan.runs import Dataset, Kind, Measure, Model, Need, RunSpec, Settings
from sgonz.plan.spec import SETTING_NAMES, Stage, Sweep

DISTILL_DEFAULTS: Mapping[str, Any] = {"epochs": 50, "patience": 10, "weight_decay": 0.01}
LEAST_BESIDE_OVERLAP = (
    5  # tokens of a window: three special ones, one of the question, a new one of the context
)
NO_DATASET = Dataset(name="none", task="classification", format="jsonl")  # of a run that reads no data
FACTS = ("kind", "dataset", "model", "seed", *SETTING_NAMES)


class Sources(Struct, frozen=True, kw_only=True):
    """What a sweep's names mean: resolved data sets and models, handed in as values."""

    datasets: Mapping[str, Dataset]
    models: Mapping[str, Model]
    file: str = "sweep"  # for errors


def finetune_runs(sweep: Sweep, sources: Sources) -> list[RunSpec]:
    """The fine-tuning grid, in the order data set, model, seed, point; each run once."""
    check_exclusions(sweep.exclude, FACTS, sources.file)
    for name, stage in (("finetune", sweep.finetune), ("distill", sweep.distill)):
        if stage is not None:
            check_size(stage, name, datasets=sweep.dataset_names, seeds=len(sweep.seeds), source=sources.file)
    check_windows(sweep, sources)
    switches = resolve(sweep.protocol, sweep.protocol_switches)
    runs = {
        run.run_id: run
        for dataset in sweep.dataset_names
        for run in _stage_runs(sweep, sources, sweep.finetune, Kind.FINETUNE, dataset, switches, {}, (), None)
    }
    if not runs:
        raise SpecError(
            f"{sources.file}: the grid is empty", hint="Every point is excluded; loosen [[exclude]]."
        )
    return list(runs.values())


def check_windows(sweep: Sweep, sources: Sources) -> None:
    """Raise SpecError where windows of a context would bring nothing new beside their overlap."""
    stages = [("finetune", sweep.finetune), *([("distill", sweep.distill)] if sweep.distill else [])]
    asked = [name for name in sweep.dataset_names if sources.datasets[name].task == "qa"]
    for (name, stage), dataset in product(stages, asked):
        for model in stage.models if _cuts_windows(stage) else ():
            for point in points(stage, name, model=model, dataset=dataset, source=sources.file):
                _check_room(Settings(**point), f"{sources.file}: {name}", dataset)


def _cuts_windows(stage: Stage) -> bool:
    named = {*stage.settings, *stage.grid}
    named.update(name for override in stage.override for name in (*override.settings, *override.grid))
    return not named.isdisjoint(("max_length", "overlap"))


def _check_room(settings: Settings, where: str, dataset: str) -> None:
    if settings.max_length < settings.overlap + LEAST_BESIDE_OVERLAP:
        raise SpecError(
            f"{where}.max_length {settings.max_length} leaves no room beside an overlap of {settings.overlap} tokens "
            f"in windows of {dataset}",
            hint="Raise max_length or lower overlap, here or in an override for this data set.",
        )


def logits_run(sweep: Sweep, teacher: RunSpec) -> RunSpec:
    """The run that stores a teacher's logits on its data set's training split."""
    return _following(sweep, teacher, Kind.LOGITS, Need(role="teacher", run_id=teacher.run_id))


def distill_runs(sweep: Sweep, sources: Sources, logits: RunSpec) -> list[RunSpec]:
    """Every student's grid on one data set, taught by stored logits."""
    if sweep.distill is None:
        return []
    switches = resolve(sweep.protocol, sweep.protocol_switches)
    needs = (Need(role="logits", run_id=logits.run_id),)
    runs = _stage_runs(
        sweep,
        sources,
        sweep.distill,
        Kind.DISTILL,
        logits.dataset.name,
        switches,
        DISTILL_DEFAULTS,
        needs,
        logits.model,
    )
    return list({run.run_id: run for run in runs}.values())


def evaluate_run(sweep: Sweep, run: RunSpec) -> RunSpec:
    """The run that scores a selected run on the test split."""
    return _following(sweep, run, Kind.EVALUATE, Need(role="model", run_id=run.run_id))


def benchmark_runs(sweep: Sweep, architectures: Mapping[str, Mapping[str, Any]]) -> list[RunSpec]:
    """One run for every model and student of the sweep whose architecture is known.

    A benchmark needs neither weights nor data, so it is known by its architecture and what it measures, and
    waits for nothing. Raises SpecError where the reference is not among the architectures.
    """
    if sweep.benchmark is None:
        return []
    table = structs.asdict(sweep.benchmark)
    reference = table.pop("reference")
    if reference not in ("none", *architectures):
        raise SpecError(f"benchmark.reference {reference!r} is not a model whose architecture is known",
                        hint=f"Known: none, {', '.join(architectures)}.")  # fmt: skip
    if reference != "none":
        table |= {"reference": reference, "reference_architecture": dict(architectures[reference])}
    students = sweep.distill.models if sweep.distill else []
    named = [name for name in dict.fromkeys([*sweep.finetune.models, *students]) if name in architectures]
    switches = resolve(sweep.protocol, sweep.protocol_switches)
    relevant = concerning(switches, kind=Kind.BENCHMARK, task=NO_DATASET.task, dataset=NO_DATASET.name)
    return [
        with_id(
            RunSpec(
                run_id="", kind=Kind.BENCHMARK, dataset=NO_DATASET, settings=Settings(), switches=relevant,
                model=Model(name=name, architecture=dict(architectures[name]), fingerprint=_print(architectures[name])),
                protocol=sweep.protocol, threads=sweep.threads, measure=Measure(**table),
            )
        )
        for name in named
    ]  # fmt: skip


def _print(architecture: Mapping[str, Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(architecture, order="sorted")).hexdigest()[:32]


def count_runs(sweep: Sweep, runs: list[RunSpec]) -> dict[str, int]:
    """How many runs of each kind the sweep will have when every gate has opened."""
    tuned = [run for run in runs if run.kind is Kind.FINETUNE]
    counts = {"finetune": len(tuned), "logits": 0, "distill": 0, "evaluate": 0}
    if sweep.benchmark is not None:
        counts["benchmark"] = len(runs) - len(tuned)
    groups = Counter((run.dataset.name, run.model.name, run.seed) for run in tuned)
    tested = {run.dataset.name for run in tuned if sweep.evaluate and run.dataset.is_tested}
    counts["evaluate"] = sum(name in tested for name, _, _ in groups)
    if sweep.distill is None:
        return counts
    for dataset in {name for name, _, _ in groups}:
        counts["logits"] += 1
        for model in dict.fromkeys(sweep.distill.models):
            size = len(_points(sweep, sweep.distill, "distill", Kind.DISTILL, dataset, model, "sweep"))
            counts["distill"] += size
            if size and dataset in tested:
                counts["evaluate"] += len(sweep.seeds)
    return counts


def _points(
    sweep: Sweep, stage: Stage, name: str, kind: Kind, dataset: str, model: str, source: str
) -> list[tuple[int, dict[str, Any]]]:
    """(seed, settings) of every point that is not excluded."""
    grid = points(stage, name, model=model, dataset=dataset, source=source)
    return [
        (seed, point)
        for seed in sweep.seeds
        for point in grid
        if not sweep.exclude
        or not excluded(
            sweep.exclude, {"kind": kind, "dataset": dataset, "model": model, "seed": seed, **point}
        )
    ]


def _stage_runs(
    sweep: Sweep,
    sources: Sources,
    stage: Stage,
    kind: Kind,
    dataset: str,
    switches: Mapping[str, Any],
    defaults: Mapping[str, Any],
    needs: tuple[Need, ...],
    teacher: Model | None,
) -> Iterator[RunSpec]:
    resolved = sources.datasets[dataset]
    relevant = concerning(switches, kind=kind, task=resolved.task, dataset=resolved.catalog or dataset)
    for model in dict.fromkeys(stage.models):
        for seed, point in _points(sweep, stage, str(kind), kind, dataset, model, sources.file):
            yield with_id(
                RunSpec(
                    run_id="",
                    kind=kind,
                    dataset=resolved,
                    model=sources.models[model],
                    teacher=teacher,
                    settings=Settings(**{**defaults, **point}),
                    switches=relevant,
                    protocol=sweep.protocol,
                    seed=seed,
                    threads=sweep.threads,
                    precision=sweep.precision,
                    criterion=sweep.criterion(dataset),
                    needs=needs,
                )
            )


def _following(sweep: Sweep, run: RunSpec, kind: Kind, need: Need) -> RunSpec:
    """A run that reads another's result, with the settings that one was trained with."""
    switches = resolve(sweep.protocol, sweep.protocol_switches)
    dataset = run.dataset
    relevant = concerning(switches, kind=kind, task=dataset.task, dataset=dataset.catalog or dataset.name)
    return with_id(
        structs.replace(run, kind=kind, needs=(need,), switches=relevant, criterion="validation_loss")
    )

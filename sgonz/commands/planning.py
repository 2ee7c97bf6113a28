"""plan and diff: commands that only think."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import click

from sgonz.cli import options
from sgonz.cli.working import working
from sgonz.cluster.profile import Profile, load_profile
from sgonz.coordinator import disk
from sgonz.errors import SpecError
from sgonz.plan.expand import count_runs
from sgonz.plan.ids import difference
from sgonz.plan.runs import Kind, RunSpec
from sgonz.plan.spec import Sweep
from sgonz.rundir import Workdir
from sgonz.sweep import hub
from sgonz.sweep.architectures import architecture_of
from sgonz.sweep.foreseen import as_row, foreseen, later
from sgonz.sweep.planned import Planned, plan_sweep, read_sweep, workdir_of
from sgonz.sweep.sources import sample_folder
from sgonz.sweep.sweepfile import dump, find
from sgonz.sweep.workloads import workloads_of
from sgonz.workdir import costs
from sgonz.workdir.layout import sent


def plan(
    name: str, workdir: str | None, cluster: str | None, changes: Sequence[str], *, output: str, show: bool
) -> None:
    if show:
        _, table, _ = read_sweep(name, changes)
        click.echo(dump(table), nl=False)
        return
    folder = workdir_of(workdir)
    with working("planning"):
        planned = plan_sweep(name, changes, folder)
        named = cluster or planned.sweep.cluster
        answer = plan_answer(planned, folder, load_profile(named) if named else None)
    if output == "json":
        options.print_json(answer)
    elif output == "table":
        from sgonz.view.tables import show_plan

        show_plan(answer)
    else:
        options.print_rows(answer["matrix"], output, ("dataset", "model", "runs"))


def plan_answer(planned: Planned, folder: Workdir, profile: Profile | None = None) -> dict[str, Any]:
    """What the sweep would run: counts by kind, the matrix, hours and memory and where they are known from, what is missing."""
    sweep, runs = planned.sweep, planned.runs
    counts, there = count_runs(sweep, runs), sent(folder)
    cells = Counter((run.dataset.name, run.model.name) for run in runs if run.kind is Kind.FINETUNE)
    known = foreseen(planned, profile, costs.read(folder))
    hours = known["predicted_hours_by_kind"]
    return {
        "sweep": sweep.name,
        "protocol": sweep.protocol,
        "runs": {**counts, "total": sum(counts.values())},
        "new": sum(
            run.run_id not in there and not folder.run(run.run_id).spec.exists() for run in runs
        ),  # of those that are planned at once: fine-tuning, benchmarks
        "datasets": sweep.dataset_names,
        "models": list(sweep.finetune.models),
        "students": list(sweep.distill.models) if sweep.distill else [],
        "predicted_hours": round(hours.get(Kind.FINETUNE, 0.0) + hours.get(Kind.BENCHMARK, 0.0), 2),
        **known,
        "budget_gpu_hours": sweep.budget.gpu_hours if sweep.budget else None,
        "matrix": [
            {"dataset": dataset, "model": model, "runs": size} for (dataset, model), size in cells.items()
        ],
        "warnings": [
            *_missing(planned, folder),
            *_cut(planned),
            *_unmeasured(planned),
            *_too_much(sweep, sum(hours.values())),
            *_too_large(planned, folder),
            *_from_hub(planned, profile),
        ],
    }


def _missing(planned: Planned, folder: Workdir) -> list[str]:
    """Files that are not there; in one line those of a sample, which `run` makes before it needs them."""
    sample = sample_folder(planned.sweep, folder)
    missing = [said for said in planned.resolution.missing if sample is None or str(sample) not in said]
    if len(missing) < len(planned.resolution.missing):
        missing.append(f"the sample is not there yet; run makes its corpora and models in {sample}")
    return missing


def _cut(planned: Planned) -> list[str]:
    """Models that have no positions for as many tokens as their inputs may be long."""
    runs = [run for run in [*planned.runs, *later(planned)] if run.kind in (Kind.FINETUNE, Kind.DISTILL)]
    found = {(run.model.name, run.settings.max_length): run.model for run in runs}
    there = {
        model.name: (architecture_of(model) or {}).get("max_position_embeddings") for model in found.values()
    }
    return [
        f"model {name}: max_length = {asked}, but it has positions for {positions} tokens; inputs are cut to those"
        for name, asked in found
        if (positions := there[name]) is not None and asked > positions
    ]


def _too_much(sweep: Sweep, hours: float) -> list[str]:
    if sweep.budget is None or hours <= sweep.budget.gpu_hours:
        return []
    return [
        f"budget: about {hours:.0f} GPU-hours, and {sweep.budget.gpu_hours:g} may be used; "
        "what does not fit is not sent"
    ]


def _too_large(planned: Planned, folder: Workdir) -> list[str]:
    """What the disk has no room for, if everything is still to be done."""
    rows, sources = [as_row(run) for run in [*planned.runs, *later(planned)]], planned.resolution.sources
    needed = disk.to_come(planned.sweep, sources, rows, workloads_of(sources))
    there = next(each for each in (folder.root, *folder.root.parents) if each.is_dir())
    return [said] if (said := disk.warning(there, needed)) else []


def _from_hub(planned: Planned, profile: Profile | None) -> list[str]:
    said = hub.remark(planned.resolution.sources, profile.expanded_environment if profile else {})
    return [said] if said else []


def _unmeasured(planned: Planned) -> list[str]:
    """Models that the sweep would benchmark if anything but their hub knew their architecture."""
    if planned.sweep.benchmark is None:
        return []
    measured = {run.model.name for run in planned.runs if run.kind is Kind.BENCHMARK}
    models = planned.resolution.sources.models.values()
    names = [model.name for model in models if model.name not in measured and not model.path]
    return [f"benchmark: the architecture of {name} is not known here; it is not measured" for name in names]


def diff(one: str, other: str, workdir: str | None, *, output: str) -> None:
    """Two run ids of a work folder, or two sweep files."""
    if _is_file(one) or _is_file(other):
        left, right = (_described(name, workdir) for name in (one, other))
        rows = [
            {"run": key, one: key in left, other: key in right}
            for key in [*left, *right]
            if (key in left) != (key in right)
        ]
        columns: tuple[str, ...] = ("run", one, other)
    else:
        from sgonz.sweep.opening import open_existing

        with open_existing(workdir_of(workdir), read_only=True) as store:
            ids = [row.run_id for row in store.snapshot()]
            names = {sweep.name for sweep in store.sweeps()}
            if {one, other} <= names:
                raise SpecError(
                    f"{one} and {other} are sweeps",
                    hint="They are compared by their files: sgonz diff A.toml B.toml",
                )
            first, second = (store.spec(find_run(ids, name)) for name in (one, other))
        rows = [{"field": name, one: a, other: b} for name, (a, b) in difference(first, second).items()]
        columns = ("field", one, other)
    show(rows, output, columns)


def find_run(run_ids: Sequence[str], name: str) -> str:
    """The one run whose id starts with `name`."""
    found = [run_id for run_id in run_ids if run_id.startswith(name)]
    if len(found) == 1:
        return found[0]
    problem = "no run" if not found else f"{len(found)} runs"
    raise SpecError(
        f"{problem} whose id starts with {name!r}", hint="`sgonz results --all` lists runs with their ids."
    )


def show(
    rows: Sequence[dict[str, Any]], output: str, columns: Sequence[str], title: str | None = None
) -> None:
    if output == "table":
        from sgonz.view.tables import show_rows

        show_rows(columns, rows, title=title)
    else:
        options.print_rows(rows, output, columns)


def _is_file(name: str) -> bool:
    with suppress(SpecError):
        return find(name).is_file()
    return name.endswith(".toml")


def _described(name: str, workdir: str | None) -> dict[str, RunSpec]:
    """A sweep's runs by a line that says what each is."""
    runs = plan_sweep(name, (), workdir_of(workdir)).runs
    return {
        f"{run.kind} {run.model.name} ({run.run_id})"
        if run.kind is Kind.BENCHMARK
        else f"{run.dataset.name} {run.model.name} lr {run.settings.learning_rate:g} batch {run.settings.batch_size} "
        f"epochs {run.settings.epochs} seed {run.seed} ({run.run_id})": run
        for run in runs
    }

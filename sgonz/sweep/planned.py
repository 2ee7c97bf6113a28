"""Read, resolve and expand a sweep file: all that can be known without a store."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sgonz import catalog
from sgonz.errors import UserError
from sgonz.plan.expand import benchmark_runs, finetune_runs
from sgonz.plan.runs import RunSpec
from sgonz.plan.spec import Sweep, decode
from sgonz.rundir import Workdir
from sgonz.sweep.architectures import architectures_of
from sgonz.sweep.sources import Resolution, resolve
from sgonz.sweep.sweepfile import find, load


@dataclass(frozen=True)
class Planned:
    """A sweep file read, resolved and expanded; nothing has been written."""

    file: Path
    table: dict[str, Any]
    sweep: Sweep
    resolution: Resolution
    runs: list[RunSpec]


def workdir_of(option: str | None, profiled: str | None = None) -> Workdir:
    """--workdir, SGONZ_WORKDIR, the profile's, or ./work."""
    chosen = option or os.environ.get("SGONZ_WORKDIR") or profiled or "work"
    return Workdir(Path(chosen).expanduser().resolve())


def read_sweep(name: str, changes: Sequence[str]) -> tuple[Path, dict[str, Any], Sweep]:
    file = find(name)
    table = load(file, changes)
    return file, table, decode(table, str(file))


def plan_sweep(name: str, changes: Sequence[str], workdir: Workdir) -> Planned:
    """Read, resolve and expand a sweep file without writing anything."""
    file, table, sweep = read_sweep(name, changes)
    resolution = resolve(sweep, workdir, str(file))
    runs = finetune_runs(sweep, resolution.sources) + _benchmarks(sweep, resolution)
    return Planned(file, table, sweep, resolution, runs)


def _benchmarks(sweep: Sweep, resolution: Resolution) -> list[RunSpec]:
    """None while a folder that is not there yet hides what the reference is."""
    reference = sweep.benchmark.reference if sweep.benchmark else "none"
    published = catalog.models().get(reference)
    known = {reference: published.architecture()} if published else {}
    known |= architectures_of(resolution.sources.models)
    if resolution.missing and reference not in ("none", *known):
        return []
    return benchmark_runs(sweep, known)


def require_sources(planned: Planned) -> None:
    """Refuse a sweep whose files are not there."""
    if planned.resolution.missing:
        listed = "\n  ".join(planned.resolution.missing[:8])
        raise UserError(
            f"{planned.file}: files that the sweep needs are missing:\n  {listed}",
            hint="Put them there, set data_dir or path, or choose other data sets and models.",
        )

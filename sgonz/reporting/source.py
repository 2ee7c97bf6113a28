"""What a report is made of, read once from the store: runs, results, attempts, sizes, and what names stand for."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from sgonz import catalog
from sgonz.errors import SpecError
from sgonz.looking import answers
from sgonz.plan.expand import Sources
from sgonz.plan.runs import Dataset, Kind, Model
from sgonz.plan.sizing import Shape, shape_of
from sgonz.plan.spec import Sweep, decode
from sgonz.plan.state import RunRow, ScoreRow
from sgonz.store.rows import AttemptRow, BenchmarkRow, NoteRow, SweepRow
from sgonz.store.store import Store
from sgonz.sweep.architectures import architecture_of
from sgonz.sweep.opening import Stored

STAGES: Mapping[str, str] = {Kind.FINETUNE: "fine-tuned", Kind.DISTILL: "distilled"}
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Source:
    """One sweep as the store holds it."""

    row: SweepRow
    sweep: Sweep
    sources: Sources
    runs: Sequence[RunRow]
    attempts: Sequence[AttemptRow]
    measured: Sequence[BenchmarkRow]
    curves: Mapping[str, Sequence[ScoreRow]]  # of selected runs
    notes: Sequence[NoteRow]
    tags: Sequence[str]
    made: float  # when it was read

    @cached_property
    def results(self) -> list[Row]:
        """One row per finished or failed training, as `sgonz results` gives them."""
        return answers.results(self.runs, self.metrics)

    @cached_property
    def selected(self) -> list[Row]:
        return [row for row in self.results if row["selected"] and not row["superseded"]]

    @cached_property
    def metrics(self) -> dict[str, str]:
        return {name: dataset.metric for name, dataset in self.sources.datasets.items()}

    @cached_property
    def datasets(self) -> dict[str, Dataset]:
        """In the sweep's order."""
        known = self.sources.datasets
        return {name: known[name] for name in self.sweep.dataset_names if name in known}

    @cached_property
    def models(self) -> list[str]:
        """Every model that some run trains, in the sweep's order, then in that of arrival."""
        trained = dict.fromkeys(row.model for row in self.runs if row.kind in STAGES)
        named = [*self.sweep.finetune.models, *(self.sweep.distill.models if self.sweep.distill else ())]
        return list(dict.fromkeys([*(name for name in named if name in trained), *trained]))

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """Of the models whose size is known by formula."""
        found = {}
        for name in self.models:
            fields = self.architectures.get(name)
            try:
                found[name] = shape_of(str(fields["model_type"]), fields) if fields else None
            except SpecError:
                continue
        return {name: shape for name, shape in found.items() if shape is not None}

    @cached_property
    def architectures(self) -> dict[str, Mapping[str, Any]]:
        models = {name: self.sources.models.get(name) or Model(name=name) for name in self.models}
        found = {name: architecture_of(model) for name, model in models.items()}
        return {name: fields for name, fields in found.items() if fields is not None}

    @property
    def truncates(self) -> bool:
        """Whether derived columns are cut, as the published ones were."""
        return self.sweep.protocol == "paper"

    def model_title(self, name: str) -> str:
        known = catalog.models().get(name)
        return known.title if known else name

    def dataset_title(self, name: str) -> str:
        dataset = self.sources.datasets.get(name)
        known = catalog.datasets().get(dataset.catalog or "") if dataset else None
        return known.title if known and dataset and dataset.catalog == name else name


def read(store: Store, row: SweepRow) -> Source:
    """Everything that a report of this sweep shows; nothing is written."""
    stored = msgspec.json.decode(row.spec_json, type=Stored)
    runs = store.snapshot(row.id)
    ids = {run.run_id for run in runs}
    chosen = [run.run_id for run in runs if run.selected and not run.superseded and run.kind in STAGES]
    return Source(
        row=row, sweep=decode(stored.sweep, row.name), sources=stored.sources, runs=runs,
        attempts=[attempt for attempt in store.attempts() if attempt.run_id in ids], measured=store.benchmarks(),
        curves=_curves(store, chosen), notes=store.notes(row.name), tags=store.sweep_tags().get(row.name, ()), made=time.time(),
    )  # fmt: skip


CURVES = 400  # more lines than this no picture holds


def _curves(store: Store, run_ids: Sequence[str]) -> dict[str, Sequence[ScoreRow]]:
    return {run_id: store.epochs(run_id) for run_id in run_ids[:CURVES]}

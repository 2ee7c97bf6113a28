"""The sweep file as values: decode a merged table, refuse what cannot be, say where and what is allowed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta

from sgonz.errors import SpecError
from sgonz.plan.converting import convert, unknown_key
from sgonz.plan.protocol import Protocol, SwitchValue
from sgonz.plan.runs import Count, Format, Positive, Precision, Settings, Share, Task

Name = Annotated[str, Meta(min_length=1, max_length=120)]
Names = Annotated[list[Name], Meta(min_length=1)]
Seed = Annotated[int, Meta(ge=0, lt=2**32)]  # what torch and numpy both take
SETTING_NAMES = Settings.__struct_fields__
DISTILL_ONLY = frozenset({"loss", "alpha", "temperature", "pool", "alignment"})


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of everything a sweep file can hold."""


class DatasetTable(Table, frozen=True, kw_only=True):
    """[datasets.NAME]: a catalog data set somewhere else, or one of your own."""

    like: str | None = (
        None  # catalog data set that gives what is not said here; by default the one of this name
    )
    path: str | None = None  # folder of the files
    files: dict[Literal["train", "validation", "test"], str] | None = None
    task: Task | None = None
    format: Format | None = None
    labels: list[str] | None = None
    metric: str | None = None
    language: str | None = None
    pair: bool | None = None
    hub: str | None = None
    hub_config: str | None = None
    revision: str | None = None
    hub_splits: dict[str, str] | None = None
    limit: dict[Literal["train", "validation", "test"], Count] = {}


class ModelTable(Table, frozen=True, kw_only=True):
    """[models.NAME]: a folder, a hub id, an architecture built from scratch, or a cut of another model."""

    path: str | None = None
    hub: str | list[str] | None = None
    revision: str | None = None
    architecture: dict[str, Any] | None = None
    tokenizer: str | None = None
    cut_from: str | None = None  # the model whose shared layer is repeated `layers` times
    layers: Count | None = None
    trust_remote_code: bool = False


class Override(Table, frozen=True, kw_only=True):
    """Other settings or axes for some models or data sets."""

    models: Names | None = None
    datasets: Names | None = None
    settings: dict[str, Any] = {}
    grid: dict[str, Any] = {}


class Stage(Table, frozen=True, kw_only=True):
    """[finetune] or [distill]: who is trained, fixed settings, the grid, and exceptions."""

    models: Names
    settings: dict[str, Any] = {}
    grid: dict[str, Any] = {}
    override: list[Override] = []


class Teacher(Table, frozen=True, kw_only=True):
    """[teacher]: how the best run of a data set is chosen."""

    select: str = "validation_loss"
    per_dataset: dict[str, str] = {}


class Sample(Table, frozen=True, kw_only=True):
    """[sample]: corpora and models that sgonz makes itself, in the work folder."""

    seed: Seed = 1
    size: Annotated[int, Meta(ge=40, le=100_000)] = 400


class Benchmark(Table, frozen=True, kw_only=True):
    """[benchmark]: size and speed of every model and student, measured in jobs."""

    batch_sizes: Annotated[tuple[Count, ...], Meta(min_length=1)] = (1,)
    lengths: Annotated[tuple[Count, ...], Meta(min_length=1)] = (128, 256, 512)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    repeats: Annotated[int, Meta(ge=2)] = 100
    warm_up: Count = 10
    reference: str = "none"


class Quorum(Table, frozen=True, kw_only=True):
    quorum: Share


class Retry(Table, frozen=True, kw_only=True):
    """[retry]: what happens to runs that do not end well."""

    max_failures: Count = 3  # a run that fails this often stays FAILED
    max_interruptions: Count = 50  # timeouts, preemptions and lost nodes
    same_failure: Count = 2  # the same failure in the same place this often in a row is final
    delay_seconds: Annotated[float, Meta(ge=0)] = 30.0  # before the second attempt; doubles with each failure
    node_failures: Annotated[int, Meta(ge=0)] = 3  # so many in a row and a node is left out; 0: none ever is
    node_hours: Annotated[float, Meta(gt=0)] = 24.0  # after its last failure a node is tried again


class Budget(Table, frozen=True, kw_only=True):
    """[budget]: what a sweep may use."""

    gpu_hours: Positive


class Canary(Table, frozen=True, kw_only=True):
    """[canary]: how much may go wrong before somebody looks."""

    first: bool = True  # one run of a shape goes before the rest of a large group
    above: Count = 8  # a group of more runs is large
    same_failure: Count = 3  # runs in a row that fail the same way hold their like


class Sweep(Table, frozen=True, kw_only=True):
    """A whole sweep file."""

    name: Name
    protocol: Protocol = "sound"
    protocol_switches: dict[str, SwitchValue] = {}
    seeds: Annotated[tuple[Seed, ...], Meta(min_length=1)] = (42,)
    threads: Count = 1
    precision: Precision = "auto"
    datasets: Names | dict[Name, DatasetTable]
    data_dir: str | None = None
    models: dict[Name, ModelTable] = {}
    sample: Sample | None = None
    finetune: Stage
    teacher: Teacher = Teacher()
    distill: Stage | None = None
    evaluate: bool = True  # score the selected runs on test
    benchmark: Benchmark | None = None
    exclude: list[dict[str, Any]] = []
    on_failure: Literal["continue", "stop"] | Quorum = "continue"
    keep: Literal["best", "all", "scores"] = "best"
    retry: Retry = Retry()
    canary: Canary = Canary()
    budget: Budget | None = None
    cluster: str | None = None  # the profile to use where --cluster does not say

    @property
    def dataset_names(self) -> list[str]:
        return list(self.datasets)

    @property
    def dataset_tables(self) -> Mapping[str, DatasetTable]:
        return self.datasets if isinstance(self.datasets, dict) else {}

    def criterion(self, dataset: str) -> str:
        """What the best run of a data set is chosen by."""
        return self.teacher.per_dataset.get(dataset, self.teacher.select)


def decode(table: Mapping[str, Any], source: str) -> Sweep:
    """Make a sweep of a merged TOML table; `source` names the file in errors.

    Raises SpecError: unknown key (nearest match and the allowed ones), wrong type, empty grid.
    """
    shaped = dict(table)
    for stage in ("finetune", "distill"):
        if isinstance(shaped.get(stage), dict):
            shaped[stage] = _shape_stage(stage, shaped[stage], source)
    for name, kind in (("datasets", DatasetTable), ("models", ModelTable)):
        if isinstance(shaped.get(name), dict):  # one by one, so that errors carry the name
            for key, entry in shaped[name].items():
                convert(entry, kind, source, f"{name}.{key}")
    sweep: Sweep = convert(shaped, Sweep, source)
    if len(set(sweep.seeds)) < len(sweep.seeds):
        raise SpecError(f"{source}: seeds holds a value twice", hint="Name each seed once.")
    return sweep


def _shape_stage(stage: str, table: dict[str, Any], source: str) -> dict[str, Any]:
    """Part a stage's keys into structure and settings, and check the settings and the grid."""
    who = "models" if stage == "finetune" else "students"
    known = [who, "grid", "override", *_settings_of(stage)]
    shaped = _part(table, stage, known, stage, source)
    if who in shaped:
        shaped["models"] = shaped.pop(who)
    elif "models" not in shaped:
        raise SpecError(
            f"{source}: {stage}.{who} is missing", hint=f"Name at least one model in {stage}.{who}."
        )
    overrides = shaped.get("override", [])
    if not isinstance(overrides, list) or not all(isinstance(entry, dict) for entry in overrides):
        raise SpecError(f"{source}: {stage}.override must be written as [[{stage}.override]]")
    known = [who, "datasets", "grid", *_settings_of(stage)]
    shaped["override"] = [
        _renamed(_part(entry, f"{stage}.override[{index}]", known, stage, source), who)
        for index, entry in enumerate(overrides)
    ]
    return shaped


def _renamed(override: dict[str, Any], who: str) -> dict[str, Any]:
    if who in override:
        override["models"] = override.pop(who)
    return override


def _part(
    table: Mapping[str, Any], path: str, known: Sequence[str], stage: str, source: str
) -> dict[str, Any]:
    for key in table:
        if key not in known:
            raise unknown_key(f"{path}.{key}", known, source)
    settings = {key: value for key, value in table.items() if key in SETTING_NAMES}
    shaped = {key: value for key, value in table.items() if key not in SETTING_NAMES}
    _check_settings(settings, path, source)
    grid = shaped.get("grid", {})
    if not isinstance(grid, dict):
        raise SpecError(
            f"{source}: {path}.grid: expected a table of axes, such as grid.batch_size = [16, 32]"
        )
    for axis in grid:
        if axis != "zip" and axis not in _settings_of(stage):
            raise unknown_key(f"{path}.grid.{axis}", ["zip", *_settings_of(stage)], source)
        if axis in settings:
            raise SpecError(
                f"{source}: {path}.{axis} is fixed and also an axis of the grid", hint="Keep one of the two."
            )
    return {**shaped, "settings": settings}


def _settings_of(stage: str) -> list[str]:
    return [name for name in SETTING_NAMES if stage == "distill" or name not in DISTILL_ONLY]


def _check_settings(settings: Mapping[str, Any], path: str, source: str) -> None:
    for name, value in settings.items():
        check_setting(name, value, f"{path}.{name}", source)


_SETTING_TYPES = get_type_hints(Settings, include_extras=True)


def check_setting(name: str, value: Any, path: str, source: str) -> Any:
    """The value as the setting's own type (1 becomes 1.0 where a float is meant)."""
    found = convert(value, _SETTING_TYPES[name], source, path)
    if isinstance(found, float) and not math.isfinite(found):
        raise SpecError(f"{source}: {path}: expected a finite number, got {found}")
    return found

"""The published study as data: its models, its data sets and its results."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import msgspec

Role = Literal["candidate", "student"]
Split = Literal["train", "validation", "test"]
Stage = Literal["finetune", "distill"]


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what the catalog holds."""


class CatalogModel(Entry, frozen=True, kw_only=True):
    """One encoder or student: where its weights are and what its configuration must say."""

    name: str
    title: str
    roles: tuple[Role, ...]
    model_type: Literal["albert", "bert", "distilbert", "roberta"]
    hub: tuple[str, ...]  # ids of the weights, newest first; a cut's are those of the model it is cut from
    tokenizer: Literal["unigram", "wordpiece", "bpe"]
    vocabulary: str  # models that name the same one share a tokenizer
    case: Literal["cased", "uncased"]
    cut_from: str | None = None  # the model whose shared layer is repeated `layers` times
    layers: int | None = None
    ready_made: tuple[str, ...] = ()  # ids of published copies that are cut already
    note: str = ""
    fields: dict[str, Any]

    def config(self) -> dict[str, Any]:
        """The fields of its transformers configuration, for AutoConfig.for_model(model_type, **fields)."""
        return dict(self.fields)

    def architecture(self) -> dict[str, Any]:
        """The same with model_type, as a model built from scratch is written in a sweep."""
        return {"model_type": self.model_type, **self.fields}

    def overrides(self) -> dict[str, Any]:
        """What to change in the configuration that comes with the weights: the depth of a cut."""
        return {} if self.cut_from is None else {"num_hidden_layers": self.layers}


class CatalogDataset(Entry, frozen=True, kw_only=True):
    """One data set: how it reads, what it is scored by, how large it is."""

    name: str
    title: str
    task: Literal["classification", "tagging", "qa"]
    format: Literal["mldoc", "pawsx", "xnli", "conllu", "conll2002", "squad"]
    labels: tuple[str, ...] | None = None  # in the order of a head's outputs
    metric: Literal["accuracy", "f1"]
    pair: bool = False
    language: str = "es"
    files: dict[Split, str]
    sizes: dict[Split, int]  # rows, sentences or questions, as published
    also: dict[Split, tuple[int, ...]] = {}  # other counts of the same data that are right
    size_note: str = ""
    max_length: int = 512  # tokens, in fine-tuning as published
    evaluation_steps: tuple[int, int]  # lowest and highest number of steps between two validations
    suffix: str  # of the ids of published trained models
    source: str
    licence: str


class Throughput(Entry, frozen=True, kw_only=True):
    """Inferences per second, batch 1, length 512."""

    cpu: float
    gpu: float


class PublishedRow(Entry, frozen=True, kw_only=True):
    """One line of the published table: test split, percent."""

    stage: Stage
    model: str
    headline: dict[str, float]  # data set -> accuracy or F1
    exact_match: dict[str, float]
    score: float
    millions: int  # parameters
    speedup: float
    per_second: Throughput
    timings_released: bool = True  # whether raw timings that give `per_second` can be had
    misprint: dict[str, float] = {}  # data set -> what another published version says in error
    note: str = ""


class Published(Entry, frozen=True, kw_only=True):
    """The published results, for comparison."""

    rows: tuple[PublishedRow, ...]
    teachers: dict[str, str]  # data set -> model
    released_per_second: dict[
        str, Throughput
    ]  # from the released timings, where they differ from the table's
    distillation_hours: dict[str, float]  # data set -> GPU-hours of 42 runs
    note: str

    def row(self, stage: Stage, model: str) -> PublishedRow | None:
        """The line of a model in a stage, if it was published."""
        return next((row for row in self.rows if (row.stage, row.model) == (stage, model)), None)


@cache
def models() -> Mapping[str, CatalogModel]:
    """Every model of the catalog by name, candidates before cuts."""
    found: dict[str, CatalogModel] = {}
    for name, entry in _models_file()["models"].items():
        found[name] = msgspec.convert({"name": name, **_resolve(entry, found)}, CatalogModel)
    return MappingProxyType(found)


@cache
def datasets() -> Mapping[str, CatalogDataset]:
    """Every data set of the catalog by name, in the published order."""
    entries = _read("datasets.toml").items()
    return MappingProxyType(
        {name: msgspec.convert({"name": name, **entry}, CatalogDataset) for name, entry in entries}
    )


@cache
def published() -> Published:
    """The published results."""
    return msgspec.convert(_read("published.toml"), Published)


def trained_ids(stage: Stage, model: CatalogModel, dataset: CatalogDataset) -> tuple[str, ...]:
    """Hub ids of the published model that this training gave, newest first; none where none was published."""
    if published().row(stage, model.name) is None:
        return ()
    patterns = _models_file()["patterns"]["finetuned" if stage == "finetune" else "distilled"]
    names = dict.fromkeys(hub.rpartition("/")[2] for hub in model.ready_made or model.hub)
    return tuple(pattern.format(model=name, suffix=dataset.suffix) for name in names for pattern in patterns)


def _resolve(entry: Mapping[str, Any], known: Mapping[str, CatalogModel]) -> dict[str, Any]:
    """An entry with all that its family, or the model it is cut from, says for it."""
    if "cut_from" in entry:
        whole = known[entry["cut_from"]]
        inherited = {
            key: getattr(whole, key) for key in ("model_type", "hub", "tokenizer", "vocabulary", "case")
        }
        return {**inherited, **entry, "fields": {**whole.fields, "num_hidden_layers": entry["layers"]}}
    family = _models_file()["families"].get(entry.get("family"), {})
    joined = {**family, **entry, "fields": {**family.get("config", {}), **entry.get("config", {})}}
    return {key: value for key, value in joined.items() if key not in ("family", "config")}


@cache
def _models_file() -> dict[str, Any]:
    return _read("models.toml")


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / name).read_text(encoding="utf-8"))

"""What the names in a sweep mean: catalog, the sweep's own tables and files on disk, as resolved values."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from sgonz import catalog
from sgonz.errors import SpecError
from sgonz.plan.expand import Sources
from sgonz.plan.runs import Dataset, Model, Task
from sgonz.plan.selection import SCORES, check_criterion
from sgonz.plan.spec import DatasetTable, ModelTable, Sweep
from sgonz.rundir import Workdir
from sgonz.sweep.model_folder import lacks
from sgonz.workdir.fingerprints import FINGERPRINTS, Fingerprints, joined

SAMPLE_MODELS = ("sample-bert", "sample-roberta", "sample-albert")
FORMATS: Mapping[Task, tuple[str, ...]] = {  # of files; what comes from a hub has columns instead
    "classification": ("jsonl", "csv", "tsv", "mldoc", "pawsx", "xnli"),
    "tagging": ("conllu", "conll2002"),
    "qa": ("squad",),
}
MISSING = "missing"  # in place of a fingerprint: the run's id will change when the files are there


@dataclass
class Resolution:
    """Resolved sources, and what is not there yet."""

    sources: Sources
    missing: list[str] = field(default_factory=list)  # one sentence each


def sample_folder(sweep: Sweep, workdir: Workdir) -> Path | None:
    """Where the corpora and models that sgonz makes for this sweep stand."""
    if sweep.sample is None:
        return None
    return workdir.root / "sample" / f"{sweep.sample.seed}-{sweep.sample.size}"


def resolve(sweep: Sweep, workdir: Workdir, source: str) -> Resolution:
    """Resolve every data set and model that the sweep names, and fingerprint what they hold.

    Raises SpecError for a name that nothing defines; files that are not there are listed, not raised.
    """
    prints = Fingerprints(workdir.cache / FINGERPRINTS if workdir.cache.is_dir() else None)
    resolver = _Resolver(sweep=sweep, source=source, sample=sample_folder(sweep, workdir), prints=prints)
    datasets = {name: resolver.dataset(name) for name in sweep.dataset_names}
    students = sweep.distill.models if sweep.distill else []
    models = {name: resolver.model(name) for name in dict.fromkeys([*sweep.finetune.models, *students])}
    _check_names(sweep, source)
    _check_criteria(sweep, datasets, source)
    prints.save()
    missing = list(dict.fromkeys(resolver.missing))  # a model and the cuts of it miss the same files
    return Resolution(sources=Sources(datasets=datasets, models=models, file=source), missing=missing)


@dataclass
class _Resolver:
    sweep: Sweep
    source: str
    sample: Path | None
    prints: Fingerprints
    missing: list[str] = field(default_factory=list)

    def dataset(self, name: str) -> Dataset:
        """A data set as the sweep's own table, else the catalog, has it, with a print of its files.

        Raises SpecError: nothing of that name, a format that its task is not read from, no file for a split that is needed.
        """
        table = self.sweep.dataset_tables.get(name, DatasetTable())
        known = catalog.datasets()
        published = known.get(table.like or name)
        if published is None and (table.like or not (table.task and table.format)):
            raise _unknown("data set", table.like or name, [*known, *self.sweep.dataset_tables], self.source,
                           hint=f"Or define it: [datasets.{name}] with task, format and files (or hub).")  # fmt: skip
        facts = _described(published, table)
        facts["name"] = name
        facts["catalog"] = (table.like or name) if published else None
        if table.hub:
            del facts["files"]
            return Dataset(
                **facts,
                hub=table.hub,
                hub_config=table.hub_config,
                revision=table.revision,
                hub_splits=table.hub_splits or {},
                fingerprint=_hub_data_print(table),
            )
        if facts["format"] not in FORMATS[facts["task"]]:
            raise SpecError(
                f"{self.source}: datasets.{name}: no {facts['task']} is read from format {facts['format']}",
                hint=f"Allowed for {facts['task']}: {', '.join(FORMATS[facts['task']])}.",
            )
        files = {split: str(self._folder(name, table) / file) for split, file in facts.pop("files").items()}
        for split in ("train", "validation"):
            if split not in files:
                raise SpecError(
                    f"{self.source}: datasets.{name}.files.{split} is missing", hint="Name a file for it."
                )
        return Dataset(**facts, files=files, fingerprint=self._print_files(f"data set {name}", files))

    def _folder(self, name: str, table: DatasetTable) -> Path:
        if table.path:
            return Path(table.path)
        if self.sweep.data_dir:
            return Path(self.sweep.data_dir) / name
        return self.sample / "data" / name if self.sample else Path("data") / name

    def _print_files(self, what: str, files: Mapping[str, str]) -> str:
        absent = [path for path in files.values() if not Path(path).is_file()]
        if absent:
            self.missing.append(f"{what}: {', '.join(absent)} not found")
            return MISSING
        return self.prints.of_dataset(files)

    def model(self, name: str, above: tuple[str, ...] = ()) -> Model:
        """A model as the sweep's own table, else the catalog, has it; `above` are those that are cut from it.

        Raises SpecError: nothing of that name, two places to take it from, a cut of itself.
        """
        if name in above:
            raise SpecError(f"{self.source}: models.{name} is cut from itself")
        table = self.sweep.models.get(name)
        published = catalog.models().get(name)
        if table is None and self.sample is not None and name in SAMPLE_MODELS:
            table = ModelTable(path=str(self.sample / "models" / name))
        if table is None and published is None:
            known = [*self.sweep.models, *(SAMPLE_MODELS if self.sample else ()), *catalog.models()]
            raise _unknown("model", name, known, self.source,
                           hint=f"Or define it: [models.{name}] with path, hub, architecture or cut_from.")  # fmt: skip
        given = [key for key in ("path", "hub", "architecture", "cut_from") if table and getattr(table, key)]
        if len(given) > 1:
            raise SpecError(
                f"{self.source}: models.{name} says both {given[0]} and {given[1]}", hint="Keep one of them."
            )
        if table is not None and table.cut_from:
            if table.layers is None:
                raise SpecError(
                    f"{self.source}: models.{name}.layers is missing",
                    hint="Say how often the shared layer is repeated.",
                )
            return self._cut(name, table.cut_from, table.layers, above)
        if table is not None and (table.path or table.hub or table.architecture):
            return self._defined(name, table, published.config() if published else {})
        if published is None:
            raise SpecError(
                f"{self.source}: models.{name} says neither path, hub, architecture nor cut_from",
                hint="Say where it is: path = a folder, hub = a hub id; or what it is made of.",
            )
        if published.cut_from:
            return self._cut(name, published.cut_from, published.layers, above)
        revision = table.revision if table else None
        return Model(
            name=name,
            hub=tuple(published.hub),
            revision=revision,
            expected=published.config(),
            fingerprint=_hub_print(published.hub[0], revision),
        )

    def _cut(self, name: str, base: str, layers: int | None, above: tuple[str, ...]) -> Model:
        """A student that repeats the shared layer of an ALBERT `layers` times."""
        whole = self.model(base, (*above, name))
        expected = {**whole.expected, "num_hidden_layers": layers} if whole.expected else {}
        return msgspec.structs.replace(
            whole, name=name, overrides={**whole.overrides, "num_hidden_layers": layers}, expected=expected
        )

    def _defined(self, name: str, table: ModelTable, expected: dict[str, Any]) -> Model:
        model = Model(
            name=name,
            revision=table.revision,
            tokenizer=self._tokenizer(table),
            expected=expected,
            trust_remote_code=table.trust_remote_code,
        )
        if table.path:
            folder = Path(table.path)
            if lacking := lacks(folder, tokenizer=model.tokenizer is None):
                self.missing.append(f"model {name}: {folder} {lacking}")
            if folder.is_dir():
                found = self.prints.of_local_model(folder, model.tokenizer)
            else:
                found = self._with_tokenizer(MISSING, model)
            return msgspec.structs.replace(model, path=str(folder), fingerprint=found)
        if table.hub:
            ids = (table.hub,) if isinstance(table.hub, str) else tuple(table.hub)
            found = self._with_tokenizer(_hub_print(ids[0], table.revision), model)
            return msgspec.structs.replace(model, hub=ids, fingerprint=found)
        return self._from_scratch(model, table.architecture or {})

    def _with_tokenizer(self, found: str, model: Model) -> str:
        """A print of the weights, and of the tokenizer where it stands elsewhere."""
        if model.tokenizer is None:
            return found
        return joined(found, self.prints.of_tokenizer(model.tokenizer))

    def _from_scratch(self, model: Model, architecture: dict[str, Any]) -> Model:
        for key, present in (
            ("architecture.model_type", architecture.get("model_type")),
            ("tokenizer", model.tokenizer),
        ):
            if not present:
                raise SpecError(
                    f"{self.source}: models.{model.name}.{key} is missing",
                    hint="A model built from scratch needs a type (albert, bert, ...) and a tokenizer.",
                )
        described = msgspec.json.encode(architecture, order="sorted") + self.prints.of_tokenizer(
            str(model.tokenizer)
        )
        found = hashlib.sha256(described).hexdigest()[:32]
        return msgspec.structs.replace(model, architecture=architecture, expected={}, fingerprint=found)

    def _tokenizer(self, table: ModelTable) -> str | None:
        """A folder, a hub id, or the model of this sweep whose tokenizer is meant."""
        if table.tokenizer in SAMPLE_MODELS and self.sample is not None:
            return str(self.sample / "models" / str(table.tokenizer))
        other = self.sweep.models.get(table.tokenizer or "")
        return other.path or (other.hub if isinstance(other.hub, str) else None) if other else table.tokenizer


def _hub_print(hub: str, revision: str | None) -> str:
    return f"hub:{hub}@{revision or 'main'}"


def _hub_data_print(table: DatasetTable) -> str:
    """A hub's data set, its configuration and its splits: another part of the same id is other data."""
    splits = ",".join(f"{ours}={theirs}" for ours, theirs in sorted((table.hub_splits or {}).items()))
    return "#".join(filter(None, [_hub_print(table.hub or "", table.revision), table.hub_config, splits]))


def _described(published: Any, table: DatasetTable) -> dict[str, Any]:
    """The catalog's description with the sweep's own words over it."""
    names = ("task", "format", "metric", "language", "pair", "labels", "files")
    facts = {
        name: getattr(published, name) for name in names if published is not None and hasattr(published, name)
    }
    own = {name: getattr(table, name) for name in names if getattr(table, name) is not None}
    facts = {**facts, **own}
    facts["limit"] = dict(table.limit)
    facts["labels"] = tuple(facts["labels"]) if facts.get("labels") else None
    facts["files"] = dict(facts.get("files") or {})
    facts.setdefault("metric", "accuracy" if facts["task"] == "classification" else "f1")
    return facts


def _check_names(sweep: Sweep, source: str) -> None:
    """Overrides and [teacher.per_dataset] speak of models and data sets that the sweep has."""
    for stage_name, stage in (("finetune", sweep.finetune), ("distill", sweep.distill)):
        for index, override in enumerate(stage.override if stage else []):
            for what, names, known in (
                ("model", override.models, stage.models if stage else []),
                ("data set", override.datasets, sweep.dataset_names),
            ):
                for name in names or []:
                    if name not in known:
                        raise _unknown(what, name, known, f"{source}: {stage_name}.override[{index}]")
    for name in sweep.teacher.per_dataset:
        if name not in sweep.dataset_names:
            raise _unknown("data set", name, sweep.dataset_names, f"{source}: teacher.per_dataset")


def _check_criteria(sweep: Sweep, datasets: Mapping[str, Dataset], source: str) -> None:
    """What a data set is judged and chosen by is a score of its task."""
    for name, dataset in datasets.items():
        if dataset.metric not in SCORES[dataset.task]:
            raise SpecError(
                f"{source}: datasets.{name}.metric is {dataset.metric!r}, which is no score of a {dataset.task} run",
                hint=f"Allowed there: {', '.join(SCORES[dataset.task])}.",
            )
        key = f"per_dataset.{name}" if name in sweep.teacher.per_dataset else "select"
        check_criterion(sweep.criterion(name), dataset.task, f"{source}: teacher.{key} for data set {name}")


def _unknown(what: str, name: str, known: Any, source: str, *, hint: str | None = None) -> SpecError:
    names = list(dict.fromkeys(known))
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    guess = f"; did you mean {near[0]}?" if near else ""
    return SpecError(
        f"{source}: {what} {name!r} is not known{guess}",
        hint=f"Known: {', '.join(names)}. {hint or ''}".strip(),
    )

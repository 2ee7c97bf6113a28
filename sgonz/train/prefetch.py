"""Models and data sets of the hub into its cache, as jobs without network will look for them; no remote code is run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sgonz.errors import DataError
from sgonz.hub_cache import is_cached
from sgonz.plan.runs import Dataset, Model

TOKENIZER = ("tokenizer*", "vocab*", "merges.txt", "spiece.model", "sentencepiece*.model", "special_tokens_map.json",
             "added_tokens.json")  # fmt: skip
SAFE, PICKLED = "*.safetensors", "pytorch_model*.bin"


@dataclass(frozen=True, kw_only=True)
class Prefetched:
    """One thing that jobs will ask the hub for."""

    kind: str  # model, tokenizer or data set
    name: str
    status: str  # fetched, present or absent
    detail: str  # where it is, or why it is not


def prefetch(models: Iterable[Model], datasets: Iterable[Dataset]) -> Iterator[Prefetched]:
    """Each as soon as it is there. What was there before is brought up to date where the hub answers."""
    seen: set[tuple[str, ...]] = set()
    for model in models:
        wanted = (*model.hub, f"@{model.revision}")
        if model.hub and wanted not in seen:
            seen.add(wanted)
            yield _model(model)
        if model.tokenizer and not Path(model.tokenizer).is_dir() and (model.tokenizer,) not in seen:
            seen.add((model.tokenizer,))
            yield _first("tokenizer", (model.tokenizer,), None, weights=False)
    for dataset in datasets:
        if dataset.hub:
            yield _dataset(dataset)


def _model(model: Model) -> Prefetched:
    return _first("model", model.hub, model.revision, weights=True)


def _first(kind: str, names: Iterable[str], revision: str | None, *, weights: bool) -> Prefetched:
    """From the first name that has it, as a run tries them."""
    refusals: list[str] = []
    for name in names:
        there = is_cached("models", name)
        try:
            folder = _download(name, revision, weights=weights)
        except (
            Exception
        ) as error:  # the hub's library raises a dozen kinds of its own, and of what it stands on
            refusals.append(f"{name}: {_said(error)}")
            continue
        return Prefetched(kind=kind, name=name, status="present" if there else "fetched", detail=str(folder))
    return Prefetched(kind=kind, name=next(iter(names)), status="absent", detail="; ".join(refusals))


def _download(name: str, revision: str | None, *, weights: bool) -> Path:
    """Configuration, tokenizer and weights, of these only one kind; nothing that is code."""
    from huggingface_hub import snapshot_download

    def fetch(*more: str) -> Path:
        return Path(
            snapshot_download(name, revision=revision, allow_patterns=["config.json", *TOKENIZER, *more])
        )

    folder = fetch(SAFE) if weights else fetch()
    if weights and not any(folder.glob(SAFE)):
        folder = fetch(PICKLED)
    if weights and not (any(folder.glob(SAFE)) or any(folder.glob(PICKLED))):
        raise FileNotFoundError(f"{folder} holds no weights")
    if not (folder / "config.json").exists() and weights:
        raise FileNotFoundError(f"{folder} holds no config.json")
    return folder


def _dataset(dataset: Dataset) -> Prefetched:
    """Every split, read once as a run reads it: that is what fills the cache."""
    from sgonz.train.readers import hub, reading
    from sgonz.train.readers.source import Source

    name = f"{dataset.hub}/{dataset.hub_config}" if dataset.hub_config else str(dataset.hub)
    there = is_cached("datasets", str(dataset.hub))
    splits = reading.splits(dataset)
    try:
        for split in splits:
            hub.loaded(Source(dataset=dataset, split=split, file=hub.place(dataset, split)))
    except DataError as error:
        why = _reason(error.__cause__) if error.__cause__ else None
        detail = f"{error.message} ({why})" if why else error.message
        return Prefetched(kind="data set", name=name, status="absent", detail=detail)
    status = "present" if there else "fetched"
    return Prefetched(kind="data set", name=name, status=status, detail=", ".join(splits))


def _said(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return _reason(error) or (lines[0] if lines else type(error).__name__)[:300]


def _reason(error: BaseException) -> str | None:
    """Why, in words; what the hub's library says begins with the number of an HTTP answer."""
    from huggingface_hub import errors

    reasons: tuple[tuple[type[BaseException], str], ...] = (
        (errors.GatedRepoError, "it is gated: ask for access on its page, and set HF_TOKEN"),
        (
            errors.RepositoryNotFoundError,
            "the hub has no such repository, or shows it only to others (HF_TOKEN)",
        ),
        (errors.RevisionNotFoundError, "the hub has no such revision"),
        (errors.OfflineModeIsEnabled, "not in the cache, and the hub is switched off (HF_HUB_OFFLINE)"),
        (errors.LocalEntryNotFoundError, "not in the cache, and the hub does not answer"),
        (ConnectionError, "the hub does not answer"),
    )
    chain = [error, *filter(None, (error.__cause__, error.__context__))]
    return next((said for kind, said in reasons if any(isinstance(each, kind) for each in chain)), None)

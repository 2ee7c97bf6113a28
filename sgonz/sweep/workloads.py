"""What decides how long runs take before anything has run: tokens to read, MACs per token."""

from __future__ import annotations

from pathlib import Path

from sgonz import catalog
from sgonz.errors import SpecError
from sgonz.plan.estimate import Workload
from sgonz.plan.expand import Sources
from sgonz.plan.runs import Dataset, Model
from sgonz.plan.sizing import macs_full, shape_of
from sgonz.sweep.architectures import architecture_of

LENGTH = 128  # tokens at which MACs per token are taken; attention makes them grow slowly with length
TOKENS_PER_EXAMPLE = {"classification": 64, "tagging": 48, "qa": 320}  # of the published data sets, roughly
BYTES_PER_TOKEN = {
    "conllu": 50.0,
    "conll2002": 12.0,
    "squad": 1.5,
}  # squad: each context is read for several questions
PLAIN_BYTES = 5.0
GZIP = 3.5  # how much such text shrinks


def workloads_of(sources: Sources) -> dict[tuple[str, str], Workload]:
    """A workload for every (data set, model) whose model's shape is known."""
    macs = {name: _macs_per_token(model) for name, model in sources.models.items()}
    return {
        (name, model): Workload(tokens=_tokens(dataset), macs=cost)
        for name, dataset in sources.datasets.items()
        for model, cost in macs.items()
        if cost is not None
    }


def _tokens(dataset: Dataset) -> float:
    path = Path(dataset.files.get("train", ""))
    if path.is_file():
        size = path.stat().st_size * (GZIP if path.suffix == ".gz" else 1.0)
        return size / BYTES_PER_TOKEN.get(dataset.format, PLAIN_BYTES)
    published = catalog.datasets().get(dataset.catalog or "")
    rows = published.sizes["train"] if published else 10_000
    return float(min(rows, dataset.limit.get("train", rows)) * TOKENS_PER_EXAMPLE[dataset.task])


def _macs_per_token(model: Model) -> float | None:
    fields = architecture_of(model)
    if fields is None:
        return None
    try:
        shape = shape_of(fields["model_type"], fields)
    except SpecError:
        return None
    return macs_full(shape, 1, LENGTH, 3) / LENGTH

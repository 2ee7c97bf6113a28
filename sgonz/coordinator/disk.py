"""Whether there is room for what is still to come: the quota or the free space, beside what runs will leave behind."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from sgonz import catalog
from sgonz.cluster.quota import quota_of
from sgonz.cluster.quota_words import Quota
from sgonz.errors import SpecError
from sgonz.plan.estimate import Workload
from sgonz.plan.expand import Sources
from sgonz.plan.protocol import resolve
from sgonz.plan.retention import bytes_to_come, logits_bytes
from sgonz.plan.runs import Dataset, Kind, Model
from sgonz.plan.sizing import parameters, shape_of
from sgonz.plan.spec import Sweep
from sgonz.plan.state import RunRow
from sgonz.sweep.architectures import architectures_of
from sgonz.sweep.workloads import TOKENS_PER_EXAMPLE

LEAST_SHARE = 0.05  # of a disk that should stay free,
LEAST_BYTES = 20 * 2**30  # unless it is so large that this much is enough
GIB = 2**30
ASK_EVERY = 300.0  # seconds
LABELS = 20  # of a data set of which nobody has said how many it has
Workloads = Mapping[tuple[str, str], Workload]


def to_come(sweep: Sweep, sources: Sources, rows: Sequence[RunRow], workloads: Workloads) -> int:
    """Bytes that these runs will take at most at a time, by the size of models and texts as far as they are known.

    Teachers' logits that are not stored yet count too, whether or not their runs are planned already.
    """
    if all(row.state.is_final for row in rows):
        return 0
    return bytes_to_come(rows, sweep.keep, sizes(sources.models)) + _logits(sweep, sources, rows, workloads)


def _logits(sweep: Sweep, sources: Sources, rows: Sequence[RunRow], workloads: Workloads) -> int:
    if sweep.distill is None:
        return 0
    done = {
        row.dataset for row in rows if row.kind is Kind.LOGITS and row.state.is_final and not row.superseded
    }
    width = 4 if resolve(sweep.protocol, sweep.protocol_switches)["logits_dtype"] == "float32" else 2
    tokens = {name: load.tokens for (name, _), load in workloads.items()}
    return sum(
        logits_bytes(
            dataset.task, tokens=tokens[name], examples=tokens[name] / TOKENS_PER_EXAMPLE[dataset.task],
            labels=len(_labels(dataset)) or LABELS, width=width,
        )
        for name, dataset in sources.datasets.items()
        if name in tokens and name not in done
    )  # fmt: skip


def _labels(dataset: Dataset) -> Sequence[str]:
    published = catalog.datasets().get(dataset.catalog or "")
    return dataset.labels or (published.labels if published else None) or ()


def sizes(models: Mapping[str, Model]) -> dict[str, int]:
    """Parameters of every model whose architecture is known here."""
    found = {}
    for name, fields in architectures_of(models).items():
        try:
            found[name] = parameters(shape_of(fields["model_type"], fields), 3)
        except SpecError:
            continue
    return found


def warning(folder: Path, needed: int = 0) -> str | None:
    """One line where too little is left for what is to come, or hardly anything; the quota counts where there is one."""
    quota = _asked(folder, int(time.monotonic() / ASK_EVERY))
    if quota is not None:
        left, size = int((quota.limit - quota.used) * GIB), int(quota.limit * GIB)
        whose = f"of the quota on {quota.device}"
    else:
        usage = shutil.disk_usage(folder)
        left, size, whose = usage.free, usage.total, f"on the disk of {folder}"
    return said(left, size, needed, whose)


@lru_cache(maxsize=1)
def _asked(folder: Path, period: int) -> Quota | None:
    """The quota, asked once in a while: turns may follow each other every second."""
    return quota_of(folder)


def said(left: int, size: int, needed: int, whose: str) -> str | None:
    if left >= min(LEAST_SHARE * size, LEAST_BYTES) and needed <= left:
        return None
    more = f", and what is still to come takes up to {_amount(needed)}" if needed > left else ""
    return f"disk: {_amount(max(left, 0))} left {whose}{more}; `sgonz clean` shows what can go"


def _amount(size: int) -> str:
    return f"{size / GIB:.1f} GiB" if size >= GIB or not size else f"{size / 2**20:.1f} MiB"

"""Whether there is room for what is still to come: the quota or the free space, beside what runs will leave behind."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from sgonz.cluster.quota import Quota, quota_of
from sgonz.errors import SpecError
from sgonz.plan.retention import Keep, bytes_to_come
from sgonz.plan.runs import Model
from sgonz.plan.sizing import parameters, shape_of
from sgonz.plan.state import RunRow
from sgonz.sweep.architectures import architectures_of

LEAST_SHARE = 0.05  # of a disk that should stay free,
LEAST_BYTES = 20 * 2**30  # unless it is so large that this much is enough
GIB = 2**30
ASK_EVERY = 300.0  # seconds


def to_come(models: Mapping[str, Model], rows: Sequence[RunRow], keep: Keep) -> int:
    """Bytes that these runs will take at most at a time, by the size of their models, as far as that is known."""
    return bytes_to_come(rows, keep, sizes(models)) if any(not row.state.is_final for row in rows) else 0


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
    more = f", and what is still to come takes up to {needed / GIB:.1f} GiB" if needed > left else ""
    return f"disk: {max(left, 0) / GIB:.1f} GiB left {whose}{more}; `sgonz clean` shows what can go"

"""Learning curves as TensorBoard reads them: a folder for every run, with its losses, its scores and its settings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SUFFIX = ".sgonz"  # of the files that are ours to replace
Row = Mapping[str, Any]


def write_curves(
    folder: Path, points: Sequence[Row], settings: Mapping[str, str | float], ended: float | None
) -> None:
    """Write one run's folder anew: `points` are (name, epoch, value); `ended` is the only time that is known of them."""
    from tensorboardX import SummaryWriter
    from tensorboardX.summary import hparams

    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f"events.out.tfevents.*{SUFFIX}"):
        old.unlink()
    with SummaryWriter(logdir=str(folder), filename_suffix=SUFFIX) as writer:
        last: dict[str, float] = {}
        for point in points:
            if math.isfinite(point["value"]):
                writer.add_scalar(point["name"], point["value"], point["epoch"], walltime=ended)
                last[point["name"]] = point["value"]
        for summary in hparams(dict(settings), last):
            writer.file_writer.add_summary(summary)

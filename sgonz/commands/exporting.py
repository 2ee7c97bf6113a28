"""export: learning curves for other tools, and models for whoever uses them."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from sgonz.cli import options
from sgonz.cli.working import Working, working
from sgonz.commands import handing_on
from sgonz.commands.choosing import chosen
from sgonz.commands.reporting import file_name, sweep_name
from sgonz.errors import UserError
from sgonz.plan.runs import TRAINED
from sgonz.plan.state import RunRow
from sgonz.plan.wording import number_of
from sgonz.rundir import Workdir
from sgonz.store.rows import SweepRow
from sgonz.store.store import Store
from sgonz.sweep.opening import named, open_existing
from sgonz.sweep.planned import workdir_of

COLUMNS = (
    "run_id",
    "kind",
    "dataset",
    "model",
    "teacher",
    "seed",
    "learning_rate",
    "batch_size",
    "epoch",
    "name",
    "value",
)


def export(
    name: str | None, workdir: str | None, where: str | None, limit: int | None, *, models: str | None, tensorboard: str | None, curves: str | None
) -> None:  # fmt: skip
    """Write a sweep's models, or the curves of its trained runs, where they are wanted."""
    if not (models or tensorboard or curves):
        raise UserError(
            "nothing to export",
            hint="Name a folder with --models DIR or --tensorboard DIR, a file with --curves FILE.csv, or several of them.",
        )
    at = workdir_of(workdir)
    with open_existing(at, read_only=True) as store, working("reading runs") as shown:
        sweep = named(store, sweep_name(name), at)
        rows = store.snapshot(sweep.id)
        if models:
            _models(at, sweep, handing_on.wanted(rows, where)[:limit], Path(models), shown)
        if not tensorboard and not curves:
            return
        trained = [row for row in chosen(rows, where) if row.kind in TRAINED and row.attempts][:limit]
        shown.label = "curves"
        written = _write(store, trained, tensorboard, curves, shown)
    options.say(
        f"the curves of {number_of(written, 'run')}"
        + (f"; of {len(trained) - written:,} none are stored" if written < len(trained) else "")
    )
    if tensorboard:
        options.say(f"look at them with: tensorboard --logdir {tensorboard}")


def _models(at: Workdir, sweep: SweepRow, rows: Sequence[RunRow], target: Path, shown: Working) -> None:
    if not rows:
        raise UserError("no model to export: no finished run was chosen",
                        hint="See `sgonz results --all`; without --where it is the best run of every model.")  # fmt: skip
    written, lacking = handing_on.write(at, sweep, rows, target, shown)
    for folder in written:
        options.say(str(folder))
    if lacking:
        names = ", ".join(row.run_id for row in lacking[:5])
        options.say(f"of {number_of(len(lacking), 'run')} the weights were not kept: {names}{', …' if len(lacking) > 5 else ''}; "
                    "`keep` in the sweep says what is")  # fmt: skip


def _write(
    store: Store, rows: Sequence[RunRow], tensorboard: str | None, curves: str | None, shown: Working
) -> int:
    if curves is None:
        return _each(store, rows, tensorboard, None, shown)
    path = Path(curves)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    try:
        with draft.open("w", newline="", encoding="utf-8") as stream:
            written = _each(store, rows, tensorboard, stream, shown)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return written


def _each(
    store: Store, rows: Sequence[RunRow], tensorboard: str | None, stream: TextIO | None, shown: Working
) -> int:
    table = csv.writer(stream, lineterminator="\n") if stream else None
    if table:
        table.writerow(COLUMNS)
    written = 0
    for row in shown.through(rows):
        points = list(_points(store, row))
        if not points:
            continue
        written += 1
        if table:
            same = [
                row.run_id,
                row.kind,
                row.dataset,
                row.model,
                row.teacher,
                row.seed,
                row.learning_rate,
                row.batch_size,
            ]
            table.writerows([*same, point["epoch"], point["name"], point["value"]] for point in points)
        if tensorboard:
            from sgonz.view.event_files import write_curves

            write_curves(Path(tensorboard) / _folder(row), points, _settings(row), row.ended)
    return written


def _points(store: Store, row: RunRow) -> Iterator[dict[str, Any]]:
    for score in store.epochs(row.run_id):
        values = {"loss/train": score.train_loss, "loss/validation": score.validation_loss,
                  **{f"validation/{name}": value for name, value in score.validation.items()}}  # fmt: skip
        yield from (
            {"name": name, "epoch": score.epoch, "value": value}
            for name, value in values.items()
            if value is not None
        )


def _folder(row: RunRow) -> str:
    """`xnli/distill-albeto-tiny-5e-05-16-9f0c12ab34cd56ef`: what tells runs apart in TensorBoard's list."""
    told = f"{row.kind}-{row.model}-{row.learning_rate:g}-{row.batch_size}-{row.run_id}"
    return f"{file_name(row.dataset)}/{file_name(told)}"


def _settings(row: RunRow) -> dict[str, str | float]:
    given: dict[str, str | float] = {"kind": str(row.kind), "dataset": row.dataset, "model": row.model, "teacher": row.teacher or "none",
             "learning_rate": row.learning_rate or 0.0, "batch_size": row.batch_size or 0, "epochs": row.epochs or 0, "seed": row.seed}  # fmt: skip
    return given

"""export --models: trained models with their tokenizers and cards, in folders that are read without sgonz."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sgonz import __version__
from sgonz.cli.working import Working
from sgonz.commands.choosing import chosen
from sgonz.commands.reporting import file_name
from sgonz.errors import UserError
from sgonz.plan.runs import TRAINED, RunSpec, State
from sgonz.plan.state import RunRow
from sgonz.rundir import Workdir, disk_errors
from sgonz.store.rows import SweepRow
from sgonz.view.model_card import model_card

CARD = "README.md"


def wanted(rows: Sequence[RunRow], where: str | None) -> list[RunRow]:
    """Every finished trained run that a selector chooses; without one the best of every model."""
    return [
        row
        for row in chosen(rows, where)
        if row.kind in TRAINED and row.state is State.COMPLETED and (where or row.selected)
    ]


def write(
    at: Workdir, sweep: SweepRow, rows: Sequence[RunRow], target: Path, shown: Working
) -> tuple[list[Path], list[RunRow]]:
    """The folders that were written, and the runs whose weights were not kept. A folder of before is replaced, once it is whole.

    Raises UserError where the target lies inside the work folder, WorkdirError where it cannot be written or the disk is full.
    """
    if target.resolve().is_relative_to(at.root.resolve()):
        raise UserError(f"{target} is inside the work folder", hint="Name a folder beside it.")
    written: list[Path] = []
    lacking: list[RunRow] = []
    for row, folder in zip(rows, folders(rows, target), strict=True):
        source = at.run(row.run_id).output / "model"
        if not source.is_dir():
            lacking.append(row)
            continue
        shown.label = f"{row.model} on {row.dataset}"
        spec = at.run(row.run_id).read_spec()
        card = model_card(spec, _scores(row), _made(sweep, row, spec), folder=f"path/to/{folder.name}")
        place(source, folder, card)
        written.append(folder)
    return written, lacking


def folders(rows: Sequence[RunRow], target: Path) -> Iterator[Path]:
    """`DIR/xnli/distill-albeto-tiny`; with the run's id where that names several (seeds, or what --where chose)."""
    plain = [(file_name(row.dataset), file_name(f"{row.kind}-{row.model}")) for row in rows]
    times = Counter(plain)
    for row, (dataset, name) in zip(rows, plain, strict=True):
        yield target / dataset / (name if times[dataset, name] == 1 else f"{name}-{row.run_id}")


def place(source: Path, folder: Path, card: str) -> None:
    """Copy a model folder and put the card in. Whatever goes wrong, what stood at `folder` before stands there still."""
    draft, aside = (folder.with_name(f".{folder.name}.{word}") for word in ("draft", "old"))
    with disk_errors(folder, option="--models"):
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        try:
            for file in source.iterdir():  # copytree would go on after a full disk, and lose what it said
                shutil.copy2(file, draft)
            (draft / CARD).write_text(card, encoding="utf-8")
            if folder.exists():
                shutil.rmtree(aside, ignore_errors=True)
                folder.rename(aside)
            draft.rename(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)


def _scores(row: RunRow) -> Mapping[str, Mapping[str, float]]:
    found = {"test": row.test, "validation": row.validation}
    return {split: {name: value for name, value in scores.items() if name != "loss"}
            for split, scores in found.items() if scores}  # fmt: skip


def _made(sweep: SweepRow, row: RunRow, spec: RunSpec) -> Mapping[str, str]:
    told = sweep.provenance
    packages = told.get("packages")
    pairs = {
        "run": row.run_id, "sweep": sweep.name, "sgonz": told.get("sgonz", __version__), "commit": told.get("commit"),
        "best epoch": row.best_epoch, "data set": spec.dataset.fingerprint, "model": spec.model.fingerprint or spec.model.revision,
        **(packages if isinstance(packages, dict) else {}),
    }  # fmt: skip
    return {name: str(value) for name, value in pairs.items() if value}

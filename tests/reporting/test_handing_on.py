"""Where models go that are handed on, and what a full disk leaves there."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from sgonz.commands.handing_on import folders, place
from sgonz.errors import SgonzError
from sgonz.plan.runs import Kind
from sgonz.plan.state import RunRow


def row(run_id: str, model: str = "tiny", seed: int = 42) -> RunRow:
    return RunRow(run_id=run_id, kind=Kind.DISTILL, dataset="xnli", model=model, seed=seed, selected=True)


def test_the_best_runs_of_several_seeds_do_not_write_over_each_other(tmp_path: Path) -> None:
    names = [
        folder.name for folder in folders([row("aa", seed=1), row("bb", seed=2), row("cc", "base")], tmp_path)
    ]
    assert names == ["distill-tiny-aa", "distill-tiny-bb", "distill-base"]


def test_a_disk_that_fills_leaves_what_was_handed_on_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, folder = tmp_path / "model", tmp_path / "best" / "tiny"
    source.mkdir()
    (source / "config.json").write_text("{}")
    place(source, folder, "one")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copy2", full)
    with pytest.raises(SgonzError, match="no space left") as refused:
        place(source, folder, "two")
    assert "--models" in (refused.value.hint or "")
    assert (folder / "README.md").read_text() == "one"
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]

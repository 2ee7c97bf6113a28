"""The copy of the code that jobs run is there whole, or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from sgonz.errors import WorkdirError
from sgonz.rundir import Workdir
from sgonz.workdir import codebase


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout" / "sgonz"
    (folder / "plan" / "__pycache__").mkdir(parents=True)
    for name in ("one.py", "plan/two.py", "plan/__pycache__/two.cpython-311.pyc", ".hidden"):
        (folder / name).write_text(name, encoding="utf-8")
    return folder


def test_a_copy_has_what_was_compiled_and_nothing_hidden(tmp_path: Path, package: Path) -> None:
    workdir = Workdir(tmp_path / "work")
    digest = codebase.keep(workdir, package)
    assert digest == codebase.kept_as(package)
    copied = codebase.folder_of(workdir, str(digest)) / "sgonz"
    names = {str(path.relative_to(copied)) for path in copied.rglob("*") if path.is_file()}
    assert names == {"one.py", "plan/two.py", "plan/__pycache__/two.cpython-311.pyc"}


def test_a_full_disk_leaves_no_half_copy(
    tmp_path: Path, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workdir, copy, left = Workdir(tmp_path / "work"), shutil.copy2, [1]

    def fills_up(source: Path, target: Path) -> None:
        if not left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        left.pop()
        copy(source, target)

    monkeypatch.setattr(shutil, "copy2", fills_up)
    with pytest.raises(WorkdirError, match="no space left"):
        codebase.keep(workdir, package)
    assert not list((workdir.root / "code").iterdir())
    monkeypatch.undo()
    assert codebase.keep(workdir, package) is not None

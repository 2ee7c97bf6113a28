"""What is kept of where a sweep came from, and what is not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sgonz import __version__
from sgonz.cluster.checkout import commit_of, is_dirty
from sgonz.resources import shipped
from sgonz.sweep.provenance import provenance, without_secrets


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    subprocess.run(["git", "-C", folder, *who, *arguments], check=True, capture_output=True)


def test_changed_and_new_files_make_a_checkout_dirty_and_ignored_ones_do_not(tmp_path: Path) -> None:
    assert (commit_of(tmp_path), is_dirty(tmp_path)) == (None, None)
    git(tmp_path, "init")
    (tmp_path / "code.py").write_text("a = 1\n")
    (tmp_path / ".gitignore").write_text("*.log\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    (tmp_path / "run.log").write_text("x")
    assert is_dirty(tmp_path) is False
    assert len(commit_of(tmp_path) or "") == 40
    (tmp_path / "new.py").write_text("b = 1\n")
    assert is_dirty(tmp_path) is True
    (tmp_path / "new.py").unlink()
    (tmp_path / "code.py").write_text("a = 2\n")
    assert is_dirty(tmp_path) is True


def test_provenance_names_versions_host_and_commit() -> None:
    known = provenance()
    assert known["sgonz"] == __version__
    assert known["host"]
    assert "sqlalchemy" in known["packages"]
    assert {"commit", "dirty", "python", "command"} <= set(known)
    if (shipped("jobs").parent / ".git").exists():
        assert len(known["commit"]) == 40


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (["run", "a.toml", "--set", "max_tokens=128"], ["run", "a.toml", "--set", "max_tokens=128"]),
        (["copy", "x.db", "postgresql://me:s3:cr@t@host/db"], ["copy", "x.db", "postgresql://me:***@host/db"]),
        (["postgresql://host/db?user=me&password=s3cret&x=1"], ["postgresql://host/db?user=me&password=***&x=1"]),
        (["--hub-token", "hf_1", "--yes"], ["--hub-token", "***", "--yes"]),
        (["--password=s3cret"], ["--password=***"]),
    ],
)  # fmt: skip
def test_command_line_is_kept_without_secrets(words: list[str], kept: list[str]) -> None:
    assert without_secrets(words) == kept

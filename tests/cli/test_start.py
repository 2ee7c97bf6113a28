"""Start-up: what a command imports before it does anything."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "transformers", "datasets", "numpy", "sqlalchemy", "alembic", "submitit", "rich")
ROOT = Path(__file__).resolve().parents[2]


def imported_by(*arguments: str) -> tuple[set[str], str]:
    """The heavy modules that a command imports, and what it prints."""
    code = (
        "import sys, atexit, json\n"
        f"atexit.register(lambda: print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]), file=sys.stderr))\n"
        f"sys.argv = ['sgonz', *{list(arguments)!r}]\n"
        "from sgonz.cli.main import main\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1])), done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("run", "--help"),
        ("--version",),
        ("plan", "speedy_gonzales", "--format", "json"),
        ("plan", "demo", "--show"),
    ],
)
def test_light_commands_import_nothing_heavy(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SGONZ_WORKDIR", str(tmp_path / "work"))
    assert imported_by(*arguments)[0] == set()


def test_the_published_study_has_the_published_number_of_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SGONZ_WORKDIR", str(tmp_path / "work"))
    _, printed = imported_by("plan", "speedy_gonzales", "--format", "json")
    counts = json.loads(printed)["runs"]
    assert (counts["finetune"], counts["logits"], counts["distill"]) == (3168, 8, 288)
    assert not (tmp_path / "work").exists()

"""An installed wheel has all that a checkout has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which a wheel of this checkout was installed."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT], check=True
    )
    (wheel,) = folder.glob("*.whl")
    subprocess.run(
        [*pip, "install", "--no-deps", "--no-index", "--target", folder / "site", wheel], check=True
    )
    return folder / "site"


def run(installed: Path, folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(installed), "SGONZ_WORKDIR": str(folder / "work")}
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_sweeps_profiles_and_migrations_are_in_the_wheel(installed: Path, tmp_path: Path):
    code = "from sgonz.resources import shipped; import sgonz; print(sgonz.__file__, *(shipped(n) for n in ('jobs','cluster_configs','db')))"
    (tmp_path / "where.py").write_text(code)
    places = run(installed, tmp_path, "where").split()
    assert all(place.startswith(str(installed)) for place in places)
    for inside in (
        "jobs/demo.toml",
        "cluster_configs/local.toml",
        "db/migrations/env.py",
        "db/queries/leaderboard.sql",
        "slurm/advance.sbatch",
    ):
        assert (installed / "sgonz" / "_shipped" / inside).is_file(), inside


def test_an_installed_sgonz_plans_the_published_study_anywhere(installed: Path, tmp_path: Path):
    answer = json.loads(run(installed, tmp_path, "sgonz", "plan", "speedy_gonzales", "--format", "json"))
    assert answer["runs"]["finetune"] == 3168

"""One column of the published study, scaled down, from the shipped sweep file to the published comparison."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sgonz import catalog

pytestmark = pytest.mark.slow

CANDIDATES = {name for name, model in catalog.models().items() if "candidate" in model.roles}
STUDENTS = {row.model for row in catalog.published().rows if row.stage == "distill"}


def sgonz(work: Path, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-m", "sgonz", *arguments], capture_output=True, text=True, check=False,
                          env={**os.environ, "SGONZ_WORKDIR": str(work), "OMP_NUM_THREADS": "1"})  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def answer(work: Path, *arguments: str) -> Any:
    return json.loads(sgonz(work, *arguments, "--format", "json"))


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("column") / "work"
    sgonz(folder, "run", "column")
    return folder


def test_every_model_and_student_goes_from_grid_to_test_score(work: Path) -> None:
    status = answer(work, "status")
    assert status["finished"]
    assert status["runs"] == {"COMPLETED": status["attempts"]}
    selected = [row for row in answer(work, "results") if row["selected"]]
    assert {row["model"] for row in selected if row["kind"] == "finetune"} == CANDIDATES
    assert {row["model"] for row in selected if row["kind"] == "distill"} == STUDENTS
    for row in selected:
        assert row["test"]["f1"] is not None, row["model"]
        if row["kind"] == "distill":
            assert (row["notes"]["alignment"], row["notes"]["coverage"]) == ("words", 1.0)


def test_the_choice_by_score_stands_beside_the_choice_by_loss(work: Path) -> None:
    facts = answer(work, "status")["datasets"]["pos"]
    grid = [row for row in answer(work, "results") if row["kind"] == "finetune"]
    healthy = [row for row in grid if not row["flags"]] or grid
    by_id = {row["run_id"]: row for row in grid}
    assert facts["teacher"] == facts["teacher_by_loss"]
    assert by_id[facts["teacher"]]["validation_loss"] == min(row["validation_loss"] for row in healthy)
    chosen = by_id[facts["teacher_by_metric"]]["validation"]["f1"]
    assert chosen == max(row["validation"]["f1"] for row in healthy)


def test_results_stand_beside_the_published_ones(work: Path) -> None:
    compared = answer(work, "results", "--compare", "published")
    assert len(compared["results"]) == len(CANDIDATES) + len(STUDENTS) == 17
    for row in compared["results"]:
        assert row["difference"] == pytest.approx(row["ours"] - row["published"], abs=1e-5)
    assert len(compared["summary"]) == 17
    assert all(row["score"] is None and row["speedup"] > 0 for row in compared["summary"])
    rows = list(
        csv.DictReader(io.StringIO(sgonz(work, "results", "--compare", "published", "--format", "csv")))
    )
    assert len(rows) == 17 * 3
    for output in ("markdown", "table"):
        assert "98.95" in sgonz(work, "results", "--compare", "published", "--format", output)


def test_every_architecture_was_measured_in_a_job(work: Path) -> None:
    rows = answer(work, "query", "benchmarks")
    assert {row["model"] for row in rows} == CANDIDATES | STUDENTS
    assert all(
        row["latency_ms"] > 0 and row["macs"] > 0 and row["device"].startswith("cpu: ") for row in rows
    )

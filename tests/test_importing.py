"""Finished results of another study: read from CSV, selected by the rule for our own, totalled, asked about."""

from __future__ import annotations

import csv
import itertools
import json
import math
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sgonz.errors import DataError
from sgonz.importing import import_csv
from sgonz.rundir import Workdir
from sgonz.store.store import open_store

HEADER = ("data set", "student", "teacher", "learning rate", "batch", "completed epochs", "validation loss",
          "validation metric", "elapsed seconds")  # fmt: skip
GIVEN = {"metric": "f1", "task": "tagging", "teacher": None}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """336 rows: 8 data sets, 6 students, 7 points; some with a loss of -1, NaN, or none."""
    chance = random.Random(3)
    path = tmp_path / "study.csv"
    datasets = [f"data{number}" for number in range(8)]
    students = [f"student{number}" for number in range(6)]
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(HEADER)
        for dataset, student, point in itertools.product(datasets, students, range(7)):
            loss = {0: "-1", 1: "nan", 2: ""}.get(
                point if chance.random() < 0.7 else 9, f"{0.1 + chance.random():.4f}"
            )
            writer.writerow([dataset, student, f"best-{dataset}", 1e-5 * (point + 1), 16, chance.randint(1, 50), loss,
                             f"{chance.uniform(80, 81):.3f}", chance.randint(100, 9000)])  # fmt: skip
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def brought_in(study: Path, work: Path) -> Any:
    workdir = Workdir(work)
    workdir.create()
    return import_csv(study, workdir, workdir.store, name=None, columns=(), given=GIVEN)


def test_best_run_of_every_data_set_and_student_is_found_and_hours_are_totalled(
    study: Path, tmp_path: Path
) -> None:
    done = brought_in(study, tmp_path / "work")
    expected: dict[tuple[str, str], float] = {}
    for row in rows_of(study):
        loss = float(row["validation loss"] or "nan")
        if math.isfinite(loss) and loss >= 0:
            key = row["data set"], row["student"]
            expected[key] = min(loss, expected.get(key, math.inf))
    assert {(row["dataset"], row["student"]): row["validation_loss"] for row in done.best} == expected
    assert done.rows == done.new == 336
    assert done.hours == pytest.approx(sum(int(row["elapsed seconds"]) for row in rows_of(study)) / 3600)


def test_rows_without_a_loss_are_never_selected(study: Path, tmp_path: Path) -> None:
    done = brought_in(study, tmp_path / "work")
    unusable = [row for row in rows_of(study) if row["validation loss"] in ("-1", "nan", "")]
    assert done.unusable == len(unusable) > 50
    with open_store(tmp_path / "work" / "sgonz.db", workspace=tmp_path / "work") as store:
        rows = store.results()
    assert len([row for row in rows if row.state == "FAILED"]) == len(unusable)
    assert all(row.validation_loss is not None and row.validation_loss >= 0 for row in rows if row.selected)


def test_importing_again_changes_nothing(study: Path, tmp_path: Path) -> None:
    first = brought_in(study, tmp_path / "work")
    again = brought_in(study, tmp_path / "work")
    assert (again.new, again.best, again.hours) == (0, first.best, first.hours)


def test_file_that_lacks_a_column_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text("data set,student,lr,batch,epochs,verlust\nd,s,1e-5,16,3,0.5\n")
    workdir = Workdir(tmp_path / "work")
    workdir.create()
    with pytest.raises(DataError, match="validation_loss") as caught:
        import_csv(path, workdir, workdir.store, name=None, columns=(), given=GIVEN)
    assert "--column validation_loss=COLUMN" in str(caught.value)
    named = import_csv(
        path, workdir, workdir.store, name="n", columns=["validation_loss=verlust"], given=GIVEN
    )
    assert [row["validation_loss"] for row in named.best] == [0.5]


@pytest.mark.parametrize("lr", ["fast", "-1", ""])
def test_value_that_is_no_setting_names_its_line(tmp_path: Path, lr: str) -> None:
    path = tmp_path / "odd.csv"
    path.write_text(f"dataset,student,lr,batch,epochs,loss\nd,s,{lr},16,3,0.5\n")
    with pytest.raises(DataError, match=r"odd\.csv:2"):
        import_csv(path, Workdir(tmp_path), tmp_path / "x.db", name=None, columns=(), given=GIVEN)


def test_imported_study_is_shown_like_our_own(study: Path, tmp_path: Path) -> None:
    def sgonz(*arguments: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "sgonz", *arguments, "--workdir", str(tmp_path / "work"), "--format", "json"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    best = sgonz("import", str(study), "--metric", "f1")
    results = sgonz("results", "--sweep", "study")
    assert {row["run_id"] for row in results if row["selected"]} == {row["run_id"] for row in best}
    assert sgonz("status")["runs"]["FAILED"] > 50
    assert sum(row["hours"] for row in sgonz("query", "gpu_hours")) == pytest.approx(
        sum(int(row["elapsed seconds"]) for row in rows_of(study)) / 3600
    )
    assert sgonz("advance")["finished"] is True

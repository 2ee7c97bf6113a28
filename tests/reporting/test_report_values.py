"""A report's values are the store's: tables, gaps, figures."""

from __future__ import annotations

from typing import Any

import pytest

from sgonz import catalog
from sgonz.rundir import Workdir
from sgonz.store.store import open_store

Reports = dict[str, dict[str, Any]]


def table(report: dict[str, Any], name: str) -> dict[str, Any]:
    return next(table for table in report["tables"] if table["name"] == name)


def test_published_scores_come_out_as_they_were_printed(reports: Reports) -> None:
    titles = {model.title: name for name, model in catalog.models().items()}
    stages = {"fine-tuned": "finetune", "distilled": "distill"}
    rows = table(reports["published"], "summary")["rows"]
    assert len(rows) == 17
    for row in rows:
        theirs = catalog.published().row(stages[row["stage"]], titles[row["model"]])  # type: ignore[arg-type]
        assert theirs is not None
        assert {name: row[name] for name in theirs.headline} == theirs.headline
        assert (row["score_cut"], row["speedup_cut"], row["millions"]) == (
            theirs.score,
            theirs.speedup,
            theirs.millions,
        )
    differences = [row["difference"] for row in table(reports["published"], "published")["rows"]]
    assert len(differences) == 17 * 12
    assert set(differences) == {0.0}


def test_question_answering_has_exact_match_beside_f1(reports: Reports) -> None:
    rows = table(reports["published"], "qa")["rows"]
    (beto,) = [row for row in rows if row["model"] == "BETO cased"]
    assert (beto["mlqa:f1"], beto["mlqa:em"]) == (67.65, 43.38)


def test_teachers_stand_beside_the_published_ones(reports: Reports) -> None:
    rows = table(reports["published"], "teachers")["rows"]
    assert [row["teacher"] for row in rows] == [row["published"] for row in rows]
    assert [(row["done"], row["students"]) for row in rows] == [(6, 6)] * 8


def test_the_front_of_the_study_is_what_no_cheaper_model_reaches(reports: Reports) -> None:
    points = [row for row in reports["published"]["figures"]["points"]
              if (row["dataset"], row["by"]) == ("all data sets", "GMACs") and not row["stage"].startswith("published")]  # fmt: skip
    for point in points:
        beaten = any(other["cost"] <= point["cost"] and other["score"] >= point["score"] and
                     (other["cost"], other["score"]) != (point["cost"], point["score"]) for other in points)  # fmt: skip
        assert point["front"] is not beaten
    areas = {row["models"]: row["area"] for row in table(reports["published"], "tradeoff")["rows"]
             if (row["dataset"], row["by"]) == ("all data sets", "GMACs")}  # fmt: skip
    assert areas["fine-tuned"] < areas["distilled"] < areas["fine-tuned and distilled"]


def test_several_seeds_are_a_mean_with_its_spread(reports: Reports) -> None:
    (beto, own) = table(reports["half"], "classification")["rows"]
    assert (beto["xnli"], beto["xnli_sd"]) == (pytest.approx(81.0), pytest.approx(1.0))
    assert own["model"] == "own-model"


def test_what_is_missing_is_said(reports: Reports) -> None:
    told = " ".join(reports["half"]["gaps"])
    assert "12 of 30 runs are not done" in told
    assert "1 run gave no result" in told
    assert "means over 3 seeds" in told
    assert "no formula knows the work of own-model" in table(reports["half"], "speed")["note"].lower()
    (failure,) = table(reports["half"], "failures")["rows"]
    assert (failure["state"], failure["runs"], failure["reason"]) == (
        "FAILED",
        1,
        "CUDA error: device-side assert triggered",
    )
    assert reports["empty"]["gaps"] == ["The sweep has no runs yet."]


def test_hours_add_up_to_those_of_the_store(reports: Reports, workdirs: dict[str, Workdir]) -> None:
    with open_store(workdirs["half"].store, workspace=workdirs["half"].root, read_only=True) as store:
        seconds = [attempt.seconds or 0 for attempt in store.attempts()]
    rows = table(reports["half"], "hours")["rows"]
    assert sum(row["hours"] for row in rows) == pytest.approx(sum(seconds) / 3600)
    assert sum(row["wasted"] for row in rows) == pytest.approx(0.5)


def test_curves_are_those_of_the_selected_runs(reports: Reports) -> None:
    curves = reports["half"]["figures"]["curves"]
    assert {row["name"] for row in curves} == {"validation loss", "training loss", "validation accuracy"}
    assert len(curves) == 6 * 2 * 3
    assert {row["run"] for row in curves} == {
        row["run"] for row in table(reports["half"], "selected")["rows"]
    }


def test_the_grid_knows_runs_without_a_score(reports: Reports) -> None:
    cells = {(row["dataset"], row["model"], row["rate"]): row for row in reports["half"]["figures"]["grid"]}
    low = cells["xnli", "BETO cased", 1e-5]
    assert (low["runs"], low["without"]) == (3, 1)


def test_the_sweep_text_and_versions_are_there_to_do_it_again(reports: Reports) -> None:
    told = reports["half"]["reproduce"]
    assert told["sweep"] == "name = 'half'\n"
    assert told["commands"][0] == "pip install 'sgonz[train]==0.1'"
    assert {"name": "torch", "value": "2.8"} in reports["half"]["provenance"]

"""Named queries and any other SQL, on a connection that cannot write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from store_examples import a_family, a_run, a_sweep, completed, ended, epoch, send, started

from sgonz.errors import StoreError
from sgonz.plan.runs import Outcome, Settings
from sgonz.resources import shipped
from sgonz.store.query import named_queries
from sgonz.store.store import Store
from sgonz.store.views import definitions


def answer(store: Store, query: str, **parameters: Any) -> list[dict[str, Any]]:
    names, rows = store.query(query, parameters)
    return [dict(zip(names, row, strict=True)) for row in rows]


@pytest.fixture
def studied(store: Store) -> Store:
    """A teacher with a worse rival, a student that failed once, and its test score."""
    rival = a_run("rival", settings=Settings(learning_rate=1e-4))
    sweep = a_sweep(store, [rival, *a_family()])
    runs = ["rival", "teacher", "logits", "student", "exam"]
    send(store, sweep, "t", runs)
    fault = ended("student", Outcome.FAILED, signature="E:1", error="boom", time=40.0)
    exam = completed("exam", validation={}, validation_loss=None, test={"f1": 0.75})
    lines = [
        *started("rival"),
        completed("rival", validation_loss=0.9),
        *started("teacher"),
        epoch("teacher", 1),
        completed("teacher"),
        *started("logits"),
        completed("logits", validation={}, validation_loss=None),
        *started("student"),
        fault,
        *started("student", attempt=2),
        completed("student", attempt=2),
        *started("exam"),
        exam,
    ]
    store.apply("f", lines, 1000, tag="t", element=0)
    store.mark_selected({"teacher", "student"}, set(), sweep_id=sweep)
    return store


def test_leaderboard_shows_selected_runs_with_the_scores_of_their_evaluation(studied: Store) -> None:
    rows = answer(studied, "leaderboard")
    assert [(row["run_id"], row["test_score"], row["sweep"]) for row in rows] == [
        ("student", 0.75, "first"),
        ("teacher", None, "first"),
    ]


def test_best_runs_go_by_the_criterion(studied: Store) -> None:
    assert [row["run_id"] for row in answer(studied, "best_runs")] == ["student", "teacher"]


def test_collapsed_run_is_best_only_where_no_other_is(store: Store) -> None:
    sweep = a_sweep(store, [a_run("flat"), a_run("sound", settings=Settings(epochs=9))])
    send(store, sweep, "t", ["flat", "sound"])
    flat = [*started("flat"), completed("flat", validation_loss=0.1, flags=("majority_level",))]
    store.apply("f", flat, 10, tag="t", element=0)
    assert [row["run_id"] for row in answer(store, "best_runs")] == ["flat"]
    store.apply("f", [*started("sound"), completed("sound")], 20, tag="t", element=0)
    assert [row["run_id"] for row in answer(store, "best_runs")] == ["sound"]


def test_teachers_count_their_students(studied: Store) -> None:
    [row] = answer(studied, "teachers")
    assert (row["teacher_run"], row["logits"], row["students"], row["students_done"]) == (
        "teacher",
        "COMPLETED",
        1,
        1,
    )


def test_hours_are_those_of_attempts(studied: Store) -> None:
    hours = {(row["kind"], row["model"]): row for row in answer(studied, "gpu_hours")}
    student = hours[("distill", "albeto-tiny")]
    assert (student["attempts"], student["device"]) == (2, "cuda")
    assert float(student["hours"]) == pytest.approx(60 / 3600)
    assert float(student["wasted_hours"]) == pytest.approx(30 / 3600)
    [wasted] = answer(studied, "wasted")
    assert (wasted["outcome"], wasted["attempts"], wasted["host"]) == ("FAILED", 1, "n1")


def test_failures_say_what_and_where(studied: Store) -> None:
    [row] = answer(studied, "failures")
    assert (row["run_id"], row["signature"], row["error"], row["host"]) == ("student", "E:1", "boom", "n1")


def test_curves_and_slowest_runs(studied: Store) -> None:
    assert {row["name"]: row["value"] for row in answer(studied, "learning_curves")} == {
        "train_loss": 1.0,
        "validation_loss": 2.0,
        "f1": 0.1,
    }
    assert len(answer(studied, "slowest")) == 5


@pytest.mark.parametrize("name", sorted(named_queries()))
def test_every_named_query_says_what_it_answers_and_answers(store: Store, name: str) -> None:
    assert (shipped("db") / "queries" / f"{name}.sql").read_text().startswith("-- ")
    assert store.query(name, {})[1] == []


def test_every_view_can_be_asked_by_name() -> None:
    assert set(definitions()) <= set(named_queries())


def test_own_sql_takes_parameters(studied: Store) -> None:
    sql = "SELECT run_id FROM runs WHERE workspace_id = :workspace AND model LIKE '%tiny' AND seed = :seed ORDER BY 1"
    assert studied.query(sql, {"seed": 42}) == (["run_id"], [("exam",), ("student",)])
    with pytest.raises(StoreError, match=":seed"):
        studied.query(sql, {})


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM runs",
        "UPDATE runs SET state = 'FAILED'",
        "DROP VIEW leaderboard",
        "CREATE TABLE mine (a INTEGER)",
        "SELECT 1; DELETE FROM runs",
        "COMMIT; DELETE FROM runs",
        "INSERT INTO workspaces (path) VALUES ('/x')",
    ],
)
def test_writing_is_refused(studied: Store, sql: str) -> None:
    before = studied.snapshot()
    with pytest.raises(StoreError, match="refused"):
        studied.query(sql)
    assert studied.snapshot() == before
    assert len(answer(studied, "leaderboard")) == 2


@pytest.mark.parametrize("sql", ["ATTACH '{folder}/new.db' AS new", "VACUUM INTO '{folder}/new.db'"])
def test_no_file_is_made_by_asking(studied: Store, tmp_path: Path, sql: str) -> None:
    before = sorted(tmp_path.iterdir())
    with pytest.raises(StoreError):
        studied.query(sql.format(folder=tmp_path))
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("sql", ["SELECT * FROM nowhere", "SELEKT 1", "leader board"])
def test_what_the_database_does_not_understand_is_told_in_its_words(store: Store, sql: str) -> None:
    with pytest.raises(StoreError, match=r"refused: .*(nowhere|SELEKT|leader)"):
        store.query(sql)


def test_unknown_name_lists_the_known_ones(store: Store) -> None:
    with pytest.raises(StoreError, match=r"(?s)no query named leaders.*best_runs.*leaderboard"):
        store.query("leaders")

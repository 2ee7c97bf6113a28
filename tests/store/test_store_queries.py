"""Named queries and any other SQL, on a connection that cannot write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from store_examples import TINY, a_run, a_study, a_sweep, completed, send, started

from sgonz.errors import StoreError
from sgonz.plan.runs import Settings
from sgonz.plan.selection import collapsed_runs
from sgonz.resources import shipped
from sgonz.store.query import named_queries
from sgonz.store.store import Store
from sgonz.store.views import definitions


def answer(store: Store, query: str, **parameters: Any) -> list[dict[str, Any]]:
    names, rows = store.query(query, parameters)
    return [dict(zip(names, row, strict=True)) for row in rows]


@pytest.fixture
def studied(store: Store) -> Store:
    a_study(store)
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


def test_run_far_below_its_like_is_best_only_where_no_other_is(store: Store) -> None:
    """As selection has it, whatever its loss says."""
    ids = ["low", "high", "alone"]
    other = a_run("alone", settings=Settings(epochs=7), model=TINY)
    sweep = a_sweep(store, [a_run("low"), a_run("high", settings=Settings(epochs=9)), other])
    send(store, sweep, "t", ids)
    said = [
        completed("low", validation_loss=0.1, validation={"f1": 65.3}),
        completed("high", validation_loss=0.9, validation={"f1": 80.3}),
        completed("alone", validation_loss=0.9, validation={"f1": 20.0}),
    ]
    lines = [line for run_id, end in zip(ids, said, strict=True) for line in (*started(run_id), end)]
    store.apply("f", lines, 10, tag="t", element=0)
    metrics = {"pos": "f1"}
    assert "low" in collapsed_runs(store.snapshot(), metrics)
    assert sorted(row["run_id"] for row in answer(store, "best_runs")) == ["alone", "high"]


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


def test_what_lies_on_disk_is_summed(store: Store) -> None:
    send(store, a_sweep(store, [a_run("a"), a_run("b", settings=Settings(epochs=9))]), "t", ["a", "b"])
    lines = [
        line for run_id in ("a", "b") for line in (*started(run_id), completed(run_id, left={"model": 2**30}))
    ]
    store.apply("f", lines, 10, tag="t", element=0)
    [row] = answer(store, "disk")
    assert (row["what"], row["kind"], row["dataset"], row["runs"]) == ("model", "finetune", "pos", 2)
    assert (float(row["gib"]), float(row["largest_mib"])) == (2.0, 1024.0)


@pytest.mark.parametrize("name", sorted(named_queries()))
def test_every_named_query_says_what_it_answers(name: str) -> None:
    assert (shipped("db") / "queries" / f"{name}.sql").read_text().startswith("-- ")


def test_every_view_can_be_asked_by_name() -> None:
    assert set(definitions()) <= set(named_queries())


def test_own_sql_takes_parameters(studied: Store) -> None:
    sql = "SELECT run_id FROM runs WHERE workspace_id = :workspace AND model LIKE '%tiny' AND seed = :seed ORDER BY 1"
    assert studied.query(sql, {"seed": 42}) == (["run_id"], [("exam",), ("student",)])
    with pytest.raises(StoreError, match=":seed"):
        studied.query(sql, {})


def test_parameter_that_a_query_does_not_have_is_refused_with_those_that_it_has(studied: Store) -> None:
    with pytest.raises(StoreError, match=r"(?s)no parameter datset.*dataset"):
        studied.query("pareto", {"datset": "pos"})
    with pytest.raises(StoreError, match="none"):
        studied.query("leaderboard", {"dataset": "pos"})


def test_columns_of_one_name_are_told_apart(studied: Store) -> None:
    sql = "SELECT 1 AS a, 2 AS b, 3 AS a, 4 AS a"
    assert studied.query(sql) == (["a", "b", "a_2", "a_3"], [(1, 2, 3, 4)])


def test_whole_numbers_are_whole_on_every_database(studied: Store) -> None:
    _, [row] = studied.query(
        "SELECT SUM(runs), SUM(runs) / 2.0 FROM counts WHERE workspace_id = :workspace AND sweep_id = 0"
    )
    assert [type(value) for value in row] == [int, float]


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


def test_unknown_table_lists_tables_and_views(store: Store) -> None:
    with pytest.raises(StoreError) as caught:
        store.query("SELECT * FROM run")
    assert caught.value.hint.startswith("Did you mean runs? Tables: ")
    assert "attempts, " in caught.value.hint
    assert "leaderboard" in caught.value.hint


@pytest.mark.parametrize(
    "sql", ["SELECT learning_rat FROM leaderboard", "SELECT b.learning_rat FROM leaderboard AS b"]
)
def test_unknown_column_lists_those_of_the_tables_that_were_named(store: Store, sql: str) -> None:
    with pytest.raises(StoreError) as caught:
        store.query(sql)
    assert caught.value.hint.startswith("Did you mean learning_rate? Columns of leaderboard: workspace_id, ")
    assert "Columns of runs" not in caught.value.hint

"""`sgonz query`: every named query, with its parameters, in every format, on both kinds of database."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from store_examples import a_study, a_sweep

from sgonz.cli.options import FILE_FORMATS
from sgonz.commands import asking
from sgonz.errors import UserError
from sgonz.store.query import named_queries
from sgonz.store.store import Store, open_store

PARAMETERS = {"run": "teacher", "dataset": "pos", "sweep": "first"}  # a value for every one that there is
QUERIES = [
    (name, parameter) for name, each in named_queries().items() for parameter in ("", *each.parameters)
]


@pytest.fixture(scope="module", params=["SQLite", "Postgres"])
def asked(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Callable[..., None]]]:
    """`sgonz query` in a work folder whose database is empty, and in one where there is something for every query."""
    patch = pytest.MonkeyPatch()
    folders = {name: tmp_path_factory.mktemp(f"{request.param}-{name}") for name in ("empty", "filled")}

    def location(folder: Path) -> Any:
        shared = request.param == "Postgres"
        return request.getfixturevalue("shared_postgres") if shared else folder / "sgonz.db"

    def ask(name: str) -> Callable[..., None]:
        def query(text: str | None, output: str, *parameters: str) -> None:
            patch.setenv("SGONZ_DATABASE", str(location(folders[name])))
            asking.query(text, parameters, str(folders[name]), output=output)

        return query

    for name, folder in folders.items():
        with open_store(location(folder), workspace=folder, create=True) as store:
            if name == "filled":
                a_study(store)
    yield {name: ask(name) for name in folders}
    patch.undo()


@pytest.mark.parametrize("output", FILE_FORMATS)
@pytest.mark.parametrize(("name", "parameter"), QUERIES)
def test_every_named_query_answers_in_every_format(
    asked: dict[str, Callable[..., None]], name: str, parameter: str, output: str, capfdbinary: Any
) -> None:
    given = [f"{parameter}={PARAMETERS[parameter]}"] if parameter else []
    assert rows_of(asked["empty"], name, output, given, capfdbinary) == 0
    assert rows_of(asked["filled"], name, output, given, capfdbinary) >= 1


def rows_of(ask: Callable[..., None], name: str, output: str, given: list[str], captured: Any) -> int:
    """How many rows were printed."""
    ask(name, output, *given)
    said, remarks = captured.readouterr()
    assert remarks == b""
    if output == "parquet":
        return int(pytest.importorskip("pyarrow.parquet").read_table(io.BytesIO(said)).num_rows)
    text = said.decode()
    lines = text.splitlines()
    match output:
        case "json":
            return len(json.loads(text))
        case "csv":
            return len(list(csv.reader(io.StringIO(text)))) - 1
        case "markdown":
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
            return len(lines) - 2
        case "latex":
            assert (lines[1], lines[-2]) == ("\\toprule", "\\bottomrule")
            return len(lines) - 6
        case _:
            _, heading, last = (number for number, line in enumerate(lines) if line.strip(" ─") == "")
            return last - heading - 1  # lines: long text goes on in the next one


@pytest.mark.parametrize("output", ["table", "markdown", "latex"])
def test_what_people_read_shows_no_json(
    asked: dict[str, Callable[..., None]], output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked["filled"]("provenance", output, "run=teacher")
    asked["filled"]("best_runs", output)
    asked["filled"](None, output)
    text = capsys.readouterr().out
    assert "suspect" in text or output == "table"  # a narrow one leaves columns out
    assert not re.search(r'[\[{]\\?"', text)


def test_text_of_a_sweep_can_be_had(
    asked: dict[str, Callable[..., None]], capsys: pytest.CaptureFixture[str]
) -> None:
    asked["filled"]("sweeps", "json", "sweep=first")
    [row] = json.loads(capsys.readouterr().out)
    assert (row["sweep"], row["text"], json.loads(row["submitted"])) == (
        "first",
        "name = 'first'",
        {"sgonz": "0.1"},
    )
    asked["filled"]("sweeps", "json", "sweep=other")
    assert json.loads(capsys.readouterr().out) == []


def test_both_databases_give_the_same_answers(shared_postgres: str, tmp_path: Path) -> None:
    answers = []
    for location in (tmp_path / "sgonz.db", shared_postgres):
        with open_store(location, workspace=tmp_path, create=True) as store:
            a_study(store)
            answers.append({name: store.query(name) for name in named_queries()})
    for name, (columns, rows) in answers[0].items():
        assert answers[1][name][0] == columns
        assert [[pytest.approx(value) for value in row] for row in rows] == list(
            map(list, answers[1][name][1])
        )


def test_value_that_looks_like_a_number_stays_the_start_of_an_id(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from store_examples import a_run

    a_sweep(store, [a_run("0012"), a_run("12")])
    monkeypatch.setenv("SGONZ_DATABASE", str(store.location))
    asking.query("provenance", ["run=0012"], str(tmp_path), output="json")
    assert [row["run_id"] for row in json.loads(capsys.readouterr().out)] == ["0012"]


def test_parquet_is_not_written_to_a_terminal(
    asked: dict[str, Callable[..., None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    with pytest.raises(UserError, match="Parquet"):
        asked["filled"]("leaderboard", "parquet")

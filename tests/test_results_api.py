"""The Python interface, and the formats for papers and notebooks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import sgonz
from sgonz.cli.options import latex, print_rows
from sgonz.commands.looking import print_for_papers
from sgonz.errors import StoreError, UserError
from sgonz.looking.answers import leaderboard
from sgonz.looking.frames import parquet
from sgonz.plan.runs import Dataset, Kind, Model, RunSpec, Settings
from sgonz.store.store import open_store

ROWS = [{"model": "a_b & c", "score": 80.5, "n": 3}, {"model": None, "score": None, "n": 4}]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    dataset = Dataset(name="d", task="tagging", format="conllu", metric="f1")
    run = RunSpec(run_id="a", kind=Kind.FINETUNE, dataset=dataset, model=Model(name="m"), settings=Settings())
    with open_store(tmp_path / "sgonz.db", workspace=tmp_path, create=True) as store:
        sweep = store.add_sweep(name="s", text="", spec_json="{}", cluster="x", time=1.0, provenance={})
        store.add_runs(sweep, [run])
    return tmp_path


def test_results_are_rows_and_on_request_frames(work: Path) -> None:
    pytest.importorskip("pandas")
    with sgonz.open_store(str(work)) as results:
        assert results.query("SELECT run_id, state FROM runs") == [{"run_id": "a", "state": "PENDING"}]
        assert list(results.runs("s").frame()["model"]) == ["m"]
        assert list(results.attempts().frame().columns)[:2] == ["run_id", "attempt"]
        assert results.curves("a") == []
        assert [row["name"] for row in results.sweeps()] == ["s"]
        with pytest.raises(UserError, match="no sweep other"):
            results.runs("other")


def test_results_cannot_be_written(work: Path) -> None:
    with sgonz.open_store(str(work)) as results, pytest.raises(StoreError):
        results.query("DELETE FROM runs")


def test_parquet_holds_the_rows() -> None:
    arrow = pytest.importorskip("pyarrow.parquet")
    import io

    table = arrow.read_table(io.BytesIO(parquet([*ROWS, {"model": {"x": 1}}], ("model", "score"))))
    assert table.to_pydict() == {"model": ["a_b & c", None, '{"x": 1}'], "score": [80.5, None, None]}


def test_missing_library_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match="pyarrow") as caught:
        parquet(ROWS, ("model",))
    assert "pip install" in str(caught.value)


def test_cells_that_lead_are_bold_in_markdown_and_latex(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"model": "a", "score": "86.00"}, {"model": "b", "score": None}]
    print_rows(rows, "markdown", ("model", "score"), {(0, "score")})
    assert "| a | **86.00** |\n| b |  |" in capsys.readouterr().out
    lines = latex(rows, ("model", "score"), {(0, "score")}).splitlines()
    assert lines[0] == r"\begin{tabular}{lr}"
    assert lines[4] == r"a & \textbf{86.00} \\"


@pytest.mark.parametrize("output", ["markdown", "latex"])
def test_results_for_papers_are_the_leaderboard_with_one_score_a_cell(
    output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def row(model: str, loss: float, f1: float) -> dict[str, Any]:
        return {"dataset": "pos", "kind": "finetune", "model": model, "teacher": None, "seed": 1, "learning_rate": 1e-3,
                "batch_size": 16, "best_epoch": 2, "validation_loss": loss, "metric": "f1", "flags": [], "run_id": model,
                "validation": {"f1": f1, "accuracy": 1.0}, "test": {"f1": None}, "selected": True, "superseded": False}  # fmt: skip

    print_for_papers(leaderboard([row("first", 0.51234, 86.004), row("second", 0.6, 80.0)]), output)
    text = capsys.readouterr().out
    assert {"markdown": "**86.00**", "latex": r"\textbf{86.00}"}[output] in text
    assert "0.5123" in text
    assert "80.00" in text
    assert "accuracy" not in text


def test_latex_escapes_what_tex_would_read() -> None:
    lines = latex(ROWS, ("model", "score", "n")).splitlines()
    assert lines[0] == r"\begin{tabular}{lrr}"
    assert lines[4:6] == [r"a\_b \& c & 80.5 & 3 \\", r" &  & 4 \\"]

"""The Python interface, and the formats for papers and notebooks."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import sgonz
from sgonz.errors import StoreError, UserError
from sgonz.frames import parquet
from sgonz.options import latex
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


def test_latex_escapes_what_tex_would_read() -> None:
    lines = latex(ROWS, ("model", "score", "n")).splitlines()
    assert lines[0] == r"\begin{tabular}{lrr}"
    assert lines[4:6] == [r"a\_b \& c & 80.5 & 3 \\", r" &  & 4 \\"]

"""Tables for papers, and the static figures."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sgonz.rundir import Workdir
from sgonz.view.report import cells, papers

Reports = dict[str, dict[str, Any]]
NAMES = ("published", "half", "bites", "empty")


@pytest.mark.parametrize("name", NAMES)
def test_all_tables_compile_with_latex(reports: Reports, name: str, tmp_path: Path) -> None:
    latex = shutil.which("pdflatex")
    assert latex, "pdflatex is not installed: tests/system_packages.sh brings it"
    (tmp_path / "tables.tex").write_text(papers.document(reports[name]["tables"], name), encoding="utf-8")
    done = subprocess.run([latex, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "tables.tex"], cwd=tmp_path,
                          capture_output=True, text=True, errors="replace", check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "tables.pdf").stat().st_size > 10_000


def test_markdown_has_one_cell_for_every_column(reports: Reports) -> None:
    for name in NAMES:
        for table in reports[name]["tables"]:
            lines = [line for line in papers.markdown(table).splitlines() if line.startswith("|")]
            assert {line.replace("\\|", "").count("|") for line in lines} <= {len(table["columns"]) + 1}


def test_csv_holds_every_value_to_the_last_digit(reports: Reports) -> None:
    for table in reports["published"]["tables"]:
        read = list(csv.DictReader(io.StringIO(papers.as_csv(table))))
        names = [column["name"] for column in table["columns"]]
        assert [[row[name] for name in names] for row in read] == [
            ["" if row.get(name) is None else str(row[name]) for name in names] for row in table["rows"]
        ]


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [(67.655, "score", "67.66"), (None, "score", "–"), (float("nan"), "score", "–"), (-0.004, "signed", "0.00"), (-1.5, "signed", "−1.50"),
     (0.18, "signed", "+0.18"), (5e-05, "rate", "5e-5"), (12345, "count", "12,345"), (0, "millions", "<1M"), (18.0, "times", "18.00x"),
     (0.004, "hours", "<0.01"), (0, "hours", "0.00"), (1080.4, "hours", "1,080.4"), (0.79624, "share", "0.796"), (2.5e-5, "number", "2.5e-05")],
)  # fmt: skip
def test_numbers_are_printed_as_the_study_prints_them(value: Any, form: str, text: str) -> None:
    assert cells.number(value, form) == text


def test_what_prints_the_same_is_best_together(reports: Reports) -> None:
    qa = next(table for table in reports["published"]["tables"] if table["name"] == "qa")
    winners = {
        qa["rows"][at]["model"]
        for at, name in cells.best(qa)
        if name == "tar:em" and qa["rows"][at]["stage"] == "distilled"
    }
    assert winners == {"ALBETO base-6", "ALBETO base-8"}


def test_the_command_writes_page_tables_and_figures(workdirs: dict[str, Workdir], tmp_path: Path) -> None:
    root = workdirs["half"].root
    command = [sys.executable, "-m", "sgonz", "report", "half", "--workdir", str(root)]
    done = subprocess.run(
        [*command, "-o", str(tmp_path / "out")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"{tmp_path}/out/report.html\n"), done.stderr
    written = {
        str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()
    }
    assert {"report.html", "tables.md", "tables.tex", "tables/summary.csv", "tables/summary.tex", "tables/summary.md", "figures/scores.svg",
            "figures/scores.png", "figures/score-macs.svg", "figures/balance.png", "figures/grid-1.svg", "figures/hours.png"} <= written  # fmt: skip
    assert (tmp_path / "out" / "figures" / "scores.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "out" / "figures" / "scores.svg").read_text()
    as_json = subprocess.run([*command, "--format", "json"], capture_output=True, text=True, check=True)
    assert json.loads(as_json.stdout)["sweep"]["name"] == "half"


def test_a_sweep_that_is_not_there_is_named(workdirs: dict[str, Workdir]) -> None:
    command = [sys.executable, "-m", "sgonz", "report", "other", "--workdir", str(workdirs["half"].root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "holds no sweep other" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_library_is_named_with_what_to_install(
    workdirs: dict[str, Workdir], tmp_path: Path
) -> None:
    code = "import sys; sys.modules['vl_convert'] = None; from sgonz.cli.main import main; main()"
    command = [
        sys.executable,
        "-c",
        code,
        "report",
        "--workdir",
        str(workdirs["half"].root),
        "-o",
        str(tmp_path / "out"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'sgonz[report]'" in done.stderr
    assert not (tmp_path / "out" / "report.html").exists()

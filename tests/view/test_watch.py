"""`sgonz watch` on a real terminal: what is seen, what keys do, and how it is left."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from job_folders import eventually
from terminals import on_terminal

from sgonz.cli.main import sgonz

HEAD = "dataset,model,learning_rate,batch_size,epochs,validation_loss,validation_score,seconds\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A work folder with 120 finished runs, four of them failed."""
    rows = [
        f"{'pos' if number % 2 else 'ner'},model-{number % 3},{number + 1}e-6,16,4,{'nan' if number % 30 == 7 else 0.5 + number / 1000},80,60"
        for number in range(120)
    ]
    (tmp_path / "grid.csv").write_text(HEAD + "\n".join(rows) + "\n")
    work = {"SGONZ_WORKDIR": str(tmp_path / "work")}
    made = CliRunner().invoke(sgonz, ["import", str(tmp_path / "grid.csv")], env=work, catch_exceptions=False)
    assert made.exit_code == 0, made.output
    return tmp_path


def test_pages_filter_and_runs_are_reached_by_keys_and_q_leaves_no_trace(folder: Path) -> None:
    with on_terminal(["watch"], folder=folder) as seen:
        seen.shows("grid on", "120/120", "[1 overview]", "GPU-hours 2.00 used", "model-0")
        seen.type("3")
        seen.shows("[3 failures]", "1 of 4", "sgonz logs")
        seen.type("5")
        seen.shows("[5 runs]", "1 of 120")
        seen.type("G")
        seen.shows("120 of 120")
        seen.type("/dataset = pos and state = FAILED\r")
        seen.shows("only dataset = pos and state = FAILED", "1 of 4")
        seen.type("\r")
        seen.shows("finetune pos model-1", "Esc back")
        seen.type("\x1b")
        seen.shows("1 of 4")
        seen.type("c/stat = x\r")
        seen.shows("stat is not a field (did you mean state?)")
        seen.type("c?")
        seen.shows("PageDown", "draw everything anew")
        seen.type("q")
        assert seen.ends() == 0
        seen.assert_given_back()


def test_other_size_is_filled_at_once(folder: Path) -> None:
    with on_terminal(["watch"], folder=folder) as seen:
        seen.shows("GPU-hours 2.00 used")
        seen.resize(200, 60)
        seen.shows("116 completed, 4 failed", "wasted  to come")
        assert seen.screen.display[59].startswith("q quit")
        seen.resize(60, 12)
        seen.until(lambda: seen.screen.display[11].startswith("q quit"))
        seen.type("q")
        assert seen.ends() == 0


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_signals_give_the_terminal_back(folder: Path, number: signal.Signals, code: int) -> None:
    with on_terminal(["watch"], folder=folder) as seen:
        seen.shows("120/120")
        os.kill(seen.process.pid, number)
        assert seen.ends() == code
        seen.assert_given_back()


def test_database_that_goes_is_said_and_the_terminal_is_given_back(folder: Path) -> None:
    with on_terminal(["watch", "--every", "0.2"], folder=folder) as seen:
        seen.shows("120/120")
        with closing(sqlite3.connect(folder / "work" / "sgonz.db")) as store, store:
            store.execute("ALTER TABLE workspaces RENAME TO gone")
        seen.shows("! the database", "120/120")
        seen.type("q")
        assert seen.ends() == 0
        seen.assert_given_back()


def test_a_screen_that_stays_the_same_costs_nothing(folder: Path) -> None:
    with on_terminal(["watch", "--every", "0.2"], folder=folder) as seen:
        seen.shows("GPU-hours 2.00 used")

        def quiet() -> bool:
            before = len(seen.sent)
            seen.read(1.0)
            return len(seen.sent) == before

        eventually(quiet)  # once what it read at first is drawn; one that drew at every look never would be


def test_a_terminal_that_lags_behind_is_sent_nothing_more_until_it_has_caught_up(folder: Path) -> None:
    def fail(runs: int) -> None:
        with closing(sqlite3.connect(folder / "work" / "sgonz.db")) as store, store:
            store.execute(f"UPDATE tallies SET runs = {runs} WHERE state = 'FAILED' AND sweep_id > 0")
            store.execute("UPDATE workspaces SET changes = changes + 1")

    with on_terminal(["watch", "--every", "0.2"], folder=folder) as seen:
        seen.answering = True
        seen.shows("GPU-hours 2.00 used", "4 failed")
        seen.answering = False
        fail(5)
        seen.until(
            lambda: seen.asked and "5 failed" in seen.text
        )  # sent, and as far as is known not shown yet
        before = len(seen.sent)
        fail(6)
        seen.read(1.0)
        fail(7)
        seen.read(3.0)  # time to look again, on a busy machine too
        assert len(seen.sent) == before
        seen.answering = True
        seen.answer()
        seen.shows("7 failed")  # the newest at once, and nothing of what was between
        assert b"6 failed" not in seen.sent
        seen.type("q")
        assert seen.ends() == 0
        assert seen.asked == 0


def test_no_color_is_kept_to(folder: Path) -> None:
    with on_terminal(["watch"], folder=folder, environment={"NO_COLOR": "1"}) as seen:
        seen.shows("GPU-hours 2.00 used")
        seen.type("q")
        assert seen.ends() == 0
        assert not re.search(rb"\x1b\[(?:\d+;)*[34]\d(?:;\d+)*m", bytes(seen.sent))


@pytest.mark.parametrize("environment", [{}, {"TERM": "dumb"}])
def test_into_a_pipe_go_lines(folder: Path, environment: dict[str, str]) -> None:
    watching = subprocess.Popen(
        [sys.executable, "-m", "sgonz", "watch"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        env={**os.environ, "SGONZ_WORKDIR": str(folder / "work"), **environment},
    )  # fmt: skip
    assert watching.stdout is not None
    with watching:
        line = watching.stdout.readline().decode()
        watching.terminate()
    assert "grid: 120 of 120 runs done (116 completed, 4 failed)" in line
    assert "\x1b" not in line

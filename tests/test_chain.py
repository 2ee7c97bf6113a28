"""The whole chain on this machine, as a user runs it: real processes, real training, real interruptions."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from job_folders import eventually

from sgonz.sample import make

pytestmark = pytest.mark.slow

SWEEP = """
name = "chain"
datasets = ["pos", "sqac"]
[sample]
size = 80
[models.student]
cut_from = "sample-albert"
layers = 2
[finetune]
models = ["sample-bert", "sample-albert"]
max_length = 64
overlap = 16
grid.learning_rate = [5e-4, 1e-3]
grid.batch_size = 16
grid.epochs = 2
[distill]
students = ["student"]
max_length = 64
overlap = 16
epochs = 3
patience = 2
grid.learning_rate = [1e-3]
grid.batch_size = 16
"""
RUNS = 2 * (2 * 2 + 1 + 1 + 2 + 1)  # per data set: grid, logits, student, winners' and student's evaluation


def sgonz(work: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "sgonz", *arguments], capture_output=True, text=True, check=False,
                          cwd=work.parent, env={**os.environ, "SGONZ_WORKDIR": str(work)})  # fmt: skip


def answer(work: Path, *arguments: str) -> Any:
    done = sgonz(work, *arguments, "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "sample"
    make(folder, seed=1, size=80)
    return folder


@pytest.fixture
def work(tmp_path: Path, sample: Path) -> Path:
    """A work folder with the sample in place, beside the sweep file."""
    return prepared(tmp_path, sample)


def prepared(folder: Path, sample: Path) -> Path:
    (folder / "chain.toml").write_text(SWEEP)
    (folder / "work" / "sample").mkdir(parents=True)
    (folder / "work" / "sample" / "1-80").symlink_to(sample)
    return folder / "work"


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, sample: Path) -> Path:
    """A work folder in which the sweep ran from beginning to end."""
    work = prepared(tmp_path_factory.mktemp("undisturbed"), sample)
    done = sgonz(work, "run", "chain.toml")
    assert done.returncode == 0, done.stderr
    return work


def losses(work: Path) -> dict[str, Any]:
    """What must not depend on what happened on the way."""
    rows = answer(work, "results")
    return {
        row["run_id"]: (
            row["validation_loss"],
            row["best_epoch"],
            row["validation"],
            row["test"],
            row["selected"],
        )
        for row in rows
    }


def completed_attempts(work: Path) -> dict[str, int]:
    rows = answer(
        work,
        "query",
        "select run_id, count(*) as n from attempts where outcome = 'COMPLETED' group by run_id",
    )
    return {row["run_id"]: row["n"] for row in rows}


def test_a_sweep_goes_from_grid_to_test_scores(undisturbed: Path):
    status = answer(undisturbed, "status")
    assert status["runs"] == {"COMPLETED": RUNS}
    assert status["attempts"] == RUNS
    assert status["finished"] is True
    rows = answer(undisturbed, "results")
    assert len(rows) == 10
    by_id = {row["run_id"]: row for row in rows}
    for dataset, facts in status["datasets"].items():
        grid = [row for row in rows if row["dataset"] == dataset and row["kind"] == "finetune"]
        assert by_id[facts["teacher"]]["validation_loss"] == min(row["validation_loss"] for row in grid)
    for row in rows:
        metric = row["metric"]
        assert row["validation"][metric] is not None
        assert (row["test"][metric] is not None) == row["selected"]


def test_models_are_handed_on_with_cards_and_answer_without_sgonz(undisturbed: Path, tmp_path: Path):
    from huggingface_hub import ModelCard
    from transformers import pipeline

    for _ in range(2):  # again, and the folders are replaced
        said = sgonz(undisturbed, "export", "--models", str(tmp_path / "best"))
        assert said.returncode == 0, said.stderr
    best = [row for row in answer(undisturbed, "results") if row["selected"]]
    folders = {tmp_path / "best" / row["dataset"] / f"{row['kind']}-{row['model']}": row for row in best}
    assert {Path(line) for line in said.stderr.splitlines()} == set(folders)
    assert {path.parent for path in tmp_path.glob("best/*/*/README.md")} == set(folders)
    assert not [*tmp_path.glob("best/*/.*")]
    for folder, row in folders.items():
        card = ModelCard.load(folder / "README.md", ignore_metadata_errors=False)
        (result,) = [found for found in card.data.eval_results if found.metric_type == row["metric"]]
        assert result.metric_value == pytest.approx(row["test"][row["metric"]], abs=0.005)
        assert (row["run_id"] in card.text, "distillation" in card.data.tags) == (
            True,
            row["kind"] == "distill",
        )
    (tagger,) = [folder for folder in folders if folder.match("pos/distill-*")]
    tag = pipeline("token-classification", model=str(tagger))
    pieces = tag("La casa es roja .")
    assert {piece["entity"] for piece in pieces} <= set(tag.model.config.label2id)
    assert pieces


def test_models_are_not_handed_on_into_the_work_folder_nor_where_none_was_chosen(
    undisturbed: Path, tmp_path: Path
):
    for folder, where, words in ((undisturbed / "best", "kind = distill", "inside the work folder"),
                                 (tmp_path / "best", "state = FAILED", "no finished run was chosen")):  # fmt: skip
        said = sgonz(undisturbed, "export", "--models", str(folder), "--where", where)
        assert (said.returncode, folder.exists()) == (2, False)
        assert words in said.stderr


def test_what_was_done_is_not_done_again(undisturbed: Path):
    before = answer(undisturbed, "status")["attempts"]
    done = sgonz(undisturbed, "run", "chain.toml")
    assert done.returncode == 0
    assert answer(undisturbed, "status")["attempts"] == before


def test_named_queries_and_sql_answer(undisturbed: Path):
    assert {row["query"] for row in answer(undisturbed, "query")} >= {"leaderboard", "teachers", "failures"}
    for name in ("leaderboard", "best_runs", "teachers", "learning_curves"):
        assert answer(undisturbed, "query", name), name
    assert sgonz(undisturbed, "query", "delete from runs").returncode == 2
    assert answer(undisturbed, "status")["runs"] == {"COMPLETED": RUNS}


def test_readable_links_lead_to_runs(undisturbed: Path):
    links = list((undisturbed / "by-name" / "chain" / "pos").iterdir())
    assert len(links) == RUNS // 2
    assert all((link / "run.json").is_file() for link in links)


def test_a_run_can_be_repeated_by_hand(undisturbed: Path, tmp_path: Path):
    row = next(
        row for row in answer(undisturbed, "results") if row["dataset"] == "pos" and row["kind"] == "distill"
    )
    run = undisturbed / "runs" / row["run_id"][:2] / row["run_id"]
    saved = (run / "output").rename(tmp_path / "output")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "sgonz.train", str(run)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        again = json.loads((run / "output" / "scores.json").read_text())
        assert again["validation_loss"] == row["validation_loss"]
        assert model_bytes(run / "output") == model_bytes(saved)
    finally:
        if (run / "output").exists():
            (run / "output").rename(tmp_path / "again")
        saved.rename(run / "output")


def model_bytes(output: Path) -> bytes:
    return (output / "model" / "model.safetensors").read_bytes()


def start(work: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", "sgonz", "run", "chain.toml"], cwd=work.parent, text=True,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                            env={**os.environ, "SGONZ_WORKDIR": str(work)})  # fmt: skip


def results_on_disk(work: Path) -> int:
    return len(list(work.glob("runs/*/*/output/scores.json")))


def claims(work: Path) -> list[Path]:
    return list(work.glob("runs/*/*/claim/*.json"))


def living_workers(work: Path) -> set[int]:
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"sgonz.train.worker" in command and str(work).encode() in command:
                found.add(int(entry.name))
    return found


def same_as(undisturbed: Path, work: Path) -> None:
    status = answer(work, "status")
    assert status["runs"] == {"COMPLETED": RUNS}
    assert losses(work) == losses(undisturbed)
    assert set(completed_attempts(work).values()) == {1}


@pytest.mark.parametrize("finished_runs", [2, 9])
def test_a_killed_coordinator_and_killed_workers_lose_nothing(
    work: Path, undisturbed: Path, finished_runs: int
):
    process = start(work)
    eventually(lambda: results_on_disk(work) >= finished_runs and claims(work))
    process.kill()
    process.wait()
    for pid in living_workers(work):
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(pid, signal.SIGKILL)
    eventually(lambda: not living_workers(work))
    done = sgonz(work, "run", "chain.toml")
    assert done.returncode == 0, done.stderr
    same_as(undisturbed, work)


def test_workers_that_outlive_their_coordinator_are_adopted(work: Path, undisturbed: Path):
    process = start(work)
    eventually(lambda: claims(work))
    process.kill()
    process.wait()
    done = sgonz(work, "run", "chain.toml")
    assert done.returncode == 0, done.stderr
    same_as(undisturbed, work)
    assert answer(work, "status")["attempts"] == RUNS


def test_ctrl_c_stops_the_jobs_and_the_same_command_goes_on(work: Path, undisturbed: Path):
    process = start(work)
    eventually(lambda: claims(work))
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    eventually(lambda: not living_workers(work))
    assert sgonz(work, "run", "chain.toml").returncode == 0
    same_as(undisturbed, work)


def test_cancelled_runs_wait_for_run_or_retry(work: Path, undisturbed: Path):
    assert sgonz(work, "submit", "chain.toml").returncode == 0
    eventually(lambda: claims(work))
    assert sgonz(work, "cancel", "--where", "dataset = pos").returncode == 0
    eventually(lambda: sgonz(work, "advance").returncode == 0 and not living_workers(work))
    stopped = answer(work, "status")["datasets"]["pos"]["runs"]
    assert stopped["CANCELLED"] >= 1
    assert set(stopped) <= {"CANCELLED", "COMPLETED"}  # what had just finished stays finished
    assert sgonz(work, "run", "chain.toml").returncode == 0
    same_as(undisturbed, work)

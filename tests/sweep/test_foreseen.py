"""What `sgonz plan` says before anything is sent."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sgonz.cli.main import sgonz
from sgonz.plan.history import History, Trial, noted
from sgonz.rundir import Workdir
from sgonz.sample import make
from sgonz.sweep.planned import plan_sweep
from sgonz.workdir import costs


def plan(folder: Path, *arguments: str) -> str:
    found = CliRunner().invoke(sgonz, ["plan", *arguments, "--workdir", str(folder)], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.stdout


def answer(folder: Path, *arguments: str) -> Any:
    return json.loads(plan(folder, *arguments, "--format", "json"))


def test_hours_are_told_by_kind_with_what_follows_when_teachers_are_known(tmp_path: Path) -> None:
    found = answer(tmp_path, "speedy_gonzales")
    hours = found["predicted_hours_by_kind"]
    assert hours["finetune"] == pytest.approx(found["predicted_hours"])
    assert 0 < hours["distill"] < hours["finetune"]
    assert "jobs" not in found


def test_packing_and_finish_are_those_of_the_cluster(tmp_path: Path) -> None:
    jobs = answer(tmp_path, "speedy_gonzales", "--cluster", "patagon")["jobs"]
    assert (jobs["cluster"], jobs["target_minutes"], jobs["slots"]) == ("patagon", 120, None)
    assert 100 < jobs["jobs"] < 3464
    assert 2 < jobs["hours_at_best"] < jobs["hours_one_by_one"] / 50
    text = plan(tmp_path, "speedy_gonzales", "--cluster", "patagon")
    assert f"packing: {jobs['jobs']} jobs of 1 to" in text
    assert "with all at once" in text


def test_this_machine_does_so_many_jobs_at_a_time(tmp_path: Path) -> None:
    jobs = answer(tmp_path, "demo", "--cluster", "local")["jobs"]
    assert jobs["slots"] >= 1
    assert jobs["hours_one_by_one"] / jobs["slots"] <= jobs["hours_at_best"] + 0.02


def test_runs_that_share_a_gpu_share_its_hours(tmp_path: Path) -> None:
    sweep = ["speedy_gonzales", "--set", "finetune.grid.batch_size=[16]"]

    def of(runs_per_gpu: int) -> tuple[Any, Any]:
        profile = tmp_path / f"{runs_per_gpu}.toml"
        profile.write_text(
            f'scheduler = "slurm"\nruns_per_gpu = {runs_per_gpu}\n[resources.one]\ngres = "gpu:1"\n'
        )
        asked = [*sweep, "--cluster", str(profile)]
        lived = ["simulate", *asked, "--workdir", str(tmp_path), "--format", "json", "--jobs", "4"]
        found = CliRunner().invoke(sgonz, lived, catch_exceptions=False)
        return answer(tmp_path, *asked), json.loads(found.stdout)[0]

    (alone, lived_alone), (beside, lived_beside) = of(1), of(4)
    for kind in ("finetune", "distill"):
        hours = beside["predicted_hours_by_kind"][kind]
        assert hours == pytest.approx(alone["predicted_hours_by_kind"][kind] / 4, rel=0.01)
    assert beside["jobs"]["jobs"] < alone["jobs"]["jobs"]
    assert beside["jobs"]["hours_one_by_one"] < alone["jobs"]["hours_one_by_one"] / 2
    assert lived_beside["gpu_hours"] < lived_alone["gpu_hours"] / 2
    assert lived_beside["completed"] == lived_alone["completed"]
    assert ", 4 side by side on 4" in plan(tmp_path, *sweep, "--cluster", str(tmp_path / "4.toml"))


def test_a_plan_says_what_was_measured_and_what_is_a_first_estimate(tmp_path: Path) -> None:
    changes = ["--set", "finetune.models=['sample-bert', 'sample-albert']", "--set", "datasets=['pos']"]
    found = answer(tmp_path, "demo", *changes)
    assert found["estimated_by"].startswith("first estimate, from the model's size")
    assert found["memory"] == []
    [said] = found["warnings"]  # and no list of files that `run` makes
    assert "run makes its corpora and models" in said
    make(tmp_path / "sample" / "1-400", seed=1, size=400)
    estimated = answer(tmp_path, "demo", *changes)["memory"]
    assert {row["estimated_by"] for row in estimated} == {"first estimate, from the model's size"}
    assert all(row["memory_gb"] > 0 for row in estimated)

    runs = plan_sweep("demo", [change for change in changes if change != "--set"], Workdir(tmp_path)).runs
    mine = [run for run in runs if run.model.name == "sample-bert"]
    took = Trial(
        device="cpu", batch_size=16, seconds_per_step=0.5, seconds_per_epoch=3600.0, peak_memory_mb=512.0
    )
    costs.write(Workdir(tmp_path), noted(History(), [(run, took) for run in mine]))
    found = answer(tmp_path, "demo", *changes)
    assert (
        found["estimated_by"]
        == "measured on 2 runs for 2 of 8; first estimate, from the model's size for the others"
    )
    assert (
        found["predicted_hours"] > 2 * 4
    )  # two runs of four epochs of an hour, and the guesses scaled by them
    by_model = {row["model"]: row for row in found["memory"]}
    assert by_model["sample-bert"]["memory_gb"] == 0.5
    assert by_model["sample-bert"]["estimated_by"] == "measured on 2 runs, cpu"
    assert by_model["sample-albert"]["estimated_by"] == "first estimate, from the model's size"
    text = plan(tmp_path, "demo", *changes)
    assert "measured on 2 runs" in text
    assert "first estimate" in text


def test_plan_for_programs_draws_nothing(tmp_path: Path) -> None:
    code = ("import sys; from sgonz.cli.main import sgonz; sgonz(sys.argv[1:], standalone_mode=False);"
            "sys.exit(sorted({'rich', 'torch', 'sqlalchemy', 'submitit'} & {name.split('.')[0] for name in sys.modules}) or 0)")  # fmt: skip
    command = ["plan", "demo", "--cluster", "dev", "--format", "json", "--workdir", str(tmp_path)]
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_simulation_takes_what_was_measured_as_the_plan_does(tmp_path: Path) -> None:
    changes = ["finetune.models=['sample-bert']", "datasets=['pos']"]
    make(tmp_path / "sample" / "1-400", seed=1, size=400)
    asked = [
        "simulate", "demo", "--workdir", str(tmp_path), "--jobs", "1", "--format", "json",
        *(word for change in changes for word in ("--set", change)),
    ]  # fmt: skip

    def hours() -> float:
        found = CliRunner().invoke(sgonz, asked, catch_exceptions=False)
        assert found.exit_code == 0, found.output
        return json.loads(found.stdout)[0]["hours"]

    assert hours() < 1
    runs = plan_sweep("demo", changes, Workdir(tmp_path)).runs
    hour = Trial(device="cpu", batch_size=16, seconds_per_epoch=3600.0)
    costs.write(Workdir(tmp_path), noted(History(), [(run, hour) for run in runs]))
    planned = answer(tmp_path, "demo", *(word for change in changes for word in ("--set", change)))
    assert planned["predicted_hours"] > 7
    assert hours() >= planned["predicted_hours"]

"""What jobs used: reported as sacct has it, shared out among their runs, reckoned from events without it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from typing import Any

import pytest
from slurm_sweeps import DevCluster, Start, Sweeping

from sgonz.cluster.profile import Resource
from sgonz.control import steering
from sgonz.plan.runs import State
from sgonz.rebuild import rebuild

RESTATED = 1  # seconds: Slurm may move the start of a job by a second after the job has ended


def answered(sweep: Sweeping, query: str) -> list[Mapping[str, Any]]:
    columns, rows = sweep.at.store.query(query, {})
    return [dict(zip(columns, row, strict=True)) for row in rows]


def settled(sweep: Sweeping) -> bool:
    at = sweep.at.store
    return not at.live_jobs() and not at.unaccounted()


def test_reported_hours_are_those_of_sacct(start: Start, dev: DevCluster) -> None:
    """Three runs a job, on one GPU or two; what a job did between its runs is theirs too."""
    resources = {"small": Resource(gres="gpu:a100:2", max_minutes=10)}
    sweep = start(6, resources=resources, runs_per_job=3, setup=("sleep 2",))
    sweep.turn()
    ids = sweep.external_ids
    sweep.until(lambda: settled(sweep))
    told = dev.ask("sacct", "-X", "-D", "-n", "-P", "-j", ",".join(ids), "-o", "ElapsedRaw,AllocTRES").split()
    hours = sum(int(line.split("|")[0]) * 2 for line in told) / 3600
    assert len(told) == len(ids) == 2
    assert "gres/gpu=2" in told[0]
    rows = answered(sweep, "gpu_hours")
    assert sum(row["hours"] for row in rows) == pytest.approx(
        hours, rel=0.01, abs=len(told) * 2 * RESTATED / 3600
    )
    assert sum(row["attempts"] for row in rows) == 6
    assert {row["wasted_hours"] for row in rows} == {row["hours_by_events"] for row in rows} == {0.0}
    jobs = answered(sweep, "jobs_used")
    assert {(job["counted_by"], job["gpus"], job["cluster_state"], job["exit_code"]) for job in jobs} == {
        ("sacct", 2, "COMPLETED", "0:0")
    }
    assert all(job["node"] in ("n1", "n2") and job["owner"] for job in jobs)

    counts = dict(sweep.at.cluster.requests.notes.counts)  # type: ignore[attr-defined]
    sweep.turn()
    assert sweep.at.cluster.requests.notes.counts.get("sacct") == counts.get("sacct")  # type: ignore[attr-defined]

    before = answered(sweep, "jobs_used"), rows
    rebuild(sweep.at.store, sweep.at.workdir)
    assert (answered(sweep, "jobs_used"), answered(sweep, "gpu_hours")) == before


def test_a_silent_accounting_leaves_the_hours_of_events_and_says_so(start: Start, dev: DevCluster) -> None:
    sweep = start(2, runs_per_job=2)
    sweep.shut()
    sweep.turn()
    dev.script(
        "stop", "slurmdbd"
    )  # while the job runs: else it may be accounted in the turn that sees its end
    try:
        sweep.open()
        sweep.until(
            lambda: not sweep.at.store.live_jobs() and "hours are those of event files" in sweep.problems
        )
        rows = answered(sweep, "gpu_hours")
        assert sum(row["attempts"] for row in rows) == 2
        assert [row["hours_by_events"] for row in rows] == [row["hours"] for row in rows]
    finally:
        dev.script("start", "slurmdbd")
    sweep.until(lambda: settled(sweep))
    assert {job["counted_by"] for job in answered(sweep, "jobs_used")} == {"sacct"}


def test_jobs_of_this_machine_are_reckoned_from_their_events(start: Start) -> None:
    """Where no accounting is kept, as with the local scheduler."""
    sweep = start(2, runs_per_job=2)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(type(sweep.at.cluster), "keeps_accounts", property(lambda self: False))
        sweep.until(lambda: settled(sweep))
    (job,) = answered(sweep, "jobs_used")
    assert (job["counted_by"], job["cluster_state"]) == ("events", "")
    assert job["minutes"] > 0
    (row,) = answered(sweep, "gpu_hours")
    assert row["hours_by_events"] == row["hours"] == pytest.approx(job["minutes"] / 60)


def test_a_budget_is_exceeded_by_no_more_than_what_was_running(start: Start, dev: DevCluster) -> None:
    """Runs that take longer than was thought, two at a time: those in the queue are taken out of it."""
    whole = Resource(gres="gpu:a100:4", max_minutes=10)
    sweep = start(12, resource=whole, setup=("sleep 3",))
    steering.change(
        sweep.at, {"gpu_hours": 12 * 4 / 3600}
    )  # 12 s of the whole node; 1.5 s are predicted for a run

    def used_up() -> bool:
        budget = sweep.turns[-1].answer["budget"]
        return bool(budget["used"] >= budget["gpu_hours"])

    sweep.until(used_up)
    seen = time.time()
    sweep.until(lambda: sweep.turns[-1].decision.stuck and settled(sweep))
    pending = [row for row in sweep.rows if row.state is State.PENDING]
    assert pending
    assert not any(row.attempts or row.interruptions for row in pending)  # taken back is no fault of theirs
    rows = answered(sweep, "SELECT external_id FROM jobs")
    ids = [str(row["external_id"]).partition("@")[0] for row in rows]
    said = subprocess.run(
        ["sacct", "-X", "-D", "-n", "-P", "-j", ",".join(ids), "-o", "ElapsedRaw,Start,NodeList,JobID,State"],
        env={**dev.environment, "SLURM_TIME_FORMAT": "%s"}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    lines = [line.split("|") for line in said.splitlines() if "|None assigned|" not in line]
    assert max(int(started) for elapsed, started, *_ in lines if int(elapsed)) <= seen
    spent = {job: int(elapsed) for elapsed, _, _, job, _ in lines}
    rows = answered(sweep, "SELECT external_id, elapsed FROM jobs")
    counted = {str(row["external_id"]).partition("@")[0]: row["elapsed"] for row in rows}
    assert all(abs(seconds - spent.get(job, 0)) <= RESTATED for job, seconds in counted.items()), said
    hours = sum(counted.values()) * 4 / 3600
    assert sweep.turns[-1].answer["budget"]["used"] == pytest.approx(hours, rel=0.01)

    steering.change(sweep.at, {"gpu_hours": 100.0})
    sweep.finish()
    sweep.assert_nothing_lost_or_done_twice(12)

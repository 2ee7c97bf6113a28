"""What jobs used: reported as sacct has it, shared out among their runs, reckoned from events without it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from slurm_sweeps import DevCluster, Start, Sweeping

from sgonz.cluster.profile import Resource
from sgonz.rebuild import rebuild


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
    assert sum(row["hours"] for row in rows) == pytest.approx(hours, rel=0.01)
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

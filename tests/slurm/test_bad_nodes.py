"""A node on which jobs fail is avoided, and costs no run."""

from __future__ import annotations

from dataclasses import replace

import msgspec
from slurm_sweeps import Start

from sgonz.plan.spec import Retry


def test_a_node_on_which_jobs_fail_is_left_out_and_costs_no_run(start: Start) -> None:
    sweep = start(12, setup=('[ "$SLURMD_NODENAME" != n1 ]',))
    often = Retry(delay_seconds=0.1, max_failures=20)
    sweep.at = replace(sweep.at, sweep=msgspec.structs.replace(sweep.at.sweep, retry=often))
    sweep.finish()
    sweep.assert_nothing_lost_or_done_twice(12)
    assert set(sweep.turns[-1].answer["excluded_nodes"]) == {"n1"}
    assert {tried.host for tried in sweep.at.store.attempts()} == {"n2"}
    scripts = [path.read_text() for path in sorted(sweep.at.workdir.jobs.glob("*/submission.sh"))]
    assert "--exclude=n1" in scripts[-1]


def test_jobs_that_wait_are_kept_off_a_node_too(start: Start) -> None:
    sweep = start(20)
    sweep.shut()
    sweep.turn()
    sweep.until(lambda: len(sweep.dev.queue("--states=R")) == 8)
    sweep.at.cluster.avoid(sweep.at.workdir, ["n1"], sweep.at.store.live_jobs())
    waiting = sweep.dev.ask("squeue", "-h", "--states=PD", "-o", "%A").split()
    assert waiting
    for job in waiting:
        assert "ExcNodeList=n1 " in sweep.dev.ask("scontrol", "show", "job", "-o", job) + " "
    sweep.open()
    sweep.at.cluster.avoid(sweep.at.workdir, [], sweep.at.store.live_jobs())

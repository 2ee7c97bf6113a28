"""What a person looks at while jobs run on several nodes, and one run done by hand on a node."""

from __future__ import annotations

from pathlib import Path

import pytest
from slurm_sweeps import DevCluster
from typed import SHORT, Prompt, said

PROFILE = """
scheduler = "slurm"
requests_per_minute = 10000
runs_per_job = 1
environment = {{ SLURM_CONF = "{conf}" }}
setup = [ # both nodes have begun before a run does: else the first might do both
    "echo set up on $SLURMD_NODENAME",
    "echo here >> '{seen}'; until [ $(wc -l < '{seen}') -ge 2 ]; do sleep 0.1; done",
]
[resources.node]
gres = "gpu:a100:4"
max_minutes = 30
"""


@pytest.mark.slow
def test_logs_are_followed_on_two_nodes_and_a_run_is_done_again_by_hand(
    dev: DevCluster, tmp_path: Path
) -> None:
    conf = dev.environment["SLURM_CONF"]
    (tmp_path / "short.toml").write_text(SHORT)
    (tmp_path / "mine.toml").write_text(PROFILE.format(conf=conf, seen=tmp_path / "seen"))
    prompt = Prompt(tmp_path)
    prompt.say("submit", "short.toml", "--cluster", "mine.toml")
    following = prompt.begin("logs", "-f", "--where", "kind = finetune")
    prompt.say("run", "short.toml", "--cluster", "mine.toml")
    followed = said(following)
    results = prompt.answer("results", "--all")
    ids = [row["run_id"] for row in results]
    assert len(ids) == 2
    for run_id in ids:
        lines = [line for line in followed.splitlines() if line.startswith(f"{run_id[:8]} finetune pos/sample-albert | ")]  # fmt: skip
        assert lines, followed
    jobs = prompt.answer("query", "jobs_used")
    assert {job["node"] for job in jobs} == {"n1", "n2"}
    # jobacct_gather samples a step once in two seconds, and when it ends
    assert all(job["peak_memory_mb"] > 50 for job in jobs), jobs

    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "work/runs").rglob("*")}
    assert "set up on n" in prompt.say("debug", ids[0])  # through srun, with the profile's set-up lines
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "work/runs").rglob("*")} == before
    assert prompt.answer("results", "--all") == results
    assert not list((tmp_path / "work/debug").iterdir())
    assert ids[0][:8] in prompt.say("invalidate", ids[0], "--dry-run")
    refused = prompt.begin("invalidate", ids[0])
    _, remarks = refused.communicate()
    assert (refused.returncode, "Say --reason TEXT" in remarks) == (2, True), remarks
    assert "sgonz-debug" in dev.ask("sacct", "-X", "-n", "-o", "JobName%20", "-S", "now-10minutes")

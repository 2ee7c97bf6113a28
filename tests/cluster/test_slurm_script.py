"""What sbatch is given for runs that several processes do together."""

from __future__ import annotations

import shlex
from pathlib import Path

from sgonz.cluster.profile import Resource
from sgonz.cluster.slurm_executor import ArrayExecutor


def test_every_process_is_given_the_cpus_and_the_environment_of_its_job(tmp_path: Path) -> None:
    resource = Resource(gres="gpu:a100:2", nodes=2, cpus=8, engine="deepspeed", deepspeed="zero2.json")
    executor = ArrayExecutor(
        tmp_path, tag="sgonz-test-000001", elements=1, worker=["worker"], members=["member"], setup=(), resource=resource,
        send=lambda command: "", processes=resource.crew,
    )  # fmt: skip
    asked = {line.split()[1] for line in executor.script.splitlines() if line.startswith("#SBATCH ")}
    assert {"--nodes=2", "--ntasks-per-node=2", "--cpus-per-task=8"} <= asked
    (line,) = [line for line in executor.script.splitlines() if line.startswith("srun ")]
    assert line.endswith(" member &")
    # srun inherits none of the first since Slurm 22.05, and not the last where the site has jobs begin with an empty one.
    assert {"--cpus-per-task=8", "--ntasks=4", "--ntasks-per-node=2", "--export=ALL"} <= set(
        shlex.split(line)
    )

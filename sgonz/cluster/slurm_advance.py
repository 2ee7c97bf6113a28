"""The small Slurm job that makes turns while nobody watches: queued, looked for and taken back by its name."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

from sgonz.cluster.base import Cluster
from sgonz.cluster.profile import Profile
from sgonz.cluster.slurm import SlurmCluster
from sgonz.cluster.slurm_executor import guarded
from sgonz.plan.state import JobRow
from sgonz.resources import shipped
from sgonz.rundir import write_atomic

SCRIPT = "advance.sbatch"
MOST_AWAITED = 100  # jobs that one waits for: the oldest of more end first anyway


def reserve(cluster: Cluster) -> None:
    """Leave room under the user's limits for the job that makes the next turn."""
    if isinstance(cluster, SlurmCluster):
        cluster.reserved = 1


def queue(
    cluster: Cluster,
    profile: Profile,
    folder: Path,
    tag: str,
    command: Sequence[str],
    *,
    after: Sequence[JobRow],
    seconds: float,
) -> str:
    """Send the job that makes the next turn; its id. Raises what a submission raises.

    It starts when the first of these jobs has ended, and not before so many seconds have passed.
    """
    assert isinstance(cluster, SlurmCluster)
    setup = folder / "setup.sh"
    lines = [guarded(line) for line in profile.setup]
    write_atomic(setup, "\n".join([*lines, ""]).encode())
    wait = math.ceil(max(seconds, cluster.requests.pause()))
    script = str(shipped("slurm") / SCRIPT)
    asked = _options(profile, folder, tag, wait, cluster.ids_here(after)[:MOST_AWAITED])
    answer = cluster.sbatch(["sbatch", "--parsable", *asked, script, str(setup), *command])
    return answer.split(";")[0].strip()


def queued(cluster: Cluster, tag: str) -> list[str]:
    """Ids of the jobs of this name that wait or run. Raises NoAnswer."""
    assert isinstance(cluster, SlurmCluster)
    return cluster.requests.ask("squeue", "-h", "--user", str(os.getuid()), "--name", tag, "-o", "%A").split()


def take_back(cluster: Cluster, tag: str) -> None:
    """End the job of this name, whether it waits or runs. Raises NoAnswer."""
    assert isinstance(cluster, SlurmCluster)
    cluster.requests.ask("scancel", "--quiet", "--user", str(os.getuid()), "--name", tag)


def _options(profile: Profile, folder: Path, tag: str, wait: int, awaited: Sequence[str]) -> list[str]:
    given = {
        **modest(profile),
        "job-name": tag,
        "output": str(folder / "advance.out").replace("%", "%%"),
        "open-mode": "append",
        "chdir": str(folder),
        "time": str(profile.advance.max_minutes),
        "mail-type": ",".join(profile.notify.mail_type) or None,
        "mail-user": profile.notify.mail_user,
        "begin": f"now+{wait}",
        "dependency": "?".join(f"afterany:{job}" for job in awaited) or None,
    }
    return [
        "--requeue",
        *(f"--{name}={value}" for name, value in given.items() if value),
        *profile.advance.sbatch,
    ]


def modest(profile: Profile) -> dict[str, str | None]:
    """What any job of ours asks for that trains nothing: one core, where [advance] says."""
    own = profile.advance
    _, resource = profile.resource_for("default")
    return {
        "ntasks": "1",
        "cpus-per-task": "1",
        "mem": f"{int(own.memory_gb * 1024)}M" if own.memory_gb else None,
        "partition": own.partition,
        "account": own.account or resource.account,
        "qos": own.qos,
    }

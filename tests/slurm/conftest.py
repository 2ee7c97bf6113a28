"""A Slurm cluster of its own for these tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from job_folders import eventually, noop
from slurm_sweeps import ARRAY_LIMIT, FEW, SCRIPT, DevCluster, Start, Sweeping, coordinator, profile

from sgonz.cluster.profile import Resource
from sgonz.control.runs import add_grid
from sgonz.coordinator.coordinator import closing
from sgonz.plan.runs import RunSpec
from sgonz.rundir import Workdir

DAEMONS = ("munged", "mariadbd", "slurmdbd", "slurmctld", "slurmd")
PACKAGES = "slurm-wlm slurmdbd munge mariadb-server"


@pytest.fixture(scope="session")
def cluster() -> Iterator[DevCluster]:
    """Started once for all of them."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    if missing := [name for name in DAEMONS if shutil.which(name, path=path) is None]:
        say = pytest.fail if os.environ.get("CI") else pytest.skip
        say(f"{', '.join(missing)} not found; Debian: apt-get install {PACKAGES}")
    home = Path(tempfile.mkdtemp(prefix="sgonz-slurm-test-", dir="/tmp"))  # sockets want short paths
    environment = {
        **os.environ,
        "PATH": path,
        "SGONZ_SLURM_HOME": str(home),
        "SLURM_CONF": f"{home}/slurm.conf",
    }
    cluster = DevCluster(home, environment)
    # Ended when this process closes the standard input of what ends it, at the latest by going, however it goes.
    down = ("sh", "-c", 'cat > /dev/null; exec "$0" "$@"', sys.executable, str(SCRIPT), "down")
    with subprocess.Popen(down, env=environment, stdin=subprocess.PIPE, start_new_session=True):
        cluster.script("up", f"--max-array-size={ARRAY_LIMIT}", f"--few={FEW}", "--min-job-age=4", "--cpus=4")
        yield cluster


@pytest.fixture
def dev(cluster: DevCluster) -> Iterator[DevCluster]:
    """The cluster, whole and empty again afterwards: what one test left behind fails no other."""
    yield cluster
    try:
        left = cluster.queue()
    except subprocess.CalledProcessError:  # a test that failed had stopped something
        cluster.script("up")
        left = cluster.queue()
    if left:
        cluster.ask("scancel", "--full", *left)
        eventually(lambda: not cluster.queue())


@pytest.fixture
def start(dev: DevCluster, tmp_path: Path) -> Iterator[Start]:
    """Begin a sweep of these runs, or of so many that do nothing; its jobs are ended and its store closed afterwards."""
    begun: list[Sweeping] = []

    def begin(
        runs: int | Sequence[RunSpec],
        *,
        folder: str = "work",
        resource: Resource | None = None,
        times: Mapping[str, float] | None = None,
        **changes: object,
    ) -> Sweeping:
        if resource is not None:
            changes["resources"] = {"small": resource}
        gate = tmp_path / "gate"
        used = profile(dev.environment["SLURM_CONF"], gate, **changes)
        at = coordinator(Workdir(tmp_path / folder), used, **(times or {}))
        add_grid(at, [noop(f"{number:04x}aa") for number in range(runs)] if isinstance(runs, int) else runs)
        begun.append(Sweeping(at, dev, gate))
        return begun[-1]

    yield begin
    for sweeping in begun:
        with closing(sweeping.at):
            if sweeping.external_ids:
                sweeping.at.cluster.cancel(sweeping.at.store.live_jobs())

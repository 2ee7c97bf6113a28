"""The commands that get to know a cluster; main.py hangs them in."""

from __future__ import annotations

import sys

import click

from sgonz.cli import completion, options
from sgonz.cli.sections import Whole


@click.group(cls=Whole)
def cluster() -> None:
    """Get to know a cluster."""


@cluster.command()
@click.option("-o", "--out", "file", metavar="FILE", help="Write it there [standard output].")
def detect(file: str | None) -> None:
    """Write a profile of this cluster from what sinfo, scontrol and sacctmgr say of it."""
    from sgonz.commands import sites

    sites.detect(file)


@click.command()
@click.argument("cluster", default="local", shell_complete=completion.clusters)
@options.workdir
@click.option(
    "--for", "sweep", metavar="SWEEP", help="Also whether its hub models and data sets are in the cache."
)
@click.option("--wait", type=click.FloatRange(min=1), default=300.0, show_default=True, metavar="SECONDS",
              help="How long the probe job may take to start.")  # fmt: skip
@options.output
def doctor(cluster: str, workdir: str | None, sweep: str | None, wait: float, output: str) -> None:
    """Look a cluster over, with a probe job, and say what is wrong and what to do about it.

    CLUSTER is a profile, by name or file. Exit code 1 when a line is red.
    """
    from sgonz.commands import sites

    sys.exit(sites.doctor(cluster, workdir, sweep, wait=wait, output=output))


@click.command()
@click.argument("run_id")
@options.workdir
@options.sweep_name
@options.cluster
@click.option("--keep", is_flag=True, help="Leave the scratch copy, with what the run wrote.")
def debug(run_id: str, workdir: str | None, sweep: str | None, cluster: str | None, keep: bool) -> None:
    """Do one run by hand, on a node through srun, with its output here; the sweep knows nothing of it."""
    from sgonz.commands import sites

    sys.exit(sites.debug(run_id, workdir, sweep, cluster, keep=keep))


@click.command()
@click.argument("sweep")
@options.workdir
@options.changes
@options.output
def prefetch(sweep: str, workdir: str | None, changes: tuple[str, ...], output: str) -> None:
    """Bring a sweep's models and data sets from the hub into its cache, for nodes without network.

    Exit code 1 where something cannot be had.
    """
    from sgonz.commands import sites

    sys.exit(sites.prefetch(sweep, workdir, changes, output=output))


COMMANDS = (cluster, doctor, debug, prefetch)

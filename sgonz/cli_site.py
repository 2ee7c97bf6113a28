"""The commands that get to know a cluster; cli.py hangs them in."""

from __future__ import annotations

import click


@click.group()
def cluster() -> None:
    """Get to know a cluster."""


@cluster.command()
@click.option("-o", "--out", "file", metavar="FILE", help="Write it there [standard output].")
def detect(file: str | None) -> None:
    """Write a profile of this cluster from what sinfo, scontrol and sacctmgr say of it."""
    from sgonz.commands import sites

    sites.detect(file)

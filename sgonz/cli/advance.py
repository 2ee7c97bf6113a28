"""advance: turns that nobody watches."""

from __future__ import annotations

import click

from sgonz.cli import options


@click.command()
@options.cluster
@options.workdir
@options.sweep_name
@click.option("--detach", is_flag=True, help="Let small Slurm jobs make all further turns.")
@click.option(
    "--every", type=click.FloatRange(min=0.1), metavar="SECONDS", help="Again and again until it is done."
)
@options.output
def advance(
    cluster: str | None, workdir: str | None, sweep: str | None, detach: bool, every: float | None, output: str
) -> None:  # fmt: skip
    """Make one turn: collect what happened, decide, send what is ready. For cron and for jobs."""
    from sgonz.commands import advancing

    if detach and every is not None:
        raise click.UsageError("--detach hands the turns to jobs, --every makes them here: choose one")
    advancing.advance(workdir, sweep, cluster, detach=detach, every=every, output=output)

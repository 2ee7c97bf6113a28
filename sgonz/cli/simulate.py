"""simulate: a sweep on a cluster that is only imagined; main.py hangs it in."""

from __future__ import annotations

import click

from sgonz.cli import completion, options

SHARE = click.FloatRange(0.0, 0.9)


@click.command()
@click.argument("sweep", shell_complete=completion.sweep_files)
@options.group_of(options.workdir, options.cluster, options.changes)
@click.option("--jobs", "slots", type=click.IntRange(1), multiple=True, metavar="N",
              help="Jobs at a time; several times, to compare [the profile's slots, or 8].")  # fmt: skip
@click.option("--failed", type=SHARE, default=0.0, metavar="SHARE", help="Of runs that fail when tried.")
@click.option("--lost", type=SHARE, default=0.0, metavar="SHARE", help="Of jobs whose node goes down.")
@click.option(
    "--preempted", type=SHARE, default=0.0, metavar="SHARE", help="Of jobs that have to leave early."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of what goes wrong.")
@options.output
def simulate(
    sweep: str, workdir: str | None, cluster: str | None, changes: tuple[str, ...], slots: tuple[int, ...],
    failed: float, lost: float, preempted: float, seed: int, output: str,
) -> None:  # fmt: skip
    """Say when a sweep would be done and what it would use, by deciding its way through an imagined cluster.

    Runs take as long as `sgonz plan` predicts; jobs start as soon as one of so many places is free.
    """
    from sgonz.commands import simulating

    simulating.simulate(
        sweep, workdir, cluster, changes, slots=slots, failed=failed, lost=lost, preempted=preempted, seed=seed,
        output=output,
    )  # fmt: skip

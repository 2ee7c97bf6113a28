"""The commands that are for people alone: what they write about sweeps, what they watch and what they missed."""

from __future__ import annotations

import sys

import click

from sgonz.cli import completion, options


@click.command()
@click.argument("sweep", shell_complete=completion.sweeps)
@click.argument("text", required=False)
@click.option("--remove", type=click.IntRange(min=1), metavar="N", help="Take note number N away instead.")
@options.workdir
@options.output
def note(sweep: str, text: str | None, remove: int | None, workdir: str | None, output: str) -> None:
    """Write TEXT about a sweep; without it, show what was written.

    Notes stand in `sgonz status`, `sgonz sweeps` and the report, and stay when the sweep file is edited.
    """
    from sgonz.commands import labelling

    labelling.note(sweep, text, remove, workdir, output=output)


@click.command()
@click.argument("sweep", shell_complete=completion.sweeps)
@click.argument("tags", nargs=-1)
@click.option("--remove", is_flag=True, help="Take these tags away instead.")
@options.workdir
@options.output
def tag(sweep: str, tags: tuple[str, ...], remove: bool, workdir: str | None, output: str) -> None:
    """Give a sweep TAGS; without any, show those that it has.

    `--sweep TAG` then means the newest sweep with this tag, and `--where "tags = TAG"` runs of all that have it.
    """
    from sgonz.commands import labelling

    labelling.tag(sweep, tags, workdir, remove=remove, output=output)


@click.command()
@options.workdir
@options.sweep_name
@options.cluster
@options.where
@click.option("--every", type=click.FloatRange(min=0.2), default=1.0, show_default=True, metavar="SECONDS",
              help="Between two looks; more on a slow line.")  # fmt: skip
@click.option("--advance", is_flag=True, help="Make turns too, as `sgonz run` does.")
def watch(
    workdir: str | None,
    sweep: str | None,
    cluster: str | None,
    where: str | None,
    every: float,
    advance: bool,
) -> None:
    """Watch a sweep live: how far it is, what runs, what failed, who leads. ? shows the keys, q leaves.

    It only reads, so any number may watch, and nothing stops when they leave. With --advance it also collects,
    decides and sends until the sweep is done. Into a pipe it prints a line for everything that happens.
    """
    from sgonz.commands import watching

    sys.exit(watching.watch(workdir, sweep, where, every=every, advance=advance, cluster=cluster))


@click.command()
@options.workdir
@options.sweep_name
@click.option("--since", metavar="last|2h|DATE", default="last", show_default=True,
              help="From when on: the last time you asked, a span (30m, 2h, 3d), a date, or start.")  # fmt: skip
@options.output
def history(workdir: str | None, sweep: str | None, since: str, output: str) -> None:
    """Say what happened while you were away: what finished, failed and why, gates, new bests, holds, GPU-hours."""
    from sgonz.commands import remembering

    remembering.history(workdir, sweep, since, output=output)


COMMANDS = (note, tag, watch, history)

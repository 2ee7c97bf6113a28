"""The commands by which a person steers a sweep while it runs; main.py hangs them in."""

from __future__ import annotations

from typing import Any

import click

from sgonz.cli import completion, options

act_options = options.group_of(
    options.workdir, options.sweep_name, options.where, options.limit, options.dry_run, options.output
)
runs = click.argument("run_ids", metavar="[RUN]...", nargs=-1, shell_complete=completion.run_ids)
reason = click.option("--reason", metavar="TEXT", help="Why; shown wherever these runs are explained.")


@click.command()
@runs
@act_options
@options.yes
def cancel(run_ids: tuple[str, ...], yes: bool, **selection: Any) -> None:
    """Stop runs; they stay stopped until `run` or `retry`. Without a choice, the whole sweep."""
    from sgonz.commands import acting

    acting.cancel(run_ids, yes=yes, **selection)


@click.command()
@runs
@act_options
@click.option(
    "--signature",
    metavar="NAME",
    help="Those of one group of `sgonz failures`; a pattern may stand for several.",
)
@click.option("--memory", "memory_gb", type=click.FloatRange(min=0, min_open=True), metavar="GB",
              help="Have runs like these ask for so much memory of the host from now on.")  # fmt: skip
def retry(run_ids: tuple[str, ...], signature: str | None, memory_gb: float | None, **selection: Any) -> None:
    """Try failed, skipped and cancelled runs again. Without a choice, all of them."""
    from sgonz.commands import acting

    acting.retry(run_ids, signature=signature, memory_gb=memory_gb, **selection)


@click.command()
@runs
@act_options
@reason
def pause(run_ids: tuple[str, ...], reason: str | None, **selection: Any) -> None:
    """Send nothing new until `resume`: of a selector (runs planned later too), of these runs, or at all."""
    from sgonz.commands import acting

    acting.say("pause", run_ids, reason=reason, **selection)


@click.command()
@runs
@act_options
@reason
def drain(run_ids: tuple[str, ...], reason: str | None, **selection: Any) -> None:
    """Let what runs finish, and begin nothing else: also what jobs have in their lists stays undone until `resume`."""
    from sgonz.commands import acting

    acting.say("drain", run_ids, reason=reason, **selection)


@click.command()
@runs
@act_options
@reason
def resume(run_ids: tuple[str, ...], reason: str | None, **selection: Any) -> None:
    """Let runs go on that were paused, drained, or held after failures. Without a choice, all of them."""
    from sgonz.commands import acting

    acting.say("resume", run_ids, reason=reason, **selection)


@click.command("set")
@click.argument("pairs", metavar="[KEY=VALUE]...", nargs=-1)
@act_options
def change(pairs: tuple[str, ...], **selection: Any) -> None:
    """Change caps while a sweep runs: max_jobs, max_gpus, gpu_hours (`none` lifts one), or priority=N of runs.

    A cap that is lower than what is out stops nothing; nothing new is sent until there is room again. Without
    KEY=VALUE, show what was said so far.
    """
    from sgonz.commands import acting

    acting.change(pairs, **selection)


@click.command()
@runs
@act_options
@click.option(
    "--reason", metavar="TEXT", help="Why; it is kept with what is put aside. Not needed for a dry run."
)
@options.yes
def invalidate(run_ids: tuple[str, ...], reason: str | None, yes: bool, **selection: Any) -> None:
    """Do runs again, and everything that follows from them; what there was is put aside, nothing is deleted."""
    from sgonz.commands import acting

    acting.invalidate(run_ids, reason=reason, yes=yes, **selection)


@click.command()
@options.workdir
@options.sweep_name
@options.output
@options.where
@options.limit
def failures(**selection: Any) -> None:
    """Show what went wrong, grouped by how: counts, GPU-hours lost, an example, and what helps."""
    from sgonz.commands import failing

    failing.failures(**selection)


@click.command()
@click.argument("run_id", metavar="RUN|DATASET", shell_complete=completion.runs_or_datasets)
@options.workdir
@options.sweep_name
@options.output
def explain(run_id: str, workdir: str | None, sweep: str | None, output: str) -> None:
    """Say why a run stands where it stands, or what a data set's gate waits for."""
    from sgonz.commands import explaining

    explaining.explain(run_id, workdir, sweep, output=output)


COMMANDS = (cancel, retry, pause, resume, drain, change, invalidate, failures, explain)

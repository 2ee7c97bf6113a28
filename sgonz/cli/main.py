"""The commands: read options, call one function, print. Imports stand inside commands to keep start-up short."""

from __future__ import annotations

import sys
from typing import Any

import click

from sgonz import __version__
from sgonz.cli import advance as cli_advance
from sgonz.cli import completion, options
from sgonz.cli import control as cli_control
from sgonz.cli import database as cli_database
from sgonz.cli import people as cli_people
from sgonz.cli import sections as cli_sections
from sgonz.cli import sharing as cli_sharing
from sgonz.cli import simulate as cli_simulate
from sgonz.cli import site as cli_site
from sgonz.errors import SgonzError

sweep_options = options.group_of(options.workdir, options.cluster, options.changes)
look_options = options.group_of(options.workdir, options.sweep_name, options.output)
act_options = options.group_of(
    options.workdir, options.sweep_name, options.where, options.limit, options.dry_run
)


@click.group(
    cls=cli_sections.Sections,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, package_name="sgonz")
def sgonz() -> None:
    """Fine-tune and distil language models: one sweep file, one command.

    \b
    sgonz plan demo           what would run, and for how long
    sgonz run demo            run it; type it again to go on where it stopped
    sgonz results             scores of the best runs
    sgonz report demo         everything on one page

    A sweep is a TOML file: jobs/demo.toml is a small one, jobs/speedy_gonzales.toml explains every key
    (`sgonz plan NAME --show` prints them). Runs, results and the database lie in a work folder (--workdir,
    ./work). Every command has --help.
    """


sgonz.add_command(cli_advance.advance)
sgonz.add_command(cli_simulate.simulate)
for command in (
    *cli_people.COMMANDS,
    *cli_sharing.COMMANDS,
    *cli_site.COMMANDS,
    *cli_control.COMMANDS,
    *cli_database.COMMANDS,
):
    sgonz.add_command(command)


def main() -> None:
    try:
        sgonz(standalone_mode=False)
    except click.exceptions.Abort:
        options.say("stopped")
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of a pipe left, as `| head` does
        sys.exit(0)
    except (SgonzError, OSError, ModuleNotFoundError) as error:
        options.leave(error)


@sgonz.command()
@click.argument("sweep", shell_complete=completion.sweep_files)
@sweep_options
@options.yes
@options.output
def run(
    sweep: str, workdir: str | None, cluster: str | None, changes: tuple[str, ...], yes: bool, output: str
) -> None:
    """Run a sweep until it is done; typed again, go on where it stopped.

    SWEEP is a file, or the name of one in jobs/. Ctrl-C leaves jobs that were sent running; nothing that is
    finished is trained again. Look on with `sgonz watch`, `sgonz status` and `sgonz results`.
    """
    from sgonz.commands import running

    sys.exit(running.run(sweep, workdir, cluster, changes, yes=yes, output=output))


@sgonz.command()
@click.argument("sweep", shell_complete=completion.sweep_files)
@sweep_options
@click.option("--detach", is_flag=True, help="Let small Slurm jobs make all further turns.")
@click.option("--dry-run", is_flag=True, help="Print the exact commands and scripts, and send nothing.")
@options.yes
@options.output
def submit(
    sweep: str, workdir: str | None, cluster: str | None, changes: tuple[str, ...], detach: bool, dry_run: bool, yes: bool,
    output: str,
) -> None:  # fmt: skip
    """Send what can be sent now and return; `sgonz advance`, or with --detach a job, sends what follows."""
    from sgonz.commands import running

    if dry_run:
        running.rehearse(sweep, workdir, cluster, changes)
        return
    running.submit(sweep, workdir, cluster, changes, detach=detach, yes=yes, output=output)


@sgonz.command()
@click.argument("sweep", shell_complete=completion.sweep_files)
@sweep_options
@options.output
@click.option("--show", is_flag=True, help="Print the merged sweep file instead.")
def plan(
    sweep: str, workdir: str | None, cluster: str | None, changes: tuple[str, ...], output: str, show: bool
) -> None:
    """Show what a sweep would run; nothing is written and nothing is sent."""
    from sgonz.commands import planning

    planning.plan(sweep, workdir, cluster, changes, output=output, show=show)


@sgonz.command()
@click.argument("one", shell_complete=completion.runs_or_files)
@click.argument("other", shell_complete=completion.runs_or_files)
@options.workdir
@options.output
def diff(one: str, other: str, workdir: str | None, output: str) -> None:
    """Show which fields make two runs (ids) or two sweeps (files) differ."""
    from sgonz.commands import planning

    planning.diff(one, other, workdir, output=output)


@sgonz.command()
@look_options
@options.where
@click.option("--problems", is_flag=True, help="Event files that were not as they should be, instead.")
def status(workdir: str | None, sweep: str | None, output: str, where: str | None, problems: bool) -> None:
    """Show how far a sweep is, who teaches what, and what went wrong."""
    from sgonz.commands import looking

    looking.status(workdir, sweep, where, problems=problems, output=output)


@sgonz.command()
@options.workdir
@options.sweep_name
@options.table_output
@options.where
@options.limit
@click.option("--all", "everything", is_flag=True, help="Every run, not only the selected ones.")
@click.option("--compare", type=click.Choice(("published",)), help="Test scores beside the published ones.")
def results(
    workdir: str | None,
    sweep: str | None,
    output: str,
    where: str | None,
    limit: int | None,
    everything: bool,
    compare: str | None,
) -> None:
    """Show scores: the leaderboard, or with --all (and in json and csv) every finished run."""
    from sgonz.commands import looking

    looking.results(workdir, sweep, where, limit, everything, compare=compare is not None, output=output)


@sgonz.command()
@click.option(
    "--models",
    metavar="all|NAME,...",
    default="all",
    shell_complete=completion.models,
    show_default=True,
    help="Catalog names, or folders.",
)
@click.option(
    "--lengths", metavar="N,...", default="128,256,512", show_default=True, help="Tokens per input."
)
@click.option("--batch-sizes", metavar="N,...", default="1", show_default=True, help="Inputs at a time.")
@click.option(
    "--device", type=click.Choice(("cpu", "cuda")), help="Time them too; without it nothing is run."
)
@click.option(
    "--repeats", type=click.IntRange(min=2), default=100, show_default=True, help="Timed calls of each."
)
@click.option("--reference", metavar="NAME|none", default="beto-cased", show_default=True, shell_complete=completion.models,
              help="A model timed in turns with every other.")  # fmt: skip
@click.option("--protocol", type=click.Choice(("sound", "paper")), default="sound", show_default=True,
              help="How latencies are taken and filtered.")  # fmt: skip
@options.output
def benchmark(
    models: str, lengths: str, batch_sizes: str, device: str | None, repeats: int, reference: str, protocol: Any,
    output: str,
) -> None:  # fmt: skip
    """Show models' parameters and MACs, from their configurations alone; with --device, their speed.

    Weights are random; the head has 3 labels.
    """
    from sgonz.commands import measuring

    measuring.benchmark(
        models, measuring.sizes("--lengths", lengths), measuring.sizes("--batch-sizes", batch_sizes), device,
        protocol=protocol, repeats=repeats, reference=reference, output=output,
    )  # fmt: skip


@sgonz.command()
@act_options
@click.option("--keep", type=click.Choice(("best", "scores")), help="What stays [the sweep's keep].")
@options.yes
@options.output
def clean(
    workdir: str | None, sweep: str | None, where: str | None, limit: int | None, dry_run: bool, keep: Any,
    yes: bool, output: str,
) -> None:  # fmt: skip
    """Show weights and stored logits that nobody will ask for, with their sizes, then ask and remove them; scores stay."""
    from sgonz.commands import tending

    tending.clean(workdir, sweep, where, limit, keep=keep, dry_run=dry_run, yes=yes, output=output)


@sgonz.command()
@look_options
@options.where
def efficiency(workdir: str | None, sweep: str | None, output: str, where: str | None) -> None:
    """Show what runs asked for beside what they used, and propose smaller requests."""
    from sgonz.commands import tending

    tending.efficiency(workdir, sweep, where, output=output)


@sgonz.command()
@options.workdir
@options.output
def sweeps(workdir: str | None, output: str) -> None:
    """List the sweeps of a work folder, newest first."""
    from sgonz.commands import looking

    looking.sweeps(workdir, output=output)


@sgonz.command()
@click.argument("query", required=False, shell_complete=completion.queries)
@click.option("--param", "parameters", metavar="NAME=VALUE", multiple=True, help="A parameter of the query.")
@options.workdir
@options.table_output
def query(query: str | None, parameters: tuple[str, ...], workdir: str | None, output: str) -> None:
    """Ask the results database: a named query, or SQL (read-only). Without QUERY, list the named ones."""
    from sgonz.commands import asking

    asking.query(query, parameters, workdir, output=output)


@sgonz.command()
@click.argument("run_ids", metavar="[RUN]...", nargs=-1, shell_complete=completion.run_ids)
@options.workdir
@options.sweep_name
@options.where
@options.limit
@click.option(
    "--lines", "-n", type=click.IntRange(min=1), default=40, show_default=True, help="Last lines of each."
)
@options.output
@click.option(
    "-f", "--follow", is_flag=True, help="Go on as they grow, until they end; by default what runs."
)
def logs(
    run_ids: tuple[str, ...],
    workdir: str | None,
    sweep: str | None,
    where: str | None,
    limit: int | None,
    lines: int,
    output: str,
    follow: bool,
) -> None:
    """Print the end of runs' logs; without a choice, of those that failed."""
    from sgonz.commands import logs as of_runs

    if follow:
        of_runs.follow_logs(run_ids, workdir, sweep, where, lines)
        return
    of_runs.logs(run_ids, workdir, sweep, where, limit, lines, output=output)

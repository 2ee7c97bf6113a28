"""What is typed to care for the database, and to bring results of others into it."""

from __future__ import annotations

import sys

import click

from sgonz.cli import completion, options
from sgonz.cli.sections import Whole


@click.group(cls=Whole)
def db() -> None:
    """Care for the results database."""


@db.command()
@options.workdir
def upgrade(workdir: str | None) -> None:
    """Bring the database to the tables of this version."""
    from sgonz.commands import database

    database.upgrade(workdir)


@db.command()
@options.workdir
@options.output
def check(workdir: str | None, output: str) -> None:
    """Look for damage: pages, rows that point nowhere, states that contradict each other."""
    from sgonz.commands import database

    sys.exit(database.check(workdir, output=output))


@db.command()
@click.argument("target", shell_complete=completion.files, required=False)
@options.workdir
def backup(target: str | None, workdir: str | None) -> None:
    """Copy an SQLite database whole while others use it: to TARGET, or into backups/ of the work folder."""
    from sgonz.commands import database

    database.backup(target, workdir)


@db.command()
@click.argument("source", shell_complete=completion.files)
@click.argument("target", shell_complete=completion.files)
@options.output
def copy(source: str, target: str, output: str) -> None:
    """Bring everything from SOURCE to TARGET (files, work folders or postgresql:// URLs) and verify it."""
    from sgonz.commands import database

    database.copy(source, target, output=output)


@db.command()
@options.workdir
def rebuild(workdir: str | None) -> None:
    """Make the database again from coordinator.jsonl, event files and run folders."""
    from sgonz.commands import database

    database.rebuild(workdir)


@click.command("import")
@click.argument("file", shell_complete=completion.files)
@options.workdir
@click.option("--name", metavar="NAME", help="Sweep that they become [the file's name].")
@click.option(
    "--column", "columns", metavar="FIELD=COLUMN", multiple=True, help="A column that is called otherwise."
)
@click.option("--teacher", metavar="NAME", help="Teacher of every row, where no column says it.")
@click.option("--metric", metavar="NAME", help="Of the scores [the published data set's, else f1].")
@click.option("--task", type=click.Choice(("classification", "tagging", "qa")),
              help="Of the data sets [the published data set's, else classification].")  # fmt: skip
@options.output
def import_results(
    file: str,
    workdir: str | None,
    name: str | None,
    columns: tuple[str, ...],
    output: str,
    **given: str | None,
) -> None:
    """Take finished results from a CSV file, to be selected and reported like our own.

    A line for every run. Columns: dataset, student (or model), learning_rate, batch_size, epochs, validation_loss; if there
    are any, teacher, validation_score, test_score, exact_match, seconds, seed.
    """
    from sgonz.commands import database

    database.import_results(file, workdir, name=name, columns=columns, given=given, output=output)


COMMANDS = (db, import_results)

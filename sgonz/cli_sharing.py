"""The commands that hand results on: read options, call one function, print."""

from __future__ import annotations

import click

from sgonz import options


@click.command()
@click.argument("sweep", required=False)
@options.workdir
@click.option(
    "--out", "-o", "folder", metavar="DIR", help="Folder to write [reports/SWEEP in the work folder]."
)
@click.option("--format", "output", type=click.Choice(("files", "json")), default="files", show_default=True,
              help="Files, or all their numbers as JSON on stdout.")  # fmt: skip
def report(sweep: str | None, workdir: str | None, folder: str | None, output: str) -> None:
    """Write a sweep's report: one HTML page that needs no network, tables and figures for papers.

    SWEEP is the name of a sweep in the work folder, or its file; without it, the newest.

    \b
    report.html               everything on one page, to open, to mail, to print
    tables.md, tables.tex     all tables; tables/ holds each as .md, .tex (booktabs) and .csv
    figures/                  every figure as .svg and .png

    A sweep that is not done is reported as it stands, gaps and failures included.
    """
    from sgonz.commands import reporting

    reporting.report(sweep, workdir, folder, output=output)


@click.command()
@click.argument("sweep", required=False)
@options.workdir
@click.option("--tensorboard", metavar="DIR", help="Event files for TensorBoard, a folder for every run.")
@click.option("--curves", metavar="FILE", help="One CSV file: a line for every run, epoch and score.")
@options.where
@options.limit
def export(
    sweep: str | None, workdir: str | None, tensorboard: str | None, curves: str | None, where: str | None, limit: int | None
) -> None:  # fmt: skip
    """Write learning curves for other tools: TensorBoard, or a CSV file.

    SWEEP is the name of a sweep in the work folder, or its file; without it, the newest. Typed again, files are
    written anew.

    \b
    sgonz export demo --tensorboard curves
    sgonz export --curves curves.csv --where "dataset = pos"
    """
    from sgonz.commands import exporting

    exporting.export(sweep, workdir, where, limit, tensorboard=tensorboard, curves=curves)


COMMANDS = (report, export)

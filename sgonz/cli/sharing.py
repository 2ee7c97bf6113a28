"""The commands that hand results on: read options, call one function, print."""

from __future__ import annotations

import click

from sgonz.cli import completion, options


@click.command()
@click.argument("sweep", required=False, shell_complete=completion.sweeps)
@options.workdir
@click.option(
    "--out",
    "-o",
    "folder",
    metavar="DIR",
    shell_complete=completion.folders,
    help="Folder to write [reports/SWEEP in the work folder].",
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
@click.argument("sweep", required=False, shell_complete=completion.sweeps)
@options.workdir
@click.option(
    "--models",
    metavar="DIR",
    shell_complete=completion.folders,
    help="The best models' weights, tokenizers and model cards, a folder for each.",
)
@click.option(
    "--tensorboard",
    metavar="DIR",
    shell_complete=completion.folders,
    help="Event files for TensorBoard, a folder for every run.",
)
@click.option(
    "--curves",
    metavar="FILE",
    shell_complete=completion.files,
    help="One CSV file: a line for every run, epoch and score.",
)
@options.where
@options.limit
def export(
    sweep: str | None, workdir: str | None, models: str | None, tensorboard: str | None, curves: str | None, where: str | None,
    limit: int | None,
) -> None:  # fmt: skip
    """Write models with model cards, and learning curves for other tools: TensorBoard, or a CSV file.

    SWEEP is the name of a sweep in the work folder, or its file; without it, the newest. Typed again, files are
    written anew.
    """
    from sgonz.commands import exporting

    exporting.export(sweep, workdir, where, limit, models=models, tensorboard=tensorboard, curves=curves)


@click.command("completion")
@click.argument("shell", type=click.Choice(completion.SHELLS))
@click.pass_context
def shell_script(context: click.Context, shell: str) -> None:
    """Print what a shell has to read for Tab to complete commands, options, sweeps, runs, models and clusters.

    \b
    bash    echo 'eval "$(sgonz completion bash)"' >> ~/.bashrc
    zsh     echo 'eval "$(sgonz completion zsh)"' >> ~/.zshrc
    fish    sgonz completion fish > ~/.config/fish/completions/sgonz.fish
    """
    click.echo(completion.script(context.find_root().command, shell))


COMMANDS = (report, export, shell_script)

"""python -m sgonz.sample FOLDER: the sample corpora and models, without a sweep."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from sgonz.cli.working import working
from sgonz.errors import SgonzError
from sgonz.sample import make


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--seed", default=1, show_default=True, help="Another seed gives other texts and weights.")
@click.option(
    "--size",
    default=400,
    show_default=True,
    type=click.IntRange(min=40),
    help="Training examples of each data set.",
)
def main(folder: Path, seed: int, size: int) -> None:
    """Write FOLDER/data and FOLDER/models, unless they are there already."""
    try:
        with working("making corpora and models"):
            make(folder, seed=seed, size=size)
    except SgonzError as error:
        click.echo(error, err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()

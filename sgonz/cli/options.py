"""Options that commands share, and how their answers and errors leave the process."""

from __future__ import annotations

import csv
import errno
import io
import json
import math
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

import click

from sgonz.cli import completion
from sgonz.errors import SgonzError, UserError

Command = TypeVar("Command", bound=Callable[..., Any])
LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
         **{sign: f"\\{sign}" for sign in "&%$#_{}"}}  # fmt: skip
EXTRAS = {
    "jinja2": "report",
    "markupsafe": "report",
    "vl_convert": "report",
    "huggingface_hub": "train",
    "tensorboardX": "export",
}  # package -> extra
FORMATS = ("table", "json", "csv", "markdown", "latex")
FILE_FORMATS = (*FORMATS, "parquet")  # of commands whose answer is one table

workdir = click.option(
    "--workdir",
    metavar="DIR",
    shell_complete=completion.folders,
    help="Folder of runs and results [SGONZ_WORKDIR, the profile's, or ./work].",
)
cluster = click.option(
    "--cluster",
    metavar="NAME|FILE",
    shell_complete=completion.clusters,
    help="Where it runs: a profile in cluster_configs/ [local].",
)
changes = click.option(
    "--set",
    "changes",
    metavar="KEY=VALUE",
    multiple=True,
    help="Change a key of the sweep file: finetune.grid.epochs=[2].",
)
sweep_name = click.option(
    "--sweep",
    "sweep",
    metavar="NAME",
    shell_complete=completion.sweeps,
    help="A sweep of the work folder, or a tag [the newest].",
)
where = click.option(
    "--where",
    metavar="CONDITION",
    shell_complete=completion.conditions,
    help='Which runs: "dataset in (pos, ner) and state = FAILED"; also kind, model (~ "albeto-*"), teacher, seed, '
    "learning_rate, tags, ...",
)
limit = click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many.")
dry_run = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
yes = click.option("--yes", is_flag=True, help="Answer every question with yes.")
output = click.option(
    "--format", "output", type=click.Choice(FORMATS), default="table", show_default=True, help="How to print."
)

table_output = click.option(
    "--format", "output", type=click.Choice(FILE_FORMATS), default="table", show_default=True, help="How to print."
)  # fmt: skip


def group_of(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several options as one decorator, listed in help in this order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def say(text: str) -> None:
    """A remark: to stderr, so that stdout holds answers only."""
    click.echo(text, err=True)


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def print_rows(
    rows: Sequence[Mapping[str, Any]],
    output: str,
    columns: Sequence[str],
    bold: Collection[tuple[int, str]] = (),
) -> None:
    """Rows as JSON, CSV, a markdown or LaTeX table, or Parquet bytes; `table` is drawn by the view.

    `bold`: cells (row, column) that stand out in markdown and LaTeX.
    """
    if output == "json":
        print_json([{name: _finite(value) for name, value in row.items()} for row in rows])
    elif output == "csv":
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_cell(row.get(name)) for name in columns] for row in rows)
        click.echo(stream.getvalue(), nl=False)
    elif output == "markdown":
        click.echo("| " + " | ".join(columns) + " |\n|" + " --- |" * len(columns))
        for at, row in enumerate(rows):
            cells = (_words(row.get(name)).replace("|", "\\|") for name in columns)
            shown = (
                f"**{cell}**" if (at, name) in bold else cell
                for name, cell in zip(columns, cells, strict=True)
            )
            click.echo("| " + " | ".join(shown) + " |")
    elif output == "latex":
        click.echo(latex(rows, columns, bold))
    elif output == "parquet":
        from sgonz.looking.frames import parquet

        if sys.stdout.isatty():
            raise UserError("Parquet is not for a terminal", hint="Send it to a file: > FILE.parquet")
        sys.stdout.buffer.write(parquet(rows, columns))


def latex(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], bold: Collection[tuple[int, str]] = ()
) -> str:
    """A tabular for the booktabs package; numbers to the right."""
    numeric = [all(_is_number(row.get(name)) for row in rows) for name in columns]
    lines = [
        f"\\begin{{tabular}}{{{''.join('r' if right else 'l' for right in numeric)}}}",
        "\\toprule",
        " & ".join(_latex_text(name) for name in columns) + r" \\",
        "\\midrule",
        *(
            " & ".join(_latex_cell(row.get(name), (at, name) in bold) for name in columns) + r" \\"
            for at, row in enumerate(rows)
        ),
        "\\bottomrule",
        "\\end{tabular}",
    ]
    return "\n".join(lines)


def _is_number(value: Any) -> bool:
    if isinstance(value, str):  # rounded already
        return value.replace(".", "", 1).lstrip("-").isdecimal()
    return isinstance(value, int | float | None)


def _latex_cell(value: Any, bold: bool = False) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else _latex_text(_words(value))
    return f"\\textbf{{{text}}}" if bold else text


def _latex_text(text: str) -> str:
    return "".join(LATEX.get(letter, letter) for letter in text)


def _finite(value: Any) -> Any:
    """JSON knows no NaN and no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def _words(value: Any) -> str:
    """A value in one line of a table that people read."""
    match value:
        case None:
            return ""
        case Mapping():
            return ", ".join(f"{name} {_words(part)}" for name, part in value.items())
        case list() | tuple():
            return ", ".join(map(_words, value))
        case _:
            return " ".join(str(value).split())


def leave(error: BaseException) -> NoReturn:
    """End the process as an error asks for: one or two lines, no traceback for what a user can mend."""
    if isinstance(error, SgonzError):
        say(f"error: {error.message}" + (f"\n{error.hint}" if error.hint else ""))
        sys.exit(error.exit_code)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        say(
            "error: no space left on the disk\nFree space, or use another folder with --workdir; nothing was lost."
        )
        sys.exit(2)
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("sgonz"):
        package = error.name.partition(".")[0]
        say(
            f"error: this needs the package {package}, which is not installed\n"
            f"Install it with: pip install 'sgonz[{EXTRAS.get(package, 'train')}]'"
        )
        sys.exit(2)
    if isinstance(error, OSError) and error.filename and error.strerror:
        say(f"error: {error.filename}: {error.strerror.lower()}")
        sys.exit(2)
    raise error

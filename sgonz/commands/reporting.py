"""report: everything that a sweep found, as a page, tables and figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from sgonz import reporting
from sgonz.cli import options
from sgonz.cli.working import working
from sgonz.rundir import write_atomic
from sgonz.sweep.opening import named, open_existing
from sgonz.sweep.planned import read_sweep, workdir_of


def report(name: str | None, workdir: str | None, folder: str | None, *, output: str) -> None:
    """Write the report of a sweep into a folder, or print it as JSON."""
    at = workdir_of(workdir)
    with open_existing(at, read_only=True) as store, working("reading the sweep"):
        source = reporting.read(store, named(store, sweep_name(name), at))
        answer = reporting.report(source)
    if output == "json":
        options.print_json(answer)
        return
    target = Path(folder) if folder else at.root / "reports" / file_name(source.row.name)
    write(answer, target)
    click.echo(target / "report.html")


def sweep_name(given: str | None) -> str | None:
    """What a user names: a sweep, a tag of one, or the file of one."""
    return read_sweep(given, ())[2].name if given and given.endswith(".toml") else given


def file_name(name: str) -> str:
    """A sweep's name as a folder's: nothing that leads elsewhere."""
    kept = "".join(sign if sign.isalnum() or sign in "-_." else "-" for sign in name).strip(".")
    return kept or "sweep"


def write(answer: Mapping[str, Any], folder: Path) -> None:
    """The page, the tables and the figures; each file appears whole."""
    from sgonz.view.report import charts, drawing, page, papers

    figures = charts.charts(answer)
    for part in ("tables", "figures"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    with working("drawing the page", delay=0.0):  # its library lets no other thread go on meanwhile
        write_atomic(folder / "report.html", page.page(answer, figures).encode())
    tables = answer["tables"]
    for table in tables:
        write_atomic(folder / "tables" / f"{table['name']}.md", papers.markdown(table).encode())
        write_atomic(folder / "tables" / f"{table['name']}.tex", papers.latex(table).encode())
        write_atomic(folder / "tables" / f"{table['name']}.csv", papers.as_csv(table).encode())
    write_atomic(folder / "tables.md", "\n".join(papers.markdown(table) for table in tables).encode())
    write_atomic(folder / "tables.tex", papers.document(tables, answer["sweep"]["name"]).encode())
    with working("drawing figures", delay=0.0) as shown:
        for figure in shown.through(figures):
            for name, content in drawing.files(figure).items():
                write_atomic(folder / "figures" / name, content)

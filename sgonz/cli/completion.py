"""What Tab offers: sweep files, sweeps, run ids, data sets, models, clusters, queries. Only files are looked at.

The store is asked through the standard library alone, since loading the real one takes longer than a person waits; where it
is not an SQLite file, nothing is offered.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class

from sgonz.errors import UserError
from sgonz.resources import shipped

SHELLS = ("bash", "zsh", "fish")
MOST = 200  # more than this nobody reads
# As in sgonz.plan.runs, whose import Tab would wait for.
STATES = ("PENDING", "SUBMITTED", "RUNNING", "COMPLETED", "FAILED", "CANCELLED", "SKIPPED")
KINDS = ("finetune", "logits", "distill", "evaluate", "benchmark")


def script(command: click.Command, shell: str) -> str:
    """What a shell has to read once to complete `sgonz`."""
    found = get_completion_class(shell)
    if found is None:
        raise UserError(f"no completion for {shell}", hint=f"Shells: {', '.join(SHELLS)}.")
    source: str = found(command, {}, "sgonz", "_SGONZ_COMPLETE").source()
    return source


def sweep_files(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Names of sweeps that can be run, and files."""
    names = [(name, "sweep") for name in _stems("jobs")]
    return _offered(names, typed) + _path(typed, "file")


def sweeps(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """What the work folder holds: names and tags."""
    names = _asked(context, "SELECT DISTINCT name, 'sweep' FROM sweeps")
    tags = _asked(context, "SELECT DISTINCT tag, 'tag' FROM sweep_tags")
    return _offered([*names, *tags], typed)


def run_ids(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Ids of runs, with what they are."""
    listed = _asked(context, "SELECT run_id, kind || ' ' || dataset || ' ' || model || ' ' || state FROM runs "
                    "WHERE run_id LIKE ? ORDER BY state = 'FAILED' DESC, run_id LIMIT ?", f"{typed}%", MOST)  # fmt: skip
    return _offered(listed, typed)


def runs_or_files(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    return run_ids(context, parameter, typed) + sweep_files(context, parameter, typed)


def runs_or_datasets(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    return _offered(_asked(context, "SELECT DISTINCT dataset, 'data set' FROM runs"), typed) + run_ids(
        context, parameter, typed
    )


def clusters(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    return _offered([(name, "profile") for name in _stems("cluster_configs")], typed) + _path(typed, "file")


def queries(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Named queries, with what they answer."""
    files = sorted((shipped("db") / "queries").glob("*.sql"))
    return _offered(
        [(path.stem, path.read_text().split("\n")[0].removeprefix("-- ")) for path in files], typed
    )


def models(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Models of the catalog; after a comma, one more."""
    from sgonz import catalog

    before, comma, last = typed.rpartition(",")
    names = [(f"{before}{comma}{name}", model.title) for name, model in catalog.models().items()]
    return _offered([("all", "every one"), *names] if not comma else names, typed) + (
        _path(last, "dir") if not comma else []
    )


def conditions(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Whole conditions: data sets and models of the work folder, or of the catalog, states, kinds."""
    from sgonz import catalog

    datasets = [name for name, _ in _asked(context, "SELECT DISTINCT dataset, '' FROM runs")] or list(
        catalog.datasets()
    )
    names = [name for name, _ in _asked(context, "SELECT DISTINCT model, '' FROM runs")] or list(
        catalog.models()
    )
    fields = (("dataset", datasets), ("model", names), ("state", STATES), ("kind", KINDS))
    return _offered([(f"{field} = {value}", "") for field, values in fields for value in values], typed)


def folders(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    return _path(typed, "dir")


def files(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    return _path(typed, "file")


def _offered(names: Iterable[tuple[str, str]], typed: str) -> list[CompletionItem]:
    unique = dict(names)
    return [
        CompletionItem(name, help=told or None) for name, told in unique.items() if name.startswith(typed)
    ][:MOST]


def _path(typed: str, kind: str) -> list[CompletionItem]:
    """The shell completes paths itself."""
    return [CompletionItem(typed, type=kind)]


def _stems(folder: str) -> Iterator[str]:
    """Names of the TOML files that stand here and that ship."""
    found = {path.stem for place in (Path(folder), shipped(folder)) for path in place.glob("*.toml")}
    yield from sorted(found)


def _asked(context: click.Context, question: str, *values: Any) -> list[tuple[str, str]]:
    """Rows of the work folder's database; none where there is none, or where it cannot be read at once."""
    given = context.params.get("workdir") or os.environ.get("SGONZ_WORKDIR") or "work"
    path = (Path(given).expanduser() / "sgonz.db").resolve()
    if os.environ.get("SGONZ_DATABASE") or not path.is_file():
        return []
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=0.2)) as connection:
            return [(str(name), str(told)) for name, told in connection.execute(question, values)]
    except sqlite3.Error:
        return []

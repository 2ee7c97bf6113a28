"""query: ask the database, by a name or in SQL."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from typing import Any

from sgonz.cli.working import working
from sgonz.commands.planning import show
from sgonz.errors import SpecError
from sgonz.sweep.opening import open_existing
from sgonz.sweep.planned import workdir_of

PEOPLE = ("table", "markdown", "latex")  # formats that people read


def query(text: str | None, parameters: Sequence[str], workdir: str | None, *, output: str) -> None:
    from sgonz.store.query import named_queries

    named = named_queries()
    if text is None:
        rows = [
            {"query": name, "parameters": list(each.parameters), "answers": each.answers}
            for name, each in named.items()
        ]
        show(rows, output, ("query", "parameters", "answers"))
        return
    pairs = dict(_pair(parameter, as_text=text in named) for parameter in parameters)
    with open_existing(workdir_of(workdir), read_only=True) as store, working("asking"):
        columns, values = store.query(text, pairs)
    if output in PEOPLE:
        values = [tuple(map(_unpacked, row)) for row in values]
    show([dict(zip(columns, row, strict=True)) for row in values], output, columns)


def _pair(parameter: str, *, as_text: bool) -> tuple[str, Any]:
    """Numbers are numbers in SQL of one's own; named queries take text, since an id may look like a number."""
    name, equals, value = parameter.partition("=")
    if not equals:
        raise SpecError(f"--param {parameter}: expected NAME=VALUE")
    for kind in () if as_text else (int, float):
        try:
            return name, kind(value)
        except ValueError:
            continue
    return name, value


def _unpacked(value: Any) -> Any:
    """What a column holds as JSON, for formats that people read."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        with contextlib.suppress(json.JSONDecodeError):
            return json.loads(value)
    return value

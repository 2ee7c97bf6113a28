"""Tables as values: columns with how their numbers are meant, rows, a remark, and a sentence where there is nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

Form = Literal[
    "text", "count", "score", "signed", "loss", "rate", "millions", "times", "gmacs", "number", "hours", "share"
]  # fmt: skip


def column(
    name: str,
    title: str,
    form: Form = "text",
    *,
    group: str | None = None,
    best: Literal["high", "low"] | None = None,
    meaning: str = "",
) -> dict[str, Any]:
    """One column. `group` is a heading above several; `best` says which end is marked in every section."""
    return {"name": name, "title": title, "form": form, "group": group, "best": best, "meaning": meaning}


def table(
    name: str,
    title: str,
    columns: Sequence[Mapping[str, Any]],
    rows: Sequence[Mapping[str, Any]],
    *,
    note: str = "",
    empty: str,
    section: str | None = None,
) -> dict[str, Any]:
    """One table; `section` names the column whose changes are drawn as a rule, `empty` says why there may be no rows.

    Beside a value `x` a row may hold `x_sd` (of several seeds), and `x_mark` with what is to be said against it.
    """
    return {"name": name, "title": title, "columns": list(columns), "rows": list(rows), "note": note, "empty": empty,
            "section": section}  # fmt: skip

"""Tables that fit: columns with what their cells hold, left out or cut with an ellipsis where it is narrow."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, TextIO

from rich.box import HORIZONTALS, Box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from sgonz.view.figures import printable

PIPED_WIDTH = 100  # columns where nobody looks

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A heading, what stands under it for a row, and the narrowest console that shows it."""

    heading: str
    cell: Callable[[Any], RenderableType]
    number: bool = False  # to the right, and never cut while there is text to cut
    least: int = 0


def is_terminal(stream: TextIO) -> bool:
    """Whether a person looks at it and it can be drawn on."""
    return stream.isatty() and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")


def console_for(stream: TextIO, *, terminal: bool | None = None) -> Console:
    """A console that sends codes to terminals only, and signs that the stream's encoding lacks as `?`."""
    terminal = is_terminal(stream) if terminal is None else terminal
    if hasattr(stream, "reconfigure") and "utf" not in (stream.encoding or "").lower():
        stream.reconfigure(errors="replace")
    width = None if terminal else PIPED_WIDTH
    return Console(file=stream, force_terminal=terminal, width=width, highlight=False, legacy_windows=False)


def stdout_console() -> Console:
    return console_for(sys.stdout)


def cut(value: object, style: str = "") -> Text:
    """Text as it stands, markup and all, on one line that ends with an ellipsis where it does not fit."""
    return Text(printable(value), style=style, no_wrap=True, overflow="ellipsis")


def whole(value: object, style: str = "") -> Text:
    """Text as it stands, broken over lines where it does not fit."""
    return Text(printable(value), style=style, overflow="fold")


def table_of(
    columns: Sequence[Column],
    rows: Sequence[Any],
    *,
    width: int,
    box: Box | None = HORIZONTALS,
    group: Callable[[Any], Hashable] | None = None,
    title: str | None = None,
) -> Table:
    """The rows as a table at most `width` wide, with a rule where `group` changes."""
    shown = [column for column in columns if column.least <= width]
    table = Table(box=box, padding=(0, 1 if box else 2, 0, 0), pad_edge=False, header_style="bold", title_justify="left",
                  title=cut(title, "bold") if title else None)  # fmt: skip
    for column in shown:
        table.add_column(
            cut(column.heading), justify="right" if column.number else "left", no_wrap=column.number
        )
    for row, following in zip_longest(rows, rows[1:]):
        last = group is not None and following is not None and group(row) != group(following)
        table.add_row(*(column.cell(row) for column in shown), end_section=last)
    return table

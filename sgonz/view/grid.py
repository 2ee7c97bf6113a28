"""Rows in columns as lines of an exact width: what is too wide is cut, what matters least is left out first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from sgonz.view.figures import printable

GAP = 2  # columns between two cells


@dataclass(frozen=True, kw_only=True)
class Field:
    """A heading, what stands under it, and what may be done to it where it is narrow."""

    heading: str
    cell: Callable[[Any], str | Text]
    right: bool = False  # numbers, which are never cut
    least: int = 0  # as narrow as it may be cut; 0 for never
    most: int = 40
    rank: int = 0  # the highest is left out first; 0 never


def words(value: object, style: str = "") -> Text:
    """Text as it stands, on one line."""
    return Text(printable(value), style=style, no_wrap=True, overflow="ellipsis", end="")


def own(text: str, style: str = "") -> Text:
    """Words of ours, which hold nothing that a terminal would act on; their blanks stay."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis", end="")


def grid(
    fields: Sequence[Field], rows: Sequence[Any], width: int, *, mark: int | None = None, heading: bool = True
) -> list[Text]:
    """The heading and a line for each row; `mark` is the row that is chosen."""
    cells = [[_text(field.cell(row)) for field in fields] for row in rows]
    shown, widths = _fitted(fields, cells, width - (2 if mark is not None else 0))
    lines = []
    if heading:
        head = [words(fields[at].heading, "dim") for at in shown]
        lines.append(_line(head, fields, shown, widths, "  " if mark is not None else ""))
    for number, line in enumerate(cells):
        start = "" if mark is None else ("> " if number == mark else "  ")
        made = _line([line[at] for at in shown], fields, shown, widths, start)
        if number == mark:
            made.stylize("bold")
        lines.append(made)
    return lines


def _text(cell: str | Text) -> Text:
    return cell if isinstance(cell, Text) else words(cell)


def _fitted(
    fields: Sequence[Field], cells: Sequence[Sequence[Text]], width: int
) -> tuple[list[int], dict[int, int]]:
    """Which columns stand, and how wide each is."""
    natural = {}
    for at, field in enumerate(fields):
        widest = max((line[at].cell_len for line in cells), default=0)
        natural[at] = max(cell_len(field.heading), min(widest, field.most) if field.least else widest)
    shown = list(natural)
    while True:
        over = sum(natural[at] for at in shown) + GAP * (len(shown) - 1) - width
        if over <= 0:
            return shown, {at: natural[at] for at in shown}
        slack = {at: natural[at] - fields[at].least for at in shown if 0 < fields[at].least < natural[at]}
        if sum(slack.values()) >= over:
            return shown, _squeezed(natural, shown, slack, over)
        out = max(shown, key=lambda at: (fields[at].rank, at))
        if fields[out].rank == 0:  # all that is left matters: the last lines are cut by whoever draws
            return shown, _squeezed(natural, shown, slack, min(over, sum(slack.values())))
        shown.remove(out)


def _squeezed(
    natural: dict[int, int], shown: Sequence[int], slack: dict[int, int], over: int
) -> dict[int, int]:
    """Take from the column that has most to give, a sign at a time."""
    widths, give = {at: natural[at] for at in shown}, dict(slack)
    for _ in range(over):
        at = max(give, key=lambda at: (give[at] > 0, widths[at]))
        widths[at] -= 1
        give[at] -= 1
    return widths


def _line(
    cells: Sequence[Text], fields: Sequence[Field], shown: Sequence[int], widths: dict[int, int], start: str
) -> Text:
    line = Text(start, no_wrap=True, end="")
    for number, (cell, at) in enumerate(zip(cells, shown, strict=True)):
        part = cell.copy()
        size = widths[at]
        if part.cell_len > size:
            part.truncate(size, overflow="ellipsis")
        blank = " " * (size - part.cell_len)
        if fields[at].right:
            line.append(blank).append_text(part)
        else:
            line.append_text(part)
            if number < len(shown) - 1:
                line.append(blank)
        if number < len(shown) - 1:
            line.append(" " * GAP)
    return line

"""What a terminal has to be sent so that it shows other lines than before: only the signs that changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from unicodedata import normalize

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.console import COLOR_SYSTEMS, Console
from rich.style import Style
from rich.text import Text

Cell = tuple[str, str]  # a sign and its codes; no sign in the right half of a wide one
BLANK: Cell = (" ", "")
RESET = "\x1b[0m"
NEAR = 6  # signs that are the same and cheaper sent again than stepped over


@dataclass
class Painter:
    """Remembers what the terminal shows."""

    console: Console
    shown: list[list[Cell]] = field(default_factory=list)
    width: int = 0
    codes: dict[Style, str] = field(default_factory=dict)

    def paint(self, lines: Sequence[Text], width: int) -> str:
        """The difference between these lines and those of the last time; everything after `forget`."""
        cells = [self._cells(line, width) for line in lines]
        fresh = self.width != width or len(self.shown) != len(cells)
        out = [f"{RESET}\x1b[2J"] if fresh else []
        before = [[BLANK] * width for _ in cells] if fresh else self.shown
        for number, (old, new) in enumerate(zip(before, cells, strict=True), 1):
            if old != new:
                out += _line(number, old, new)
        self.shown, self.width = cells, width
        return "".join(out)

    def forget(self) -> None:
        """The terminal may show anything now."""
        self.shown, self.width = [], 0

    def _cells(self, line: Text, width: int) -> list[Cell]:
        cells: list[Cell] = []
        for segment in line.render(self.console):
            codes = self._codes(segment.style)
            for sign in normalize("NFC", segment.text):
                size = cell_len(sign)
                if size == 0:
                    if cells:  # an accent of its own belongs to the sign before it
                        last = -1 if cells[-1][0] else -2
                        cells[last] = (cells[last][0] + sign, cells[last][1])
                    continue
                cells += [(sign, codes), *([("", codes)] if size == 2 else [])]
        cells = (cells + [BLANK] * (width - len(cells)))[:width]
        # Behind the last column an accent makes some terminals begin a new line.
        return [*cells[:-2], *((sign[:1], codes) for sign, codes in cells[-2:])]

    def _codes(self, style: Style | None) -> str:
        if not style:
            return ""
        if style not in self.codes:
            plain = style.without_color if self.console.no_color else style
            system: ColorSystem | None = COLOR_SYSTEMS.get(self.console.color_system or "")
            if system is None and plain.color:
                plain = plain.without_color
            self.codes[style] = plain.render("x", color_system=system or ColorSystem.STANDARD).split("x")[0]
        return self.codes[style]


def _line(number: int, old: Sequence[Cell], new: Sequence[Cell]) -> list[str]:
    """Go to each stretch that differs and write it."""
    size = len(new)
    end = size
    while end and new[end - 1] == BLANK:
        end -= 1
    clear = any(cell != BLANK for cell in old[end:])  # what stood behind the new end goes with one code
    out: list[str] = []
    at = 0
    while at < end:
        if old[at] == new[at]:
            at += 1
            continue
        start = at
        while start and new[start][0] == "":  # never the right half of a sign alone
            start -= 1
        last = at
        while at < end and at - last <= NEAR:
            if old[at] != new[at]:
                last = at
            at += 1
        stop = last + 1
        while stop < end and new[stop][0] == "":
            stop += 1
        out.append(f"\x1b[{number};{start + 1}H{_stretch(new[start:stop])}")
        at = stop
    if clear:
        out.append(f"\x1b[{number};{end + 1}H\x1b[K")
    return out


def _stretch(cells: Sequence[Cell]) -> str:
    out: list[str] = []
    codes = ""
    for sign, wanted in cells:
        if wanted != codes:
            out.append((RESET if codes else "") + wanted)
            codes = wanted
        out.append(sign)
    return "".join(out) + (RESET if codes else "")

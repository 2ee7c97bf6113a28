"""Units: the stretches of a raw text that every tokenizer can agree on."""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache
from itertools import groupby

UNITS_VERSION = 1  # raised when segment would cut any text differently


def segment(text: str) -> list[tuple[int, int]]:
    """Cut a text into units, as character ranges [start, end) in order.

    Whitespace separates; every punctuation or symbol character (Unicode P*, S*) is a unit of its own, and so
    is each stretch between them. Every character that is not whitespace lies in exactly one unit.
    """
    return [match.span() for match in _unit_pattern().finditer(text)]


@cache
def _unit_pattern() -> re.Pattern[str]:
    """A stretch without signs and whitespace, or one sign; signs are listed, as `re` knows no categories."""
    codes = (code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code))[0] in "PS")
    # Neighbouring codes keep one distance to their rank, which makes each run of them a group.
    runs = [[code for _, code in run] for _, run in groupby(enumerate(codes), lambda pair: pair[1] - pair[0])]
    signs = "".join(f"\\U{run[0]:08x}-\\U{run[-1]:08x}" for run in runs)
    common = "0-9A-Za-zÀ-ÖØ-öø-ÿ"  # no sign among them: spares most characters the long list
    return re.compile(f"(?:[{common}]++|[^{signs}\\s])++|\\S")

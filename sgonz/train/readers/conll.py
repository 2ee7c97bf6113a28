"""Words with tags: CoNLL-U, and the two or three columns of CoNLL-2002."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sgonz.train.examples import TaggedExample
from sgonz.train.readers import files
from sgonz.train.readers.source import Source

RANGE_TAG = "_"  # a multiword token stands before its parts and has no tag of its own
RANGES = "multiword token kept before its parts"
EMPTY_SENTENCE = "sentence without words"
COLUMNS = 10
ID = re.compile(r"(?P<word>\d+)|(?P<range>\d+-\d+)|(?P<empty>\d+\.\d+)")


def conllu(source: Source) -> Iterator[TaggedExample]:
    """Forms and universal tags. Range rows stay, tagged `_`; empty nodes (decimal ids) are left out."""
    words: list[str] = []
    tags: list[str] = []
    for number, line in files.lines(source.file):
        if not line.strip(" \t"):
            if words:
                yield _sentence(source, words, tags)
                words, tags = [], []
            continue
        if line.startswith("#"):
            continue
        cells = line.split("\t")
        if len(cells) != COLUMNS:
            raise source.error(number, f"expected {COLUMNS} columns separated by tabs; found {len(cells)}")
        row = ID.fullmatch(cells[0])
        if row is None:
            raise source.error(number, f"expected an id such as 8, 8-9 or 8.1; found {cells[0]!r}")
        if row.lastgroup == "empty":
            source.remarks["empty node (decimal id) left out"] += 1
            continue
        if not cells[1]:
            raise source.error(number, "the form (column 2) is empty")
        if row.lastgroup == "range":
            source.remarks[RANGES] += 1
        words.append(cells[1])
        tags.append(source.label(RANGE_TAG if row.lastgroup == "range" else cells[3], number))
    if words:
        yield _sentence(source, words, tags)


def conll2002(source: Source) -> Iterator[TaggedExample]:
    """First column the word, last its tag. A second blank line in a row is a sentence without words.

    Files that are not UTF-8 are read as ISO-8859-1, in which the corpus was first given out, with a remark.
    """
    words: list[str] = []
    tags: list[str] = []
    columns = 0
    for number, line in files.split_lines(_decoded(source)):
        cells = [cell for cell in re.split(r"[ \t]+", line) if cell]
        if not cells:
            yield _sentence(source, words, tags)
            words, tags = [], []
            continue
        columns = columns or len(cells)
        if len(cells) not in (2, 3) or len(cells) != columns:
            expected = columns if columns in (2, 3) else "2 or 3"
            raise source.error(
                number, f"expected {expected} columns separated by spaces; found {len(cells)}: {line[:60]!r}"
            )
        if _orphan(tags, cells[-1]):
            source.remarks["I- tag that opens an entity"] += 1
        words.append(cells[0])
        tags.append(source.label(cells[-1], number))
    if words:
        yield _sentence(source, words, tags)


def _decoded(source: Source) -> str:
    raw = files.content(source.file)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        source.remarks["file is not UTF-8: read as ISO-8859-1"] += 1
        return raw.decode("iso-8859-1")


def _orphan(before: list[str], tag: str) -> bool:
    if not tag.startswith("I-"):
        return False
    return not before or before[-1][1:] != tag[1:] or before[-1][0] not in "BI"


def _sentence(source: Source, words: list[str], tags: list[str]) -> TaggedExample:
    source.rows += 1
    if not words:
        source.remarks[EMPTY_SENTENCE] += 1
    return TaggedExample(tuple(words), tuple(tags))

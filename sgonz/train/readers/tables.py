"""One text or a pair of texts with a label, as tables of one's own: CSV and TSV under a header."""

from __future__ import annotations

import csv as csv_files
import sys
from collections.abc import Iterator, Sequence

from sgonz.train.examples import TextExample
from sgonz.train.readers import files
from sgonz.train.readers.classification import LABEL, PAIR, TEXT
from sgonz.train.readers.source import Source


def csv(source: Source) -> Iterator[TextExample]:
    """Cells between commas, or semicolons where the header has no comma; in quotes they may hold either, and lines."""
    header = next(files.lines(source.file))[1]
    separator = ";" if ";" in header and "," not in header else ","
    csv_files.field_size_limit(sys.maxsize)  # a text may be a whole book
    rows = csv_files.reader(
        (f"{line}\n" for _, line in files.lines(source.file)), delimiter=separator, strict=True
    )
    yield from _examples(source, _numbered(source, rows))


def tsv(source: Source) -> Iterator[TextExample]:
    """Cells between tabs; a quotation mark is a character like any other."""
    yield from _examples(source, ((number, line.split("\t")) for number, line in files.lines(source.file)))


def _numbered(source: Source, rows: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Each row with the number of the line that it begins on."""
    before = 0
    try:
        for row in rows:
            yield before + 1, row
            before = rows.line_num  # type: ignore[attr-defined]
    except csv_files.Error as error:
        hint = 'A cell with quotation marks in it stands in quotation marks, with those doubled: "a ""word"""'
        raise source.error(before + 1, f"is not CSV: {error}", hint=hint) from error


def _examples(source: Source, rows: Iterator[tuple[int, list[str]]]) -> Iterator[TextExample]:
    columns: list[str] = []
    text = label = ""
    pair: str | None = None
    for number, cells in rows:
        if not columns:
            columns = [cell.strip() for cell in cells]
            is_pair = source.dataset.pair or any(name in columns for name in PAIR)
            text = _column(source, columns, TEXT, TEXT[0] if is_pair else "text")
            label = _column(source, columns, LABEL, LABEL[0])
            pair = _column(source, columns, PAIR, PAIR[0]) if is_pair else None
        elif not any(cell.strip() for cell in cells):
            source.remarks["blank line passed over"] += 1
        elif len(cells) != len(columns):
            raise source.error(
                number, f"expected {len(columns)} cells ({', '.join(columns)}); found {len(cells)}"
            )
        else:
            source.rows += 1
            row = dict(zip(columns, cells, strict=True))
            yield TextExample(
                row[text], row[pair] if pair else None, source.label(row[label].strip(), number)
            )


def _column(source: Source, columns: Sequence[str], names: Sequence[str], wanted: str) -> str:
    for name in names:
        if name in columns:
            return name
    found = ", ".join(columns)[:120]
    if source.dataset.format == "tsv" and len(columns) == 1 and {",", ";"} & set(columns[0]):
        hint = 'There is no tab in it; format = "csv" reads cells between commas or semicolons.'
    elif source.dataset.format == "csv" and len(columns) == 1 and "\t" in columns[0]:
        hint = 'There are tabs in it; format = "tsv" reads cells between tabs.'
    else:
        hint = f"The first line names the columns; this one may be called {' or '.join(names)}."
    raise source.error(1, f"the header names no column {wanted}; found {found}", hint=hint)

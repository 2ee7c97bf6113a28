"""One text or a pair of texts with a label: JSON lines, MLDoc, PAWS-X and XNLI files."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence

from sgonz.train.examples import Example, TextExample
from sgonz.train.readers import files
from sgonz.train.readers.source import Source

# What columns of texts are called, in files and on the hub; the first that is there counts.
TEXT = ("sentence1", "premise", "text", "sentence")
PAIR = ("sentence2", "hypothesis", "hypo", "text_pair")
LABEL = ("label", "labels", "gold_label")
PLACEHOLDER = "NS"  # what PAWS-X holds where a sentence was never translated
OTHER_LANGUAGE = "in another language"
BYTES_LITERAL = re.compile(r"b(['\"]).*\1", re.DOTALL)
XNLI_LABELS = {
    "entailment": "entailment",
    "neutral": "neutral",
    "contradiction": "contradiction",
    "contradictory": "contradiction",  # the translated training file spells it so
    "0": "entailment",
    "1": "neutral",
    "2": "contradiction",
}


def is_placeholder(example: Example) -> bool:
    """Whether a sentence of the pair was never translated and reads NS instead."""
    return isinstance(example, TextExample) and PLACEHOLDER in (
        example.text.strip(),
        (example.pair or "").strip(),
    )


def jsonl(source: Source) -> Iterator[TextExample]:
    """Objects with a text, a label (text or integer) and, in all of them or in none, a second text.

    They stand under the first of TEXT, LABEL and PAIR that the first row has.
    """
    text = label = ""
    pair: str | None = None
    for number, line in _filled(source):
        row = _object(source, number, line)
        seconds = [name for name in PAIR if row.get(name) is not None]
        if not text:
            text, label = _first(TEXT, row), _first(LABEL, row)
            pair = seconds[0] if seconds else PAIR[0] if source.dataset.pair else None
        second = _string(source, number, row, pair, PAIR) if pair else None
        if not pair and seconds:
            raise source.error(number, f"holds {seconds[0]}, which the rows before it do not")
        first = _string(source, number, row, text, TEXT)
        yield TextExample(first, second, source.label(_json_label(source, number, row, label), number))


def _first(names: Sequence[str], row: Mapping[str, object]) -> str:
    return next((name for name in names if name in row), names[0])


def mldoc(source: Source) -> Iterator[TextExample]:
    """LABEL, tab, text; or columns `label` and `sentence1` under a header. Whitespace runs become a space."""
    columns: list[str] | None = None
    for number, line in files.lines(source.file):
        if number == 1 and {"label", "sentence1"} <= set(line.split("\t")):
            columns = line.split("\t")
            continue
        if _blank(source, line):
            continue
        source.rows += 1
        if columns:
            row = dict(zip(columns, _cells(source, number, line, columns), strict=True))
            label, text = row["label"], row["sentence1"]
        else:
            label, tab, text = line.partition("\t")
            if not tab:
                raise source.error(number, f"expected LABEL, tab, text; found no tab in {_short(line)}")
        label = source.label(label.strip(), number)
        yield TextExample(spaced(unwrapped(source, number, text)), None, label)


def pawsx(source: Source) -> Iterator[TextExample]:
    """Columns `id`, `sentence1`, `sentence2` and `label` (0 or 1) under a header."""
    for number, row in _table(source, ("sentence1", "sentence2", "label")):
        if row["label"] not in ("0", "1"):
            raise source.error(
                number, f"label {row['label']!r} is not one of PAWS-X's", hint="Allowed: 0, 1."
            )
        yield TextExample(row["sentence1"], row["sentence2"], source.label(row["label"], number))


def xnli(source: Source) -> Iterator[TextExample]:
    """XNLI's own columns, rows of the data set's language only; or the translated `premise hypo label`."""
    own = ("sentence1", "sentence2", "gold_label")
    translated = ("premise", "hypo", "label")
    for number, row in _table(source, ("language", *own), translated):
        if "language" in row and row["language"] != source.dataset.language:
            source.dropped[OTHER_LANGUAGE] += 1
            continue
        premise, hypothesis, label = (row[name] for name in (own if "language" in row else translated))
        yield TextExample(premise, hypothesis, source.label(xnli_label(source, label, number), number))


def xnli_label(source: Source, found: str, line: int | None) -> str:
    """The word for an XNLI label, which may stand as a word or as a number."""
    try:
        return XNLI_LABELS[found]
    except KeyError:
        hint = "Allowed: entailment or 0, neutral or 1, contradiction (or contradictory) or 2."
        raise source.error(line, f"label {found!r} is not one of XNLI's", hint=hint) from None


def unwrapped(source: Source, line: int | None, text: str) -> str:
    r"""A text that was written as a bytes literal (`b'\xc3\xb3'`) as the text it stands for."""
    if not BYTES_LITERAL.fullmatch(text.strip()):
        return text
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "error"
            )  # an escape that Python never writes: a text that only looks like one
            raw = ast.literal_eval(text.strip())
    except (SyntaxError, ValueError):
        source.remarks["text begins and ends as a bytes literal but is none: left as it is"] += 1
        return text
    source.remarks["bytes literal turned back into text"] += 1
    try:
        return str(raw, "utf-8")
    except UnicodeDecodeError as error:
        raise source.error(line, f"the bytes literal is not UTF-8 ({error.reason})") from error


def spaced(text: str) -> str:
    """The text with each run of whitespace as one space, none at its ends."""
    return " ".join(text.split())


def _table(source: Source, *headers: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    columns: list[str] = []
    for number, line in files.lines(source.file):
        if not columns:
            columns = line.split("\t")
            if not any(set(header) <= set(columns) for header in headers):
                wanted = " or ".join(" ".join(header) for header in headers)
                raise source.error(
                    number,
                    f"the header lacks columns: expected {wanted}; found {_short(' '.join(columns))}",
                    hint="Columns are separated by tabs, and the first line names them.",
                )
        elif not _blank(source, line):
            source.rows += 1
            yield number, dict(zip(columns, _cells(source, number, line, columns), strict=True))


def _cells(source: Source, number: int, line: str, columns: Sequence[str]) -> list[str]:
    cells = line.split("\t")
    if len(cells) != len(columns):
        raise source.error(
            number, f"expected {len(columns)} columns separated by tabs; found {len(cells)} in {_short(line)}"
        )
    return cells


def _filled(source: Source) -> Iterator[tuple[int, str]]:
    for number, line in files.lines(source.file):
        if not _blank(source, line):
            source.rows += 1
            yield number, line


def _blank(source: Source, line: str) -> bool:
    if line.strip(" "):
        return False
    source.remarks["blank line passed over"] += 1
    return True


def _object(source: Source, number: int, line: str) -> dict[str, object]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise source.error(number, f"is not JSON: {error.msg} at column {error.colno}") from error
    if not isinstance(row, dict):
        raise source.error(number, f"expected a JSON object; found {_short(line)}")
    return row


def _string(source: Source, number: int, row: dict[str, object], key: str, names: Sequence[str]) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        found = f"{key} is {json.dumps(value)[:60]}" if key in row else f"keys {', '.join(row) or 'none'}"
        wanted = key if any(name in row for name in names) else ", ".join(names)
        hint = None if key in row else f"Rename the key: a text may be called {', '.join(names)}."
        raise source.error(number, f"expected a text under {wanted}; found {found}", hint=hint)
    return source.whole(value, number)


def _json_label(source: Source, number: int, row: dict[str, object], key: str) -> str:
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int):
        found = f"{key} is {json.dumps(value)[:60]}" if key in row else f"keys {', '.join(row)}"
        hint = None if key in row else f"Rename the key: a label may be called {', '.join(LABEL)}."
        raise source.error(number, f"expected a text or an integer under {key}; found {found}", hint=hint)
    return str(value)


def _short(found: str, width: int = 60) -> str:
    return repr(found if len(found) <= width else found[: width - 1] + "…")

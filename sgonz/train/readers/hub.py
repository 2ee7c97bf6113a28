"""Rows of a hub data set, under their usual column names, to the examples that files give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sgonz.plan.runs import Dataset
from sgonz.train.examples import QuestionExample, TaggedExample, TextExample
from sgonz.train.readers import classification, squad
from sgonz.train.readers.conll import EMPTY_SENTENCE
from sgonz.train.readers.source import Source

WORDS = ("tokens", "words")
TAGS = ("ner_tags", "tags", "upos", "pos_tags")
TAGS_CONLLU = ("upos", "pos_tags", "tags", "ner_tags")
BATCH = 1000  # rows decoded at once
NO_SCRIPTS = (
    "Loading scripts are not run. Many data sets have a copy without one under"
    " revision = 'refs/convert/parquet'."
)


@dataclass(frozen=True)
class Table:
    """The rows of one split, and the names behind integer labels where the hub gives them."""

    columns: Sequence[str]
    names: Mapping[str, Sequence[str]]
    rows: Iterator[tuple[int, dict[str, Any]]]  # number, from 1, and values by column


def place(dataset: Dataset, split: str) -> str:
    """How errors name a split of the hub."""
    config = f"/{dataset.hub_config}" if dataset.hub_config else ""
    return f"hub:{dataset.hub}{config} ({dataset.hub_splits.get(split, split)})"


def loaded(source: Source) -> Table:
    """The split, from the hub or its local cache. Raises DataError where it cannot be had."""
    import datasets

    dataset = source.dataset
    try:
        table = datasets.load_dataset(
            dataset.hub,
            dataset.hub_config,
            split=dataset.hub_splits.get(source.split, source.split),
            revision=dataset.revision,
        )
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        hint = (
            NO_SCRIPTS
            if "scripts" in said
            else "Check hub, hub_config and hub_splits; offline, `sgonz prefetch` has to run first."
        )
        raise source.error(None, f"cannot be loaded: {said}", hint=hint) from error
    names = {column: found for column, kind in table.features.items() if (found := _names(kind))}
    return Table(table.column_names, names, _rows(table))


def texts(source: Source, table: Table) -> Iterator[TextExample]:
    """Rows of a text or a pair with a label, under the names that files may use."""
    text = _column(source, table, classification.TEXT)
    pair = (
        _column(source, table, classification.PAIR)
        if source.dataset.pair
        else _find(table, classification.PAIR)
    )
    label = _column(source, table, classification.LABEL)
    for number, row in table.rows:
        source.rows += 1
        first = _string(source, number, row, text)
        second = _string(source, number, row, pair) if pair else None
        gold = _named(source, number, table.names.get(label), row[label])
        if source.dataset.format == "xnli":
            gold = classification.xnli_label(source, gold, number)
        if source.dataset.format == "mldoc":
            first = classification.spaced(classification.unwrapped(source, number, first))
        yield TextExample(first, second, source.label(gold, number))


def sentences(source: Source, table: Table) -> Iterator[TaggedExample]:
    """Rows of tokens with ner_tags, upos, pos_tags or tags."""
    words = _column(source, table, WORDS)
    tags = _column(source, table, TAGS_CONLLU if source.dataset.format == "conllu" else TAGS)
    names = table.names.get(tags)
    for number, row in table.rows:
        source.rows += 1
        if len(row[words]) != len(row[tags]):
            raise source.error(number, f"{len(row[words])} words but {len(row[tags])} tags")
        if not row[words]:
            source.remarks[EMPTY_SENTENCE] += 1
        gold = (source.label(_named(source, number, names, tag), number) for tag in row[tags])
        yield TaggedExample(tuple(row[words]), tuple(gold))


def questions(source: Source, table: Table) -> Iterator[QuestionExample]:
    """Rows of id, question, context and answers."""
    return squad.examples(source, paragraphs(source, table))


def paragraphs(source: Source, table: Table) -> list[squad.Paragraph]:
    """The questions gathered by context, since rows do not say what is one paragraph."""
    for column in ("id", "question", "context", "answers"):
        _column(source, table, (column,))
    gathered: dict[str, list[squad.Question]] = {}
    for number, row in table.rows:
        asked = squad.Question(
            str(row["id"]), _string(source, number, row, "question"), _answers(row["answers"])
        )
        gathered.setdefault(_string(source, number, row, "context"), []).append(asked)
    return [squad.Paragraph(context, tuple(asked)) for context, asked in gathered.items()]


def _answers(answers: Any) -> tuple[tuple[str, int], ...]:
    if isinstance(answers, Mapping):
        return tuple(zip(answers["text"], answers["answer_start"], strict=True))
    return tuple((answer["text"], answer["answer_start"]) for answer in answers)


def _rows(table: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    number = 0
    for batch in table.iter(batch_size=BATCH):
        for values in zip(*batch.values(), strict=True):
            number += 1
            yield number, dict(zip(batch, values, strict=True))


def _names(kind: Any) -> Sequence[str] | None:
    found = getattr(getattr(kind, "feature", kind), "names", None)
    return found if isinstance(found, list) else None


def _named(source: Source, number: int, names: Sequence[str] | None, found: Any) -> str:
    if names is None or isinstance(found, str):
        return "" if found is None else str(found)
    if not isinstance(found, int) or not 0 <= found < len(names):
        raise source.error(
            number,
            f"label {found!r} has no name",
            hint=f"The hub names 0 to {len(names) - 1}: {', '.join(names)}.",
        )
    return names[found]


def _find(table: Table, wanted: Sequence[str]) -> str | None:
    return next((name for name in wanted if name in table.columns), None)


def _column(source: Source, table: Table, wanted: Sequence[str]) -> str:
    found = _find(table, wanted)
    if found is None:
        expected, present = " or ".join(wanted), ", ".join(table.columns)
        raise source.error(None, f"expected a column {expected}; found {present}")
    return found


def _string(source: Source, number: int, row: Mapping[str, Any], column: str) -> str:
    value = row[column]
    if not isinstance(value, str):
        hint = "A data set of many languages wants one of them as hub_config."
        raise source.error(number, f"expected a text under {column}; found {type(value).__name__}", hint=hint)
    return value

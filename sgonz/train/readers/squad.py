"""Questions on contexts: SQuAD v1.1 JSON, whose offsets count characters."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sgonz.train.examples import QuestionExample
from sgonz.train.readers import files
from sgonz.train.readers.source import Source

NOWHERE = -1  # start of an answer that has no place in the context
UNANSWERED = "question without a valid answer"
OVERLAP = "in a paragraph that holds a question of the test split"
SHAPE = (
    "Expected SQuAD v1.1: data[].paragraphs[].{context, qas[]} with qas[].{id, question, answers[]} and"
    " answers[].{text, answer_start}."
)
KINDS = {list: "a list", dict: "an object", str: "a text", int: "an integer"}


@dataclass(frozen=True, slots=True)
class Question:
    """A question as a file lists it."""

    id: str
    text: str
    answers: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A context and what is asked about it."""

    context: str
    questions: tuple[Question, ...]


def squad(source: Source) -> Iterator[QuestionExample]:
    """The questions of one file, in its order."""
    return examples(source, paragraphs(source))


def examples(source: Source, listed: Iterable[Paragraph]) -> Iterator[QuestionExample]:
    """Questions with their answers.

    The first answer of an example is the one to train on; a start of -1 says that the answer has no place
    in the context (such answers come last, or are empty and kept because the switch wants them as listed).
    """
    for paragraph in listed:
        shared = any(question.id in source.test_ids for question in paragraph.questions)
        if shared and not source.drop_overlap:
            source.remarks[OVERLAP] += len(paragraph.questions)
        for question in paragraph.questions:
            source.rows += 1
            if shared and source.drop_overlap:
                source.dropped[OVERLAP] += 1
                continue
            answers = _answers(source, paragraph.context, question.answers)
            if not answers:
                source.dropped[UNANSWERED] += 1
                continue
            yield QuestionExample(question.id, _asked(source, question.text), paragraph.context, answers)


def paragraphs(source: Source) -> Iterator[Paragraph]:
    """The paragraphs of one file; an error names the path inside the JSON."""
    root = _field(source, _parsed(source), "", "data", list)
    for a, article in enumerate(root):
        listed = _field(source, article, f"data[{a}]", "paragraphs", list)
        for p, paragraph in enumerate(listed):
            where = f"data[{a}].paragraphs[{p}]"
            context = source.whole(_field(source, paragraph, where, "context", str), None)
            asked = _field(source, paragraph, where, "qas", list)
            yield Paragraph(
                context, tuple(_question(source, qa, f"{where}.qas[{q}]") for q, qa in enumerate(asked))
            )


def _question(source: Source, qa: Any, where: str) -> Question:
    text = source.whole(_field(source, qa, where, "question", str), None)
    answers = tuple(
        (
            source.whole(_field(source, answer, f"{where}.answers[{n}]", "text", str), None),
            _field(source, answer, f"{where}.answers[{n}]", "answer_start", int),
        )
        for n, answer in enumerate(_field(source, qa, where, "answers", list))
    )
    if isinstance(qa.get("id"), int):
        return Question(str(qa["id"]), text, answers)
    return Question(_field(source, qa, where, "id", str), text, answers)


def _parsed(source: Source) -> Any:
    whole = files.text(source.file, files.content(source.file))
    try:
        return json.loads(whole)
    except json.JSONDecodeError as error:
        raise source.error(error.lineno, f"is not JSON: {error.msg} at column {error.colno}") from error


def _field(source: Source, parent: Any, where: str, key: str, kind: type) -> Any:
    path = f"{where}.{key}" if where else key
    if not isinstance(parent, dict):
        raise source.error(
            None, f"expected an object at {where or 'the top'}; found {type(parent).__name__}", hint=SHAPE
        )
    if key not in parent:
        raise source.error(None, f"{path} is missing; found {', '.join(parent) or 'nothing'}", hint=SHAPE)
    value = parent[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise source.error(
            None, f"expected {KINDS[kind]} at {path}; found {json.dumps(value)[:60]}", hint=SHAPE
        )
    return value


def _asked(source: Source, question: str) -> str:
    if not source.strip_questions:
        return question
    stripped = question.lstrip()
    if stripped != question:
        source.remarks["question began with spaces"] += 1
    return stripped


def _answers(
    source: Source, context: str, listed: tuple[tuple[str, int], ...]
) -> tuple[tuple[str, int], ...]:
    placed: list[tuple[str, int]] = []
    nowhere: list[tuple[str, int]] = []
    for text, start in listed:
        if not text.strip() or start < 0:
            if source.answers_as_listed:
                placed.append((text, NOWHERE))
            else:
                source.remarks["empty answer left out"] += 1
            continue
        place = nearest(context, text, start)
        if place == NOWHERE:
            source.remarks["answer not found in its context"] += 1
            nowhere.append((text, NOWHERE))
            continue
        if place != start:
            source.remarks["answer moved to its nearest exact occurrence"] += 1
        placed.append((text, place))
    # Without a place an answer cannot be trained on, but its text still scores predictions.
    return tuple(placed) if source.is_train else tuple(placed + nowhere)


def nearest(context: str, text: str, start: int) -> int:
    """Where the text occurs in the context, as near to `start` as can be, the earlier of two; or -1."""
    if context.startswith(text, start):
        return start
    before = context.rfind(text, 0, start + len(text))
    after = context.find(text, start)
    if before == NOWHERE or after == NOWHERE:
        return max(before, after)
    return before if start - before <= after - start else after

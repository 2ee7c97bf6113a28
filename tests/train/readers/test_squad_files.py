"""SQuAD files and the protocol's choices about them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgonz.errors import DataError
from sgonz.train.readers import read
from sgonz.train.readers.squad import nearest

CONTEXT = "Lima es la capital. Lima es grande. 😀 Cusco no."
EMPTY = ("", -1)


def question(*answers: tuple[str, int], id: str = "q", text: str = "¿Cuál?") -> dict[str, Any]:
    return {"id": id, "question": text, "answers": [{"text": t, "answer_start": s} for t, s in answers]}


def squad(*paragraphs: list[dict[str, Any]], context: str = CONTEXT) -> str:
    return json.dumps({"data": [{"paragraphs": [{"context": context, "qas": qas} for qas in paragraphs]}]})


def answers(made, *listed: tuple[str, int], split: str = "train", **switches) -> tuple:
    reading = read(made("squad", splits={split: squad([question(*listed)])}), split, switches)
    return reading.examples[0].answers


def test_questions_come_in_order_with_raw_contexts(made) -> None:
    context = "\ufeff  Sí. \u2028 No. "
    content = squad([question(("Sí", 3), id="a"), question(("No", 9), id="a")], context=context)
    reading = read(made("squad", splits={"train": content}), "train")
    assert [(example.id, example.context) for example in reading.examples] == [("a", context)] * 2
    assert reading.examples[0].answers == (("Sí", 3),)


def test_offsets_count_characters(made) -> None:
    start = CONTEXT.index("Cusco")
    assert answers(made, ("Cusco", start)) == (("Cusco", start),)


@pytest.mark.parametrize("empty", [("", -1), ("", 3), (" ", 4), ("Lima", -1)])
@pytest.mark.parametrize("split", ["train", "validation"])
def test_empty_answers_go(made, split: str, empty: tuple[str, int]) -> None:
    assert answers(made, empty, ("Lima", 0), empty, split=split) == (("Lima", 0),)


def test_first_answer_stays_as_listed_where_the_protocol_says_so(made) -> None:
    assert answers(made, EMPTY, ("Lima", 0), qa_answers="as_listed") == (("", -1), ("Lima", 0))


@pytest.mark.parametrize(("start", "found"), [(1, 0), (15, 20), (30, 20), (400, 20)])
def test_answer_that_is_not_at_its_offset_moves_to_the_nearest(made, start: int, found: int) -> None:
    assert answers(made, ("Lima", start)) == (("Lima", found),)


@given(st.text("ab", max_size=12), st.text("ab", min_size=1, max_size=3), st.integers(0, 15))
def test_nearest_is_the_nearest_of_all_occurrences(context: str, text: str, start: int) -> None:
    every = [at for at in range(len(context)) if context.startswith(text, at)]
    assert nearest(context, text, start) == min(every, key=lambda at: (abs(at - start), at), default=-1)


def test_answer_without_a_place_is_not_trained_on(made) -> None:
    assert answers(made, ("Quito", 5), ("Lima", 0)) == (("Lima", 0),)


def test_answer_without_a_place_still_scores_and_stands_last(made) -> None:
    assert answers(made, ("Quito", 5), ("Lima", 0), split="test") == (("Lima", 0), ("Quito", -1))
    assert answers(made, ("Quito", 5), split="test") == (("Quito", -1),)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_question_without_a_valid_answer_goes_and_is_counted(made, split: str) -> None:
    content = squad([question(EMPTY), question(), question(("Lima", 0))])
    reading = read(made("squad", splits={split: content}), split)
    assert len(reading.examples) == 1
    assert (reading.rows, reading.dropped) == (3, {"question without a valid answer": 2})


def test_question_without_a_place_for_its_answer_goes_from_train(made) -> None:
    content = squad([question(("Quito", 0)), question(("Lima", 0))])
    reading = read(made("squad", splits={"train": content}), "train")
    assert reading.dropped == {"question without a valid answer": 1}
    assert reading.remarks == {"answer not found in its context": 1}


@pytest.mark.parametrize(
    ("rule", "kind", "text"),
    [
        ("stripped", "finetune", "¿Qué? "),
        ("published", "finetune", " \n ¿Qué? "),
        ("published", "evaluate", " \n ¿Qué? "),
        ("published", "distill", "¿Qué? "),
        ("published", "logits", "¿Qué? "),
    ],
)
def test_questions_are_stripped_as_the_protocol_says(made, rule: str, kind: str, text: str) -> None:
    content = squad([question(("Lima", 0), text=" \n ¿Qué? ")])
    reading = read(made("squad", splits={"train": content}), "train", {"qa_questions": rule}, kind)
    assert reading.examples[0].question == text


def overlapping(made, **fields):
    ours = squad(
        [question(("Lima", 0), id="a"), question(("Lima", 0), id="b")], [question(("Lima", 0), id="c")]
    )
    return made(
        "squad", splits={"validation": ours, "test": squad([question(("Lima", 0), id="b")])}, **fields
    )


def test_validation_paragraphs_with_a_test_question_go(made) -> None:
    reading = read(overlapping(made), "validation", {"test_overlap": "drop"})
    assert [example.id for example in reading.examples] == ["c"]
    assert reading.dropped == {"in a paragraph that holds a question of the test split": 2}


def test_overlap_is_judged_by_the_whole_test_file(made) -> None:
    dataset = overlapping(made, limit={"test": 0})
    assert [example.id for example in read(dataset, "validation", {"test_overlap": "drop"}).examples] == ["c"]


def test_overlap_stays_and_is_counted_where_the_protocol_keeps_it(made) -> None:
    reading = read(overlapping(made), "validation", {"test_overlap": "keep"})
    assert [example.id for example in reading.examples] == ["a", "b", "c"]
    assert reading.remarks == {"in a paragraph that holds a question of the test split": 2}


def test_test_questions_stay_in_the_test_split(made) -> None:
    assert len(read(overlapping(made), "test", {"test_overlap": "drop"}).examples) == 1


GOOD = {
    "context": "Lima",
    "qas": [{"id": "q", "question": "?", "answers": [{"text": "Lima", "answer_start": 0}]}],
}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"data": [\n{"paragraphs": ]}', "FILE:2: is not JSON: Expecting value at column 16"),
        ("[]", "FILE: expected an object at the top; found list\nExpected SQuAD"),
        ('{"version": "1.1"}', "FILE: data is missing; found version"),
        ('{"data": {}}', "FILE: expected a list at data; found {}"),
        ('{"data": [{}]}', "FILE: data[0].paragraphs is missing; found nothing"),
        (
            {"data": [{"paragraphs": [GOOD, {**GOOD, "context": None}]}]},
            "FILE: expected a text at data[0].paragraphs[1].context; found null",
        ),
        (
            {"data": [{"paragraphs": [{**GOOD, "qas": [{"id": "q", "question": "?"}]}]}]},
            "FILE: data[0].paragraphs[0].qas[0].answers is missing; found id, question",
        ),
        (
            {"data": [{"paragraphs": [{**GOOD, "qas": [question(("x", "3"))]}]}]},  # type: ignore[arg-type]
            'FILE: expected an integer at data[0].paragraphs[0].qas[0].answers[0].answer_start; found "3"',
        ),
        (
            {"data": [{"paragraphs": [{**GOOD, "context": "\ud83d"}]}]},
            r"FILE: '\ud83d' is half of a surrogate pair",
        ),
    ],
)
def test_broken_squad_is_named(made, content: Any, said: str) -> None:
    written = content if isinstance(content, str) else json.dumps(content)
    dataset = made("squad", splits={"train": written})
    with pytest.raises(DataError) as caught:
        read(dataset, "train")
    assert str(caught.value).replace(dataset.files["train"], "FILE").startswith(said)


def test_undecodable_byte_in_json_is_named_with_its_line(made) -> None:
    dataset = made("squad", splits={"train": b'{"data":\n"\xf3"}'})
    with pytest.raises(DataError, match=r":2: byte 0xf3 is not UTF-8 text"):
        read(dataset, "train")


def test_json_with_byte_order_mark_is_read(made) -> None:
    dataset = made("squad", splits={"train": "\ufeff" + json.dumps({"data": [{"paragraphs": [GOOD]}]})})
    assert len(read(dataset, "train").examples) == 1

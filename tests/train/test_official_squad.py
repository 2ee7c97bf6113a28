"""Our scores of answers are those of the SQuAD v1.1 evaluation, written out here from its definition."""

from __future__ import annotations

import gzip
import json
import random
import re
import string
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgonz.plan.protocol import resolve
from sgonz.plan.runs import Dataset
from sgonz.train.metrics import question_scores
from sgonz.train.readers import read

REAL = Path(__file__).resolve().parents[2] / "../shared/data/tar/test.json.gz"


def official(articles: list[dict[str, Any]], predictions: dict[str, str]) -> dict[str, float]:
    """Rajpurkar et al. 2016: over the parsed data set and a table of answers by question id."""
    f1 = exact = total = 0.0
    for article in articles:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                total += 1
                if question["id"] in predictions:
                    golds = [answer["text"] for answer in question["answers"]]
                    said = predictions[question["id"]]
                    exact += max(normal(said) == normal(gold) for gold in golds)
                    f1 += max(overlap(said, gold) for gold in golds)
    return {"f1": 100.0 * f1 / total, "exact_match": 100.0 * exact / total}


def normal(answer: str) -> str:
    bare = "".join(sign for sign in answer.lower() if sign not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


def overlap(said: str, gold: str) -> float:
    ours, theirs = normal(said).split(), normal(gold).split()
    same = sum((Counter(ours) & Counter(theirs)).values())
    if same == 0:
        return 0
    precision, recall = 1.0 * same / len(ours), 1.0 * same / len(theirs)
    return (2 * precision * recall) / (precision + recall)


def ours(file: Path, predictions: dict[str, str]) -> dict[str, float]:
    dataset = Dataset(name="qa", task="qa", format="squad", files={"test": str(file)})
    examples = read(dataset, "test", resolve("sound", {}), kind="evaluate").examples
    golds = [[text for text, _ in example.answers] for example in examples]
    return question_scores([predictions[example.id] for example in examples], golds)


def imperfect(context: str, answers: list[dict[str, Any]], dice: random.Random) -> str:
    """Sometimes right, sometimes too long, too short or elsewhere, sometimes nothing."""
    gold = dice.choice(answers)
    start, end = gold["answer_start"], gold["answer_start"] + len(gold["text"])
    choices = [
        gold["text"], gold["text"].upper() + ".", context[max(0, start - 9) : end + 7], gold["text"][: len(gold["text"]) // 2],
        context[:20], "", "the " + gold["text"], f"«{gold['text']}»",
    ]  # fmt: skip
    return dice.choice(choices)


def guesses(articles: list[dict[str, Any]], seed: int) -> dict[str, str]:
    dice = random.Random(seed)
    return {
        question["id"]: imperfect(paragraph["context"], question["answers"], dice)
        for article in articles
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
    }


@pytest.mark.skipif(not REAL.is_file(), reason="the real question answering files are not here")
@pytest.mark.parametrize("seed", range(3))
def test_on_real_questions_read_from_the_published_file(seed: int) -> None:
    articles = json.loads(gzip.decompress(REAL.read_bytes()))["data"]
    predictions = guesses(articles, seed)
    theirs = official(articles, predictions)
    assert 5 < theirs["exact_match"] < theirs["f1"] < 95
    mine = ours(REAL, predictions)
    assert (mine["f1"], mine["exact_match"]) == pytest.approx((theirs["f1"], theirs["exact_match"]), abs=1e-9)


WORDS = st.sampled_from(
    ["the", "a", "An", "el", "La", "río", "Río,", "¿qué?", "«sí»", "U.S.", "it's", "-", "", "niño", "1.234"]
)
TEXTS = st.one_of(st.lists(WORDS, max_size=6).map(" ".join), st.text(max_size=12))
QUESTIONS = st.lists(st.tuples(TEXTS, st.lists(TEXTS, min_size=1, max_size=3)), min_size=1, max_size=5)


@given(QUESTIONS)
def test_on_any_texts(questions: list[tuple[str, list[str]]]) -> None:
    qas = [
        {"id": str(at), "answers": [{"text": gold} for gold in golds]}
        for at, (_, golds) in enumerate(questions)
    ]
    theirs = official(
        [{"paragraphs": [{"qas": qas}]}], {str(at): said for at, (said, _) in enumerate(questions)}
    )
    mine = question_scores([said for said, _ in questions], [golds for _, golds in questions])
    assert (mine["f1"], mine["exact_match"]) == pytest.approx((theirs["f1"], theirs["exact_match"]), abs=1e-9)

"""Rows of hub data sets, read from a local copy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sgonz.errors import DataError
from sgonz.plan.runs import Dataset
from sgonz.train.examples import QuestionExample, TaggedExample, TextExample
from sgonz.train.readers import read

datasets = pytest.importorskip("datasets", reason="needs sgonz[train]")
NLI = datasets.ClassLabel(names=["entailment", "neutral", "contradiction"])
NER = datasets.List(datasets.ClassLabel(names=["O", "B-PER", "I-PER"]))
TEXT = datasets.Value("string")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Dataset]:
    """A hub data set whose splits hold these columns."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()

    def make(task: str, format: str, features: dict | None = None, *, splits: dict, **fields: Any) -> Dataset:
        (tmp_path / "hub").mkdir()
        for split, columns in splits.items():
            kinds = datasets.Features(features) if features else None
            table = datasets.Dataset.from_dict(columns, features=kinds)
            table.to_parquet(str(tmp_path / "hub" / f"{split}.parquet"))
        return Dataset(name="made", task=task, format=format, hub=str(tmp_path / "hub"), **fields)

    return make


def test_class_names_become_labels(hub) -> None:
    rows = {"premise": ["p", "q"], "hypothesis": ["h", "i"], "label": [2, 0]}
    dataset = hub(
        "classification", "jsonl", {"premise": TEXT, "hypothesis": TEXT, "label": NLI}, splits={"train": rows}
    )
    assert read(dataset, "train").examples == (
        TextExample("p", "h", "contradiction"),
        TextExample("q", "i", "entailment"),
    )


def test_xnli_numbers_without_names_become_words(hub) -> None:
    rows = {"premise": ["p"], "hypothesis": ["h"], "label": [1]}
    dataset = hub("classification", "xnli", splits={"train": rows})
    assert read(dataset, "train").examples == (TextExample("p", "h", "neutral"),)


def test_numbers_without_names_stay_numbers(hub) -> None:
    rows = {"sentence1": ["a", "NS"], "sentence2": ["b", "c"], "label": [1, 0]}
    dataset = hub("classification", "pawsx", splits={"validation": rows})
    reading = read(dataset, "validation", {"placeholder_rows": "drop"})
    assert reading.examples == (TextExample("a", "b", "1"),)
    assert (reading.rows, reading.dropped.total()) == (2, 1)


def test_other_names_for_splits_are_followed(hub) -> None:
    rows = {"text": ["uno  dos"], "label": ["CCAT"]}
    dataset = hub("classification", "mldoc", splits={"test": rows}, hub_splits={"validation": "test"})
    assert read(dataset, "validation").examples == (TextExample("uno dos", None, "CCAT"),)


def test_label_without_a_name_is_an_error(hub) -> None:
    dataset = hub(
        "classification",
        "jsonl",
        {"text": TEXT, "label": NLI},
        splits={"test": {"text": ["a"], "label": [-1]}},
    )
    with pytest.raises(
        DataError, match=r"hub:.*\(test\):1: label -1 has no name\nThe hub names 0 to 2: entailment"
    ):
        read(dataset, "test")


def test_tags_are_named_and_empty_sentences_kept(hub) -> None:
    rows = {"tokens": [["Ana", "va"], []], "pos_tags": [["X", "Y"], []], "ner_tags": [[1, 0], []]}
    kinds = {"tokens": datasets.List(TEXT), "pos_tags": datasets.List(TEXT), "ner_tags": NER}
    reading = read(hub("tagging", "conll2002", kinds, splits={"train": rows}), "train")
    assert reading.examples == (TaggedExample(("Ana", "va"), ("B-PER", "O")), TaggedExample((), ()))
    assert reading.remarks == {"sentence without words": 1}


def test_conllu_takes_the_universal_tags(hub) -> None:
    rows = {"tokens": [["va"]], "ner_tags": [["O"]], "upos": [["VERB"]]}
    reading = read(hub("tagging", "conllu", splits={"train": rows}), "train")
    assert reading.examples[0].tags == ("VERB",)


def test_unequal_words_and_tags_are_an_error(hub) -> None:
    dataset = hub("tagging", "conll2002", splits={"train": {"tokens": [["a", "b"]], "tags": [["O"]]}})
    with pytest.raises(DataError, match=r"\(train\):1: 2 words but 1 tags"):
        read(dataset, "train")


def qa(*ids: str, context: str = "Lima o Quito") -> dict[str, list]:
    answers = {"text": ["", "Quito"], "answer_start": [-1, 7]}
    return {
        "id": list(ids),
        "question": [" ¿Qué?"] * len(ids),
        "context": [context] * len(ids),
        "answers": [answers] * len(ids),
    }


def test_questions_read_as_from_files(hub) -> None:
    reading = read(hub("qa", "squad", splits={"train": qa("a")}), "train")
    assert reading.examples == (QuestionExample("a", "¿Qué?", "Lima o Quito", (("Quito", 7),)),)


def test_paragraphs_with_a_test_question_go(hub) -> None:
    dataset = hub("qa", "squad", splits={"validation": qa("a", "b"), "test": qa("b", context="Quito")})
    with pytest.raises(
        DataError, match=r"gives no example \(2 in a paragraph that holds a question of the test"
    ):
        read(dataset, "validation", {"test_overlap": "drop"})


def test_missing_column_is_named(hub) -> None:
    dataset = hub("classification", "jsonl", splits={"train": {"body": ["a"], "label": [1]}})
    with pytest.raises(
        DataError, match="expected a column sentence1 or premise or text or sentence; found body, label"
    ):
        read(dataset, "train")


def test_text_that_is_no_text_is_an_error(hub) -> None:
    dataset = hub("classification", "jsonl", splits={"train": {"text": [5], "label": [1]}})
    with pytest.raises(DataError, match=r":1: expected a text under text; found int"):
        read(dataset, "train")


def test_missing_split_is_an_error(hub) -> None:
    dataset = hub("classification", "jsonl", splits={"train": {"text": ["a"], "label": [1]}})
    with pytest.raises(DataError, match=r"\(test\): cannot be loaded: .*\nCheck hub"):
        read(dataset, "test")


def test_loading_script_is_refused(hub, tmp_path: Path) -> None:
    dataset = hub("classification", "jsonl", splits={})
    (tmp_path / "hub" / "hub.py").write_text("raise SystemExit('ran')")
    with pytest.raises(DataError, match=r"cannot be loaded: .*\nLoading scripts are not run"):
        read(dataset, "train")

"""Looking a whole data set over, and the real samples."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from sgonz.errors import DataError
from sgonz.plan.protocol import resolve
from sgonz.plan.runs import Dataset
from sgonz.train.readers import check, labels, read

PACK = Path(__file__).resolve().parents[3] / "../shared/data"
SPLITS = ("train", "validation", "test")
POS = "NOUN PUNCT ADP NUM SYM SCONJ ADJ PART DET CCONJ PROPN PRON X _ ADV INTJ VERB AUX"

needs_pack = pytest.mark.skipif(
    not PACK.is_dir(), reason="the pack of real samples is not beside the checkout"
)


def lines(*labels: str | int) -> str:
    return "".join(json.dumps({"sentence1": "a", "label": label}) + "\n" for label in labels)


def sample(name: str, task: str, format: str, ending: str, **fields) -> Dataset:
    names = {"train": "train", "validation": "dev", "test": "test"}
    files = {split: str(PACK / name / f"{stem}.{ending}") for split, stem in names.items()}
    return Dataset(name=name, task=task, format=format, files=files, **fields)  # type: ignore[arg-type]


def test_labels_are_the_sorted_ones_of_train(made) -> None:
    dataset = made("jsonl", splits={"train": lines("b", 10, 2, "a", "b")})
    assert labels(dataset, read(dataset, "train")) == ("10", "2", "a", "b")


def test_labels_of_the_data_set_keep_their_order(made) -> None:
    dataset = made("jsonl", splits={"train": lines("a", "b")}, labels=("b", "a"))
    assert labels(dataset, read(dataset, "train")) == ("b", "a")


@pytest.mark.parametrize("split", ["validation", "test"])
@pytest.mark.parametrize("declared", [None, ("a", "b")])
def test_label_that_train_never_had_is_an_error_with_its_line(made, split: str, declared) -> None:
    content = {"train": lines("a", "b"), "validation": lines("a"), "test": lines("a")}
    dataset = made("jsonl", splits={**content, split: lines("a", "c")}, labels=declared)
    with pytest.raises(DataError, match=rf"{split}\.jsonl:2: label 'c' is not one of .*\nAllowed: a, b\."):
        check(dataset)


def test_tag_that_train_never_had_is_an_error(made) -> None:
    dataset = made("conll2002", splits={"train": "a O\n", "test": "a O\n\na B-PER\n"})
    with pytest.raises(DataError, match=r"test\.conll2002:3: label 'B-PER' is not one of"):
        check(dataset)


def test_label_that_only_the_list_has_is_a_warning(made) -> None:
    dataset = made("jsonl", splits=dict.fromkeys(SPLITS, lines("a", "c")), labels=("a", "b", "c"))
    assert check(dataset).warnings == ("made: the training split never has the label b",)


def test_one_label_for_everything_is_a_warning(made) -> None:
    dataset = made("jsonl", splits=dict.fromkeys(SPLITS, lines("a", "a")))
    assert check(dataset).warnings == (
        "made: the training split has no label but a; nothing can be told apart",
    )


def test_sizes_that_differ_from_the_published_are_a_warning(made) -> None:
    dataset = made("jsonl", splits=dict.fromkeys(SPLITS, lines("a", "b")))
    found = check(dataset, published={"train": 2, "validation": 2000, "test": [3, 2]})
    assert found.warnings == ("made: validation holds 2 examples, the published one 2,000",)
    assert found.counts == {"train": 2, "validation": 2, "test": 2}


def test_published_sizes_count_what_a_switch_drops_but_no_other_language(made) -> None:
    pawsx = "id\tsentence1\tsentence2\tlabel\n1\tNS\tb\t1\n2\ta\tb\t1\n3\ta\tb\t0\n"
    assert not check(
        made("pawsx", splits=dict.fromkeys(SPLITS, pawsx)),
        {"placeholder_rows": "drop"},
        published={"train": 3},
    ).warnings
    xnli = "language\tgold_label\tsentence1\tsentence2\nar\tneutral\tp\th\nes\tneutral\tp\th\nes\tentailment\tp\th\n"
    assert not check(made("xnli", splits=dict.fromkeys(SPLITS, xnli)), published={"train": 2}).warnings


@pytest.mark.parametrize("content", ["a O\n\nb O\n\n", "a O\n\nb O\n\n\n"])
def test_conll_with_and_without_the_loaders_empty_sentence_is_the_published_one(made, content: str) -> None:
    dataset = made("conll2002", splits=dict.fromkeys(SPLITS, content))
    assert not check(dataset, published=dict.fromkeys(SPLITS, 3)).warnings


def test_limited_splits_are_not_compared(made) -> None:
    dataset = made("jsonl", splits=dict.fromkeys(SPLITS, lines("a", "b")), limit=dict.fromkeys(SPLITS, 2))
    assert not check(dataset, published=dict.fromkeys(SPLITS, 3)).warnings


def test_absent_splits_are_a_warning_and_absent_train_an_error(made) -> None:
    assert check(made("jsonl", splits={"train": lines("a", "b"), "validation": lines("a")})).warnings == (
        "made: has no test split",
    )
    with pytest.raises(DataError, match="has no train split"):
        check(made("jsonl", splits={"test": lines("a")}))


def test_dropped_and_remarks_are_told_by_split(made) -> None:
    content = "language\tgold_label\tsentence1\tsentence2\nes\tneutral\tp\th\n"
    dataset = made(
        "xnli", splits={**dict.fromkeys(SPLITS, content), "test": f"{content}ar\tneutral\tp\th\n\n"}
    )
    found = check(dataset)
    assert found.dropped == {"train": {}, "validation": {}, "test": {"in another language": 1}}
    assert found.remarks["test"] == {"blank line passed over": 1}


@needs_pack
def test_real_xnli() -> None:
    dataset = sample("xnli", "classification", "xnli", "tsv", pair=True)
    found = check(dataset, published={"train": 1500, "validation": 300, "test": 300})
    assert found.labels == ("contradiction", "entailment", "neutral")
    assert (found.counts, found.warnings) == ({"train": 1500, "validation": 300, "test": 300}, ())


@needs_pack
def test_real_pos_keeps_multiword_rows() -> None:
    dataset = sample("pos", "tagging", "conllu", "conllu.gz", labels=tuple(POS.split()))
    found = check(dataset)
    assert found.counts == {"train": 1354, "validation": 300, "test": 300}
    ranges = "multiword token kept before its parts"
    # The official development set, whose first and last sentences these are, has 175.
    assert found.remarks["train"][ranges] + found.remarks["validation"][ranges] == 175
    tags = Counter(tag for example in read(dataset, "train").examples for tag in example.tags)
    assert tags["_"] == found.remarks["train"][ranges]
    assert found.warnings == ("pos: the training split never has the label X",)


@needs_pack
def test_other_ancora_release_is_a_warning() -> None:
    dataset = sample("pos", "tagging", "conllu", "conllu.gz", catalog="pos")
    warnings = check(dataset, published={"test": 300}).warnings
    assert [warning for warning in warnings if "multiword" in warning] == [
        "pos: test holds 48 multiword tokens, AnCora r2.7 184: scores do not compare with the published ones"
    ]


@needs_pack
def test_real_tar_loses_its_empty_answers() -> None:
    dataset = sample("tar", "qa", "squad", "json.gz")
    found = check(dataset, resolve("sound", {}))
    assert (found.counts, found.labels) == ({"train": 1500, "validation": 300, "test": 300}, ())
    empty = [found.remarks[split]["empty answer left out"] for split in SPLITS]
    assert empty == [874, 265, 0]
    for split in SPLITS:
        for example in read(dataset, split).examples:
            assert example.answers
            assert all(example.context.startswith(text, start) for text, start in example.answers)


@needs_pack
def test_real_tar_as_listed_begins_with_empty_answers() -> None:
    dataset = sample("tar", "qa", "squad", "json.gz")
    reading = read(dataset, "train", resolve("paper", {}))
    assert sum(example.answers[0] == ("", -1) for example in reading.examples) == 267


@needs_pack
def test_every_switch_at_once_suits_every_task() -> None:
    dataset = sample("xnli", "classification", "xnli", "tsv", pair=True)
    assert check(dataset, resolve("sound", {})) == check(dataset)
    limited = msgspec.structs.replace(dataset, limit={"train": 7})
    assert check(limited).counts["train"] == 7

"""One split of a data set, read: from its file or the hub, under a run's protocol switches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from types import MappingProxyType

from sgonz.errors import DataError
from sgonz.plan.protocol import SwitchValue
from sgonz.plan.runs import Dataset
from sgonz.train.examples import Example, Reading
from sgonz.train.readers import classification, conll, hub, squad, tables
from sgonz.train.readers.source import Source

NO_SWITCHES: Mapping[str, SwitchValue] = MappingProxyType({})
PLACEHOLDER_ROW = "placeholder NS for a sentence"

FILES: Mapping[str, Callable[[Source], Iterator[Example]]] = {
    "jsonl": classification.jsonl,
    "csv": tables.csv,
    "tsv": tables.tsv,
    "mldoc": classification.mldoc,
    "pawsx": classification.pawsx,
    "xnli": classification.xnli,
    "conllu": conll.conllu,
    "conll2002": conll.conll2002,
    "squad": squad.squad,
}
HUB: Mapping[str, Callable[[Source, hub.Table], Iterator[Example]]] = {
    "classification": hub.texts,
    "tagging": hub.sentences,
    "qa": hub.questions,
}


def read(
    dataset: Dataset, split: str, switches: Mapping[str, SwitchValue] = NO_SWITCHES, kind: str = "finetune"
) -> Reading:
    """The examples of one split (train, validation or test) as a run of this kind reads them.

    `switches` are the run's own; one that is not in it stands as in the sound protocol, except that
    test_overlap and placeholder_rows drop nothing unless they are there. A limit keeps the first examples
    that are left. Always rows = examples + dropped. Raises DataError with the file, and the line where one
    is to blame.
    """
    source = _source(dataset, split)
    source.answers_as_listed = switches.get("qa_answers") == "as_listed"
    source.strip_questions = switches.get("qa_questions") != "published" or kind in ("distill", "logits")
    if dataset.task == "qa" and split == "validation" and "test_overlap" in switches:
        source.test_ids = _test_ids(dataset)
        source.drop_overlap = switches["test_overlap"] == "drop"
    found = HUB[dataset.task](source, hub.loaded(source)) if dataset.hub else FILES[dataset.format](source)
    if dataset.format == "pawsx" or "placeholder_rows" in switches:
        found = _placeholders(source, found, drop=switches.get("placeholder_rows") == "drop")
    examples = tuple(islice(found, dataset.limit.get(split)))
    if not examples:
        reasons = "; ".join(f"{many} {why}" for why, many in source.dropped.items())
        raise source.error(None, f"gives no example ({reasons or 'no rows'})")
    return Reading(examples, source.rows, source.dropped, source.remarks)


def splits(dataset: Dataset) -> tuple[str, ...]:
    """The splits that a data set says it has."""
    known = ("train", "validation", "test")
    if dataset.hub:
        return tuple(split for split in known if not dataset.hub_splits or split in dataset.hub_splits)
    return tuple(split for split in known if split in dataset.files)


def where(dataset: Dataset, split: str) -> str:
    """The file, or the hub's split, as errors name it. Raises DataError where the data set has none."""
    if split not in splits(dataset):
        missing = f"hub_splits.{split}" if dataset.hub else f"files.{split}"
        raise DataError(
            f"data set {dataset.name}",
            None,
            f"has no {split} split (it has {', '.join(splits(dataset)) or 'none'})",
            hint=f"Set {missing}.",
        )
    return hub.place(dataset, split) if dataset.hub else dataset.files[split]


def _source(dataset: Dataset, split: str) -> Source:
    return Source(dataset=dataset, split=split, file=where(dataset, split))


def _test_ids(dataset: Dataset) -> frozenset[str]:
    if "test" not in splits(dataset):
        return frozenset()
    source = _source(dataset, "test")
    listed = hub.paragraphs(source, hub.loaded(source)) if dataset.hub else squad.paragraphs(source)
    return frozenset(question.id for paragraph in listed for question in paragraph.questions)


def _placeholders(source: Source, found: Iterator[Example], *, drop: bool) -> Iterator[Example]:
    for example in found:
        if not classification.is_placeholder(example):
            yield example
        elif drop and source.split != "test":
            source.dropped[PLACEHOLDER_ROW] += 1
        else:
            # The test split keeps them, so that it can be scored with and without.
            source.remarks[PLACEHOLDER_ROW] += 1
            yield example

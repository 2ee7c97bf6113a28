"""A whole data set, looked over before anything is trained on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from sgonz.plan.protocol import SwitchValue
from sgonz.plan.runs import Dataset
from sgonz.train.examples import Reading, TaggedExample, TextExample
from sgonz.train.readers.classification import OTHER_LANGUAGE
from sgonz.train.readers.conll import EMPTY_SENTENCE, RANGES
from sgonz.train.readers.reading import NO_SWITCHES, read, splits

# Of AnCora r2.7. Its successors have as many sentences but other multiword rows, and do not compare.
ANCORA_RANGES = {"validation": 175, "test": 184}
LOADER_SENTENCE = 1  # a published loader ended each CoNLL split with an empty sentence and counted it


@dataclass(frozen=True, kw_only=True)
class Check:
    """What a data set holds, and what of it gives reason to look twice."""

    labels: tuple[str, ...]
    counts: Mapping[str, int]  # split -> examples
    dropped: Mapping[str, Counter[str]]  # split -> reason -> rows
    remarks: Mapping[str, Counter[str]]  # split -> what was mended or is odd -> how often
    warnings: tuple[str, ...] = ()


def labels(dataset: Dataset, train: Reading) -> tuple[str, ...]:
    """The ordered labels: the data set's own list, or the sorted ones of its training split; none for qa."""
    if dataset.task == "qa":
        return ()
    return dataset.labels or tuple(sorted(_present(train)))


def check(
    dataset: Dataset,
    switches: Mapping[str, SwitchValue] = NO_SWITCHES,
    kind: str = "finetune",
    *,
    published: Mapping[str, int | Sequence[int]] | None = None,
) -> Check:
    """Read every split and compare it with the others and with the published sizes.

    `published` gives the examples of a split, or several counts of which any is right, the published one
    first.
    Raises DataError for what cannot be read, and for a label in validation or test that is not known
    from the data set's list or, without one, from its training split.
    """
    train = read(dataset, "train", switches, kind)
    known = labels(dataset, train)
    held = msgspec.structs.replace(dataset, labels=known) if known else dataset
    warnings = [f"{dataset.name}: has no {split} split" for split in _absent(dataset)]
    present = _present(train)
    if len(present) == 1 and dataset.task == "classification":
        alone = f"{dataset.name}: the training split has no label but {min(present)}"
        warnings.append(f"{alone}; nothing can be told apart")
    elif missing := [label for label in known if label not in present]:
        warnings.append(f"{dataset.name}: the training split never has the label {', '.join(missing)}")
    counts, dropped, remarks = {}, {}, {}
    for split in splits(dataset):
        reading = train if split == "train" else read(held, split, switches, kind)
        counts[split] = len(reading.examples)
        dropped[split], remarks[split] = reading.dropped, reading.remarks
        warnings += differences(dataset, split, reading, published or {})
    return Check(labels=known, counts=counts, dropped=dropped, remarks=remarks, warnings=tuple(warnings))


def _absent(dataset: Dataset) -> list[str]:
    return [split for split in ("validation", "test") if split not in splits(dataset)]


def _present(reading: Reading) -> set[str]:
    found: set[str] = set()
    for example in reading.examples:
        if isinstance(example, TextExample):
            found.add(example.label)
        elif isinstance(example, TaggedExample):
            found.update(example.tags)
    return found


def differences(
    dataset: Dataset, split: str, reading: Reading, published: Mapping[str, int | Sequence[int]]
) -> list[str]:
    """How a split that was read differs from the published one, a sentence each; nothing of a limited one."""
    if split in dataset.limit or split not in published:
        return []
    sizes = published[split]
    listed = [sizes] if isinstance(sizes, int) else list(sizes)
    here = reading.rows - reading.dropped[OTHER_LANGUAGE]  # published sizes count what the switches drop
    with_words = here - reading.remarks[EMPTY_SENTENCE]
    loader_made = dataset.format == "conll2002" and with_words + LOADER_SENTENCE in listed
    if here not in listed and not loader_made:
        return [f"{dataset.name}: {split} holds {here:,} examples, the published one {listed[0]:,}"]
    ranges = ANCORA_RANGES.get(split) if dataset.catalog == "pos" else None
    if ranges is not None and reading.remarks[RANGES] != ranges:
        return [
            f"{dataset.name}: {split} holds {reading.remarks[RANGES]:,} multiword tokens, AnCora r2.7"
            f" {ranges:,}: scores do not compare with the published ones"
        ]
    return []

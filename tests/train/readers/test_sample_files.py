"""The eight readers on the eight corpora that sgonz makes, named and laid out as the published ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from sgonz import catalog
from sgonz.plan.protocol import resolve
from sgonz.plan.runs import Dataset
from sgonz.sample import write_corpora
from sgonz.train.readers import check, read

SIZE = 60


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpora")
    write_corpora(folder, seed=1, size=SIZE)
    return folder


def made(corpora: Path, name: str) -> Dataset:
    entry = catalog.datasets()[name]
    files = {split: str(corpora / name / file) for split, file in entry.files.items()}
    return Dataset(name=name, task=entry.task, format=entry.format, files=files, labels=entry.labels, pair=entry.pair,
                   catalog=name, metric=entry.metric)  # fmt: skip


@pytest.mark.parametrize("name", catalog.datasets())
@pytest.mark.parametrize("protocol", ["sound", "paper"])
def test_every_split_reads_and_every_row_is_accounted_for(corpora: Path, name: str, protocol: str) -> None:
    dataset = made(corpora, name)
    for split in ("train", "validation", "test"):
        reading = read(dataset, split, resolve(protocol, {}))  # type: ignore[arg-type]
        assert reading.examples
        assert reading.rows == len(reading.examples) + sum(reading.dropped.values())
        if split == "train":
            assert len(reading.examples) >= SIZE * 0.9


@pytest.mark.parametrize("name", catalog.datasets())
def test_sizes_other_than_the_published_ones_are_warned_of_split_by_split(corpora: Path, name: str) -> None:
    sizes = catalog.datasets()[name].sizes
    found = check(made(corpora, name), resolve("sound", {}), published=sizes)
    assert len([warning for warning in found.warnings if "the published one" in warning]) == 3
    train = next(warning for warning in found.warnings if "train holds" in warning)
    assert f"the published one {sizes['train']:,}" in train

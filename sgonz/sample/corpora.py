"""The eight corpora as files, named and laid out as their publishers did."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any

from sgonz.sample import named, pairs, questions, tagged, topics
from sgonz.sample.draw import Draw
from sgonz.sample.questions import Article, Place

SMALLEST = 40  # examples of a validation or test split
SPLITS = ("train", "validation", "test")
Writer = Callable[[Path, Callable[[str], Draw], Callable[[str], int]], None]


def write_corpora(folder: Path, *, seed: int = 1, size: int = 400) -> None:
    """Write <folder>/<data set>/<published file names>, `size` training examples each.

    The same seed and size give the same bytes, on every machine.
    """

    def count(split: str) -> int:
        return size if split == "train" else max(SMALLEST, size // 4)

    for name, write in WRITERS.items():
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)

        def draw(split: str, name: str = name) -> Draw:
            return Draw(Random(f"{seed}:{size}:{name}:{split}"), unseen=split != "train")

        write(place, draw, count)


def _mldoc(place: Path, draw: Callable[[str], Draw], count: Callable[[str], int]) -> None:
    files = ("spanish.train.10000", "spanish.dev", "spanish.test")
    for file, split in zip(files, SPLITS, strict=True):
        _table(place / file, topics.stories(draw(split), count(split)))


def _pawsx(place: Path, draw: Callable[[str], Draw], count: Callable[[str], int]) -> None:
    files = ("translated_train.tsv", "dev_2k.tsv", "test_2k.tsv")
    for file, split in zip(files, SPLITS, strict=True):
        rows = list(pairs.paraphrases(draw(split), count(split)))
        if split != "train":
            rows[len(rows) // 2] = (
                "NS",
                rows[len(rows) // 2][1],
                rows[len(rows) // 2][2],
            )  # was never translated
        _table(place / file, [("id", "sentence1", "sentence2", "label"),
                              *((str(at), *row) for at, row in enumerate(rows, 1))])  # fmt: skip


def _xnli(place: Path, draw: Callable[[str], Draw], count: Callable[[str], int]) -> None:
    spelled = {"contradiction": "contradictory"}
    train = [(premise, hypothesis, spelled.get(label, label))
             for premise, hypothesis, label in pairs.inferences(draw("train"), count("train"))]  # fmt: skip
    _table(place / "multinli.train.es.tsv", [("premise", "hypo", "label"), *train])
    for file, split in (("xnli.dev.tsv", "validation"), ("xnli.test.tsv", "test")):
        rows: list[tuple[str, ...]] = [("language", "gold_label", "sentence1", "sentence2")]
        rows += [("en", "neutral", "A man plays the guitar.", "He plays for money."),
                 ("fr", "contradiction", "Une femme lit un roman.", "Une femme dort.")]  # fmt: skip
        rows += [("es", label, premise, hypothesis)
                 for premise, hypothesis, label in pairs.inferences(draw(split), count(split))]  # fmt: skip
        _table(place / file, rows)


def _pos(place: Path, draw: Callable[[str], Draw], count: Callable[[str], int]) -> None:
    for name, split in (("train", "train"), ("dev", "validation"), ("test", "test")):
        sentences = tagged.parts_of_speech(draw(split), count(split))
        _write(place / f"es_ancora-ud-{name}.conllu", tagged.conllu(sentences, name))


def _ner(place: Path, draw: Callable[[str], Draw], count: Callable[[str], int]) -> None:
    for file, split in (("esp.train", "train"), ("esp.testa", "validation"), ("esp.testb", "test")):
        sentences = named.names(draw(split), count(split))
        _write(place / file, named.conll2002(sentences, classes=split != "test"))


def _mlqa(place: Path, draw: Callable[[str], Draw], count: Callable[[str], int]) -> None:
    files = ("es_squad-translate-train-train-v1.1.json", "dev-context-es-question-es.json",
             "test-context-es-question-es.json")  # fmt: skip
    for file, split in zip(files, SPLITS, strict=True):
        listed = questions.articles(draw(split), ("person", "town"), count(split))
        _json(place / file, questions.squad(listed, f"mlqa-{split}"))


def _sqac(place: Path, draw: Callable[[str], Draw], count: Callable[[str], int]) -> None:
    for file, split in zip(("train.json", "dev.json", "test.json"), SPLITS, strict=True):
        listed = questions.articles(draw(split), ("company", "town"), count(split))
        _json(place / file, questions.squad(listed, f"sqac-{split}"))


def _tar(place: Path, draw: Callable[[str], Draw], count: Callable[[str], int]) -> None:
    """As translated SQuAD: empty answers beside good ones, and test paragraphs within validation."""
    kinds = ("person", "company")
    test = questions.squad(questions.articles(draw("test"), kinds, count("test")), "tar-test")
    _json(place / "xquad.es.json", test)
    for name, split in (("train", "train"), ("dev", "validation")):
        source = draw(split)

        def several(place: Place, source: Draw = source) -> list[Place]:
            return _several(source, place)

        listed: list[Article] = questions.articles(source, kinds, count(split))
        content = questions.squad(listed, f"tar-{split}", answers=several)
        if split == "validation":
            content["data"] += test["data"][: len(test["data"]) // 4]
        _json(place / f"{name}-v1.1-es.json", content)


def _several(draw: Draw, place: Place) -> list[Place]:
    nowhere = ("", -1)
    if draw.chance(0.6):
        return [place]
    return [nowhere, place] if draw.chance(0.5) else [place, nowhere, place]


WRITERS: dict[str, Writer] = {
    "mldoc": _mldoc, "pawsx": _pawsx, "xnli": _xnli, "pos": _pos, "ner": _ner, "mlqa": _mlqa, "sqac": _sqac, "tar": _tar,
}  # fmt: skip


def _table(file: Path, rows: Iterable[tuple[str, ...]]) -> None:
    _write(file, "".join("\t".join(row) + "\n" for row in rows))


def _json(file: Path, content: dict[str, Any]) -> None:
    _write(file, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def _write(file: Path, text: str) -> None:
    file.write_bytes(text.encode("utf-8"))

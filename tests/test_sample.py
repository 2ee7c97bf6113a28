from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sgonz import catalog
from sgonz.errors import WorkdirError
from sgonz.sample import make, write_corpora

SIZE = 200
SMALL = 50  # a quarter of it
Table = list[list[str]]


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpora")
    write_corpora(folder, seed=3, size=SIZE)
    return folder


def table(file: Path) -> Table:
    text = file.read_bytes().decode("utf-8")
    assert text.endswith("\n")
    return [line.split("\t") for line in text[:-1].split("\n")]


def sentences(file: Path, mark: str) -> list[Table]:
    blocks = file.read_bytes().decode("utf-8").split("\n\n")
    return [[line.split(mark) for line in block.split("\n") if line and line[0] != "#"] for block in blocks]


def questions(file: Path) -> list[tuple[str, dict[str, Any]]]:
    """Every question with its context."""
    found = json.loads(file.read_bytes())["data"]
    return [(paragraph["context"], asked) for article in found
            for paragraph in article["paragraphs"] for asked in paragraph["qas"]]  # fmt: skip


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_every_data_set_has_its_published_files_and_no_other(corpora: Path) -> None:
    published = {
        f"{name}/{file}" for name, entry in catalog.datasets().items() for file in entry.files.values()
    }
    assert set(content(corpora)) == published


def test_same_seed_and_size_give_the_same_bytes(corpora: Path, tmp_path: Path) -> None:
    write_corpora(tmp_path / "same", seed=3, size=SIZE)
    write_corpora(tmp_path / "other", seed=4, size=SIZE)
    assert content(tmp_path / "same") == content(corpora)
    other = content(tmp_path / "other")
    assert all(other[name] != found for name, found in content(corpora).items())


def test_bytes_do_not_depend_on_the_process(tmp_path: Path) -> None:
    write_corpora(tmp_path / "here", size=40)
    program = "import sys, pathlib, sgonz.sample as s; s.write_corpora(pathlib.Path(sys.argv[1]), size=40)"
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "there")], check=True,
                   env={"PYTHONHASHSEED": "77"}, cwd=Path(__file__).parents[1])  # fmt: skip
    assert content(tmp_path / "there") == content(tmp_path / "here")


def test_corpora_need_no_training_library() -> None:
    program = "import sys, sgonz.sample; print([name for name in ('torch', 'numpy', 'transformers') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True,
                          cwd=Path(__file__).parents[1])  # fmt: skip
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("file", "rows"), [("spanish.train.10000", SIZE), ("spanish.dev", SMALL), ("spanish.test", SMALL)]
)
def test_mldoc_lines_are_label_and_text(corpora: Path, file: str, rows: int) -> None:
    found = table(corpora / "mldoc" / file)
    assert len(found) == rows
    assert all(len(row) == 2 and row[1] for row in found)
    counts = Counter(row[0] for row in found)
    assert set(counts) == {"CCAT", "ECAT", "GCAT", "MCAT"}
    assert max(counts.values()) < rows / 2


@pytest.mark.parametrize(
    ("file", "rows"), [("translated_train.tsv", SIZE), ("dev_2k.tsv", SMALL), ("test_2k.tsv", SMALL)]
)
def test_pawsx_has_a_header_and_a_placeholder_outside_training(corpora: Path, file: str, rows: int) -> None:
    header, *found = table(corpora / "pawsx" / file)
    assert header == ["id", "sentence1", "sentence2", "label"]
    assert [int(row[0]) for row in found] == list(range(1, rows + 1))
    assert 0.3 < sum(row[3] == "1" for row in found) / rows < 0.6
    assert sum("NS" in row for row in found) == (0 if "train" in file else 1)


def test_xnli_training_spells_contradiction_as_the_translation_does(corpora: Path) -> None:
    header, *found = table(corpora / "xnli" / "multinli.train.es.tsv")
    assert header == ["premise", "hypo", "label"]
    counts = Counter(row[2] for row in found)
    assert set(counts) == {"entailment", "neutral", "contradictory"}
    assert counts.total() == SIZE
    assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize("file", ["xnli.dev.tsv", "xnli.test.tsv"])
def test_xnli_files_hold_other_languages_too(corpora: Path, file: str) -> None:
    header, *found = table(corpora / "xnli" / file)
    assert header == ["language", "gold_label", "sentence1", "sentence2"]
    spanish = [row for row in found if row[0] == "es"]
    assert len(spanish) == SMALL
    assert {row[0] for row in found} == {"es", "en", "fr"}
    assert all(len({row[2] for row in spanish[at : at + 3]}) == 1 for at in range(0, SMALL, 3))  # one premise


@pytest.mark.parametrize(("split", "rows"), [("train", SIZE), ("dev", SMALL), ("test", SMALL)])
def test_conllu_has_ten_columns_and_range_rows_before_their_parts(
    corpora: Path, split: str, rows: int
) -> None:
    *found, last = sentences(corpora / "pos" / f"es_ancora-ud-{split}.conllu", "\t")
    assert last == []
    assert len(found) == rows
    ranges = Counter()
    for sentence in found:
        assert all(len(row) == 10 for row in sentence)
        words = [row for row in sentence if "-" not in row[0]]
        assert [int(row[0]) for row in words] == list(range(1, len(words) + 1))
        for at, row in enumerate(sentence):
            if "-" in row[0]:
                assert row[0] == f"{sentence[at + 1][0]}-{sentence[at + 2][0]}"
                assert row[2:] == ["_"] * 8
                ranges[row[1].lower()] += 1
    assert ranges["del"] > 0
    assert ranges["al"] > 0


def test_training_has_every_part_of_speech_and_words_of_two_kinds(tmp_path: Path) -> None:
    write_corpora(tmp_path, size=400)
    rows = [
        row for sentence in sentences(tmp_path / "pos/es_ancora-ud-train.conllu", "\t") for row in sentence
    ]
    assert {row[3] for row in rows} == set(catalog.datasets()["pos"].labels)
    kinds = {
        form: {row[3] for row in rows if row[1] == form} for form in ("la", "bajo", "que", "vino", "cuenta")
    }
    assert {form for form, tags in kinds.items() if len(tags) > 1} == set(kinds)


@pytest.mark.parametrize(
    ("file", "rows", "columns"), [("esp.train", SIZE, 3), ("esp.testa", SMALL, 3), ("esp.testb", SMALL, 2)]
)
def test_conll2002_ends_with_an_empty_sentence_and_has_one_orphan(
    corpora: Path, file: str, rows: int, columns: int
) -> None:
    text = (corpora / "ner" / file).read_text("utf-8")
    assert text.endswith("\n\n\n")
    found = [[line.split(" ") for line in block.split("\n")] for block in text[:-3].split("\n\n")]
    assert len(found) == rows
    assert all(len(row) == columns for sentence in found for row in sentence)
    tags = [[row[-1] for row in sentence] for sentence in found]
    assert {tag for sentence in tags for tag in sentence} <= set(catalog.datasets()["ner"].labels)
    orphans = sum(
        tag[0] == "I" and before[1:] != tag[1:]
        for sentence in tags for before, tag in zip(["O", *sentence], sentence, strict=False)
    )  # fmt: skip
    assert orphans == 1
    assert max(map(len, found)) >= 150 if "train" in file else max(map(len, found)) < 100


@pytest.mark.parametrize("kind", ["mlqa", "sqac", "tar"])
def test_answers_stand_where_they_are_said_to(corpora: Path, kind: str) -> None:
    published = catalog.datasets()[kind].files
    for split, rows in (("train", SIZE), ("validation", SMALL), ("test", SMALL)):
        found = questions(corpora / kind / published[split])
        if (kind, split) == ("tar", "validation"):
            assert len(found) > rows
        else:
            assert len(found) == rows
        assert len({asked["id"] for _, asked in found}) == len(found)
        for context, asked in found:
            good = [answer for answer in asked["answers"] if answer["text"]]
            assert good
            assert asked["question"].startswith("¿")
            for answer in good:
                start = answer["answer_start"]
                assert context[start : start + len(answer["text"])] == answer["text"]


def test_some_contexts_are_longer_than_a_window(corpora: Path) -> None:
    lengths = [len(context.split()) for context, _ in questions(corpora / "sqac/train.json")]
    assert max(lengths) > 128
    assert sorted(lengths)[len(lengths) // 2] < 50


def test_tar_has_empty_answers_and_validation_paragraphs_of_the_test_file(corpora: Path) -> None:
    dev = questions(corpora / "tar/dev-v1.1-es.json")
    test_ids = {asked["id"] for _, asked in questions(corpora / "tar/xquad.es.json")}
    empty = [asked for _, asked in dev if {"text": "", "answer_start": -1} in asked["answers"]]
    assert any(not asked["answers"][0]["text"] for asked in empty)  # first in the list, as in the real file
    assert 0 < len(test_ids & {asked["id"] for _, asked in dev}) < len(test_ids)
    assert len({asked["id"] for _, asked in dev} - test_ids) == SMALL


@pytest.mark.parametrize(
    ("train", "test"),
    [("ner/esp.train", "ner/esp.testb"), ("pos/es_ancora-ud-train.conllu", "pos/es_ancora-ud-test.conllu")],
)
def test_test_text_has_words_that_training_never_shows(tmp_path: Path, train: str, test: str) -> None:
    write_corpora(tmp_path, size=400)
    column = 0 if "ner" in train else 1
    seen, met = (
        {row[column] for sentence in sentences(tmp_path / name, " " if "ner" in name else "\t") for row in sentence
         if row[column:] and row[column].isalpha()}
        for name in (train, test)
    )  # fmt: skip
    assert len(met - seen) / len(met) > 0.05


def test_sample_is_made_once_and_never_changed(tmp_path: Path) -> None:
    make(tmp_path / "sample", size=40)
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "sample").rglob("*.*")}
    make(tmp_path / "sample", size=40)
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "sample").rglob("*.*")} | before == before
    assert json.loads((tmp_path / "sample/sample.json").read_text()) == {"version": 1, "seed": 1, "size": 40}
    with pytest.raises(WorkdirError, match="size 40, not version 1, seed 1, size 60"):
        make(tmp_path / "sample", size=60)


def test_interrupted_sample_is_made_anew(tmp_path: Path) -> None:
    for left in (".draft/data/mldoc", "data/mldoc"):
        (tmp_path / left).mkdir(parents=True)
        (tmp_path / left / "half").touch()
    make(tmp_path, size=40)
    assert {path.name for path in (tmp_path / "data").iterdir()} == set(catalog.datasets())
    assert not (tmp_path / "data/mldoc/half").exists()
    assert not (tmp_path / ".draft").exists()


def test_command_writes_the_same_as_the_function(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sgonz.sample", str(tmp_path / "there"), "--size", "40", "--seed", "5"]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[1])
    write_corpora(tmp_path / "here", seed=5, size=40)
    assert content(tmp_path / "there" / "data") == content(tmp_path / "here")
    refused = subprocess.run(
        [*command[:4], "--size", "41"], capture_output=True, text=True, cwd=Path(__file__).parents[1]
    )
    assert refused.returncode == 2
    assert "another sample" in refused.stderr

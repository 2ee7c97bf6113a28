from __future__ import annotations

import itertools
import json
import shutil
import threading
from pathlib import Path

import datasets
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgonz.errors import RunError
from sgonz.plan.runs import Dataset, Kind, Model, RunSpec, Settings
from sgonz.train import models, preparation, tokenise
from sgonz.train.alignment import CONTEXT, QUESTION
from sgonz.train.examples import QuestionExample, TaggedExample, TextExample
from sgonz.train.execute import settle
from sgonz.train.pieces import Splitter
from sgonz.train.tasks.qa import gold_positions, token_windows
from sgonz.train.tasks.task import IGNORED

FAMILIES = ["bert", "roberta", "albert"]
ODD = ["", "\ufeff", "\x00", "\xa0", "\u200b", "camión", "¿qué?", "😀", "a\u0301", ")."]


@pytest.fixture(autouse=True)
def quiet():
    settle(1)


def task_of(folders, datasets, family: str, dataset: str, *, kind=Kind.FINETUNE, switches=None, **settings):
    spec = RunSpec(run_id="x", kind=kind, dataset=datasets[dataset], model=Model(name=family, path=str(folders[family])),
                   settings=Settings(**settings), switches=switches or {})  # fmt: skip
    tokenizer = preparation.tokenizer_of(spec, spec.model)
    labels = preparation.labels(spec)
    model, _ = preparation.new_model(spec, labels, tokenizer)
    return preparation.task_for(spec, model.config, tokenizer, labels), tokenizer


@pytest.mark.parametrize("family", FAMILIES)
def test_word_without_a_piece_becomes_the_unknown_token(folders, family):
    tokenizer = models.load_tokenizer(Model(name=family, path=str(folders[family])), words=True)
    pieces = Splitter.of(tokenizer, 64).words([ODD, []])
    assert [bool(word) for word in pieces[0]] == [True] * len(ODD)
    assert pieces[0][0] == [tokenizer.unk_token_id]
    assert pieces[1] == []


@pytest.mark.parametrize("family", FAMILIES)
def test_pair_is_framed_as_the_tokenizer_itself_does_it(folders, family):
    tokenizer = models.load_tokenizer(Model(name=family, path=str(folders[family])), words=False)
    splitter = Splitter.of(tokenizer, 64)
    one, two = (ids for ids, _ in splitter.texts(["El perro come", "una pera"]))
    ids, types = splitter.pair.put(one, two)
    expected = tokenizer("El perro come", "una pera", return_token_type_ids=True)
    assert ids == expected["input_ids"]
    assert types == expected["token_type_ids"]
    assert splitter.pair.length == tokenizer.num_special_tokens_to_add(pair=True)
    assert splitter.single.length == tokenizer.num_special_tokens_to_add()


@pytest.mark.parametrize(("family", "segments"), [("bert", True), ("albert", True), ("roberta", False)])
def test_second_text_is_a_segment_of_its_own_where_the_model_has_segments(
    bench, folders, datasets_by_task, family, segments
):
    task, tokenizer = task_of(folders, datasets_by_task, family, "pair")
    split = stored(bench, task, tokenizer, datasets_by_task["pair"])
    inputs = task.collate(split.take(np.arange(4))).inputs
    assert ("token_type_ids" in inputs) == segments
    if segments:
        assert inputs["token_type_ids"].max(dim=1).values.tolist() == [1] * 4
        assert (inputs["token_type_ids"][inputs["attention_mask"] == 0] == 0).all()
    assert (inputs["input_ids"][inputs["attention_mask"] == 0] == tokenizer.pad_token_id).all()


def stored(bench, task, tokenizer, dataset, split="train", kind=Kind.FINETUNE):
    return tokenise.tokenised(dataset, split, task, switches={}, kind=kind,
                              tokenizer=models.tokenizer_hash(tokenizer), cache=bench.workdir.cache)  # fmt: skip


def test_longer_text_of_a_pair_is_cut_first(folders, datasets_by_task):
    task, _ = task_of(folders, datasets_by_task, "bert", "pair", max_length=12)
    long = TextExample("perro " * 30, "gato", "1")
    chunk = task.tokenise([long], 0)
    assert chunk.rows["length"] == [12]
    assert chunk.rows["token_type_ids"][0].count(1) == 2  # the short text and its separator are whole


@pytest.mark.parametrize("family", FAMILIES)
def test_every_word_of_a_long_sentence_is_read_once_at_its_first_piece(folders, datasets_by_task, family):
    task, _tokenizer = task_of(folders, datasets_by_task, family, "tagging", max_length=32)
    words = tuple(f"{word}{number}" for number in range(60) for word in ("perro", "Madrid"))
    tags = tuple("O" if number % 3 else "B-LOC" for number in range(len(words)))
    chunk = task.tokenise([TaggedExample(("a",), ("O",)), TaggedExample(words, tags)], 10)
    splitter = task.feeding.splitter
    first_pieces = [pieces[0] for pieces in splitter.words([words])[0]]
    read: dict[int, tuple[int, int]] = {}
    for row in range(len(chunk.rows["length"])):
        assert chunk.rows["length"][row] <= 32
        if chunk.rows["example"][row] == 11:
            for word, at, tag in zip(
                *(chunk.rows[name][row] for name in ("word", "first", "tag")), strict=True
            ):
                assert word not in read
                read[word] = (chunk.rows["input_ids"][row][at], tag)
    assert [read[word][0] for word in range(len(words))] == first_pieces
    assert [task.labels[read[word][1]] for word in range(len(words))] == list(tags)
    assert chunk.counts["windowed"] == 1


def test_sentence_without_words_has_no_row_but_is_scored(folders, datasets_by_task):
    task, _ = task_of(folders, datasets_by_task, "bert", "tagging")
    chunk = task.tokenise([TaggedExample((), ())], 0)
    assert chunk.rows["length"] == []
    assert chunk.examples["tags"] == [[]]


def test_published_distillation_cuts_sentences_at_128_words(folders, datasets_by_task):
    task, _ = task_of(folders, datasets_by_task, "albert", "tagging", kind=Kind.DISTILL,
                      switches={"tagging_length": "cut"}, max_length=128)  # fmt: skip
    chunk = task.tokenise([TaggedExample(("a",) * 130, ("O",) * 130)], 0)
    assert len(chunk.rows["length"]) == 1
    assert chunk.rows["count"][0] <= 126  # the model's positions are the narrower limit here
    assert chunk.counts["words_cut"] == 130 - chunk.rows["count"][0]
    spoken, _ = task.score(*tables(chunk), [(np.arange(100), np.zeros(100, dtype=int))])
    assert spoken["accuracy"] == 100  # words beyond the cut are neither right nor wrong


def tables(chunk):
    return datasets.Dataset.from_dict(chunk.rows), datasets.Dataset.from_dict(chunk.examples)


def test_published_fine_tuning_labels_every_piece(folders, datasets_by_task):
    task, _ = task_of(folders, datasets_by_task, "bert", "tagging", switches={"tagging_labels": "all_pieces"})
    chunk = task.tokenise([TaggedExample(("Madridista", "come"), ("B-LOC", "O"))], 0)
    labels = chunk.rows["piece_tags"][0]
    assert labels[0] == labels[-1] == IGNORED
    assert IGNORED not in labels[1:-1]
    assert labels.count(task.labels.index("B-LOC")) == len(
        task.feeding.splitter.words([["Madridista"]])[0][0]
    )
    assert chunk.rows["count"][0] == len(labels) - 2


CONTEXT_TEXT = (
    "En Ávila, el león (grande)  come 😀 uvas; en Bogotá canta el pájaro.   La canción acaba en Lima…"
)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "answer", ["Ávila", "león", "😀", "canción acaba", "Lima…", "En", "Bogotá canta el pájaro"]
)
def test_gold_span_gives_the_answer_back(folders, datasets_by_task, family, answer):
    task, _ = task_of(folders, datasets_by_task, family, "qa", max_length=128, overlap=8)
    begin = CONTEXT_TEXT.index(answer)
    chunk = task.tokenise([QuestionExample("q", "¿Dónde?", CONTEXT_TEXT, ((answer, begin),))], 0)
    row = chunk.rows
    found = [
        CONTEXT_TEXT[row["offset_start"][at][row["start"][at]] : row["offset_end"][at][row["end"][at]]]
        for at in range(len(row["length"])) if row["start"][at]
    ]  # fmt: skip
    assert found
    for text in found:
        assert answer in text
        assert len(text) <= len(answer) + 2  # a piece may hold a neighbouring sign


@pytest.mark.parametrize("family", FAMILIES)
def test_windows_cover_the_context_with_the_overlap_asked_for(folders, datasets_by_task, family):
    task, _ = task_of(folders, datasets_by_task, family, "qa", max_length=40, overlap=8)
    context = " ".join([CONTEXT_TEXT] * 3)
    chunk = task.tokenise([QuestionExample("q", "¿Quién canta?", context, (("Ávila", 3),))], 0)
    whole = task.feeding.splitter.texts([context])[0][0]
    pieces = [
        [piece for piece, part in zip(ids, parts, strict=True) if part == CONTEXT]
        for ids, parts in zip(chunk.rows["input_ids"], chunk.rows["part"], strict=True)
    ]
    joined = pieces[0]
    for window in pieces[1:]:
        assert joined[-8:] == window[:8]
        joined = joined + window[8:]
    assert joined == whole
    assert max(chunk.rows["length"]) == 40
    inside = [bool(start) for start in chunk.rows["start"]]
    assert inside == [True] + [False] * (len(inside) - 1)


def test_question_that_leaves_no_room_is_cut_and_counted(folders, datasets_by_task):
    task, _ = task_of(folders, datasets_by_task, "bert", "qa", max_length=40, overlap=8)
    chunk = task.tokenise([QuestionExample("q", "¿quién come? " * 20, CONTEXT_TEXT, (("Ávila", 3),))], 0)
    assert chunk.counts["questions_cut"] == 1
    assert max(chunk.rows["length"]) == 40
    assert chunk.rows["part"][0].count(QUESTION) == 40 - 3 - 9


def test_overlap_without_room_is_refused(folders, datasets_by_task):
    task, _ = task_of(folders, datasets_by_task, "bert", "qa", max_length=40, overlap=64)
    with pytest.raises(RunError, match="no room"):
        task.tokenise([QuestionExample("q", "¿?", "a", (("a", 0),))], 0)


def test_first_answer_without_a_place_trains_on_cls(folders, datasets_by_task):
    task, _ = task_of(folders, datasets_by_task, "bert", "qa", max_length=64, overlap=8)
    chunk = task.tokenise([QuestionExample("q", "¿?", CONTEXT_TEXT, (("", -1), ("Ávila", 3)))], 0)
    assert chunk.rows["start"] == [0] * len(chunk.rows["start"])


@given(st.integers(0, 300), st.integers(10, 60), st.integers(0, 9))
def test_token_windows_leave_nothing_out(count, room, overlap):
    windows = token_windows(count, room, overlap)
    assert windows[0][0] == 0
    assert windows[-1][1] == count
    assert all(end - first <= room for first, end in windows)
    for (_, end), (first, later) in itertools.pairwise(windows):
        assert end - first == overlap
        assert later > end


def test_pieces_of_one_character_do_not_cross():
    spans = [(0, 2), (3, 4), (3, 4), (4, 6)]  # byte-level pieces of one sign share its span
    assert gold_positions(spans, (3, 4)) == (2, 2)
    assert gold_positions(spans, (0, 6)) == (0, 3)
    assert gold_positions(spans, (0, 9)) is None


def test_split_is_built_once_and_shared(bench, folders, datasets_by_task):
    task, tokenizer = task_of(folders, datasets_by_task, "albert", "text")
    first = stored(bench, task, tokenizer, datasets_by_task["text"])
    times = [file.stat().st_mtime_ns for file in built(bench)]
    again = stored(bench, task, tokenizer, datasets_by_task["text"])
    assert first.key == again.key
    assert [file.stat().st_mtime_ns for file in built(bench)] == times
    assert first.notes["examples"] == 96
    assert first.rows.data.equals(again.rows.data)


def built(bench) -> list[Path]:
    return sorted((bench.workdir.cache / "tokenised").glob("*/*"))


def test_builders_at_the_same_time_give_one_folder(bench, folders, datasets_by_task):
    task, tokenizer = task_of(folders, datasets_by_task, "bert", "tagging")
    keys = []
    threads = [
        threading.Thread(
            target=lambda: keys.append(stored(bench, task, tokenizer, datasets_by_task["tagging"]).key)
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 4
    assert len({file.parent for file in built(bench)}) == len(set(keys)) == 1


def test_draft_of_a_killed_builder_is_swept_away(bench, folders, datasets_by_task):
    task, tokenizer = task_of(folders, datasets_by_task, "bert", "text")
    key = stored(bench, task, tokenizer, datasets_by_task["text"]).key
    folder = bench.workdir.cache / "tokenised" / key
    shutil.move(folder, folder.with_name(f".{key}.draft"))
    (folder.with_name(f".{key}.draft") / "rows.arrow").write_bytes(b"torn")
    assert len(stored(bench, task, tokenizer, datasets_by_task["text"]).rows) == 96


def test_what_changes_rows_changes_the_key(bench, folders, datasets_by_task, tmp_path):
    def key(family="albert", dataset=datasets_by_task["text"], split="train", **settings):
        task, tokenizer = task_of(folders, {"text": dataset}, family, "text", **settings)
        return stored(bench, task, tokenizer, dataset, split).key

    other = tmp_path / "other.jsonl"
    other.write_text(json.dumps({"sentence1": "uva", "label": "fruta"}) + "\n")
    base = datasets_by_task["text"]
    base = msgspec.structs.replace(base, labels=("animal", "fruta"))
    keys = [
        key(dataset=base), key("bert", dataset=base), key(dataset=base, split="validation"),
        key(dataset=base, max_length=16), key(dataset=msgspec.structs.replace(base, limit={"train": 10})),
        key(dataset=msgspec.structs.replace(base, files=base.files | {"train": str(other)})),
        key(dataset=msgspec.structs.replace(base, labels=("fruta", "animal"))),
    ]  # fmt: skip
    assert len(set(keys)) == len(keys)
    assert key(dataset=base, learning_rate=1.0) == keys[0]


def test_a_hubs_data_set_of_other_size_than_published_is_told_in_the_log(
    folders, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    rows = {"premise": ["el gato"] * 3, "hypothesis": ["come"] * 3, "label": [0, 1, 2]}
    for split in ("train", "validation"):
        (tmp_path / "hub").mkdir(exist_ok=True)
        datasets.Dataset.from_dict(rows).to_parquet(str(tmp_path / "hub" / f"{split}.parquet"))
    labels = ("entailment", "neutral", "contradiction")
    mine = Dataset(
        name="xnli",
        task="classification",
        format="xnli",
        hub=str(tmp_path / "hub"),
        labels=labels,
        catalog="xnli",
    )
    for dataset, told in (
        (mine, "xnli: train holds 3 examples, the published one 392,702"),
        (msgspec.structs.replace(mine, catalog=None), ""),
    ):
        task, tokenizer = task_of(folders, {"xnli": dataset}, "albert", "xnli")
        tokenise.tokenised(dataset, "train", task, switches={}, kind="finetune",
                  tokenizer=f"{models.tokenizer_hash(tokenizer)}{dataset.catalog}", cache=tmp_path / "work")  # fmt: skip
        said = capsys.readouterr().err
        assert (told in said) if told else not said

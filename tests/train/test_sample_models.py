from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
)

from sgonz.plan.runs import Model
from sgonz.sample import write_corpora
from sgonz.train.models import check_padding, load, load_tokenizer, longest_input
from sgonz.train.sample_models import write_models

NAMES = ("sample-bert", "sample-roberta", "sample-albert")
SENTENCE = "La canción de Óscar Núñez sonó en la Plaza del Ángel"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sample")
    write_corpora(root / "data", size=120)
    write_models(root / "models", root / "data")
    return root


@pytest.fixture(params=NAMES)
def place(request: pytest.FixtureRequest, folder: Path) -> Path:
    return folder / "models" / request.param


def test_files_are_the_published_ones(place: Path) -> None:
    assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} <= {
        file.name for file in place.iterdir()
    }


def test_same_seed_gives_the_same_files(folder: Path, tmp_path: Path) -> None:
    write_models(tmp_path / "same", folder / "data")
    write_models(tmp_path / "other", folder / "data", seed=2)
    for name in NAMES:
        for file in ("model.safetensors", "tokenizer.json", "config.json"):
            assert (tmp_path / "same" / name / file).read_bytes() == (
                folder / "models" / name / file
            ).read_bytes()
        weights = [
            (root / name / "model.safetensors").read_bytes()
            for root in (folder / "models", tmp_path / "other")
        ]
        assert weights[0] != weights[1]


def test_making_models_leaves_random_state_as_it_was(folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(11)
    before = torch.random.get_rng_state()
    write_models(tmp_path, folder / "data")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_tokenizer_is_fast_and_keeps_accents(place: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(place)
    assert tokenizer.is_fast
    assert tokenizer.model_max_length == 512
    assert (
        tokenizer("canción", add_special_tokens=False)["input_ids"]
        != tokenizer("cancion", add_special_tokens=False)["input_ids"]
    )
    assert "canción" in tokenizer.decode(tokenizer("canción")["input_ids"])
    assert tokenizer.unk_token_id not in tokenizer(SENTENCE)["input_ids"]


def test_offsets_cover_every_letter_in_order(place: Path) -> None:
    encoded = AutoTokenizer.from_pretrained(place)(SENTENCE, return_offsets_mapping=True)
    spans = [
        span
        for span, mark in zip(encoded["offset_mapping"], encoded.word_ids(), strict=True)
        if mark is not None
    ]
    assert spans == sorted(spans)
    covered = {at for start, end in spans for at in range(start, end)}
    assert covered >= {at for at, letter in enumerate(SENTENCE) if letter != " "}


def test_case_is_kept_except_in_albert(folder: Path) -> None:
    for name in NAMES:
        tokenizer = AutoTokenizer.from_pretrained(folder / "models" / name)
        same = tokenizer("Madrid")["input_ids"] == tokenizer("madrid")["input_ids"]
        assert same is (name == "sample-albert")


def test_pairs_are_marked_as_each_family_does(folder: Path) -> None:
    marks = {}
    for name in NAMES:
        tokenizer = AutoTokenizer.from_pretrained(folder / "models" / name)
        encoded = tokenizer("La casa", "El río")
        tokens = tokenizer.convert_ids_to_tokens(encoded["input_ids"])
        marks[name] = (
            [token for token in tokens if token in tokenizer.all_special_tokens],
            encoded.get("token_type_ids"),
        )
    assert marks["sample-roberta"] == (["<s>", "</s>", "</s>", "</s>"], None)
    for name in ("sample-bert", "sample-albert"):
        specials, types = marks[name]
        assert specials == ["[CLS]", "[SEP]", "[SEP]"]
        assert types == sorted(types)
        assert set(types) == {0, 1}


def test_families_cut_the_same_text_differently(folder: Path) -> None:
    tokenizers = [AutoTokenizer.from_pretrained(folder / "models" / name) for name in NAMES]
    for one, other in itertools.combinations(tokenizers, 2):
        assert len(one) != len(other)
        assert len(set(one.get_vocab()) ^ set(other.get_vocab())) > 300
        spans = [
            tokenizer(SENTENCE, return_offsets_mapping=True)["offset_mapping"] for tokenizer in (one, other)
        ]
        assert spans[0] != spans[1]


@torch.no_grad()
def test_every_head_loads_and_has_its_shape(place: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(place)
    batch = tokenizer(["La casa", "El río es largo"], ["Sí", "No"], padding=True, return_tensors="pt")
    rows, length = batch["input_ids"].shape
    assert AutoModelForSequenceClassification.from_pretrained(place, num_labels=4)(**batch).logits.shape == (
        rows,
        4,
    )
    assert AutoModelForTokenClassification.from_pretrained(place, num_labels=9)(**batch).logits.shape == (
        rows,
        length,
        9,
    )
    assert AutoModelForQuestionAnswering.from_pretrained(place)(**batch).start_logits.shape == (rows, length)


@torch.no_grad()
def test_inputs_may_be_as_long_as_the_published_ones(place: Path) -> None:
    model, notes = load(Model(name=place.name, path=str(place)), "classification", ["0", "1"], seed=1)
    tokenizer = load_tokenizer(Model(name=place.name, path=str(place)), words=False)
    assert longest_input(model.config, tokenizer, 10_000) == 512
    assert check_padding(model.config, tokenizer) == {}
    assert "weights_unused" not in notes or notes["weights_unused"] == 0
    encoded = tokenizer("río " * 600, truncation=True, return_tensors="pt")
    assert model(**encoded).logits.shape == (1, 2)


def test_student_is_cut_from_albert_without_touching_weights(folder: Path) -> None:
    place = folder / "models/sample-albert"
    assert json.loads((place / "config.json").read_text())["num_hidden_layers"] == 4
    cut = Model(name="cut", path=str(place), overrides={"num_hidden_layers": 2})
    student, notes = load(cut, "qa", None, seed=1)
    whole, _ = load(Model(name="whole", path=str(place)), "qa", None, seed=1)
    assert notes == {}
    assert student.config.num_hidden_layers == 2
    assert all(
        torch.equal(left, right) for left, right in zip(student.parameters(), whole.parameters(), strict=True)
    )


def test_bert_is_the_largest(folder: Path) -> None:
    sizes = {name: (folder / "models" / name / "model.safetensors").stat().st_size for name in NAMES}
    assert max(sizes, key=sizes.__getitem__) == "sample-bert"
    assert all(size < 4_000_000 for size in sizes.values())

from __future__ import annotations

import json
import shutil

import pytest
import sentencepiece
import torch
from safetensors.torch import load_file, save_file
from transformers import AlbertConfig, AlbertForMaskedLM, AutoTokenizer

from sgonz.errors import ModelError
from sgonz.plan.runs import Model
from sgonz.train import models
from sgonz.train.execute import settle
from sgonz.train.pieces import Splitter

LABELS = ("no", "sí")


@pytest.fixture(autouse=True)
def quiet():
    settle(1)


def at(folder, **fields) -> Model:
    return Model(name=folder.name, path=str(folder), **fields)


def load(folder, task="classification", seed=1, **fields):
    return models.load(at(folder, **fields), task, LABELS if task != "qa" else None, seed=seed)


@pytest.mark.parametrize("family", ["bert", "roberta", "albert"])
@pytest.mark.parametrize("task", ["classification", "tagging", "qa"])
def test_body_is_the_checkpoint_and_the_head_is_drawn_from_the_seed(folders, family, task):
    torch.manual_seed(5)
    one, _ = load(folders[family], task)
    torch.manual_seed(6)
    same, _ = load(folders[family], task)
    other, _ = load(folders[family], task, seed=2)
    body = one.base_model_prefix
    head_differs = False
    for name, weight in one.state_dict().items():
        assert torch.equal(weight, same.state_dict()[name])
        if name.startswith(body):
            assert torch.equal(weight, other.state_dict()[name])
        else:
            head_differs |= not torch.equal(weight, other.state_dict()[name])
    assert head_differs


def test_drawing_the_head_leaves_the_random_stream_alone(folders):
    torch.manual_seed(5)
    load(folders["bert"])
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(1))


def test_cut_albert_is_the_whole_one_with_fewer_repetitions(folders):
    whole, _ = load(folders["albert"])
    cut, notes = load(folders["albert"], overrides={"num_hidden_layers": 1})
    assert cut.config.num_hidden_layers == 1
    assert notes == {}
    assert {n: w.shape for n, w in cut.state_dict().items()} == {
        n: w.shape for n, w in whole.state_dict().items()
    }
    assert all(torch.equal(weight, whole.state_dict()[name]) for name, weight in cut.state_dict().items())


def test_half_precision_files_give_float32_weights(folders, tmp_path):
    folder = shutil.copytree(folders["albert"], tmp_path / "half")
    weights = load_file(folder / "model.safetensors")
    save_file(
        {n: w.half() for n, w in weights.items()}, folder / "model.safetensors", metadata={"format": "pt"}
    )
    config = json.loads((folder / "config.json").read_text()) | {"dtype": "float16"}
    (folder / "config.json").write_text(json.dumps(config))
    model, _ = load(folder)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_head_of_an_earlier_task_is_not_kept(folders, tmp_path):
    model, _ = load(folders["albert"], seed=1)
    model.save_pretrained(tmp_path / "tuned")
    again, _ = load(tmp_path / "tuned", seed=2)
    assert not torch.equal(model.classifier.weight, again.classifier.weight)


def test_head_of_language_modelling_may_be_left_over(folders, tmp_path):
    config = AlbertConfig.from_pretrained(folders["albert"])
    AlbertForMaskedLM(config).save_pretrained(tmp_path / "mlm")
    _, notes = load(tmp_path / "mlm")
    assert notes == {"pooler": "new"}


def test_checkpoint_that_lacks_weights_is_refused(folders, tmp_path):
    folder = shutil.copytree(folders["bert"], tmp_path / "torn")
    weights = load_file(folder / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if "layer.1" not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="lack 16 weights"):
        load(folder)


def test_config_other_than_published_is_told(folders):
    _, notes = load(folders["albert"], expected={"num_hidden_layers": 4, "hidden_act": "gelu"})
    assert notes == {"config.num_hidden_layers": "2, published 4"}


def test_architecture_is_built_from_the_seed():
    fields = {"model_type": "albert", "vocab_size": 50, "embedding_size": 8, "hidden_size": 16,
              "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}  # fmt: skip
    one, two = (
        models.load(Model(name="new", architecture=fields), "tagging", LABELS, seed=seed)[0]
        for seed in (1, 1)
    )
    assert one.config.num_hidden_layers == 3
    assert all(torch.equal(*pair) for pair in zip(one.parameters(), two.parameters(), strict=True))


def test_missing_folder_is_a_clear_error(tmp_path):
    with pytest.raises(ModelError, match="is not a folder"):
        load(tmp_path / "nowhere")


def test_model_that_is_nowhere_at_hand_is_a_clear_error_offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="cannot be loaded"):
        models.load_tokenizer(Model(name="x", hub=("nobody/nothing", "nobody/other")), words=False)


def test_labels_and_how_to_decode_are_kept_with_the_weights(folders, tmp_path):
    model, _ = models.load(
        at(folders["albert"]),
        "classification",
        LABELS,
        seed=1,
        extras={"sgonz": {"decode": "units", "pool": "edge"}},
    )
    models.save(tmp_path / "out", model, models.load_tokenizer(at(folders["albert"]), words=False))
    again = models.load_saved(tmp_path / "out", "classification")
    assert models.ordered_labels(again.config) == LABELS
    assert again.config.sgonz == {"decode": "units", "pool": "edge"}


@pytest.mark.parametrize("family", ["bert", "roberta", "albert"])
def test_saved_tokenizer_is_the_same_tokenizer(folders, tmp_path, family):
    tokenizer = models.load_tokenizer(at(folders[family]), words=True)
    tokenizer.save_pretrained(tmp_path / family)
    again = models.load_tokenizer(at(tmp_path / family), words=True)
    assert models.tokenizer_hash(again) == models.tokenizer_hash(tokenizer)


def test_tokenizer_hash_sees_a_changed_flag(folders):
    plain, for_words = (models.load_tokenizer(at(folders["roberta"]), words=words) for words in (False, True))
    assert models.tokenizer_hash(plain) != models.tokenizer_hash(for_words)


def test_words_of_byte_level_tokenizers_keep_their_space(folders):
    tokenizer = models.load_tokenizer(at(folders["roberta"]), words=True)
    pieces = Splitter.of(tokenizer, 64).words([["hola", "mundo"]])[0]
    assert tokenizer.decode([piece for word in pieces for piece in word]) == " hola mundo"


@pytest.mark.parametrize("named", ["AlbertTokenizer", "BertTokenizer"])
def test_accents_stay_whatever_the_class_would_do(folders, tmp_path, named):
    folder = shutil.copytree(
        folders["albert" if named.startswith("Albert") else "bert"], tmp_path / "accents"
    )
    config = json.loads((folder / "tokenizer_config.json").read_text()) | {"tokenizer_class": named}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    tokenizer = models.load_tokenizer(at(folder), words=False)
    ids = tokenizer("canción", add_special_tokens=False)["input_ids"]
    assert "ó" in tokenizer.decode(ids)
    assert ids != tokenizer("cancion", add_special_tokens=False)["input_ids"]
    assert AutoTokenizer.from_pretrained(folder).is_fast


def test_bare_sentencepiece_file_keeps_accents_that_its_vocabulary_has(folders, corpus, tmp_path):
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([line.lower() for line in corpus]), model_prefix=str(tmp_path / "spiece"),
        vocab_size=120, hard_vocab_limit=False, pad_id=0, unk_id=1, bos_id=-1, eos_id=-1, pad_piece="<pad>",
        control_symbols=["[CLS]", "[SEP]", "[MASK]"], normalization_rule_name="nmt_nfkc_cf", minloglevel=2,
    )  # fmt: skip
    shutil.copy(folders["albert"] / "config.json", tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "AlbertTokenizer"}))
    tokenizer = models.load_tokenizer(at(tmp_path), words=False)
    assert "ó" in "".join(tokenizer.tokenize("la CANCIÓN"))


def test_longest_input_counts_positions_after_the_pad_id(folders):
    for family, expected in (("bert", 128), ("roberta", 128)):
        tokenizer = models.load_tokenizer(at(folders[family]), words=False)
        model, _ = load(folders[family])
        assert models.longest_input(model.config, tokenizer, 512) == expected
        assert models.longest_input(model.config, tokenizer, 64) == 64


def test_pad_id_that_positions_depend_on_must_fit(folders):
    tokenizer = models.load_tokenizer(at(folders["bert"]), words=False)
    roberta, _ = load(folders["roberta"])
    roberta.config.pad_token_id = 7
    with pytest.raises(ModelError, match="pad id"):
        models.check_padding(roberta.config, tokenizer)
    bert, _ = load(folders["bert"])
    bert.config.pad_token_id = 0  # as DistilBETO has it
    assert "pad_id" in models.check_padding(bert.config, tokenizer)

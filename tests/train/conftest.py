"""Three tiny models with tokenizers of their own, and small data sets in Spanish that they can learn."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from bench import Bench
from tokenizers import Tokenizer, decoders, pre_tokenizers, processors, trainers
from tokenizers import models as engines
from tokenizers import normalizers as norm
from toy_texts import ANIMAL, FRUIT, PLACE, VERB, one_question, one_sentence, one_text, two_texts, write
from transformers import (
    AlbertConfig,
    AlbertModel,
    BertConfig,
    BertModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
)
from workers import Start

from sgonz.plan.runs import Dataset

CORPUS = [
    f"{who.capitalize()} {verb} una {what}, ¿y {other}? En {place} la canción dice: «{what}»."
    for who, verb, what, other, place in zip(
        ANIMAL * 6, VERB * 8, FRUIT * 6, (*ANIMAL[3:], *ANIMAL[:3]) * 6, PLACE * 6, strict=True
    )
] + ["¿Dónde está quien come? ¿Qué tiene? ¿Qué busca el animal de la casa?"]
SHAPE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
         "initializer_range": 0.2}  # fmt: skip  # small models learn nothing from 0.02


@pytest.fixture(scope="session")
def corpus() -> list[str]:
    return CORPUS


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Model folders by family: bert (WordPiece), roberta (byte-level BPE), albert (Unigram)."""
    root = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    return {
        "bert": write_bert(root / "bert"),
        "roberta": write_roberta(root / "roberta"),
        "albert": write_albert(root / "albert"),
    }


def write_bert(folder: Path) -> Path:
    engine = Tokenizer(engines.WordPiece(unk_token="[UNK]"))
    engine.normalizer = norm.BertNormalizer(lowercase=True, strip_accents=False)
    engine.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    specials = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]"]
    engine.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=300, special_tokens=specials))
    frame(engine)
    save_tokenizer(folder, engine, unk_token="[UNK]", pad_token="[PAD]")
    config = BertConfig(
        vocab_size=engine.get_vocab_size(), max_position_embeddings=128, pad_token_id=1, **SHAPE
    )
    BertModel(config).save_pretrained(folder)
    return folder


def write_albert(folder: Path) -> Path:
    engine = Tokenizer(engines.Unigram())
    engine.normalizer = norm.Lowercase()
    engine.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    engine.decoder = decoders.Metaspace()
    specials = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
    engine.train_from_iterator(
        CORPUS, trainers.UnigramTrainer(vocab_size=180, special_tokens=specials, unk_token="<unk>")
    )
    frame(engine)
    save_tokenizer(folder, engine, unk_token="<unk>", pad_token="<pad>")
    config = AlbertConfig(vocab_size=engine.get_vocab_size(), embedding_size=16, max_position_embeddings=128,
                          hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, hidden_act="gelu",
                          pad_token_id=0, **SHAPE)  # fmt: skip
    AlbertModel(config).save_pretrained(folder)
    return folder


def write_roberta(folder: Path) -> Path:
    engine = Tokenizer(engines.BPE())
    engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    engine.decoder = decoders.ByteLevel()
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    engine.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(vocab_size=400, special_tokens=specials,
                            initial_alphabet=pre_tokenizers.ByteLevel.alphabet()),
    )  # fmt: skip
    engine.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    save_tokenizer(folder, engine, unk_token="<unk>", pad_token="<pad>", cls_token="<s>", sep_token="</s>",
                   mask_token="<mask>", bos_token="<s>", eos_token="</s>")  # fmt: skip
    config = RobertaConfig(vocab_size=engine.get_vocab_size(), max_position_embeddings=130, type_vocab_size=1,
                           pad_token_id=1, bos_token_id=0, eos_token_id=2, hidden_dropout_prob=0.0,
                           attention_probs_dropout_prob=0.0, **SHAPE)  # fmt: skip
    RobertaModel(config).save_pretrained(folder)
    return folder


def frame(engine: Tokenizer) -> None:
    engine.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, engine.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )  # fmt: skip


def save_tokenizer(folder: Path, engine: Tokenizer, **specials: str) -> None:
    names = {"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"} | specials
    PreTrainedTokenizerFast(tokenizer_object=engine, model_max_length=128, **names).save_pretrained(folder)


@pytest.fixture(scope="session")
def datasets_by_task(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dataset]:
    """pair (two texts), text (one), tagging and qa, each with three splits."""
    root = tmp_path_factory.mktemp("data")
    makers: dict[str, Callable[[random.Random], Any]] = {
        "text": one_text, "pair": two_texts, "tagging": one_sentence, "qa": one_question
    }  # fmt: skip
    made = {}
    for name, maker in makers.items():
        files = {}
        for split, count in (("train", 96), ("validation", 24), ("test", 24)):
            dice = random.Random(f"{name}{split}")
            files[split] = write(root / f"{name}-{split}", name, [maker(dice) for _ in range(count)])
        made[name] = dataset(name, files)
    return made


def dataset(name: str, files: dict[str, str]) -> Dataset:
    if name == "tagging":
        return Dataset(
            name=name, task="tagging", format="conll2002", files=files, labels=("O", "B-LOC", "B-ANI")
        )
    if name == "qa":
        return Dataset(name=name, task="qa", format="squad", files=files)
    return Dataset(name=name, task="classification", format="jsonl", files=files, pair=name == "pair")


@pytest.fixture
def bench(tmp_path: Path, folders: dict[str, Path], datasets_by_task: dict[str, Dataset]) -> Bench:
    return Bench(tmp_path / "work", folders, datasets_by_task)


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a worker in a session of its own; none is left afterwards."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(
        folder: Path, *arguments: str, module: str = "worker", **environment: str
    ) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"sgonz.train.{module}", str(folder), *arguments]
        started.append(subprocess.Popen(command, start_new_session=True, env={**os.environ, **environment}))
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()

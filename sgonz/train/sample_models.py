"""Three small model families with vocabularies of their own, made from the text of sample corpora."""

from __future__ import annotations

import itertools
import logging as levels
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors, trainers
from tokenizers.models import BPE, Unigram, WordPiece
from transformers import (
    AlbertConfig,
    AutoModelForMaskedLM,
    BertConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
)
from transformers.utils import logging

from sgonz import catalog
from sgonz.plan.runs import Dataset
from sgonz.train import readers
from sgonz.train.examples import Example, QuestionExample, TaggedExample, TextExample

POSITIONS = 512
SPREAD = 0.08  # of the first weights; 0.02 suits 768 units, with so few nothing moves for epochs
SHARED_SPREAD = 0.06  # of a layer that is applied four times; with more it may never leave the majority class


@dataclass(frozen=True, kw_only=True)
class Family:
    """How to make one model: its tokenizer from text, its configuration from the tokenizer."""

    tokenizer: Callable[[list[str]], PreTrainedTokenizerFast]
    config: Callable[[PreTrainedTokenizerFast], PreTrainedConfig]


def write_models(folder: Path, corpora: Path, *, seed: int = 1) -> None:
    """Write <folder>/sample-bert, -roberta and -albert in the published format, with seeded random weights.

    Tokenizers are trained on the training texts below `corpora`.
    """
    texts = list(training_texts(corpora))
    for name, family in FAMILIES.items():
        tokenizer = family.tokenizer(texts)
        config = family.config(tokenizer)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = AutoModelForMaskedLM.from_config(config, dtype=torch.float32)
        _save(folder / name, model)
        tokenizer.save_pretrained(folder / name)


def _save(folder: Path, model: PreTrainedModel) -> None:
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # a bar for two megabytes says nothing
    levels.disable(levels.WARNING)  # accelerate imports DeepSpeed, which warns that there is no GPU
    model.save_pretrained(folder)
    levels.disable(levels.NOTSET)
    if shown:
        logging.enable_progress_bar()


def training_texts(corpora: Path) -> Iterator[str]:
    """Every different text of the training splits, in a fixed order."""
    pieces = itertools.chain.from_iterable(
        _texts(example)
        for name, published in catalog.datasets().items()
        for example in readers.read(
            Dataset(name=name, task=published.task, format=published.format, pair=published.pair,
                    files={"train": str(corpora / name / published.files["train"])}),
            "train",
        ).examples
    )  # fmt: skip
    yield from dict.fromkeys(piece for piece in pieces if piece)


def _texts(example: Example) -> tuple[str, ...]:
    match example:
        case TextExample():
            return (example.text, example.pair or "")
        case TaggedExample():
            return (" ".join(example.words),)
        case QuestionExample():
            return (example.question, example.context)


def _bert_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """WordPiece that keeps case and accents; the pad id is 1, as in BETO."""
    specials = ["[MASK]", "[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    letters = sorted(set("".join(texts)) - {" "})
    # Left alone, the trainer numbers inner letters as its hash table lists them, another way in every process.
    first = [*specials, *letters, *(f"##{letter}" for letter in letters)]
    trained = _wordpiece({})
    trainer = trainers.WordPieceTrainer(vocab_size=1600, special_tokens=first, show_progress=False)
    trained.train_from_iterator(texts, trainer)
    tokenizer = _wordpiece(trained.get_vocab())
    tokenizer.post_processor = _segments(tokenizer)
    return _published(
        tokenizer, segments=True, pad="[PAD]", unk="[UNK]", cls="[CLS]", sep="[SEP]", mask="[MASK]"
    )


def _wordpiece(vocabulary: dict[str, int]) -> Tokenizer:
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def _roberta_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """Byte-level BPE; pairs have two separators between them."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1500, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return _published(
        tokenizer, segments=False, pad="<pad>", unk="<unk>", cls="<s>", sep="</s>", mask="<mask>"
    )


def _albert_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """Unigram pieces of lower-cased text that keeps its accents, as ALBETO's.

    Pieces and their shares come from merged pairs: the library's own Unigram trainer ends elsewhere each time.
    """
    specials = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
    merged = _lowered(BPE())
    merged.pre_tokenizer = pre_tokenizers.Sequence([merged.pre_tokenizer, pre_tokenizers.Punctuation()])
    trainer = trainers.BpeTrainer(vocab_size=1400, special_tokens=specials, show_progress=False)
    merged.train_from_iterator(texts, trainer)
    met = Counter(piece for encoded in merged.encode_batch(texts) for piece in encoded.tokens)
    pieces = sorted(set(merged.get_vocab()) - set(specials), key=lambda piece: (-met[piece], piece))
    shares = [(piece, math.log((met[piece] + 0.5) / met.total())) for piece in pieces]
    tokenizer = _lowered(Unigram([*((special, 0.0) for special in specials), *shares], unk_id=1))
    tokenizer.post_processor = _segments(tokenizer)
    return _published(
        tokenizer, segments=True, pad="<pad>", unk="<unk>", cls="[CLS]", sep="[SEP]", mask="[MASK]"
    )


def _lowered(model: BPE | Unigram) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def _segments(tokenizer: Tokenizer) -> processors.TemplateProcessing:
    return processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )


def _published(tokenizer: Tokenizer, *, segments: bool, **specials: str) -> PreTrainedTokenizerFast:
    """The tokenizer as it is saved; a first and a last token stand for begin and end as well."""
    names = ["input_ids", "token_type_ids", "attention_mask"] if segments else ["input_ids", "attention_mask"]
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=POSITIONS, model_input_names=names, bos_token=specials["cls"],
        eos_token=specials["sep"], **{f"{name}_token": token for name, token in specials.items()},
    )  # fmt: skip


def _bert_config(tokenizer: PreTrainedTokenizerFast) -> PreTrainedConfig:
    return BertConfig(
        vocab_size=len(tokenizer), hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=POSITIONS, type_vocab_size=2, hidden_act="gelu", hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, classifier_dropout=0.1, layer_norm_eps=1e-12, initializer_range=SPREAD, **_ids(tokenizer),
    )  # fmt: skip


def _roberta_config(tokenizer: PreTrainedTokenizerFast) -> PreTrainedConfig:
    return RobertaConfig(
        vocab_size=len(tokenizer), hidden_size=96, intermediate_size=192, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=POSITIONS + 2, type_vocab_size=1, hidden_act="gelu", hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, layer_norm_eps=1e-5, initializer_range=SPREAD, **_ids(tokenizer),
    )  # fmt: skip


def _albert_config(tokenizer: PreTrainedTokenizerFast) -> PreTrainedConfig:
    return AlbertConfig(
        vocab_size=len(tokenizer), embedding_size=64, hidden_size=96, intermediate_size=192, num_hidden_layers=4,
        num_hidden_groups=1, inner_group_num=1, num_attention_heads=4, max_position_embeddings=POSITIONS,
        type_vocab_size=2, hidden_act="gelu", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        classifier_dropout_prob=0.1, layer_norm_eps=1e-12, initializer_range=SHARED_SPREAD, **_ids(tokenizer),
    )  # fmt: skip


def _ids(tokenizer: PreTrainedTokenizerFast) -> dict[str, int]:
    return {
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }


FAMILIES = {
    "sample-bert": Family(tokenizer=_bert_tokenizer, config=_bert_config),
    "sample-roberta": Family(tokenizer=_roberta_tokenizer, config=_roberta_config),
    "sample-albert": Family(tokenizer=_albert_tokenizer, config=_albert_config),
}

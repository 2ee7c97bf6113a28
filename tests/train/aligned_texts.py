"""Texts that tokenizers disagree on, three real tokenizers of different kinds, and windows cut by them."""

from __future__ import annotations

from functools import cache

import numpy as np
from hypothesis import strategies as st
from tokenizers import (
    Encoding,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from sgonz.train.alignment import CONTEXT, QUESTION, SPECIAL, Window

CORPUS = [
    "El presidente (electo en 1998) viajó a Bogotá; allí dijo: «No habrá más guerras».",
    "La canción más escuchada del año fue compuesta por José Martí en Ñuñoa, Santiago (Chile).",
    "¿Cuándo nació la reina Isabel? Nació el 22 de abril de 1451 en Madrigal de las Altas Torres.",
    "El 5% de los votos -unos 3.500- fue anulado. Costó $20, según @periodista y su página web.",
    "Los niños corrían, saltaban y cantaban: era verano, hacía calor y nadie tenía prisa alguna.",
    "Además, el río (que nace en los Andes). Después desemboca en el océano Pacífico, al oeste.",
]
WORDS = sorted({word for line in CORPUS for word in line.split()})
ODD = [
    "ﬁn", "Ångström", "e\u0301l", "n\u0303andu\u0301", "👩‍👩‍👧‍👦", "👍🏽", "🏳️‍🌈", "x" * 300,
    "(¡hola!).", "…", "½", "a\u00a0b",
    "cero\u200bancho", "\u200b", "\u00ad", "\ufeff", "日本語", "नमस्ते", "€30", "a_b", "--", "\u2028",
    "İ", "ß", "\x1f", "\x00",
]  # fmt: skip
pieces_of_text = st.sampled_from(WORDS) | st.sampled_from(ODD) | st.text(max_size=4)
blanks = st.sampled_from([" ", " ", " ", "  ", "\n", "\u00a0", "\t ", ""])
texts = st.lists(st.tuples(pieces_of_text, blanks), max_size=12).map(
    lambda pairs: "".join(part for pair in pairs for part in pair)
)

KINDS = ("wordpiece", "byte_bpe", "unigram")
SPECIALS = ["[CLS]", "[SEP]", "[UNK]"]


@cache
def tokenizer(kind: str) -> Tokenizer:
    """A small tokenizer with [CLS] question [SEP] context [SEP], trained here."""
    if kind == "wordpiece":
        made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        made.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        made.decoder = decoders.WordPiece()
        trainer = trainers.WordPieceTrainer(vocab_size=220, special_tokens=SPECIALS, show_progress=False)
    elif kind == "byte_bpe":
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=SPECIALS, show_progress=False,
                                      initial_alphabet=pre_tokenizers.ByteLevel.alphabet())  # fmt: skip
    else:
        made = Tokenizer(models.Unigram())
        spaces = normalizers.Replace(Regex(r"\s{2,}"), " ")
        made.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase(), spaces])
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=150, special_tokens=SPECIALS, unk_token="[UNK]", show_progress=False
        )
    made.train_from_iterator(CORPUS, trainer)
    template = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, made.token_to_id(token)) for token in SPECIALS[:2]],
    )
    trimming = [processors.ByteLevel(trim_offsets=True)] if kind == "byte_bpe" else []  # as RoBERTa's does
    made.post_processor = processors.Sequence([*trimming, template])
    return made


def windows(kind: str, question: str, context: str, *, room: int, overlap: int) -> list[Window]:
    """A question on a context in windows of at most `room` context pieces."""
    made = tokenizer(kind)
    fixed = len(made.encode(question).ids) + 1
    made.enable_truncation(fixed + room, stride=overlap, strategy="only_second")
    whole = made.encode(question, context)
    made.no_truncation()
    return [_window(encoding) for encoding in (whole, *whole.overflowing)]


def _window(encoding: Encoding) -> Window:
    parts = {None: SPECIAL, 0: QUESTION, 1: CONTEXT}
    start, end = np.array(encoding.offsets, dtype=np.int32).T
    part = np.array([parts[of] for of in encoding.sequence_ids], dtype=np.int8)
    return Window(np.array(encoding.ids, dtype=np.int32), start, end, part)


def unit_windows(
    question: list[tuple[int, int]], context: list[tuple[int, int]], borders: list[tuple[int, int]]
) -> list[Window]:
    """Windows by hand: one piece for each unit, context units [first, end) in each window."""
    result = []
    for first, end in borders:
        inside = context[first:end]
        spans = [(0, 0), *question, (0, 0), *inside, (0, 0)]
        part = [SPECIAL, *[QUESTION] * len(question), SPECIAL, *[CONTEXT] * len(inside), SPECIAL]
        start, stop = np.array(spans, dtype=np.int32).T
        result.append(
            Window(np.arange(len(spans), dtype=np.int32), start, stop, np.array(part, dtype=np.int8))
        )
    return result

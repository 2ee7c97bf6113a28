"""How one tokenizer cuts words and texts into pieces, and how pieces are framed for its model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from tokenizers import Encoding, Tokenizer
from transformers import PreTrainedTokenizerFast

Offsets = list[tuple[int, int]]


@dataclass(frozen=True)
class Frame:
    """The special tokens round one text or two, and the segment of every part."""

    specials: tuple[tuple[int, ...], ...]  # before the first text, after it, and after the second
    special_types: tuple[tuple[int, ...], ...]
    text_types: tuple[int, ...]

    @property
    def length(self) -> int:
        return sum(map(len, self.specials))

    def put(self, *texts: Sequence[int]) -> tuple[list[int], list[int]]:
        """Piece ids and segment ids of the framed texts."""
        ids, types = list(self.specials[0]), list(self.special_types[0])
        for at, text in enumerate(texts):
            ids += [*text, *self.specials[at + 1]]
            types += [self.text_types[at]] * len(text) + list(self.special_types[at + 1])
        return ids, types


@dataclass(frozen=True)
class Splitter:
    """One tokenizer without truncation and padding of its own, and the most tokens that its model takes."""

    backend: Tokenizer
    unknown: int
    max_length: int

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerFast, max_length: int) -> Splitter:
        return cls(bare(tokenizer), tokenizer.unk_token_id, max_length)

    @cached_property
    def cutting(self) -> Tokenizer:
        """The same engine with truncation, the longer of two texts first."""
        engine = Tokenizer.from_str(self.backend.to_str())
        engine.enable_truncation(self.max_length, strategy="longest_first")
        return engine

    @cached_property
    def single(self) -> Frame:
        return frame_of(self.backend.encode("a"))

    @cached_property
    def pair(self) -> Frame:
        return frame_of(self.backend.encode("a", "a"))

    def framed(self, inputs: Sequence[str | tuple[str, str]]) -> list[tuple[list[int], list[int]]]:
        """Piece and segment ids of each text or pair, cut to the most tokens allowed."""
        return [(encoding.ids, encoding.type_ids) for encoding in self.cutting.encode_batch(list(inputs))]

    def words(self, sentences: Sequence[Sequence[str]]) -> list[list[list[int]]]:
        """The piece ids of every word of every sentence; a word without a piece becomes the unknown token."""
        encodings = self.backend.encode_batch(
            [list(words) for words in sentences], is_pretokenized=True, add_special_tokens=False
        )
        split = []
        for words, encoding in zip(sentences, encodings, strict=True):
            pieces: list[list[int]] = [[] for _ in words]
            for word, piece in zip(encoding.word_ids, encoding.ids, strict=True):
                if word is not None:  # never without special tokens
                    pieces[word].append(piece)
            split.append([of_word or [self.unknown] for of_word in pieces])
        return split

    def texts(self, texts: Sequence[str]) -> list[tuple[list[int], Offsets]]:
        """Piece ids of every text with the characters of each, spaces round them left out."""
        encodings = self.backend.encode_batch(list(texts), add_special_tokens=False)
        return [
            (encoding.ids, [trimmed(text, *span) for span in encoding.offsets])
            for text, encoding in zip(texts, encodings, strict=True)
        ]


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def bare(tokenizer: PreTrainedTokenizerFast) -> Tokenizer:
    """A copy of the tokenizer's engine that neither cuts nor pads."""
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    return Tokenizer.from_str(json.dumps(state | {"truncation": None, "padding": None}))


def frame_of(encoding: Encoding) -> Frame:
    """The frame that a tokenizer put round one or two one-letter texts."""
    parts = [
        (sequence, [at for at, _ in group])
        for sequence, group in groupby(enumerate(encoding.sequence_ids), key=lambda pair: pair[1])
    ]
    texts = [places for sequence, places in parts if sequence is not None]
    bounds = [-1, *(places[-1] for places in texts)]
    ends = [*(places[0] for places in texts), len(encoding.ids)]
    gaps = [range(last + 1, first) for last, first in zip(bounds, ends, strict=True)]
    return Frame(
        specials=tuple(tuple(encoding.ids[at] for at in gap) for gap in gaps),
        special_types=tuple(tuple(encoding.type_ids[at] for at in gap) for gap in gaps),
        text_types=tuple(encoding.type_ids[places[0]] for places in texts),
    )

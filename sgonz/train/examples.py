"""One example of each task, as a reader gives it: raw text, never altered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TextExample:
    """A text or a pair of texts with its label."""

    text: str
    pair: str | None
    label: str


@dataclass(frozen=True, slots=True)
class TaggedExample:
    """A sentence as words with one tag each; both may be empty."""

    words: tuple[str, ...]
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QuestionExample:
    """A question on a context; answers are (text, start), offsets in characters of the context."""

    id: str
    question: str
    context: str
    answers: tuple[tuple[str, int], ...]


Example = TextExample | TaggedExample | QuestionExample


@dataclass(frozen=True)
class Reading:
    """What a reader made of one split."""

    examples: Sequence[Example]
    rows: int  # rows, sentences or questions seen in the file
    dropped: Counter[str] = field(default_factory=Counter)  # reason -> how many were left out
    remarks: Counter[str] = field(default_factory=Counter)  # what was mended or is odd -> how often

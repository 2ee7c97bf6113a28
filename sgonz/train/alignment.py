"""Alignment of two tokenizers over one raw text: pieces to units, windows to windows.

Question answering puts a softmax over positions, and two vocabularies have different positions. Both are
therefore brought to columns: 0 is [CLS], 1..Q are the units of the question, Q+1..Q+C those of the context.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from sgonz.errors import RunError
from sgonz.train.units import segment

SPECIAL, QUESTION, CONTEXT = 0, 1, 2  # what a position of a window belongs to
UNOWNED = (
    -1e9
)  # value of a column without a piece: no share in a softmax, and finite, so that 0 times it is 0
MIN_COVERAGE = 0.95  # share of context units that both tokenizers must own

Pool = Literal["first", "edge", "logsumexp"]
Side = Literal["start", "end"]
Ranges = Sequence[tuple[int, int]] | np.ndarray  # units, [start, end) in characters


@dataclass(frozen=True, eq=False)
class Window:
    """One tokenised window of a question on a context; every array has one entry per position.

    Offsets are characters of the question where part is QUESTION, of the context where it is CONTEXT, and
    mean nothing where it is SPECIAL. Position 0 is [CLS].
    """

    ids: np.ndarray
    offset_start: np.ndarray
    offset_end: np.ndarray
    part: np.ndarray


@dataclass(frozen=True, eq=False)
class UnitColumns:
    """The columns of one window, closed up to those in which it has a piece (W of them, [CLS] first)."""

    columns: np.ndarray  # [positions] int32: column of a position, -1 for none
    char_start: np.ndarray  # [W] int32: where a context unit begins in the context; -1 for [CLS] and question
    char_end: np.ndarray  # [W] int32
    units: np.ndarray  # [W] int32: the same column counted over the whole example

    @property
    def width(self) -> int:
        return len(self.units)


@dataclass(frozen=True, eq=False)
class Target(UnitColumns):
    """What a student's window is to learn: the teacher's log-probabilities over the columns that both own."""

    mask: np.ndarray  # [W] bool: owned by the teacher too
    start: np.ndarray  # [W] float32, normalised over the mask, UNOWNED outside
    end: np.ndarray  # [W] float32
    owned: int  # context units of the whole example that both sides own
    total: int  # context units of the whole example

    @property
    def coverage(self) -> float:
        return self.owned / self.total if self.total else 1.0


def owners(unit_ranges: Ranges, piece_starts: ArrayLike, piece_ends: ArrayLike, text: str) -> np.ndarray:
    """Give each piece the unit in which its span, trimmed of spaces, begins; -1 if nothing is left of it.

    Holds for pieces that share a span, that are empty, that are a part of a character, and that reach over
    into the next unit (which then goes without this piece). Returns int32, one per piece.
    """
    starts, ends = np.asarray(piece_starts, dtype=np.int64), np.asarray(piece_ends, dtype=np.int64)
    units = np.asarray(unit_ranges, dtype=np.int64).reshape(-1, 2)
    if not len(units):
        return np.full(len(starts), -1, dtype=np.int32)
    trimmed = _next_character(text)[starts]
    unit = np.searchsorted(units[:, 0], trimmed, side="right") - 1
    inside = (trimmed < ends) & (unit >= 0) & (trimmed < units[unit, 1])
    return np.where(inside, unit, -1).astype(np.int32)


@lru_cache(maxsize=4)  # each window of an example asks again
def _next_character(text: str) -> np.ndarray:
    """For every place in a text, its end included, the first place from there on that is not whitespace."""
    blank = np.fromiter(map(str.isspace, text), dtype=bool, count=len(text))
    places = np.append(np.where(blank, len(text), np.arange(len(text))), len(text))
    return np.minimum.accumulate(places[::-1])[::-1]


def window_units(
    window: Window,
    question_units: Ranges,
    context_units: Ranges,
    question: str,
    context: str,
) -> np.ndarray:
    """Per position its column: 0 [CLS], 1..Q question units, then context units, -1 none (int32)."""
    columns = np.full(len(window.ids), -1, dtype=np.int32)
    for part, units, text, base in (
        (QUESTION, question_units, question, 1),
        (CONTEXT, context_units, context, 1 + len(question_units)),
    ):
        at = np.flatnonzero(window.part == part)
        unit = owners(units, window.offset_start[at], window.offset_end[at], text)
        columns[at] = np.where(unit >= 0, unit + base, -1)
    columns[0] = 0
    return columns


def unit_columns(
    window: Window,
    question_units: Ranges,
    context_units: Ranges,
    question: str,
    context: str,
) -> UnitColumns:
    """The columns of one window on its own, for gold, validation and decoding on units."""
    columns = window_units(window, question_units, context_units, question, context)
    units = np.unique(columns[columns >= 0])
    ranges = np.full((1 + len(question_units) + len(context_units), 2), -1, dtype=np.int32)
    ranges[1 + len(question_units) :] = np.asarray(context_units, dtype=np.int32).reshape(-1, 2)
    closed = np.where(columns >= 0, np.searchsorted(units, columns), -1)
    return UnitColumns(
        columns=closed.astype(np.int32),
        char_start=ranges[units, 0],
        char_end=ranges[units, 1],
        units=units,
    )


def pool(
    logits: np.ndarray, columns: np.ndarray, width: int, how: Pool, side: Side
) -> tuple[np.ndarray, np.ndarray]:
    """Bring logits of positions to columns: (values [width] float64, owned [width] bool).

    `first` takes a unit's first piece, `edge` its last one for ends, `logsumexp` adds up the probability of
    all its pieces. A column without a piece gets UNOWNED.
    """
    at = columns >= 0
    pieces, column = np.asarray(logits, dtype=np.float64)[at], columns[at]
    values, owned = np.full(width, UNOWNED), np.zeros(width, dtype=bool)
    owned[column] = True
    if how == "logsumexp":
        highest = np.full(width, -np.inf)
        np.maximum.at(highest, column, pieces)
        total = np.bincount(column, weights=np.exp(pieces - highest[column]), minlength=width)
        values[owned] = highest[owned] + np.log(total[owned])
    elif how == "edge" and side == "end":
        values[column] = pieces  # the last of repeated columns stays
    else:
        values[column[::-1]] = pieces[::-1]
    return values, owned


def join(
    teacher_windows: Sequence[Window],
    teacher_start: Sequence[np.ndarray],
    teacher_end: Sequence[np.ndarray],
    student_windows: Sequence[Window],
    question: str,
    context: str,
    *,
    pool: Pool,
) -> list[Target]:
    """Give each student window of one example what the teacher's windows say about its columns.

    A context unit takes its value from the teacher window in which it has most context, [CLS] and the
    question theirs from the teacher window that shares most context units with the student's. Windows have
    scales of their own, so each is log-softmaxed over what both sides own of it before values are mixed, and
    the mixture is normalised again.
    """
    question_units, context_units = (
        np.array(segment(text), dtype=np.int32).reshape(-1, 2) for text in (question, context)
    )
    first, width = 1 + len(question_units), 1 + len(question_units) + len(context_units)
    student = [unit_columns(it, question_units, context_units, question, context) for it in student_windows]
    student_owned = np.zeros(width, dtype=bool)
    student_owned[np.concatenate([window.units for window in student])] = True
    owned = np.zeros((len(teacher_windows), width), dtype=bool)
    logs = np.empty((2, len(teacher_windows), width))
    for index, teacher in enumerate(teacher_windows):
        columns = window_units(teacher, question_units, context_units, question, context)
        for side, logits in enumerate((teacher_start[index], teacher_end[index])):
            logs[side, index], owned[index] = _window_shares(logits, columns, student_owned, pool, side)
    view = _TeacherView(first, owned, logs, _most_context(owned[:, first:]))
    return [_target(window, view) for window in student]


@dataclass(frozen=True, eq=False)
class _TeacherView:
    """One example's T teacher windows over all of its columns."""

    first: int  # column of the first context unit
    owned: np.ndarray  # [T, columns] bool: the teacher's window and the student have a piece
    logs: np.ndarray  # [2, T, columns] log-probabilities of start and end
    source: np.ndarray  # [C] the window from which each context unit is read


def _window_shares(
    logits: np.ndarray, columns: np.ndarray, allowed: np.ndarray, how: Pool, side: int
) -> tuple[np.ndarray, np.ndarray]:
    """A teacher window's log-probabilities over the columns that the student owns too, and which they are."""
    values, owned = pool(logits, columns, len(allowed), how, "end" if side else "start")
    shared = owned & allowed
    return _log_softmax(values, shared), shared


def _most_context(owned: np.ndarray) -> np.ndarray:
    """The window in which each context unit stands deepest: owned [T, C] bool -> [C] int64.

    SQuAD's "maximum context", counted in units: min(left, right) + 0.01 * length, ties to the earlier window.
    """
    depth = np.full(owned.shape, -np.inf)
    for window, mine in enumerate(owned):
        held = np.flatnonzero(mine)
        if len(held):
            left, right = held - held[0], held[-1] - held
            depth[window, held] = np.minimum(left, right) + 0.01 * (held[-1] - held[0] + 1)
    return depth.argmax(axis=0)


def _target(window: UnitColumns, teacher: _TeacherView) -> Target:
    in_context = window.units >= teacher.first
    context = window.units[in_context]
    chosen = np.full(window.width, teacher.owned[:, context].sum(axis=1).argmax())
    chosen[in_context] = teacher.source[context - teacher.first]
    mask = teacher.owned[chosen, window.units]
    start, end = (_log_softmax(side[chosen, window.units], mask) for side in teacher.logs)
    in_both: np.ndarray = teacher.owned[:, teacher.first :].max(axis=0)
    return Target(
        columns=window.columns,
        char_start=window.char_start,
        char_end=window.char_end,
        units=window.units,
        mask=mask,
        start=start.astype(np.float32),
        end=end.astype(np.float32),
        owned=int(in_both.sum()),
        total=len(in_both),
    )


def _log_softmax(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Log-probabilities over the mask, UNOWNED outside of it."""
    result = np.full(values.shape, UNOWNED)
    inside = values[mask]
    highest = inside.max()
    result[mask] = inside - highest - np.log(np.exp(inside - highest).sum())
    return result


def check_coverage(owned: int, total: int, *, teacher: str = "teacher", student: str = "student") -> float:
    """The share of context units that both tokenizers own; RunError below MIN_COVERAGE."""
    share = owned / total if total else 1.0
    if share < MIN_COVERAGE:
        raise RunError(
            f"{teacher} and {student} both have a piece in only {owned} of {total} context units "
            f"({share:.1%}, at least {MIN_COVERAGE:.0%} is needed)",
            hint="One tokenizer glues words together or drops them: check its files, or distil from a teacher"
            " with the student's vocabulary.",
        )
    return share


def max_context_windows(
    piece_counts: Sequence[int], room: int, overlap_words: int = 64
) -> list[tuple[int, int]]:
    """Windows over words [first, end) of at most `room` pieces; none for a sentence without words.

    Neighbours share overlap_words words, fewer where those leave no room for a new word. A word of more than
    `room` pieces has a window of its own, of which the caller keeps the first `room`.
    """
    lengths = np.minimum(np.asarray(piece_counts, dtype=np.int64), room)
    sums = np.concatenate([[0], lengths.cumsum()])
    windows: list[tuple[int, int]] = []
    first = end = 0
    while end < len(lengths):
        end = int(np.searchsorted(sums, sums[first] + room, side="right")) - 1
        windows.append((first, end))
        if end < len(lengths):
            with_next = int(np.searchsorted(sums, sums[end + 1] - room, side="left"))
            first = max(first + 1, end - overlap_words, with_next)
    return windows


def owned_words(windows: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """For each window the words [first, end) that are read from it, possibly none.

    Every word is read from exactly one window: the one where min(words left, words right) is greatest, ties
    to the earlier. As both borders of windows only grow, a later window wins from one word on.
    """
    if not windows:
        return []
    words = np.arange(windows[-1][1])
    first, end = np.asarray(windows).T[:, :, None]
    depth = np.where((first <= words) & (words < end), np.minimum(words - first, end - 1 - words), -1)
    owner = depth.argmax(axis=0)
    return [
        (int(np.searchsorted(owner, window, side="left")), int(np.searchsorted(owner, window, side="right")))
        for window in range(len(windows))
    ]

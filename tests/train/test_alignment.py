"""Pieces, units and windows of two tokenizers over one text."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from aligned_texts import CORPUS, KINDS, texts, tokenizer, unit_windows, windows
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sgonz.errors import RunError
from sgonz.train.alignment import (
    CONTEXT,
    QUESTION,
    SPECIAL,
    UNOWNED,
    Target,
    Window,
    check_coverage,
    join,
    max_context_windows,
    owned_words,
    owners,
    pool,
    unit_columns,
    window_units,
)
from sgonz.train.units import segment

ASKED = "¿Dónde nació?"
LONG = " ".join(CORPUS)
WAYS = ("first", "edge", "logsumexp")


def owner_by_hand(units: list[tuple[int, int]], start: int, end: int, text: str) -> int:
    while start < end and text[start].isspace():
        start += 1
    inside = [unit for unit, (first, stop) in enumerate(units) if start < end and first <= start < stop]
    return inside[0] if inside else -1


# Pieces to units


@pytest.mark.parametrize("kind", KINDS)
@given(text=texts)
@settings(deadline=None, max_examples=60)
def test_a_piece_belongs_to_the_unit_in_which_its_trimmed_span_starts(kind, text) -> None:
    spans = tokenizer(kind).encode(text, add_special_tokens=False).offsets
    units = segment(text)
    starts, ends = [start for start, _ in spans], [end for _, end in spans]
    expected = [owner_by_hand(units, start, end, text) for start, end in spans]
    assert owners(units, starts, ends, text).tolist() == expected


@given(texts, st.data())
def test_any_spans_at_all_are_given_to_units_as_by_hand(text, data) -> None:
    place = st.integers(0, len(text))
    spans = data.draw(st.lists(st.tuples(place, place)))
    starts, ends = [min(span) for span in spans], [max(span) for span in spans]
    expected = [owner_by_hand(segment(text), *pair, text) for pair in zip(starts, ends, strict=True)]
    assert owners(segment(text), starts, ends, text).tolist() == expected


@pytest.mark.parametrize("kind", KINDS)
def test_every_word_of_plain_text_owns_the_pieces_that_spell_it(kind) -> None:
    for text in CORPUS:
        encoding = tokenizer(kind).encode(text, add_special_tokens=False)
        units = segment(text)
        starts, ends = (list(side) for side in zip(*encoding.offsets, strict=True))
        unit_of = owners(units, starts, ends, text)
        for unit, (start, end) in enumerate(units):
            mine = [encoding.offsets[piece] for piece in np.flatnonzero(unit_of == unit)]
            if text[start:end].isalpha():
                assert mine, f"{kind} gives {text[start:end]} no piece"
                spelt = {place for a, b in mine for place in range(max(a, start), min(b, end))}
                assert spelt == set(range(start, end))


def test_pieces_with_equal_empty_partial_and_overreaching_spans_find_their_units() -> None:
    text = "(año). fin"  # units: ( año ) . fin
    spans = {
        (0, 1): 0,
        (1, 1): -1,  # empty
        (1, 4): 1,  # as a bare word mark has the span of the piece after it
        (2, 3): 1,  # each byte of ñ
        (4, 6): 2,  # ")." starts in ")"; "." goes without
        (6, 10): 4,  # a leading space
        (6, 7): -1,  # nothing but a space
        (7, 10): 4,
    }
    starts, ends = zip(*spans, strict=True)
    assert owners(segment(text), starts, ends, text).tolist() == list(spans.values())


def test_trained_tokenizers_do_have_the_four_traps() -> None:
    text = "(Chile).  👍"
    bytes_ = tokenizer("byte_bpe").encode(text).offsets
    assert (text.index(")."), text.index(").") + 2) in bytes_  # two units in one piece
    assert bytes_.count((10, 11)) > 1  # bytes of one character share its span
    assert any(start == end > 0 for start, end in bytes_)  # an empty span
    unigram = tokenizer("unigram").encode("日", add_special_tokens=False)
    assert unigram.tokens == ["▁", "日"]  # a bare word mark
    assert unigram.offsets == [(0, 1), (0, 1)]


def test_text_without_units_owns_nothing() -> None:
    assert owners([], [0, 0], [1, 2], " \u200a ").tolist() == [-1, -1]
    assert owners([], [], [], "").tolist() == []


# Columns of a window


@pytest.mark.parametrize("kind", KINDS)
@given(question=texts, context=texts)
@settings(deadline=None, max_examples=30)
def test_closed_up_columns_are_the_columns_of_the_example(kind, question, context) -> None:
    made = tokenizer(kind)
    assume(made.encode(context, add_special_tokens=False).ids)
    units = (segment(question), segment(context))
    for window in windows(kind, question, context, room=20, overlap=5):
        whole = window_units(window, *units, question, context)
        closed = unit_columns(window, *units, question, context)
        assert whole[0] == 0
        assert (whole[window.part == 0][1:] == -1).all()
        np.testing.assert_array_equal(np.where(closed.columns >= 0, closed.units[closed.columns], -1), whole)
        assert set(closed.columns.tolist()) - {-1} == set(range(closed.width))
        ranges = list(zip(closed.char_start.tolist(), closed.char_end.tolist(), strict=True))
        first = 1 + len(units[0])
        assert ranges == [units[1][unit - first] if unit >= first else (-1, -1) for unit in closed.units]


# Pooling


@given(st.lists(st.tuples(st.floats(-20, 20), st.integers(-1, 4)), min_size=1))
def test_pooling_takes_first_last_or_all_pieces_of_a_unit(pieces) -> None:
    logits, columns = np.array([value for value, _ in pieces]), np.array([column for _, column in pieces])
    for column in range(5):
        mine = [value for value, of in pieces if of == column]
        wanted = {
            ("first", "start"): mine[:1],
            ("first", "end"): mine[:1],
            ("edge", "start"): mine[:1],
            ("edge", "end"): mine[-1:],
            ("logsumexp", "end"): [np.log(np.sum(np.exp(mine)))] if mine else [],
        }
        for (how, side), expected in wanted.items():
            values, owned = pool(logits, columns, 5, how, side)
            assert owned[column] == bool(mine)
            np.testing.assert_allclose(values[column], expected[0] if mine else UNOWNED, atol=1e-9)


def test_logsumexp_keeps_the_probability_that_pieces_had() -> None:
    logits, columns = np.random.default_rng(1).normal(size=9), np.array([0, 1, 1, -1, 2, 2, 2, 4, 4])
    values, owned = pool(logits, columns, 5, "logsumexp", "start")
    kept = np.exp(logits) * (columns >= 0)
    shares = np.exp(values) / np.exp(values[owned]).sum()
    np.testing.assert_allclose(shares, np.bincount(columns + 1, kept, 6)[1:] / kept.sum(), atol=1e-12)


# Joining windows


def shares(logits: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Log-softmax over the mask, the library way."""
    inside = np.where(mask, logits, -np.inf).astype(np.float64)
    return inside - np.logaddexp.reduce(inside)


def random_logits(of: list[Window], seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    numbers = np.random.default_rng(seed)
    sides = [[numbers.normal(scale=4, size=len(window.ids)) for window in of] for _ in range(2)]
    return sides[0], sides[1]


@pytest.mark.parametrize("how", WAYS)
@given(context=texts, question=texts, seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=40)
def test_one_tokenizer_whose_pieces_are_units_gives_the_token_aligned_target(
    how, context, question, seed
) -> None:
    units = (segment(question), segment(context))
    same = unit_windows(*units, [(0, len(units[1]))])
    start, end = random_logits(same, seed)
    (target,) = join(same, start, end, same, question, context, pool=how)
    text = same[0].part > 0
    text[0] = True  # [CLS], question and context
    assert target.mask.all()
    assert target.coverage == 1
    np.testing.assert_array_equal(target.columns[text], np.arange(text.sum()))
    np.testing.assert_allclose(target.start, shares(start[0], text)[text], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(target.end, shares(end[0], text)[text], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("borders", "expected"),
    [
        (
            [(0, 6), (3, 9)],
            [0, 0, 0, 0, 0, 1, 1, 1, 1],
        ),  # unit 4 has one on its poorer side in both: the earlier
        ([(0, 6), (4, 9)], [0, 0, 0, 0, 0, 1, 1, 1, 1]),
        ([(0, 5), (2, 9)], [0, 0, 0, 1, 1, 1, 1, 1, 1]),  # unit 3 has one in both: the longer window
        ([(0, 9), (3, 9)], [0] * 9),
        (
            [(0, 3), (2, 6), (5, 9)],
            [0, 0, 1, 1, 1, 2, 2, 2, 2],
        ),  # unit 2 is at a border in both: the longer one
    ],
)
def test_a_context_unit_is_read_where_it_has_most_context(borders, expected) -> None:
    context = "a b c d e f g h i"
    teacher = unit_windows([], segment(context), borders)
    # A window says its own number by the odds of each unit against [CLS], which its own log-softmax keeps.
    start = [np.concatenate([[0.0, 0.0], np.full(len(window.ids) - 3, -1.0), [0.0]]) for window in teacher]
    student = unit_windows([], segment(context), [(0, 9)])
    (target,) = join(teacher, start, start, student, "", context, pool="first")
    own = [shares(logits, (window.part == CONTEXT) | (np.arange(len(logits)) == 0))
           for logits, window in zip(start, teacher, strict=True)]  # fmt: skip
    cls = max(range(len(borders)), key=lambda number: (borders[number][1] - borders[number][0], -number))
    mixed = np.array([own[cls][0], *(own[number][2] for number in expected)])
    np.testing.assert_allclose(target.start, mixed - np.logaddexp.reduce(mixed), rtol=1e-5, atol=1e-6)


def test_cls_and_question_come_from_the_window_that_shares_most_with_the_students() -> None:
    context, question = "a b c d e f g h i", "q r"
    units = (segment(question), segment(context))
    teacher = unit_windows(*units, [(0, 5), (3, 9)])
    start, end = random_logits(teacher, 3)
    student = unit_windows(*units, [(0, 6), (2, 9), (3, 5)])
    for target, chosen in zip(
        join(teacher, start, end, student, question, context, pool="edge"), (0, 1, 0), strict=True
    ):
        own = shares(end[chosen], (teacher[chosen].part > 0) | (np.arange(len(end[chosen])) == 0))
        np.testing.assert_allclose(np.diff(target.end[:3]), np.diff(own[:3]), rtol=1e-4, atol=1e-5)


def joined_by_hand(teacher, start, end, student, question, context, how) -> list[tuple[list, list, list]]:
    """The rules once more, slowly, over dicts of columns."""
    question_units, context_units = segment(question), segment(context)
    first = 1 + len(question_units)

    def pieces(window: Window) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {0: [0]}
        for place, (a, b, part) in enumerate(
            zip(window.offset_start, window.offset_end, window.part, strict=True)
        ):
            units, text = (question_units, question) if part == QUESTION else (context_units, context)
            unit = owner_by_hand(units, a, b, text) if part != SPECIAL else -1
            if unit >= 0:
                found.setdefault(unit + (1 if part == QUESTION else first), []).append(place)
        return found

    def value(logits: np.ndarray, places: list[int], side: str) -> float:
        if how == "logsumexp":
            return float(np.logaddexp.reduce(logits[places]))
        return float(logits[places[-1 if how == "edge" and side == "end" else 0]])

    def normal(values: dict[int, float]) -> dict[int, float]:
        total = np.logaddexp.reduce(list(values.values()))
        return {column: number - total for column, number in values.items()}

    student_pieces = [pieces(window) for window in student]
    anywhere = set().union(*student_pieces)
    views = []
    for window, starts, ends in zip(teacher, start, end, strict=True):
        shared = {column: places for column, places in pieces(window).items() if column in anywhere}
        views.append([normal({column: value(logits, places, side) for column, places in shared.items()})
                      for logits, side in ((starts, "start"), (ends, "end"))])  # fmt: skip

    def depth(view: dict[int, float], column: int) -> float:
        held = [other for other in view if other >= first]
        return min(column - min(held), max(held) - column) + 0.01 * (max(held) - min(held) + 1)

    results = []
    for mine in student_pieces:
        inside = [column for column in mine if column >= first]
        closest = max(views, key=lambda view: sum(column in view[0] for column in inside))
        sides: list[dict[int, float]] = [{}, {}]
        for column in sorted(mine):
            holders = [view for view in views if column in view[0]]
            source = (
                closest
                if column < first
                else max(holders, key=lambda view: depth(view[0], column), default=None)
            )
            if source is not None and column in source[0]:
                for side in (0, 1):
                    sides[side][column] = source[side][column]
        starts, ends = normal(sides[0]), normal(sides[1])
        results.append((sorted(starts), list(starts.values()), list(ends.values())))
    return results


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize(("teacher_kind", "student_kind"), [(a, b) for a in KINDS for b in KINDS if a != b])
@given(context=texts, seed=st.integers(0, 1000), rooms=st.tuples(st.integers(8, 40), st.integers(8, 40)))
@settings(deadline=None, max_examples=8)
def test_joining_two_tokenizers_equals_the_rules_by_hand(
    teacher_kind, student_kind, how, context, seed, rooms
) -> None:
    context = f"{context} {CORPUS[seed % len(CORPUS)]}"
    teacher = windows(teacher_kind, ASKED, context, room=rooms[0], overlap=rooms[0] // 3)
    student = windows(student_kind, ASKED, context, room=rooms[1], overlap=rooms[1] // 3)
    start, end = random_logits(teacher, seed)
    targets = join(teacher, start, end, student, ASKED, context, pool=how)
    expected = joined_by_hand(teacher, start, end, student, ASKED, context, how)
    for target, (columns, starts, ends) in zip(targets, expected, strict=True):
        assert target.units[target.mask].tolist() == columns
        np.testing.assert_allclose(target.start[target.mask], starts, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(target.end[target.mask], ends, rtol=1e-4, atol=1e-4)
        assert (target.start[~target.mask] == UNOWNED).all()
        assert target.start.dtype == target.end.dtype == np.float32


@pytest.mark.parametrize(("teacher_kind", "student_kind"), [(a, b) for a in KINDS for b in KINDS])
def test_two_tokenizers_share_nearly_all_units_of_plain_text(teacher_kind, student_kind) -> None:
    teacher = windows(teacher_kind, ASKED, LONG, room=60, overlap=20)
    student = windows(student_kind, ASKED, LONG, room=45, overlap=15)
    targets: list[Target] = join(teacher, *random_logits(teacher, 0), student, ASKED, LONG, pool="logsumexp")
    assert len(targets) == len(student) > 1
    assert targets[0].total == len(segment(LONG))
    assert targets[0].coverage >= 0.95
    covered = {span for target in targets for span in zip(target.char_start, target.char_end, strict=True)}
    assert len(covered - {(-1, -1)}) >= targets[0].owned


def test_a_unit_that_the_teacher_has_no_piece_for_is_masked_and_lowers_coverage() -> None:
    context = "uno\u200b \u200b dos"
    units = segment(context)
    assert len(units) == 3
    student = unit_windows([], units, [(0, 3)])
    teacher = unit_windows([], [units[0], units[2]], [(0, 2)])
    (target,) = join(teacher, *random_logits(teacher, 0), student, "", context, pool="logsumexp")
    assert target.mask.tolist() == [True, True, False, True]
    assert (target.owned, target.total) == (2, 3)
    np.testing.assert_allclose(np.exp(target.start[target.mask]).sum(), 1, rtol=1e-6)


def test_a_context_without_units_leaves_cls_and_question() -> None:
    windows_ = unit_windows(segment("¿?"), [], [(0, 0)])
    (target,) = join(windows_, *random_logits(windows_, 0), windows_, "¿?", " ", pool="logsumexp")
    assert target.mask.tolist() == [True] * 3
    assert target.coverage == 1


def test_low_coverage_is_refused_with_names_and_numbers() -> None:
    assert check_coverage(95, 100) == 0.95
    assert check_coverage(0, 0) == 1
    with pytest.raises(RunError, match=r"beto and albeto-tiny both have a piece in only 949 of 1000"):
        check_coverage(949, 1000, teacher="beto", student="albeto-tiny")


# Windows over words


@given(st.lists(st.integers(1, 9), max_size=80), st.integers(4, 60), st.integers(0, 70))
def test_word_windows_cover_the_sentence_fit_and_overlap_as_far_as_there_is_room(
    counts, room, overlap
) -> None:
    made = max_context_windows(counts, room, overlap)
    assert [word for window in owned_words(made) for word in range(*window)] == list(range(len(counts)))
    for first, end in made:
        assert sum(counts[first:end]) <= room or end == first + 1
    for (first, end), (following, _) in pairwise(made):
        assert first < following <= end
        wanted = end - overlap
        if following > max(wanted, first + 1):  # less than asked for: one word more would not have fitted
            assert sum(min(count, room) for count in counts[following - 1 : end + 1]) > room
        else:
            assert following == max(wanted, first + 1)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=80), st.integers(4, 60), st.integers(0, 70))
def test_each_word_is_read_from_the_window_with_most_context(counts, room, overlap) -> None:
    made = max_context_windows(counts, room, overlap)
    for number, (first, end) in enumerate(owned_words(made)):
        for word in range(first, end):
            depths = [min(word - a, b - 1 - word) for a, b in made]
            assert depths.index(max(depths)) == number


def test_a_sentence_that_fits_has_one_window_and_an_empty_one_none() -> None:
    assert max_context_windows([2, 3, 5], 10) == [(0, 3)]
    assert max_context_windows([], 10) == []
    assert owned_words([]) == []


def test_word_windows_overlap_by_64_words() -> None:
    made = max_context_windows([1] * 300, 128)
    assert made == [(0, 128), (64, 192), (128, 256), (192, 300)]
    assert owned_words(made) == [(0, 96), (96, 160), (160, 224), (224, 300)]


def test_a_word_longer_than_a_window_stands_alone() -> None:
    assert max_context_windows([1, 1, 900, 1, 1], 10) == [(0, 2), (2, 3), (3, 5)]

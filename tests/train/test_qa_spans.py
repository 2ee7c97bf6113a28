from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgonz.train.qa_spans import SpanWindow, best_answer

CONTEXT = "uno dos tres cuatro cinco seis"
WORDS = [(0, 3), (4, 7), (8, 12), (13, 19), (20, 25), (26, 30)]


def window(start, end, context_from: int = 2, words=WORDS) -> SpanWindow:
    """A window of some positions that are not context and then one for each word."""
    size = context_from + len(words)
    return SpanWindow(
        start_logits=np.asarray(start, dtype=np.float32),
        end_logits=np.asarray(end, dtype=np.float32),
        offsets=np.array([(0, 0)] * context_from + words, dtype=np.int64).reshape(size, 2),
        in_context=np.arange(size) >= context_from,
    )


def test_answer_is_cut_from_the_raw_context():
    only = window([0, 0, 0, 5, 0, 0, 0, 0], [0, 0, 0, 0, 0, 5, 0, 0])
    assert best_answer([only], CONTEXT) == "dos tres cuatro"


def test_end_before_start_is_never_an_answer():
    only = window([0, 0, 0, 0, 0, 9, 0, 0], [0, 0, 9, 0, 0, 0, 1, 0])
    assert best_answer([only], CONTEXT) == "cuatro cinco"


def test_positions_outside_the_context_are_no_answer():
    only = window([50, 50, 0, 5, 0, 0, 0, 0], [50, 50, 0, 5, 0, 0, 0, 0])
    assert best_answer([only], CONTEXT) == "dos"


@pytest.mark.parametrize(("limit", "expected"), [(5, "uno dos tres cuatro cinco"), (4, "uno")])
def test_limit_counts_positions(limit, expected):
    only = window([0, 0, 9, 0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0, 9, 0])
    assert best_answer([only], CONTEXT, limit=limit) == expected


def test_best_window_wins_and_the_first_of_equals():
    low = window([0, 0, 0, 5, 0, 0, 0, 0], [0, 0, 0, 5, 0, 0, 0, 0])
    high = window([0, 0, 0, 0, 0, 5, 0, 0], [0, 0, 0, 0, 0, 6, 0, 0])
    equal = window([0, 0, 0, 0, 5, 0, 0, 0], [0, 0, 0, 0, 5, 0, 0, 0])
    assert best_answer([low, high], CONTEXT) == "cuatro"
    assert best_answer([low, equal], CONTEXT) == "dos"
    assert best_answer([equal, low], CONTEXT) == "tres"


def test_equal_spans_go_to_the_earliest_start_then_the_earliest_end():
    flat = window([0] * 8, [0] * 8)
    assert best_answer([flat], CONTEXT) == "uno"


def test_only_the_n_best_positions_of_a_window_are_tried():
    only = window([9, 8, 0, 5, 0, 0, 0, 0], [9, 8, 0, 5, 0, 0, 0, 0])
    assert best_answer([only], CONTEXT, n_best=2) == ""
    assert best_answer([only], CONTEXT, n_best=3) == "dos"


def test_of_equal_positions_the_first_are_the_n_best():
    place = np.arange(200)
    every_other = (place % 2).astype(np.float32)
    twentieth = SpanWindow(
        start_logits=every_other,
        end_logits=every_other,
        offsets=np.stack([place, place + 1], axis=1),
        in_context=place == 39,
    )
    assert best_answer([twentieth], "x" * 200, n_best=20) == "x"
    assert best_answer([twentieth], "x" * 200, n_best=19) == ""


@pytest.mark.parametrize(
    "windows",
    [
        [],
        [window([0, 0], [0, 0], words=[])],
        [window([-np.inf] * 8, [0] * 8)],
        [window([np.nan] * 8, [np.nan] * 8)],
    ],
)
def test_no_valid_span_gives_the_empty_answer(windows):
    assert best_answer(windows, CONTEXT) == ""


def test_masked_logits_are_passed_over():
    inf = np.inf
    only = window([-inf, -inf, -inf, 1, -inf, 0, 0, 0], [0, 0, -inf, -inf, 2, np.nan, 0, 0])
    assert best_answer([only], CONTEXT) == "dos tres"


def test_thousands_of_windows_take_about_a_second():
    rng = np.random.default_rng(0)
    length = 384
    offsets = np.stack([np.arange(length), np.arange(length) + 1], axis=1)
    context = "x" * length
    windows = [
        SpanWindow(
            start_logits=rng.normal(size=length).astype(np.float32),
            end_logits=rng.normal(size=length).astype(np.float32),
            offsets=offsets,
            in_context=np.arange(length) > 20,
        )
        for _ in range(500)
    ]
    began = time.process_time()
    best_answer(windows, context)
    assert time.process_time() - began < 0.5


def by_trying_every_span(windows, context, n_best, limit):
    best = None
    for number, one in enumerate(windows):
        positions = range(len(one.start_logits))
        starts = sorted(positions, key=lambda i: (-one.start_logits[i], i))[:n_best]
        ends = sorted(positions, key=lambda i: (-one.end_logits[i], i))[:n_best]
        for start in starts:
            for end in ends:
                valid = start <= end < start + limit and one.in_context[start] and one.in_context[end]
                score = float(one.start_logits[start]) + float(one.end_logits[end])
                if valid and score > -np.inf:
                    best = min(best or (np.inf,), (-score, number, start, end))
    if best is None:
        return ""
    _, number, start, end = best
    return context[windows[number].offsets[start, 0] : windows[number].offsets[end, 1]]


@st.composite
def any_windows(draw):
    windows = []
    for _ in range(draw(st.integers(0, 3))):
        size = draw(st.integers(1, 9))
        logit = st.integers(-3, 3).map(float) | st.just(-np.inf) | st.floats(-5, 5, width=32)
        column = st.lists(logit, min_size=size, max_size=size)
        first = draw(st.integers(0, 20))
        offsets = np.stack([np.arange(size), np.arange(size) + 1], axis=1) + first
        windows.append(
            SpanWindow(
                start_logits=np.array(draw(column), dtype=np.float32),
                end_logits=np.array(draw(column), dtype=np.float32),
                offsets=offsets,
                in_context=np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size))),
            )
        )
    return windows


@settings(deadline=None)
@given(windows=any_windows(), n_best=st.integers(1, 12), limit=st.integers(1, 10))
def test_answer_is_the_one_that_trying_every_span_gives(windows, n_best, limit):
    context = "abcdefghijklmnopqrstuvwxyzABCDEF"
    expected = by_trying_every_span(windows, context, n_best, limit)
    assert best_answer(windows, context, n_best=n_best, limit=limit) == expected

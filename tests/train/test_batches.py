from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgonz.train import batches

ORDERS = st.sampled_from(["length_aware", "plain", "file"])
LENGTHS = st.lists(st.integers(1, 512), min_size=1, max_size=400).map(np.array)


@given(LENGTHS, st.integers(1, 64), st.integers(0, 9), st.integers(0, 9), ORDERS)
def test_every_row_is_seen_once_in_steps_of_exactly_the_batch_size(lengths, size, seed, epoch, order):
    plan = batches.epoch_batches(lengths, batch_size=size, seed=seed, epoch=epoch, order=order)
    assert len(plan) == batches.steps_per_epoch(len(lengths), size)
    assert all(len(step) == size for step in plan[:-1])
    assert 0 < len(plan[-1]) <= size
    assert sorted(np.concatenate(plan)) == list(range(len(lengths)))


@given(LENGTHS, ORDERS)
def test_plan_depends_on_seed_and_epoch_alone(lengths, order):
    first, again = (
        np.concatenate(batches.epoch_batches(lengths, batch_size=8, seed=3, epoch=5, order=order))
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("order", ["length_aware", "plain"])
def test_epochs_and_seeds_are_shuffled_differently(order):
    lengths = np.arange(200) % 50 + 1
    plans = [
        np.concatenate(
            batches.epoch_batches(lengths, batch_size=8, seed=seed, epoch=epoch, order=order)
        ).tolist()
        for seed, epoch in ((1, 0), (1, 1), (2, 0))
    ]
    assert plans[0] != plans[1] != plans[2] != plans[0]


def test_file_order_is_that_of_the_file():
    plan = batches.epoch_batches(np.ones(10), batch_size=4, seed=1, epoch=3, order="file")
    assert [step.tolist() for step in plan] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_rows_of_a_length_aware_step_are_of_similar_length():
    lengths = np.random.default_rng(0).integers(1, 512, 4000)
    padding = {}
    for order in ("length_aware", "plain"):
        plan = batches.epoch_batches(lengths, batch_size=16, seed=1, epoch=0, order=order)
        padding[order] = sum(lengths[step].max() * len(step) for step in plan) / lengths.sum()
    assert padding["length_aware"] < 1.05
    assert padding["plain"] > 1.5


def test_width_is_rounded_up_to_what_the_model_allows():
    assert batches.width([3, 9], order="length_aware", limit=512) == 16
    assert batches.width([3, 9], order="plain", limit=512) == 9
    assert batches.width([510], order="length_aware", limit=510) == 510


def test_longest_rows_are_read_first_unless_the_published_rule_asks():
    lengths = np.array([3, 9, 5])
    first = batches.reading_batches(lengths, batch_size=2, order="length_aware")
    assert [rows.tolist() for rows in first] == [[1, 2], [0]]
    plain = batches.reading_batches(lengths, batch_size=2, order="plain")
    assert [rows.tolist() for rows in plain] == [[0, 1], [2]]

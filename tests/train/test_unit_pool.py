"""Pooling with gradients says what the reference says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sgonz.train.alignment import UNOWNED, pool
from sgonz.train.unit_pool import pool_units

WAYS = [(how, side) for how in ("first", "edge", "logsumexp") for side in ("start", "end")]
shapes = st.tuples(st.integers(1, 4), st.integers(1, 12), st.integers(1, 8), st.integers(0, 2**32 - 1))


def batch(shape: tuple[int, int, int, int]) -> tuple[torch.Tensor, torch.Tensor, int]:
    rows, length, width, seed = shape
    numbers = np.random.default_rng(seed)
    logits = torch.from_numpy(numbers.normal(scale=5, size=(rows, length)).astype(np.float32))
    return logits, torch.from_numpy(numbers.integers(-1, width, size=(rows, length))), width


@pytest.mark.parametrize(("how", "side"), WAYS)
@given(shape=shapes)
@settings(deadline=None, max_examples=50)
def test_a_batch_is_pooled_as_the_reference_pools_each_row(how, side, shape) -> None:
    logits, columns, width = batch(shape)
    values, owned = pool_units(logits, columns, width, how, side)
    for row in range(len(logits)):
        expected, expected_owned = pool(logits[row].numpy(), columns[row].numpy(), width, how, side)
        np.testing.assert_array_equal(owned[row].numpy(), expected_owned)
        np.testing.assert_allclose(values[row].numpy(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("how", "side"), WAYS)
@given(shape=shapes, elsewhere=st.sampled_from([0.0, float("-inf"), float("inf"), float("nan")]))
@settings(deadline=None, max_examples=50)
def test_gradients_are_finite_and_each_unit_hands_out_exactly_its_own(how, side, shape, elsewhere) -> None:
    logits, columns, width = batch(shape)
    logits.masked_fill_(columns < 0, elsewhere)
    logits.requires_grad_()
    with torch.autograd.set_detect_anomaly(True):  # no NaN on the way either
        values, owned = pool_units(logits, columns, width, how, side)
        weights = torch.rand_like(values)
        (values * weights).sum().backward()
    assert logits.grad.isfinite().all()
    assert (logits.grad[columns < 0] == 0).all()
    received = torch.zeros(len(logits), width + 1).scatter_add(
        1, columns.clamp(min=-1) % (width + 1), logits.grad
    )
    torch.testing.assert_close(received[:, :width], weights * owned)


@pytest.mark.parametrize(("how", "side"), WAYS)
def test_gradient_is_the_derivative(how, side) -> None:
    logits, columns, width = batch((2, 9, 4, 7))

    def values(inputs: torch.Tensor) -> torch.Tensor:
        return pool_units(inputs, columns, width, how, side)[0]

    numeric = torch.autograd.functional.jacobian(values, logits)
    step = 1e-2
    for row, place in ((0, 0), (1, 4), (1, 8)):
        moved = torch.zeros_like(logits)
        moved[row, place] = step
        slope = (values(logits + moved) - values(logits - moved)) / (2 * step)
        torch.testing.assert_close(numeric[:, :, row, place], slope, rtol=1e-3, atol=1e-3)


def test_columns_without_a_piece_have_no_share_in_a_softmax() -> None:
    values, owned = pool_units(torch.tensor([[2.0, 1.0]]), torch.tensor([[0, 2]]), 4, "logsumexp", "start")
    assert owned.tolist() == [[True, False, True, False]]
    assert values[0, 1] == UNOWNED
    torch.testing.assert_close(values.softmax(-1)[0, [0, 2]], torch.tensor([2.0, 1.0]).softmax(-1))


def test_half_precision_logits_are_pooled_in_single_precision() -> None:
    values, _ = pool_units(
        torch.ones(1, 3, dtype=torch.bfloat16), torch.tensor([[0, 1, 1]]), 2, "logsumexp", "end"
    )
    assert values.dtype is torch.float32
    torch.testing.assert_close(values, torch.tensor([[1.0, 1.0 + math.log(2.0)]]))

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import tensor

from sgonz.errors import SpecError
from sgonz.train.losses import distillation_loss, distillation_sum, gold_sum

INF = torch.inf
LN2, LN3 = math.log(2), math.log(3)
seeds = st.integers(0, 10_000)
alphas = st.sampled_from([0.0, 0.211, 0.5, 0.9, 1.0])
temperatures = st.sampled_from([0.5, 1.0, 2.0, 5.0])


def batch(seed: int, rows: int = 6, columns: int = 4, dtype: torch.dtype = torch.float32):
    """Student logits that take a gradient, teacher logits, labels of which some are ignored, and a mask."""
    rng = torch.Generator().manual_seed(seed)
    student = (3 * torch.randn(rows, columns, generator=rng, dtype=dtype)).requires_grad_()
    teacher = 3 * torch.randn(rows, columns, generator=rng, dtype=dtype)
    labels = torch.randint(0, columns, (rows,), generator=rng)
    mask = torch.rand(rows, columns, generator=rng) < 0.6
    mask[torch.arange(rows), labels] = True
    labels[torch.rand(rows, generator=rng) < 0.3] = -100
    labels[0] = 0
    mask[0, 0] = True
    return student, teacher, labels, mask


# Student probabilities (1/2, 1/2) and (1/4, 3/4), teacher (1/4, 3/4) and (1/2, 1/2).
STUDENT, TEACHER = tensor([[0.0, 0.0], [0.0, LN3]]), tensor([[0.0, LN3], [0.0, 0.0]])
CE = [LN2, 0.5 * 2 * LN2 - 0.5 * (LN3 - 2 * LN2)]
ENTROPY = [0.25 * 2 * LN2 - 0.75 * (LN3 - 2 * LN2), LN2]


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("ce", (CE[0] + CE[1]) / 2),
        ("kl", (CE[0] - ENTROPY[0] + CE[1] - ENTROPY[1]) / 2),
        ("mse", 2 * LN3**2 / 4),
    ],
)
def test_losses_written_out_by_hand(loss, expected):
    assert distillation_loss(STUDENT, TEACHER, None, loss=loss).item() == pytest.approx(expected, rel=1e-6)


def test_gold_and_teacher_are_mixed_by_alpha():
    labels = tensor([0, 1])
    gold = (LN2 + 2 * LN2 - LN3) / 2
    mixed = distillation_loss(STUDENT, TEACHER, labels, loss="ce", alpha=0.25)
    assert mixed.item() == pytest.approx(0.25 * gold + 0.75 * (CE[0] + CE[1]) / 2, rel=1e-6)


@settings(deadline=None)
@given(seed=seeds, temperature=temperatures)
def test_kl_and_ce_are_those_of_torch_times_the_squared_temperature(seed, temperature):
    student, teacher, _, _ = batch(seed)
    log_q, log_p = (student / temperature).log_softmax(-1), (teacher / temperature).log_softmax(-1)
    kl = temperature**2 * F.kl_div(log_q, log_p, log_target=True, reduction="batchmean")
    ce = temperature**2 * F.cross_entropy(student / temperature, log_p.exp())
    ours = [
        distillation_loss(student, teacher, None, loss=loss, temperature=temperature) for loss in ("kl", "ce")
    ]
    torch.testing.assert_close(ours, [kl, ce], rtol=1e-5, atol=1e-6)


@settings(deadline=None)
@given(seed=seeds)
def test_mse_is_that_of_torch_whatever_the_temperature(seed):
    student, teacher, _, _ = batch(seed)
    ours = distillation_loss(student, teacher, None, loss="mse", temperature=4.0)
    torch.testing.assert_close(ours, F.mse_loss(student, teacher))


@settings(deadline=None)
@given(seed=seeds, loss=st.sampled_from(["kl", "ce"]), temperature=temperatures)
def test_scaling_all_logits_by_the_temperature_scales_the_loss_by_its_square(seed, loss, temperature):
    student, teacher, _, _ = batch(seed)
    warm = distillation_loss(
        student * temperature, teacher * temperature, None, loss=loss, temperature=temperature
    )
    torch.testing.assert_close(warm, temperature**2 * distillation_loss(student, teacher, None, loss=loss))


@settings(deadline=None)
@given(seed=seeds, alpha=alphas, temperature=temperatures, masked=st.booleans())
def test_kl_and_ce_have_the_same_gradients(seed, alpha, temperature, masked):
    gradients = []
    for loss in ("kl", "ce"):
        student, teacher, labels, mask = batch(seed, dtype=torch.float64)
        distillation_loss(
            student,
            teacher,
            labels,
            loss=loss,
            alpha=alpha,
            temperature=temperature,
            mask=mask if masked else None,
        ).backward()
        gradients.append(student.grad)
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-14)


@settings(deadline=None)
@given(seed=seeds, temperature=temperatures)
def test_kl_is_ce_less_the_entropy_of_the_teacher(seed, temperature):
    student, teacher, _, _ = batch(seed, dtype=torch.float64)
    p = (teacher / temperature).softmax(-1)
    entropy = temperature**2 * torch.special.entr(p).sum(-1).mean()
    kl, ce = (
        distillation_loss(student, teacher, None, loss=x, temperature=temperature) for x in ("kl", "ce")
    )
    torch.testing.assert_close(ce - kl, entropy)


@settings(deadline=None)
@given(seed=seeds, dtype=st.sampled_from([torch.float32, torch.float64]), with_teacher=st.booleans())
def test_gold_alone_is_cross_entropy_bit_by_bit(seed, dtype, with_teacher):
    student, teacher, labels, _ = batch(seed, rows=37, columns=15, dtype=dtype)
    expected = F.cross_entropy(student, labels)
    ours = distillation_loss(student, teacher if with_teacher else None, labels, alpha=1.0)
    assert ours.item() == expected.item()
    assert ours.dtype == expected.dtype


def test_half_precision_is_computed_in_float32():
    student, teacher, labels, mask = batch(1)
    half = student.detach().bfloat16()
    assert torch.equal(distillation_loss(half, None, labels), F.cross_entropy(half.float(), labels))
    for loss in ("kl", "ce", "mse"):
        ours = distillation_loss(half, teacher.half(), labels, loss=loss, alpha=0.3, mask=mask)
        assert ours.dtype == torch.float32
        wide = distillation_loss(
            half.float(), teacher.half().float(), labels, loss=loss, alpha=0.3, mask=mask
        )
        assert torch.equal(ours, wide)


def test_no_labels_are_needed_at_alpha_0_and_some_above():
    assert distillation_loss(STUDENT, TEACHER, None).isfinite()
    with pytest.raises(ValueError, match="needs labels"):
        distillation_loss(STUDENT, TEACHER, None, alpha=0.5)


def test_teacher_gets_no_gradient():
    teacher = TEACHER.clone().requires_grad_()
    student = STUDENT.clone().requires_grad_()
    distillation_loss(student, teacher, None).backward()
    assert student.grad.abs().sum() > 0
    assert teacher.grad is None


def test_batch_in_which_no_row_counts_costs_nothing():
    student = STUDENT.clone().requires_grad_()
    loss = distillation_loss(student, None, tensor([-100, -100]))
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(student.grad, torch.zeros_like(STUDENT))


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"loss": "cosine"}, "'cosine'.*kl, ce, mse"),
        ({"alpha": 1.5}, "alpha is 1.5.*from 0"),
        ({"alpha": float("nan")}, "alpha is nan"),
        ({"temperature": 0.0}, "temperature is 0.0.*above 0"),
        ({"temperature": float("inf")}, "temperature is inf"),
        ({"teacher_logits": TEACHER[:, :1]}, "student's logits are"),
    ],
)
def test_what_cannot_be_a_loss_is_named(wrong, named):
    given = {"student_logits": STUDENT, "teacher_logits": TEACHER, "labels": tensor([0, 1])} | wrong
    with pytest.raises(SpecError, match=named):
        distillation_loss(**given)


# --- masks


@settings(deadline=None)
@given(
    seed=seeds,
    loss=st.sampled_from(["kl", "ce", "mse"]),
    alpha=alphas,
    temperature=temperatures,
    filler=st.sampled_from([-INF, INF, math.nan, 1e30, 0.0]),
)
def test_whatever_stands_in_masked_columns_has_no_effect(seed, loss, alpha, temperature, filler):
    student, teacher, labels, mask = batch(seed)
    mask[3] = False  # a row of which nothing is allowed
    options = {"loss": loss, "alpha": alpha, "temperature": temperature, "mask": mask}
    plain = distillation_loss(student, teacher, labels, **options)
    plain.backward()
    filled = student.detach().masked_fill(~mask, filler).requires_grad_()
    with torch.autograd.set_detect_anomaly(True):  # no NaN on the way either
        ours = distillation_loss(filled, teacher.masked_fill(~mask, filler), labels, **options)
        ours.backward()
    assert ours.isfinite()
    assert torch.equal(ours, plain)
    assert torch.equal(filled.grad, student.grad)
    assert filled.grad[~mask].abs().sum() == 0


@settings(deadline=None)
@given(seed=seeds, loss=st.sampled_from(["kl", "ce", "mse"]), alpha=alphas, temperature=temperatures)
def test_masked_columns_are_as_if_they_had_been_cut_off(seed, loss, alpha, temperature):
    student, teacher, labels, _ = batch(seed, columns=5)
    labels = labels.clamp(max=2)
    mask = (torch.arange(5) < 3).expand(6, 5)
    options = {"loss": loss, "alpha": alpha, "temperature": temperature}
    cut = distillation_loss(student[:, :3], teacher[:, :3], labels, **options)
    torch.testing.assert_close(distillation_loss(student, teacher, labels, mask=mask, **options), cut)


def test_mse_is_divided_by_the_allowed_entries():
    mask = tensor([[True, True], [False, True]])
    total, count = distillation_sum(STUDENT, TEACHER, loss="mse", mask=mask)
    assert (total.item(), count.item()) == (pytest.approx(2 * LN3**2), 3)


def test_rows_without_allowed_column_do_not_count():
    mask = tensor([[True, True], [False, False]])
    labels = tensor([0, 1])
    for loss in ("kl", "ce"):
        total, count = distillation_sum(STUDENT, TEACHER, loss=loss, mask=mask)
        alone, _ = distillation_sum(STUDENT[:1], TEACHER[:1], loss=loss)
        assert (total.item(), count.item()) == (pytest.approx(alone.item()), 1)
    total, count = gold_sum(STUDENT, labels, mask)
    assert (total.item(), count.item()) == (pytest.approx(LN2), 1)


def test_gold_label_on_a_masked_column_cannot_pass_unseen():
    total, _ = gold_sum(STUDENT, tensor([0, 0]), tensor([[True, True], [False, True]]))
    assert total.item() == INF


def test_teacher_that_rules_a_column_out_gives_finite_losses_and_gradients():
    teacher = tensor([[0.0, -INF, 1.0]])
    for loss in ("kl", "ce"):
        student = tensor([[0.5, -INF, 2.0]]).requires_grad_()
        ours = distillation_loss(student, teacher, None, loss=loss, temperature=2.0)
        ours.backward()
        assert ours.isfinite()
        assert student.grad.isfinite().all()


@pytest.mark.parametrize("side", ["student", "teacher"])
def test_nan_in_an_allowed_column_is_not_hidden(side):
    broken = tensor([[0.0, math.nan], [0.0, 0.0]])
    pair = (broken, TEACHER) if side == "student" else (STUDENT, broken)
    for loss in ("kl", "ce", "mse"):
        assert distillation_loss(*pair, None, loss=loss).isnan()


# --- log-probabilities


@settings(deadline=None)
@given(seed=seeds, loss=st.sampled_from(["kl", "ce"]), temperature=temperatures)
def test_log_probabilities_teach_like_the_logits_that_they_come_from(seed, loss, temperature):
    student, teacher, _, mask = batch(seed)
    log_probs = teacher.masked_fill(~mask, -INF).log_softmax(-1)
    options = {"loss": loss, "temperature": temperature, "mask": mask}
    from_probs = distillation_loss(student, log_probs, None, teacher_is_log_probs=True, **options)
    torch.testing.assert_close(from_probs, distillation_loss(student, teacher, None, **options))


def test_mse_on_log_probabilities_is_refused():
    with pytest.raises(SpecError, match="raw logits"):
        distillation_loss(STUDENT, TEACHER, None, loss="mse", teacher_is_log_probs=True)


# --- accumulation


@settings(deadline=None)
@given(
    seed=seeds,
    cuts=st.lists(st.integers(0, 12), max_size=4),
    loss=st.sampled_from(["kl", "ce", "mse"]),
    alpha=alphas,
    temperature=temperatures,
)
def test_sums_of_micro_batches_divided_once_are_the_loss_of_the_whole(seed, cuts, loss, alpha, temperature):
    student, teacher, labels, mask = batch(seed, rows=12, dtype=torch.float64)
    whole = distillation_loss(
        student, teacher, labels, loss=loss, alpha=alpha, temperature=temperature, mask=mask
    )
    whole.backward()
    split = student.detach().clone().requires_grad_()
    edges = [0, *sorted(cuts), 12]
    micro = [slice(a, b) for a, b in pairwise(edges)]
    gold = [gold_sum(split[part], labels[part], mask[part]) for part in micro]
    taught = [
        distillation_sum(split[part], teacher[part], loss=loss, temperature=temperature, mask=mask[part])
        for part in micro
    ]
    (gold_total, gold_rows), (taught_total, taught_rows) = (
        map(sum, zip(*part, strict=True)) for part in (gold, taught)
    )
    ours = alpha * gold_total / gold_rows + (1 - alpha) * taught_total / taught_rows
    ours.backward()
    torch.testing.assert_close(ours, whole, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(split.grad, student.grad, rtol=1e-6, atol=1e-9)

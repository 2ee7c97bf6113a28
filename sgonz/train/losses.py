"""The losses of fine-tuning and distillation, as sums that are divided by their count only once.

p = softmax(teacher / T) and q = softmax(student / T) over the columns of each row; N rows, C columns:

    kl    T^2 * (1/N) * sum p (log p - log q)
    ce    T^2 * (1/N) * sum -p log q           (kl plus a constant: the same gradients)
    mse   (1/(N C)) * sum (student - teacher)^2     (no temperature)

    L = alpha * cross-entropy(gold) + (1 - alpha) * distillation

Sums and counts of micro-batches and devices add up, so that a batch gives one loss however it is split.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from sgonz.errors import SpecError

Loss = Literal["kl", "ce", "mse"]
IGNORED = -100  # label of a row without a gold label


def distillation_loss(
    student_logits: Tensor,
    teacher_logits: Tensor | None,
    labels: Tensor | None,
    *,
    loss: Loss = "kl",
    alpha: float = 0.0,
    temperature: float = 1.0,
    mask: Tensor | None = None,
    teacher_is_log_probs: bool = False,
) -> Tensor:
    """The scalar L of one whole batch: logits [rows, columns], labels [rows] with -100 for none.

    Without a teacher, or at alpha 1, only the gold labels count; at alpha 0 only the teacher does, and labels
    may be None. A part in which no row counts is 0.

    Raises SpecError for an alpha outside 0 to 1, a temperature that is not above 0, an unknown loss, and
    student and teacher of different shapes.
    """
    _possible(student_logits, teacher_logits, loss, alpha, temperature)
    if teacher_logits is None or alpha == 1:
        return _mean(gold_sum(student_logits, _given(labels), mask))
    taught = distillation_sum(
        student_logits,
        teacher_logits,
        loss=loss,
        temperature=temperature,
        mask=mask,
        teacher_is_log_probs=teacher_is_log_probs,
    )
    if alpha == 0:
        return _mean(taught)
    return alpha * _mean(gold_sum(student_logits, _given(labels), mask)) + (1 - alpha) * _mean(taught)


def _possible(student: Tensor, teacher: Tensor | None, loss: str, alpha: float, temperature: float) -> None:
    if loss not in get_args(Loss):
        raise SpecError(f"loss is {loss!r}; it must be one of {', '.join(get_args(Loss))}")
    if not 0 <= alpha <= 1:
        raise SpecError(f"alpha is {alpha}; it must be from 0 (the teacher alone) to 1 (the labels alone)")
    if not 0 < temperature < math.inf:
        raise SpecError(f"temperature is {temperature}; it must be above 0")
    if teacher is not None and teacher.shape != student.shape:
        raise SpecError(
            f"the student's logits are {tuple(student.shape)} and the teacher's {tuple(teacher.shape)}; both must be "
            "[rows, columns] of the same units and labels"
        )


def _mean(part: tuple[Tensor, Tensor]) -> Tensor:
    total, count = part
    return total / count.clamp(min=1)


def _given(labels: Tensor | None) -> Tensor:
    if labels is None:
        raise ValueError("the gold part of the loss needs labels")
    return labels


def gold_sum(logits: Tensor, labels: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Sum of cross-entropy over the rows that have a label, and their number: two scalars.

    Logits [rows, columns], labels [rows], mask [rows, columns] true where a column is allowed. A row without
    an allowed column does not count; a label on a column that is not allowed makes the sum infinite.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if mask is None:
        total = F.cross_entropy(logits, labels, reduction="sum", ignore_index=IGNORED)
        return total, (labels != IGNORED).sum()
    labels = labels.masked_fill(~mask.any(dim=-1), IGNORED)
    log_probs = _log_softmax(logits, mask)
    return F.nll_loss(log_probs, labels, reduction="sum", ignore_index=IGNORED), (labels != IGNORED).sum()


def distillation_sum(
    student: Tensor,
    teacher: Tensor,
    *,
    loss: Loss,
    temperature: float = 1.0,
    mask: Tensor | None = None,
    teacher_is_log_probs: bool = False,
) -> tuple[Tensor, Tensor]:
    """Sum of the distance to the teacher, times T^2 for kl and ce, and what to divide it by: two scalars.

    Logits [rows, columns], mask [rows, columns] true where a column is allowed: both sides are renormalised
    over those, and whatever stands in the others, infinite values included, has no effect on value or
    gradient. The count is that of rows with an allowed column, for mse that of allowed entries. No gradient
    reaches the teacher.

    Raises SpecError for mse on log-probabilities, whose zero is not the student's.
    """
    if loss == "mse" and teacher_is_log_probs:
        raise SpecError(
            "loss mse needs the teacher's raw logits, and only its log-probabilities are known",
            hint="Use kl or ce where teacher and student do not share a vocabulary.",
        )
    wide = torch.promote_types(torch.promote_types(student.dtype, teacher.dtype), torch.float32)
    student, teacher = student.to(wide), teacher.detach().to(wide)
    if mask is None:
        mask = torch.ones_like(student, dtype=torch.bool)
    if loss == "mse":
        apart = student.masked_fill(~mask, 0.0) - teacher.masked_fill(~mask, 0.0)
        return apart.square().sum(), mask.sum()
    # Log-probabilities divided by T and normalised again are those of logits divided by T.
    log_p = _log_softmax(teacher / temperature, mask)
    log_q = _log_softmax(student / temperature, mask)
    p = log_p.exp()
    terms = p * (log_p - log_q) if loss == "kl" else -p * log_q
    # 0 * infinity is NaN where the limit is 0: in masked columns, and in those that the teacher rules out.
    counted = mask & (p != 0)
    return temperature**2 * torch.where(counted, terms, 0.0).sum(), mask.any(dim=-1).sum()


def _log_softmax(logits: Tensor, mask: Tensor) -> Tensor:
    """Log-softmax over the allowed columns, minus infinity in the others; rows with none are left even."""
    empty = ~mask.any(dim=-1, keepdim=True)
    return logits.masked_fill(~mask, -torch.inf).masked_fill(empty, 0.0).log_softmax(dim=-1)

"""A step's gradient is that of its whole batch, however the batch is cut into micro-batches."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from bench import Bench
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sgonz.plan.runs import Kind, Outcome
from sgonz.train import distill, finetune, loop, step

ROWS = 40  # that batches are drawn from
BATCH = 6
LIGHT = {"epochs": 1, "learning_rate": 1e-4}
TAUGHT = [
    (dataset, teacher, loss, alpha)
    for dataset, teacher in (("text", "albert"), ("tagging", "albert"), ("qa", "albert"), ("qa", "roberta"))
    for loss, alpha in itertools.product(("kl", "ce", "mse"), (0.0, 0.3, 0.9))
    if (loss, teacher) != ("mse", "roberta")  # raw logits of two vocabularies cannot be compared
]


class Machines:
    """Prepared students without dropout; every teacher is trained once."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.numbers = bench, itertools.count()

    def tuned(self, dataset: str) -> step.Machine:
        run = self.bench.run(f"f{next(self.numbers)}", Kind.FINETUNE, dataset, "albert", settings=LIGHT)
        return loop.machine_of(finetune.prepare(self.bench.preparing(run)), "fp32", steps=10)

    def taught(self, dataset: str, teacher: str, **values: object) -> step.Machine:
        logits = f"logits-{dataset}-{teacher}"
        if not self.bench.workdir.run(logits).root.exists():
            self.do(f"teacher-{dataset}-{teacher}", Kind.FINETUNE, dataset, teacher, {})
            self.do(logits, Kind.LOGITS, dataset, teacher, {"teacher": f"teacher-{dataset}-{teacher}"})
        run = self.bench.run(f"d{next(self.numbers)}", Kind.DISTILL, dataset, "albert", needs={"logits": logits},
                             settings=LIGHT | {"temperature": 2.0} | values)  # fmt: skip
        return loop.machine_of(distill.prepare(self.bench.preparing(run)), "fp32", steps=10)

    def do(self, run_id: str, kind: Kind, dataset: str, model: str, needs: Mapping[str, str]) -> None:
        run = self.bench.run(run_id, kind, dataset, model, needs=dict(needs), settings=LIGHT)
        assert self.bench.do(run).outcome is Outcome.COMPLETED


@pytest.fixture(scope="module")
def machines(tmp_path_factory, folders, datasets_by_task) -> Machines:
    return Machines(Bench(tmp_path_factory.mktemp("split") / "work", folders, datasets_by_task))


def gradient(machine: step.Machine, rows: np.ndarray, micro_batch: int) -> tuple[torch.Tensor, float]:
    """All gradients in one row of numbers, and the loss."""
    machine.optimizer.zero_grad(set_to_none=True)
    machine.model.eval()  # dropout alone may differ
    loss = step.gradients(machine, rows, micro_batch)
    found = [
        parameter.grad.flatten() for parameter in machine.model.parameters() if parameter.grad is not None
    ]
    return torch.cat(found).double(), loss.item()


def assert_same_however_split(machine: step.Machine) -> None:
    """In float64, where a wrong weight cannot pass for rounding; parts are padded to other widths than the whole."""
    machine.model.double()

    @settings(max_examples=4, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.integers(0, ROWS - 1), min_size=2, max_size=BATCH, unique=True))
    def same(chosen: list[int]) -> None:
        rows = np.array(chosen)
        whole, loss = gradient(machine, rows, len(rows))
        for micro_batch in range(1, len(rows)):
            parts, parts_loss = gradient(machine, rows, micro_batch)
            assert (parts - whole).norm() <= 1e-6 * whole.norm()
            assert parts_loss == pytest.approx(loss, rel=1e-6)

    same()


def assert_float32_costs_rounding_alone(machine: step.Machine) -> None:
    """In the precision of training: 1e-6 is eight of float32's steps (1.2e-7), and a sum of parts stays below.

    Where the student is near its teacher, their difference has lost digits before anything is summed, and the
    whole batch's own gradient is further from the exact one than that; there the parts are no worse than it.
    """
    rows = np.arange(BATCH)
    whole, _ = gradient(machine, rows, BATCH)
    apart = max(
        ((gradient(machine, rows, size)[0] - whole).norm() / whole.norm()).item() for size in range(1, BATCH)
    )
    machine.model.double()
    exact, _ = gradient(machine, rows, BATCH)
    assert apart <= max(1e-6, 2 * ((whole - exact).norm() / exact.norm()).item())


def assert_same(machine: step.Machine) -> None:
    assert_float32_costs_rounding_alone(machine)
    assert_same_however_split(machine)


@pytest.mark.parametrize("dataset", ["text", "pair", "tagging", "qa"])
def test_gold_gradient_is_the_same_however_the_batch_is_split(machines, dataset):
    assert_same(machines.tuned(dataset))


@pytest.mark.parametrize(("dataset", "teacher", "loss", "alpha"), TAUGHT)
def test_taught_gradient_is_the_same_however_the_batch_is_split(machines, dataset, teacher, loss, alpha):
    assert_same(machines.taught(dataset, teacher, loss=loss, alpha=alpha))

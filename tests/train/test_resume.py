from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from sgonz.events import EpochEnded
from sgonz.plan.runs import Kind, Outcome
from sgonz.rundir import claim


def weights(run):
    return load_file(run.output / "model" / "model.safetensors")


def same(one, other):
    assert one.keys() == other.keys()
    return all(torch.equal(one[name], other[name]) for name in one)


class After:
    """A stop that is asked for at the n-th question."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


SETTINGS = {"epochs": 3, "weight_decay": 0.01, "patience": 3}


@pytest.mark.parametrize("steps", [0, 5, 12, 17])
@pytest.mark.parametrize("dataset", ["text", "tagging"])
def test_stopped_run_ends_with_the_same_bits(bench, dataset, steps):
    whole = bench.run("whole", Kind.FINETUNE, dataset, "bert", settings=SETTINGS)  # has dropout
    expected = bench.do(whole)
    halves = bench.run("halves", Kind.FINETUNE, dataset, "bert", settings=SETTINGS)
    first = bench.do(halves, stop=After(steps))
    assert first.outcome is Outcome.PREEMPTED
    assert halves.read_result() is None
    second = bench.do(halves, attempt=2)
    assert second.outcome is Outcome.COMPLETED, second.error
    assert second.validation_loss == expected.validation_loss
    assert second.best_epoch == expected.best_epoch
    assert same(weights(whole), weights(halves))


def test_run_stopped_again_and_again_ends_with_the_same_bits(bench):
    whole = bench.run("whole", Kind.FINETUNE, "text", "bert", settings=SETTINGS | {"eval_every_steps": 5})
    bench.do(whole)
    pieces = bench.run("pieces", Kind.FINETUNE, "text", "bert", settings=SETTINGS | {"eval_every_steps": 5})
    ends = []
    while not ends or ends[-1].outcome is Outcome.PREEMPTED:
        ends.append(bench.do(pieces, stop=After(11), attempt=len(ends) + 1))
    assert len(ends) > 3
    assert ends[-1].outcome is Outcome.COMPLETED
    assert same(weights(whole), weights(pieces))


def test_run_killed_after_a_validation_ends_with_the_same_bits(bench):
    whole = bench.run("whole", Kind.FINETUNE, "text", "bert", settings=SETTINGS)
    bench.do(whole)
    killed = bench.run("killed", Kind.FINETUNE, "text", "bert", settings=SETTINGS)
    bench.events = Deadly()  # between the best checkpoint and the last one
    assert bench.do(killed).outcome is Outcome.CANCELLED
    bench.events = []
    assert bench.do(killed, attempt=2).outcome is Outcome.COMPLETED
    assert same(weights(whole), weights(killed))


class Deadly(list):
    def append(self, event):
        if isinstance(event, EpochEnded) and event.epoch == 2:
            raise KeyboardInterrupt


def test_overtaken_attempt_changes_nothing(bench):
    run = bench.run("r1", Kind.FINETUNE, "text", "bert", settings=SETTINGS)
    claim(run, tag="a", sequence=1, element=0, restart=0)
    claim(run, tag="b", sequence=2, element=0, restart=0)
    ended = bench.do(run, attempt=1)
    assert ended.outcome is Outcome.PREEMPTED
    assert not run.output.exists()
    assert not (run.checkpoint / "last").exists()


def test_threads_and_seed_decide_the_bits(bench):
    for run_id, seed in (("one", 1), ("again", 1), ("two", 2)):
        bench.do(bench.run(run_id, Kind.FINETUNE, "text", "bert", settings={"epochs": 1}, seed=seed))
    one, again, two = (weights(bench.workdir.run(run_id)) for run_id in ("one", "again", "two"))
    assert same(one, again)
    assert not same(one, two)

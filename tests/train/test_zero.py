"""Runs on two processes, with DeepSpeed and without, end where one process does, and their checkpoints are the same."""

from __future__ import annotations

import json
import os
import socket
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
import torch.distributed as dist
from bench import Bench
from cut_runs import Cut, prepared
from safetensors.torch import load_file

from sgonz import events
from sgonz.events import EpochEnded, Event, RunEnded
from sgonz.plan.runs import Kind, Outcome
from sgonz.resources import shipped
from sgonz.rundir import RunDir
from sgonz.train import checkpoint, finetune, loop, step
from sgonz.train.crew import join
from sgonz.train.execute import execute, never
from sgonz.train.seat import Seat

LIGHT = {"epochs": 2, "learning_rate": 1e-4}
ENGINES = ["plain", "zero2", "zero2_offload", "zero3"]


@pytest.fixture(scope="module", autouse=True)
def imported_once() -> None:
    """Before processes are forked, so that none of them has to."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import deepspeed  # noqa: F401
        import torch._inductor.compile_fx  # noqa: F401 -- most of what takes DeepSpeed long to start


def configuration(name: str) -> dict[str, Any] | None:
    if name == "plain":
        return None
    return json.loads((shipped("cluster_configs") / "deepspeed" / f"{name}.json").read_text())


def together(
    run: RunDir, name: str, *, world: int = 2, attempt: int = 1, stop: Callable[[], bool] = never,
    cuts: Mapping[int, Cut] | None = None,
) -> tuple[list[RunEnded], list[Event]]:  # fmt: skip
    """Do a run on several processes of this machine; how each of them ended, and what the first one told.

    `cuts`: rank -> how that process is killed, after which it has not ended.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    place = {"port": listener.getsockname()[1], "world": world, "deepspeed": configuration(name)}
    told = run.root / f"told-{attempt}.jsonl"
    children = []
    for rank in range(world):
        if not (pid := os.fork()):
            try:
                warnings.simplefilter("ignore")  # of libraries among themselves
                if cuts and rank in cuts:
                    stop = prepared(cuts[rank], run)
                with told.open("ab", buffering=0) as stream:

                    def emit(event: Event, stream: Any = stream, rank: int = rank) -> None:
                        if rank == 0:
                            events.append(stream, event)

                    ended = execute(run, attempt, emit, stop=stop, seat=Seat(rank=rank, local_rank=rank, **place),
                                    listener=listener if rank == 0 and world > 1 else None)  # fmt: skip
                (run.root / f"ended-{rank}.json").write_bytes(msgspec.json.encode(ended))
            finally:
                os._exit(0)
        children.append(pid)
    listener.close()
    for pid in children:
        os.waitpid(pid, 0)
    ends = []
    for rank in range(world):
        file = run.root / f"ended-{rank}.json"
        if file.exists():
            ends.append(msgspec.json.decode(file.read_bytes(), type=RunEnded))
            file.unlink()
    return ends, [event for event, _ in events.read(told, 0) if event is not None]


def losses(found: list[Event]) -> list[float | None]:
    return [event.validation_loss for event in found if isinstance(event, EpochEnded)]


def weights(run: RunDir) -> dict[str, torch.Tensor]:
    return load_file(run.output / "model" / "model.safetensors")


def after(steps: int) -> Callable[[], bool]:
    asked = iter(range(steps))
    return lambda: next(asked, None) is None


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("dataset", ["tagging"])
def test_two_processes_end_where_one_does(bench: Bench, name: str, dataset: str) -> None:
    alone = bench.run("alone", Kind.FINETUNE, dataset, "albert", settings=LIGHT)  # has no dropout
    bench.do(alone)
    run = bench.run("together", Kind.FINETUNE, dataset, "albert", settings=LIGHT)
    ends, found = together(run, name)
    assert [end.outcome for end in ends] == [Outcome.COMPLETED] * 2, ends
    assert ends[0].notes["processes"] == 2
    assert losses(found) == pytest.approx(losses(bench.events), rel=3e-3)
    assert weights(run).keys() == weights(alone).keys()
    exam = bench.run("exam", Kind.EVALUATE, dataset, "albert", needs={"model": "together"})
    assert bench.do(exam).outcome is Outcome.COMPLETED


@pytest.mark.parametrize("name", ENGINES)
def test_checkpoint_holds_whole_states_that_any_engine_takes_up(bench: Bench, name: str) -> None:
    run = bench.run("run", Kind.FINETUNE, "text", "albert", settings=LIGHT)
    assert bench.do(run, stop=after(7)).outcome is Outcome.PREEMPTED
    saved = run.checkpoint / "last"
    state, kept = checkpoint.load_state(saved / checkpoint.STATE), load_file(saved / checkpoint.WEIGHTS)
    ends, _ = together(run, name, attempt=2, stop=after(0))
    assert [end.outcome for end in ends] == [Outcome.PREEMPTED] * 2, ends
    again = checkpoint.load_state(saved / checkpoint.STATE)
    assert again["optimizer"]["state"].keys() >= state["optimizer"]["state"].keys()
    for number, moments in state["optimizer"]["state"].items():
        for moment, tensor in moments.items():
            torch.testing.assert_close(again["optimizer"]["state"][number][moment], tensor, rtol=0, atol=0)
    for name_, tensor in load_file(saved / checkpoint.WEIGHTS).items():
        torch.testing.assert_close(tensor, kept[name_], rtol=0, atol=0)
    assert bench.do(run, attempt=3).outcome is Outcome.COMPLETED


CUTS = (
    {0: Cut("file", 5)},  # between the renames of a checkpoint, while the other process waits
    {0: Cut("byte", 40_000)},  # inside the writing of its weights
    {1: Cut("step", 4)},  # the other process, in the second epoch
)


@pytest.mark.parametrize(
    ("name", "kind", "cuts"),
    [("zero3", Kind.FINETUNE, CUTS[:1]), ("plain", Kind.DISTILL, CUTS)],
)  # fmt: skip
def test_wherever_a_process_is_killed_the_run_goes_on_to_the_same_bits(
    bench: Bench, name: str, kind: Kind, cuts: Sequence[Mapping[int, Cut]]
) -> None:
    bench.datasets["text"] = msgspec.structs.replace(
        bench.datasets["text"], limit={"train": 21, "validation": 9}
    )
    needs = {}
    if kind is Kind.DISTILL:
        bench.do(bench.run("teacher", Kind.FINETUNE, "text", "bert", settings={"epochs": 1}))
        bench.do(bench.run("logits", Kind.LOGITS, "text", "bert", needs={"teacher": "teacher"}))
        needs = {"logits": "logits"}

    def fresh(run_id: str) -> RunDir:
        return bench.run(run_id, kind, "text", "bert", settings=LIGHT, needs=needs)  # has dropout

    whole = fresh("whole")
    ends, _ = together(whole, name)
    assert [end.outcome for end in ends] == [Outcome.COMPLETED] * 2, ends
    for at, cut in enumerate(cuts):
        run = fresh(f"cut-{at}")
        ends, _ = together(run, name, cuts=cut)
        assert len(ends) < 2, "nobody was killed"
        assert not run.result.exists()
        ends, _ = together(run, name, attempt=2)
        assert [end.outcome for end in ends] == [Outcome.COMPLETED] * 2, ends
        for tensor_name, tensor in weights(run).items():
            assert torch.equal(tensor, weights(whole)[tensor_name]), (cut, tensor_name)


@pytest.mark.parametrize("name", ["zero2"])
def test_one_process_under_deepspeed_is_one_process(bench: Bench, name: str) -> None:
    alone = bench.run("alone", Kind.FINETUNE, "text", "albert", settings=LIGHT)
    bench.do(alone)
    run = bench.run("run", Kind.FINETUNE, "text", "albert", settings=LIGHT)
    ends, found = together(run, name, world=1)
    assert ends[0].outcome is Outcome.COMPLETED, ends
    assert losses(found) == pytest.approx(losses(bench.events), rel=3e-3)


def test_half_precision_is_the_models_own_and_deepspeed_finds_nothing_to_switch_off(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from deepspeed.runtime import torch_autocast

    warned = tmp_path / "warned"
    monkeypatch.setattr(torch_autocast.logger, "warning", lambda *_: warned.touch())
    asked = torch.is_autocast_enabled
    # Asked about no device in particular torch tells of GPUs; here it is to tell of the one that there is.
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda device="cpu": asked(device))
    alone = bench.run("alone", Kind.FINETUNE, "text", "albert", settings=LIGHT, precision="bf16")
    bench.do(alone)
    run = bench.run("run", Kind.FINETUNE, "text", "albert", settings=LIGHT, precision="bf16")
    ends, found = together(run, "zero2", world=1)
    assert ends[0].outcome is Outcome.COMPLETED, ends
    assert ends[0].notes["precision"] == "bf16"
    assert losses(found) == pytest.approx(losses(bench.events), rel=3e-3)
    assert not warned.exists()


def test_deepspeed_does_not_try_what_it_could_compile(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On a node with GPUs it would run compilers for twenty kernels, and say of each that there is no CUDA_HOME."""
    import deepspeed.ops

    tried = tmp_path / "tried"
    monkeypatch.delitem(vars(deepspeed.ops), "__compatible_ops__", raising=False)
    monkeypatch.setattr(deepspeed.ops, "_probe_compatible_ops", lambda: tried.touch() or {})
    run = bench.run("run", Kind.FINETUNE, "text", "albert", settings=LIGHT | {"epochs": 1})
    ends, _ = together(run, "zero2", world=1)
    assert ends[0].outcome is Outcome.COMPLETED, ends
    assert not tried.exists()


def test_a_process_that_fails_does_not_part_from_those_that_wait_for_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = bench.run("run", Kind.FINETUNE, "text", "albert", settings=LIGHT)
    parted = run.root / "parted"
    monkeypatch.setattr(dist, "destroy_process_group", parted.touch)  # NCCL's would wait for the others

    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(step, "gradients", full)
    ends, _ = together(run, "plain")
    assert [end.outcome for end in ends] == [Outcome.OUT_OF_MEMORY] * 2
    assert not parted.exists()


@pytest.mark.parametrize("micro_batch", [1, 2, 4])
def test_shares_of_a_step_add_up_to_the_whole_gradient(bench: Bench, micro_batch: int) -> None:
    """In float64, with an uneven step: one process has four rows, the other three."""
    run = bench.run("run", Kind.FINETUNE, "tagging", "albert", settings=LIGHT)
    listener, rows = socket.create_server(("127.0.0.1", 0)), np.arange(7)

    def gradient(seat: Seat, listener: socket.socket | None, micro_batch: int) -> torch.Tensor:
        running = replace(bench.preparing(run), seat=seat, crew=join(seat, torch.device("cpu"), listener))
        machine = loop.machine_of(finetune.prepare(running), "fp32", steps=10)
        machine.model.double().eval()
        step.gradients(machine, rows, micro_batch)
        found = [parameter.grad for parameter in machine.model.parameters() if parameter.grad is not None]
        machine.crew.add_up(found)
        return torch.cat([each.flatten() for each in found])

    children = []
    for rank in range(2):
        if not (pid := os.fork()):
            try:
                warnings.simplefilter("ignore")
                seat = Seat(rank=rank, world=2, port=listener.getsockname()[1])
                torch.save(
                    gradient(seat, listener if rank == 0 else None, micro_batch), run.root / f"{rank}.pt"
                )
            finally:
                os._exit(0)
        children.append(pid)
    listener.close()
    for pid in children:
        os.waitpid(pid, 0)
    whole = gradient(Seat(), None, 7)
    for rank in range(2):
        assert (torch.load(run.root / f"{rank}.pt") - whole).norm() <= 1e-12 * whole.norm()

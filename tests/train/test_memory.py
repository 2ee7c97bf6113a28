"""Runs on a device that is too small for their batches: they split, go on, and end as if it were large enough."""

from __future__ import annotations

import errno
import shutil
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.distributed import DistBackendError
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.optim import AdamW

from sgonz.events import EpochEnded, MemoryShort, RunReady
from sgonz.plan.history import History, Trial, noted
from sgonz.plan.runs import Kind, Outcome
from sgonz.rundir import claim
from sgonz.train import checkpoint, finetune, loop, memory, preparation, step
from sgonz.train import execute as execute_module
from sgonz.train.execute import begin, execute
from sgonz.train.memory import in_fitting_parts, out_of_memory, recompute_activations
from sgonz.train.tasks.tagging import Tagging
from sgonz.workdir import costs

SETTINGS = {"epochs": 2, "learning_rate": 1e-4}


@contextmanager
def memory_for(rows: int, *, only: Callable[[nn.Module], bool] = lambda module: True) -> Iterator[None]:
    """A device on which no model can embed more rows than this at a time."""

    def allocate(module: nn.Module, arguments: tuple[object, ...]) -> None:
        read = arguments[0] if arguments and isinstance(module, nn.Embedding) else None
        if isinstance(read, torch.Tensor) and read.ndim == 2 and len(read) > rows and only(module):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    hook = register_module_forward_pre_hook(allocate)
    try:
        yield
    finally:
        hook.remove()


def losses(found: list[object]) -> list[float | None]:
    return [event.validation_loss for event in found if isinstance(event, EpochEnded)]


def weights(run):
    return load_file(run.output / "model" / "model.safetensors")


def assert_close(one, other, *, atol=1e-5):
    for name, tensor in weights(one).items():
        torch.testing.assert_close(tensor, weights(other)[name], rtol=0, atol=atol, msg=name)


@pytest.mark.parametrize("dataset", ["text", "tagging", "qa"])
def test_run_that_does_not_fit_splits_and_ends_as_if_it_did(bench, dataset):
    enough = bench.run("enough", Kind.FINETUNE, dataset, "albert", settings=SETTINGS)  # has no dropout
    bench.do(enough)
    expected, bench.events = losses(bench.events), []
    short = bench.run("short", Kind.FINETUNE, dataset, "albert", settings=SETTINGS)
    with memory_for(3):
        ended = bench.do(short)
    assert ended.outcome is Outcome.COMPLETED, ended.error
    assert losses(bench.events) == pytest.approx(expected, rel=1e-3)  # AdamW makes much of rounding at first
    told = [event.micro_batch for event in bench.events if isinstance(event, MemoryShort)]
    assert told == [4, 2]
    assert ended.notes["micro_batch"] == 2


def test_next_run_of_the_shape_starts_with_the_split(bench):
    first = bench.run("first", Kind.FINETUNE, "text", "albert", settings=SETTINGS)
    with memory_for(3):
        bench.do(first)
        costs.record(bench.workdir, ["first"])
        bench.events = []
        second = bench.run("second", Kind.FINETUNE, "text", "albert",
                           settings=SETTINGS | {"learning_rate": 2e-4, "batch_size": 16})  # fmt: skip
        ended = execute(second, 1, bench.events.append, history=costs.read(bench.workdir))
    assert ended.outcome is Outcome.COMPLETED
    assert [event.micro_batch for event in bench.events if isinstance(event, RunReady)] == [2]
    assert not any(isinstance(event, MemoryShort) for event in bench.events)
    other = bench.run("other", Kind.FINETUNE, "pair", "albert", settings=SETTINGS)
    execute(other, 1, bench.events.append, history=costs.read(bench.workdir))
    assert [event.micro_batch for event in bench.events if isinstance(event, RunReady)] == [2, 8]


def test_validation_that_does_not_fit_is_read_in_smaller_parts(bench):
    enough = bench.run("enough", Kind.FINETUNE, "tagging", "albert", settings=SETTINGS)
    bench.do(enough)
    expected, bench.events = losses(bench.events), []
    short = bench.run("short", Kind.FINETUNE, "tagging", "albert", settings=SETTINGS)
    with memory_for(3, only=lambda module: not module.training):
        ended = bench.do(short)
    assert ended.notes["micro_batch"] == 8
    assert losses(bench.events) == pytest.approx(expected, rel=1e-5)
    assert_close(enough, short, atol=0)
    told = [event for event in bench.events if isinstance(event, MemoryShort)]
    assert [(event.micro_batch, event.reading) for event in told] == [
        (4, True),
        (2, True),
    ]  # once, not every epoch


def test_stored_logits_and_test_scores_that_do_not_fit_are_made_in_smaller_parts(bench):
    bench.do(bench.run("teacher", Kind.FINETUNE, "tagging", "albert", settings={"epochs": 1}))
    for name, rows in (("roomy", 99), ("tight", 3)):
        with memory_for(rows):
            logits = bench.run(
                f"{name}-logits", Kind.LOGITS, "tagging", "albert", needs={"teacher": "teacher"}
            )
            assert bench.do(logits).outcome is Outcome.COMPLETED
            exam = bench.run(f"{name}-exam", Kind.EVALUATE, "tagging", "albert", needs={"model": "teacher"})
            assert bench.do(exam).outcome is Outcome.COMPLETED
    roomy, tight = (bench.workdir.run(f"{name}-exam").read_result() for name in ("roomy", "tight"))
    assert tight.test == pytest.approx(roomy.test, rel=1e-5)
    told = [(event.run_id, event.micro_batch) for event in bench.events if isinstance(event, MemoryShort)]
    assert told == [("tight-logits", 4), ("tight-logits", 2), ("tight-exam", 4), ("tight-exam", 2)]


def test_memory_that_ends_inside_an_update_leaves_nothing_half_applied(bench, monkeypatch):
    enough = bench.run("enough", Kind.FINETUNE, "text", "albert", settings=SETTINGS)
    bench.do(enough)
    expected, bench.events = losses(bench.events), []
    run = bench.run("run", Kind.FINETUNE, "text", "albert", settings=SETTINGS)
    whole, calls = AdamW.step, iter(range(17))  # the second epoch has begun: there is a checkpoint behind it

    def interrupted(optimizer: AdamW, closure: None = None) -> None:
        if next(calls, None) is None:
            with torch.no_grad():
                optimizer.param_groups[0]["params"][0].mul_(2.0)  # some parameters were changed already
            raise torch.OutOfMemoryError("CUDA out of memory")
        whole(optimizer, closure)

    monkeypatch.setattr(AdamW, "step", interrupted)
    ended = bench.do(run)
    assert ended.outcome is Outcome.OUT_OF_MEMORY
    monkeypatch.undo()
    first, bench.events = losses(bench.events), []
    again = bench.do(run, attempt=2)
    assert again.outcome is Outcome.COMPLETED
    ready = next(event for event in bench.events if isinstance(event, RunReady))
    assert (ready.epoch, ready.micro_batch) == (1, 4)
    assert first + losses(bench.events) == pytest.approx(expected, rel=1e-4)


def count_forwards(model: nn.Module) -> list[str]:
    """Grows with every call of a self-attention's query, which every layer has one of."""
    calls: list[str] = []
    for name, module in model.named_modules():
        if name.endswith("query"):
            module.register_forward_hook(lambda *_, name=name: calls.append(name))
    return calls


@pytest.mark.parametrize("family", ["bert", "albert", "roberta"])
def test_recomputed_activations_give_the_same_gradients_with_dropout_too(bench, family):
    run = bench.run("run", Kind.FINETUNE, "text", family, settings=SETTINGS)
    machine = loop.machine_of(finetune.prepare(bench.preparing(run)), "fp32", steps=10)
    machine.model.train()
    rows = torch.arange(8).numpy()
    kept, _ = step.fitting(machine, rows, 0, step.Fit(8))
    expected = [parameter.grad.clone() for parameter in machine.model.parameters()]
    machine.optimizer.zero_grad()
    calls = count_forwards(machine.bare_model)
    recompute_activations(machine.bare_model)
    recomputed, _ = step.fitting(machine, rows, 0, step.Fit(8, True))
    assert len(calls) == 2 * machine.bare_model.config.num_hidden_layers
    assert recomputed.item() == pytest.approx(kept.item(), rel=1e-6)
    for parameter, gradient in zip(machine.model.parameters(), expected, strict=True):
        assert (parameter.grad - gradient).norm() <= 1e-6 * gradient.norm()


def test_when_not_one_row_fits_activations_are_recomputed_and_that_is_told_and_remembered(bench, monkeypatch):
    turned_on: list[bool] = []
    for module in (step, memory):
        monkeypatch.setattr(module, "recompute_activations",
                            lambda model: (turned_on.append(True), recompute_activations(model)))  # fmt: skip
    run = bench.run("run", Kind.FINETUNE, "text", "albert", settings=SETTINGS)
    with memory_for(0, only=lambda module: not turned_on):
        ended = bench.do(run)
    assert ended.outcome is Outcome.COMPLETED, ended.error
    assert (ended.notes["micro_batch"], ended.notes["recompute"]) == (8, 1)
    assert [
        (event.micro_batch, event.recompute) for event in bench.events if isinstance(event, MemoryShort)
    ] == [(4, False), (2, False), (1, False), (8, True)]
    costs.record(bench.workdir, ["run"])
    later = bench.run("later", Kind.FINETUNE, "text", "albert", settings=SETTINGS)
    turned_on.clear()
    with memory_for(0, only=lambda module: not turned_on):
        assert (
            execute(later, 1, bench.events.append, history=costs.read(bench.workdir)).notes["recompute"] == 1
        )


def test_run_that_fits_in_no_way_is_out_of_memory(bench):
    with memory_for(0):
        ended = bench.do(bench.run("run", Kind.FINETUNE, "text", "albert", settings=SETTINGS))
    assert ended.outcome is Outcome.OUT_OF_MEMORY
    assert "OutOfMemoryError" in ended.error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
            True,
        ),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (torch.AcceleratorError("CUDA error: out of memory"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"), True),
        # Of NCCL; and of torch on a part of a GPU, whose memory NVML may not be asked about.
        (DistBackendError("ncclUnhandledCudaError: ...\nLast error:\nCuda failure 2 'out of memory'"), True),
        (
            DistBackendError("ncclUnhandledCudaError: ...\nLast error:\nFailed to CUDA calloc 6291456 bytes"),
            True,
        ),
        (RuntimeError('NVML_SUCCESS == r INTERNAL ASSERT FAILED at "CUDACachingAllocator.cpp":1154'), True),
        (torch.AcceleratorError("CUDA error: device-side assert triggered"), False),
        (RuntimeError("unable to mmap 4096 bytes from file <x>: Cannot allocate memory (12)"), True),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), True),
        (pa.ArrowMemoryError("malloc of size 64 failed"), True),
        (OSError(errno.ENOSPC, "No space left on device"), False),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (RuntimeError("the data set does not fit: it is out of memory pages"), False),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("can't allocate memory"), False),
    ],
)
def test_out_of_memory_is_known_by_type_and_message(error, said):
    assert out_of_memory(error) is said


def test_what_a_failed_try_held_is_gone_before_the_next() -> None:
    """An error that was kept in a variable of where it was raised keeps itself alive, and all tensors there."""
    held: list[Any] = []

    def work(part: np.ndarray) -> int:
        assert not [each() for each in held if each() is not None], "the first try still holds its memory"
        if len(part) > 4:
            activations = torch.ones(4)
            held.append(weakref.ref(activations))
            kept = torch.OutOfMemoryError("CUDA out of memory")
            raise kept
        return len(part)

    assert in_fitting_parts(np.arange(8), 8, work, lambda micro_batch: None) == ([4, 4], 4)


def out_of(error: BaseException) -> Callable[..., None]:
    def work(*arguments: object, **named: object) -> None:
        raise error

    return work


@pytest.mark.parametrize(
    ("place", "name", "error"),
    [
        (preparation, "new_model", torch.OutOfMemoryError("CUDA out of memory")),  # while the model is loaded
        (loop, "machine_of", torch.OutOfMemoryError("CUDA out of memory")),  # on its way to the device
        (Tagging, "tokenise", MemoryError()),  # while texts are cut
        (checkpoint, "save_weights", MemoryError()),  # while a checkpoint is written
    ],
)
def test_memory_that_ends_elsewhere_ends_the_attempt_and_leaves_nothing_half_done(
    bench, monkeypatch, place, name, error
):
    whole = bench.run("whole", Kind.FINETUNE, "tagging", "bert", settings=SETTINGS)
    assert bench.do(whole).outcome is Outcome.COMPLETED
    shutil.rmtree(bench.workdir.cache)  # so that texts are cut again
    run = bench.run("run", Kind.FINETUNE, "tagging", "bert", settings=SETTINGS)
    monkeypatch.setattr(place, name, out_of(error))
    ended = bench.do(run)
    monkeypatch.undo()
    assert ended.outcome is Outcome.OUT_OF_MEMORY, ended.error
    assert run.read_result() is None
    run.smaller.unlink(missing_ok=True)  # what it says fits below, and this is about the bits
    assert bench.do(run, attempt=2).outcome is Outcome.COMPLETED
    assert_close(whole, run, atol=0)


def test_an_attempt_that_was_overtaken_leaves_no_word_about_memory(bench):
    run = bench.run("run", Kind.FINETUNE, "text", "albert", settings=SETTINGS)
    for tag, sequence in (("a", 1), ("b", 2)):
        claim(run, tag=tag, sequence=sequence, element=0, restart=0)
    with memory_for(0):
        assert bench.do(run, attempt=1).outcome is Outcome.OUT_OF_MEMORY
    assert not run.checkpoint.exists()


def test_torch_itself_is_understood_when_the_machine_has_no_room():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert out_of_memory(caught.value)


def test_a_run_on_a_gpu_begins_with_the_rows_that_are_predicted_to_fit(bench, monkeypatch):
    run = bench.run(
        "run", Kind.FINETUNE, "text", "albert", settings=SETTINGS | {"batch_size": 64}
    ).read_spec()
    gpu, known = torch.device("cuda"), History()
    for size, peak in ((16, 3000.0), (32, 5000.0)):
        like = msgspec.structs.replace(run, settings=msgspec.structs.replace(run.settings, batch_size=size))
        known = noted(known, [(like, Trial(device="GPU", batch_size=size, peak_memory_mb=peak))])
    monkeypatch.setattr(execute_module, "device_name", lambda: "GPU")
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda device: SimpleNamespace(total_memory=8000 * 2**20)
    )
    assert begin(known, run, gpu) == (32, False)
    assert begin(known, run, torch.device("cpu")) == (None, False)
    assert begin(History(), run, gpu) == (None, False)

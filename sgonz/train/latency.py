"""Time models on a device: random weights, random tokens, one call at a time."""

from __future__ import annotations

import gc
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import RawIOBase
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import torch
import transformers
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel

from sgonz.errors import SpecError
from sgonz.train.benchmark import LABELS, Timing, summary
from sgonz.train.memory import out_of_memory

SEED = 42
FIRST_WORD = 5  # smaller token ids are special in the published vocabularies; padding would shift positions
Measure = Callable[[str, int, int], dict[str, Any]]


class Subject(NamedTuple):
    """A model on its device, and how large it is saved."""

    model: PreTrainedModel | None  # None where it does not fit
    size_mb: float | None
    vocabulary: int


@contextmanager
def bench(models: Mapping[str, Mapping[str, Any]], device: str, timing: Timing) -> Iterator[Measure]:
    """A function of model name, batch size and length that gives what is measured.

    One model is held at a time, the reference throughout. Torch's thread count is put back at the end.
    Raises SpecError where there is no such device.
    """
    place = _device(device)
    threads = torch.get_num_threads()
    held: dict[str, Subject] = {}

    def measure(name: str, batch: int, length: int) -> dict[str, Any]:
        if name not in held:
            for other in set(held) - {timing.reference}:
                del held[other]
            _free(place)
            held[name] = _subject(models[name], place)
        beside = None if name == timing.reference else held.get(timing.reference or "")
        found = _measured(held[name], beside, (batch, length), place, timing)
        return {"size_mb": held[name].size_mb, "machine": machine, "protocol": timing.protocol, **found}

    try:
        if timing.threads is not None:
            torch.set_num_threads(timing.threads)
        machine = describe(place)
        if timing.reference is not None:
            held[timing.reference] = _subject(models[timing.reference], place)
        yield measure
    finally:
        held.clear()
        _free(place)
        torch.set_num_threads(threads)


def describe(device: torch.device) -> dict[str, Any]:
    """What a latency depends on besides the model; rows of different machines do not belong in one column."""
    clock = time.get_clock_info("perf_counter")
    found = {
        "host": platform.node(),
        "cpu": _cpu_name(),
        "device": str(device),
        "device_name": _cpu_name(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "transformers": transformers.__version__,
        "clock": f"{clock.implementation}, {clock.resolution} s",
    }
    if device.type == "cuda":
        found |= {"device_name": torch.cuda.get_device_name(device), "cuda": str(torch.version.cuda)}
    return found


def _measured(
    subject: Subject, reference: Subject | None, size: tuple[int, int], device: torch.device, timing: Timing
) -> dict[str, Any]:
    """Latencies of a model on tokens [batch, length], in turns with the reference where that fits as well."""
    tokens = _tokens(subject.vocabulary, size, device)
    if not _warm(subject.model, tokens, timing):
        return {"latency_ms": None, "status": "out_of_memory"}
    assert subject.model is not None
    turns: dict[str, tuple[PreTrainedModel, torch.Tensor]] = {"own": (subject.model, tokens)}
    if reference is not None and reference.model is not None:
        other = _tokens(reference.vocabulary, size, device)
        if _warm(reference.model, other, timing):
            turns = {"reference": (reference.model, other), **turns}
    taken: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(timing.repeats):
        for name, (model, inputs) in turns.items():
            taken[name].append(_call(model, inputs, timing))
    found = {**summary(taken["own"], timing.protocol), "status": "measured"}
    if "reference" in taken:
        theirs = summary(taken["reference"], timing.protocol)
        found |= {
            "reference": timing.reference,
            "reference_ms": theirs["latency_ms"],
            "reference_median_ms": theirs["latency_median_ms"],
        }
    return found


def _warm(model: PreTrainedModel | None, tokens: torch.Tensor, timing: Timing) -> bool:
    """Call the model before the clock counts; False where it does not fit."""
    if model is None:
        return False
    try:
        for _ in range(max(timing.warm_up, 1)):  # the first call shows whether memory suffices
            _call(model, tokens, timing)
    except Exception as error:
        if not out_of_memory(error):
            raise
        _free(tokens.device)
        return False
    return True


@torch.inference_mode()
def _call(model: PreTrainedModel, tokens: torch.Tensor, timing: Timing) -> float:
    """Milliseconds of one forward pass of tokens [batch, length]."""
    wait = timing.protocol == "sound" and tokens.device.type == "cuda"
    if wait:
        torch.cuda.synchronize(tokens.device)
    start = time.perf_counter()
    model(input_ids=tokens)
    if wait:  # kernels run on behind the call
        torch.cuda.synchronize(tokens.device)
    return (time.perf_counter() - start) * 1000


def _device(name: str) -> torch.device:
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SpecError(
            "there is no GPU here that torch can use", hint="Measure on cpu, or on a node with a GPU."
        )
    return device


def _subject(architecture: Mapping[str, Any], device: torch.device) -> Subject:
    """A model with random float32 weights, ready to be timed."""
    size, vocabulary = None, int(architecture["vocab_size"])
    try:
        model = _build(architecture)
        size = _size_mb(model)
        return Subject(model.to(device), size, vocabulary)
    except Exception as error:
        if not out_of_memory(error):
            raise
        return Subject(None, size, vocabulary)


def _build(architecture: Mapping[str, Any]) -> PreTrainedModel:
    config = AutoConfig.for_model(**architecture, num_labels=LABELS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model: PreTrainedModel = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)
    return model.eval()


def _tokens(vocabulary: int, size: tuple[int, int], device: torch.device) -> torch.Tensor:
    """Random token ids [batch, length], the same for the same size on every machine."""
    seeded = torch.Generator().manual_seed(SEED)
    return torch.randint(FIRST_WORD, vocabulary, size, generator=seeded).to(device)


class _Counter(RawIOBase):
    """A file that keeps nothing but its size."""

    size = 0

    def writable(self) -> bool:
        return True

    def write(self, chunk: Any) -> int:
        length = memoryview(chunk).nbytes
        self.size += length
        return length


def _size_mb(model: PreTrainedModel) -> float:
    """Mebibytes of the saved state dict, as torch writes it."""
    counter = _Counter()
    torch.save(model.state_dict(), cast("IO[bytes]", counter))
    return counter.size / 2**20


def _free(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _cpu_name() -> str:
    listed = Path("/proc/cpuinfo")
    lines: Sequence[str] = listed.read_text(encoding="utf-8").splitlines() if listed.exists() else ()
    named = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return named or platform.processor() or f"{platform.machine()}, {os.cpu_count()} cores"

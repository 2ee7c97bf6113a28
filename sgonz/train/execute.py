"""One run in this process: the right kind of work, and an end that is told whatever happens."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import datasets
import msgspec
import torch
import transformers

from sgonz.errors import RunError, SgonzError
from sgonz.events import Event, RunEnded
from sgonz.plan.history import History, start
from sgonz.plan.prediction import micro_batch_within
from sgonz.plan.runs import TRAINED, Kind, Outcome, RunSpec
from sgonz.rundir import RunDir, still_holds, write_atomic
from sgonz.train.checkpoint import TakenOver
from sgonz.train.crew import join, leave
from sgonz.train.device import blamed, check_device, memory_mb, take_device
from sgonz.train.distill import distill
from sgonz.train.evaluate import evaluate
from sgonz.train.finetune import finetune
from sgonz.train.logits import logits
from sgonz.train.measuring import benchmark
from sgonz.train.memory import out_of_memory
from sgonz.train.quiet import hush
from sgonz.train.report import device_name
from sgonz.train.running import NotYet, Running
from sgonz.train.seat import ALONE, Seat

KINDS: Mapping[Kind, Callable[[Running], RunEnded]] = {
    Kind.FINETUNE: finetune,
    Kind.LOGITS: logits,
    Kind.DISTILL: distill,
    Kind.EVALUATE: evaluate,
    Kind.BENCHMARK: benchmark,
    Kind.NOOP: Running.ended,
}
PACKAGE = str(Path(__file__).parents[1])


def never() -> bool:
    return False


def execute(
    run: RunDir,
    attempt: int,
    emit: Callable[[Event], None],
    *,
    stop: Callable[[], bool] = never,
    history: History | None = None,
    seat: Seat = ALONE,
    listener: socket.socket | None = None,
) -> RunEnded:
    """Do a run, or the rest of it, and return how that ended; a result is on disk before this returns.

    `stop` is asked between steps; once it is true the run writes a checkpoint and ends as PREEMPTED. Errors
    become an end too, with their traceback on stderr. `history` says what earlier runs of this shape fitted.
    One of several processes is told its `seat`, and the first one where it listens; only that one writes.
    """
    spec = run.read_spec()
    if result := run.read_result():
        shutil.rmtree(run.checkpoint, ignore_errors=True)  # of an attempt that was killed right after it
        return msgspec.structs.replace(result, attempt=attempt, adopted=True)
    running = Running(run=run, spec=spec, attempt=attempt, emit=emit, stop=stop, device=torch.device("cpu"))
    try:
        device = settle(spec.threads, seat)
        seat = seat if device.index is None else replace(seat, local_rank=device.index)
        micro_batch, recompute = begin(history or History(), spec, device, seat)
        running = replace(running, device=device, micro_batch=micro_batch, recompute=recompute)
        if spec.kind not in KINDS:
            raise RunError(f"runs of kind {spec.kind} cannot be done here")
        check_device(spec, seat, device)
        if spec.kind in TRAINED:  # by several processes together, where there are several
            running = replace(running, seat=seat, crew=join(seat, device, listener))
        elif seat.rank > 0:  # what does not train is done by one process
            return running.ended()
        result = KINDS[spec.kind](running)
        if result.outcome is Outcome.COMPLETED and running.crew.leads:
            hand_over(running, result)
    # Whoever ends otherwise than all others does not part from them: NCCL would wait for what they wait for.
    except (TakenOver, NotYet) as error:
        return running.ended(Outcome.PREEMPTED, error=str(error))
    except (Exception, KeyboardInterrupt) as error:
        traceback.print_exc()
        return running.ended(outcome_of(error), error=explained(error), signature=signature(error))
    leave()
    return result


def begin(
    history: History, spec: RunSpec, device: torch.device, seat: Seat = ALONE
) -> tuple[int | None, bool]:
    """How a run begins: with what fitted its like, or with what is predicted to fit where larger batches were measured."""
    micro_batch, recompute = start(history, spec, device_name())
    if micro_batch is None and not recompute and device.type == "cuda":
        micro_batch = micro_batch_within(history, spec, device_name(), memory_mb(device, seat))
    return micro_batch, recompute


def settle(threads: int, seat: Seat = ALONE) -> torch.device:
    """Prepare the process: threads as the run says, the same numbers every time, no noise on stderr."""
    torch.set_num_threads(threads)
    with contextlib.suppress(RuntimeError):  # refused once work has begun, which a fresh child has not
        torch.set_num_interop_threads(1)
    os.environ["TOKENIZERS_PARALLELISM"] = "true" if threads > 1 else "false"
    os.environ["RAYON_NUM_THREADS"] = str(threads)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    datasets.utils.logging.set_verbosity_error()
    datasets.disable_progress_bars()
    datasets.disable_caching()
    hush()
    device = take_device(seat)
    torch.use_deterministic_algorithms(device.type == "cpu")  # several GPU kernels have no such form
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # slow, and nobody reads it
    return device


def hand_over(running: Running, result: RunEnded) -> None:
    """Write the result last of all, then drop what only an unfinished run needs."""
    if not still_holds(running.run, running.attempt):
        raise TakenOver(f"attempt {running.attempt} no longer holds {running.spec.run_id}")
    for draft in running.run.output.glob(
        f".{running.run.result.name}.*"
    ):  # of an attempt that was killed in this
        draft.unlink(missing_ok=True)
    write_atomic(running.run.result, msgspec.json.encode(result))
    shutil.rmtree(running.run.checkpoint, ignore_errors=True)


def outcome_of(error: BaseException) -> Outcome:
    if out_of_memory(error):
        return Outcome.OUT_OF_MEMORY
    return Outcome.CANCELLED if isinstance(error, KeyboardInterrupt) else Outcome.FAILED


def one_line(error: BaseException) -> str:
    message = error.message if isinstance(error, SgonzError) else str(error)
    return " ".join(f"{type(error).__name__}: {message}".split())[:500]


def explained(error: BaseException) -> str:
    """With what to do about it, where that is known."""
    hint = error.hint if isinstance(error, SgonzError) else None
    return f"{one_line(error)}. {hint}"[:500] if hint else one_line(error)


def signature(error: BaseException) -> str:
    """The same text for the same failure in the same place: type, our innermost function, message without digits."""
    ours = [
        frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(PACKAGE)
    ]
    place = f"{Path(ours[-1].filename).stem}.{ours[-1].name}" if ours else "?"
    said = re.sub(r"\d+", "#", f"{type(error).__name__} in {place}: {one_line(error)}")
    return said[:300] + blamed(error)

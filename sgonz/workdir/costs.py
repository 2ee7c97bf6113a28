"""history.json: written by turns, read by workers and by whoever plans."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from sgonz.plan.history import HISTORY_FORMAT, History, Trial, noted
from sgonz.plan.runs import RunSpec
from sgonz.rundir import Workdir, write_atomic


def read(workdir: Workdir) -> History:
    """What is known; nothing where the file is absent, or was written by another version and means other things."""
    try:
        found = msgspec.json.decode(workdir.history.read_bytes(), type=History)
    except (FileNotFoundError, msgspec.DecodeError):
        return History()
    return found if found.version == HISTORY_FORMAT else History()


def record(workdir: Workdir, run_ids: Iterable[str]) -> None:
    """Add what runs cost that have ended with a result; the file is left alone where that teaches nothing."""
    trials = [trial for run_id in run_ids if (trial := _trial(workdir, run_id)) is not None]
    if trials:
        write(workdir, noted(read(workdir), trials))


def write(workdir: Workdir, history: History) -> None:
    write_atomic(workdir.history, msgspec.json.encode(history))


def _trial(workdir: Workdir, run_id: str) -> tuple[RunSpec, Trial] | None:
    run = workdir.run(run_id)
    try:
        result, spec = run.read_result(), run.read_spec()
    except (OSError, msgspec.DecodeError):
        return None
    if result is None or result.device is None:
        return None
    micro_batch = result.notes.get("micro_batch")
    whole = (
        result.attempt == 1 and result.epochs_done
    )  # a later attempt may have done some of the epochs alone
    return spec, Trial(
        device=result.device, batch_size=spec.settings.batch_size,
        micro_batch=micro_batch if isinstance(micro_batch, int) else None,
        recompute=bool(result.notes.get("recompute")), seconds_per_step=result.seconds_per_step,
        seconds_per_epoch=result.seconds / result.epochs_done if whole and result.epochs_done else None, peak_memory_mb=result.peak_memory_mb,
        host_memory_mb=result.host_memory_mb, device_use=result.device_use, energy_joules=result.energy_joules,
    )  # fmt: skip

"""python -m sgonz.train RUN_DIR: one run at a prompt, told in readable lines."""

from __future__ import annotations

import sys
from pathlib import Path

from sgonz.errors import SgonzError
from sgonz.events import EpochEnded, Event, MemoryShort, Progress, RunEnded, RunReady
from sgonz.plan.runs import Outcome
from sgonz.rundir import RunDir, claim, last_claim
from sgonz.train.execute import execute
from sgonz.workdir import costs


def main(arguments: list[str]) -> int:
    """Do the run; 0 when it completed, 1 when not, 2 for a folder that is no run."""
    if len(arguments) != 1 or not (run := RunDir(Path(arguments[0]).resolve())).spec.is_file():
        print("usage: python -m sgonz.train RUN_DIR    (a folder with run.json in it)", file=sys.stderr)
        return 2
    held = last_claim(run)
    mine = claim(run, tag="prompt", sequence=held.sequence if held else 0, element=0,
                 restart=held.restart if held else 0)  # fmt: skip
    try:
        ended = execute(run, mine.attempt, tell, history=costs.read(run.workdir))
    except SgonzError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    tell(ended)
    return 0 if ended.outcome is Outcome.COMPLETED else 1


def tell(event: Event) -> None:
    """One event as a line for people."""
    match event:
        case RunReady():
            print(f"ready on {event.device}, {event.precision}: {event.rows} rows, {event.steps} steps, "
                  f"{event.parameters:,} parameters")  # fmt: skip
        case Progress():
            print(f"epoch {event.epoch}, step {event.step}/{event.steps}: loss {event.loss:.4f}, "
                  f"{event.rows_per_second:.0f} rows/s")  # fmt: skip
        case MemoryShort():
            print(f"out of memory at step {event.step}: now in micro-batches of {event.micro_batch}"
                  f"{', recomputing activations' if event.recompute else ''}")  # fmt: skip
        case EpochEnded():
            print(f"epoch {event.epoch} in {event.seconds:.1f} s: train {shown(event.train_loss)}, "
                  f"validation {shown(event.validation_loss)} ({listed(event.validation)})"
                  f"{' *' if event.improved else ''}")  # fmt: skip
        case RunEnded():
            print(f"{event.outcome} after {event.seconds:.1f} s: {event.error or listed(event.validation | event.test)}"
                  f"{' (result was there already)' if event.adopted else ''}")  # fmt: skip


def shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def listed(scores: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in scores.items())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

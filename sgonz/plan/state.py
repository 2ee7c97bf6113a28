"""What the coordinator knows at one moment, as plain values: the input of `decide`."""

from __future__ import annotations

import msgspec

from sgonz.plan.runs import Kind, Outcome, State

INVALIDATED = "invalidated: "  # what the reason of a run begins with that is to be done again
INVALIDATED_AT_WORK = "invalidated while a job had it: "


# Plain values, so nothing in them points back: with a hundred thousand of them the garbage collector, which would look
# at each again and again, took a third of a turn.
class RunRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One run as the store knows it."""

    run_id: str
    kind: Kind
    dataset: str
    model: str
    teacher: str | None = None  # model name of the teacher (logits, distill, evaluate of a student)
    protocol: str = "sound"
    seed: int = 42
    learning_rate: float | None = None
    batch_size: int | None = None
    epochs: int | None = None
    state: State = State.PENDING
    reason: str | None = None  # why it stands there, where that is not plain
    needs: tuple[str, ...] = ()
    attempts: int = 0
    failures: int = 0  # attempts that ended FAILED or OUT_OF_MEMORY since the last retry by hand
    interruptions: int = 0  # attempts that ended by timeout, preemption, a lost node or an unknown cause
    last_outcome: Outcome | None = None
    signature: str | None = None  # of the last failure
    signature_repeats: int = 0  # how many of the last failures in a row had it
    ended: float | None = None  # time of the last attempt's end
    tag: str | None = None  # of the submission that carries it, while SUBMITTED or RUNNING
    element: int | None = None
    best_epoch: int | None = None
    epochs_done: int | None = None
    validation_loss: float | None = None
    validation: dict[str, float] = {}
    test: dict[str, float] = {}
    flags: tuple[str, ...] = ()
    seconds: float | None = None  # of the completed attempt
    generation: int = 1  # raised whenever a person invalidates what there is of it
    selected: bool = False
    superseded: bool = False
    tags: tuple[str, ...] = ()  # of the sweeps that it stands in

    @property
    def was_interrupted(self) -> bool:
        """Whether its last attempt ended through no fault of its own."""
        return self.last_outcome is not None and self.last_outcome.is_interruption


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """One live job: an element of a submission that has not ended."""

    tag: str
    element: int
    sequence: int
    external_id: str | None = None  # Slurm's job id, or pid and start time on this machine
    run_ids: tuple[str, ...] = ()
    started: bool = False  # its worker has written an event
    ended: bool = False  # its worker has said that it leaves
    idle: bool = False  # it has started and carries no live run: its worker may wait for more
    sweep_id: int = 0


class ScoreRow(msgspec.Struct, frozen=True, kw_only=True):
    """One epoch of one run, for curves."""

    run_id: str
    epoch: int
    train_loss: float | None
    validation_loss: float | None
    validation: dict[str, float]

"""The training loop: set-up, steps, validation, end. Every kind of training goes through it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from sgonz.errors import RunError
from sgonz.events import RunEnded, RunReady
from sgonz.plan.protocol import Protocol
from sgonz.plan.runs import Outcome, RunSpec
from sgonz.rundir import still_holds
from sgonz.train import batches, checkpoint, memory, models, precision, step
from sgonz.train.checkpoint import Position
from sgonz.train.evaluation import Evaluation, Pass, always, evaluate
from sgonz.train.report import Reporter, device_name
from sgonz.train.running import Running, Stopped
from sgonz.train.seat import Seat
from sgonz.train.step import Machine, Teach
from sgonz.train.stopping import EarlyStopping
from sgonz.train.tasks.task import Task
from sgonz.train.tokenise import Split

# How far apart, of itself, the losses of one checkpoint may be: scored again in smaller parts, or on another GPU.
SAME_LOSS: Mapping[precision.Resolved, float] = {"fp32": 1e-3, "bf16": 2e-2, "fp16": 2e-2}


@dataclass(frozen=True, kw_only=True)
class Training:
    """Everything that the loop is given."""

    running: Running
    task: Task
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    train: Split
    validation: Split
    teach: Teach | None = None
    notes: models.Notes = field(default_factory=dict)


def train(training: Training) -> RunEnded:
    """Train to the end, or to where `stop` says so, and leave the best model in the run's output."""
    running, spec, settings = training.running, training.running.spec, training.running.spec.settings
    arithmetic = precision.resolve(
        spec.precision, kind=spec.kind, switches=spec.switches, device=running.device,
        scales=running.seat.deepspeed is None,
    )  # fmt: skip
    rows = np.flatnonzero(training.train.counts)  # a sentence without words teaches nothing
    if not len(rows):
        raise RunError("the training split has no row to learn from")
    per_epoch = batches.steps_per_epoch(len(rows), settings.batch_size)
    parameters = sum(parameter.numel() for parameter in training.model.parameters())
    machine, stopping, at = set_up(training, arithmetic, steps=settings.epochs * per_epoch)
    running.emit(
        RunReady(
            time=time.time(), run_id=spec.run_id, attempt=running.attempt, device=device_name(),
            precision=arithmetic, epoch=at.epoch, steps=settings.epochs * per_epoch, rows=len(rows),
            micro_batch=at.micro_batch, parameters=parameters,
        )
    )  # fmt: skip
    report = Reporter(running.emit, spec.run_id, running.attempt, epochs=settings.epochs, per_epoch=per_epoch)

    try:
        while at.epoch < settings.epochs and stopping.patience_left != 0:
            plan = batches.epoch_batches(
                training.train.lengths[rows], batch_size=settings.batch_size, seed=spec.seed, epoch=at.epoch,
                order=training_order(spec),
            )  # fmt: skip
            while at.step < per_epoch:
                running.go_on()
                if running.crew.any(report.checkpoint_due()):
                    save_last(training, machine, stopping, at, report)
                if validation_due(settings.eval_every_steps, at, report):
                    validate(training, machine, stopping, at, report)
                chosen, began = rows[plan[at.step]], time.monotonic()
                loss, _ = step.take(
                    machine, chosen, report.steps_done(at), fit_of(at), partial(shrink, at, report)
                )
                at.loss_sum += loss
                at.loss_steps += 1
                at.step += 1
                report.step(at, len(chosen), began)
            validate(training, machine, stopping, at, report, epoch_ends=True)
            save_last(training, machine, stopping, at, report)
    except Stopped:
        save_last(training, machine, stopping, at, report)
        return running.ended(Outcome.PREEMPTED, epochs_done=at.epoch)
    except Exception as error:
        if memory.out_of_memory(error) and still_holds(running.run, running.attempt):
            left = memory.leave_smaller(running.run, at.micro_batch, at.recompute)
            if left and not machine.can_repeat:
                shrink(at, report, step.Fit(*left))
        raise
    return finish(training, machine, at, arithmetic, report)


def set_up(
    training: Training, arithmetic: precision.Resolved, *, steps: int
) -> tuple[Machine, EarlyStopping, Position]:
    """The machine, and where it begins: anew, or where a checkpoint was written."""
    running, settings = training.running, training.running.spec.settings
    machine, stopping = machine_of(training, arithmetic, steps=steps), early_stopping(running.spec)
    share = -(-settings.batch_size // running.crew.world)
    at = Position(
        micro_batch=min(running.micro_batch or share, share), recompute=running.recompute,
        loss_sum=zero(running.device),
    )  # fmt: skip
    state: dict[str, Any] = {}
    if saved := running.crew.first(checkpoint.find(last(training))):
        checkpoint.load_weights(saved / checkpoint.WEIGHTS, machine.bare_model)
        state = checkpoint.load_state(saved / checkpoint.STATE)
        stopping, at = EarlyStopping.from_state(state["stopping"]), Position(**state["position"])
        at.loss_sum = at.loss_sum.to(running.device)
    at.micro_batch, at.recompute = memory.smaller(running.run, min(at.micro_batch, share), at.recompute)
    at.micro_batch, at.recompute = running.crew.first((at.micro_batch, at.recompute))
    if at.recompute:
        memory.recompute_activations(machine.bare_model)
    if running.seat.deepspeed is not None:
        machine = zero_machine(machine, running.seat, at.micro_batch)  # takes the weights as they are now
    if state:
        restore(machine, state)
    return machine, stopping, at


def zero_machine(machine: Machine, seat: Seat, micro_batch: int) -> Machine:
    from sgonz.train.zero import build  # DeepSpeed is an extra, and slow to import

    return build(machine, seat, micro_batch)


def machine_of(training: Training, arithmetic: precision.Resolved, *, steps: int) -> Machine:
    """Model and optimizer on the run's device."""
    return step.build(
        training.running.spec, accelerator(arithmetic, training.running.device), training.model,
        training.task, training.train, training.teach, steps, training.running.crew,
    )  # fmt: skip


def accelerator(arithmetic: precision.Resolved, device: torch.device) -> Accelerator:
    AcceleratorState._reset_state(reset_partial_state=True)  # one process may do runs of several precisions
    return Accelerator(cpu=device.type == "cpu", mixed_precision=precision.AUTOCAST[arithmetic])


def early_stopping(spec: RunSpec) -> EarlyStopping:
    rule: Protocol = "paper" if spec.switches.get("patience_rule") == "exceeded" else "sound"
    return EarlyStopping(
        spec.settings.patience, rule, higher_is_better=spec.criterion.removeprefix("validation_") != "loss"
    )


def training_order(spec: RunSpec) -> batches.Order:
    if spec.switches.get("distill_order") == "file":
        return "file"
    return batches.order_of(spec.switches)


def validation_due(every: int | None, at: Position, report: Reporter) -> bool:
    """Whether the split is scored here, inside an epoch, and has not been yet."""
    return every is not None and 0 < at.step != at.scored_step and report.steps_done(at) % every == 0


def validate(
    training: Training,
    machine: Machine,
    stopping: EarlyStopping,
    at: Position,
    report: Reporter,
    *,
    epoch_ends: bool = False,
) -> None:
    """Score the validation split, keep the model if none was better, and at an epoch's end count the epoch."""
    running = training.running
    found = score(training, machine, at, report, go_on=running.go_on)
    value = found.value(running.spec.criterion)
    if epoch_ends and stopping.best is None and at.epoch_best is None and is_lost(machine, value):
        raise nothing_finite(running.spec, at.epoch + 1)
    if better := beats(stopping, at.epoch_best, value):
        best = checkpoint.Best(
            epoch=at.epoch + 1, step=report.steps_done(at), loss=found.loss, scores=found.scores
        )
        put(training, machine, running.run.checkpoint / "best",
            lambda folder: checkpoint.save_best(folder, machine.bare_model, best))  # fmt: skip
        at.epoch_best = value
    at.scored_step = at.step
    if epoch_ends:
        stopping.update(value if at.epoch_best is None else at.epoch_best)
        at.epoch, at.step, at.scored_step, at.epoch_best = at.epoch + 1, 0, 0, None
    report.validation(at, found, learning_rate=float(machine.scheduler.get_last_lr()[0]), improved=better,
                      patience_left=stopping.patience_left)  # fmt: skip
    at.loss_sum, at.loss_steps = zero(running.device), 0


def is_lost(machine: Machine, value: float) -> bool:
    """Whether no later epoch can be better either: weights that are no numbers never become numbers again."""
    if math.isfinite(value) or machine.crew.world > 1:  # several processes may see different parts of them
        return False
    return not all(bool(weights.isfinite().all()) for weights in machine.bare_model.parameters())


def nothing_finite(spec: RunSpec, epochs: int) -> RunError:
    return RunError(f"no validation in {epochs} epochs gave a finite {spec.criterion}",
                    hint="The learning rate is probably too high for this model.")  # fmt: skip


def score(
    training: Training,
    machine: Machine,
    at: Position,
    report: Reporter,
    *,
    go_on: Callable[[], None] = always,
) -> Evaluation:
    """The validation split's loss and scores as the run's protocol counts them."""
    spec = training.running.spec
    machine.model.eval()

    def shrunk(micro_batch: int) -> None:
        at.reading = micro_batch
        training.running.read_smaller(micro_batch, report.steps_done(at))

    going = Pass(batch_size=spec.settings.batch_size, order=batches.order_of(spec.switches), go_on=go_on,
                 mean_of_batches=spec.switches.get("validation_mean") == "batches", crew=machine.crew,
                 shrunk=shrunk)  # fmt: skip
    size = min(at.micro_batch, at.reading or at.micro_batch)
    return evaluate(training.task, machine.forward, training.validation, going, micro_batch=size)


def beats(stopping: EarlyStopping, epoch_best: float | None, value: float) -> bool:
    """Whether a value is strictly better than all before it, those inside this epoch included."""
    trial = EarlyStopping.from_state(stopping.state())
    if epoch_best is not None:
        trial.update(epoch_best)
    trial.update(value)
    return trial.improved


def fit_of(at: Position) -> step.Fit:
    return step.Fit(at.micro_batch, at.recompute)


def shrink(at: Position, report: Reporter, fit: step.Fit) -> None:
    """Go on in smaller parts, and say so."""
    at.micro_batch, at.recompute = fit
    report.shrunk(at)


def last(training: Training) -> Path:
    return training.running.run.checkpoint / "last"


def put(training: Training, machine: Machine, folder: Path, fill: Callable[[Path], None]) -> None:
    """Have the leading process write a folder, with the weights whole."""
    with machine.whole():
        if machine.crew.leads:
            checkpoint.put(training.running.run, training.running.attempt, folder, fill)


def save_last(
    training: Training, machine: Machine, stopping: EarlyStopping, at: Position, report: Reporter
) -> None:
    """Write all that going on needs."""
    scaler = machine.accelerator.scaler
    state = {
        "optimizer": machine.optimizer_state(),
        "scheduler": machine.scheduler.state_dict(),
        "scaler": scaler.state_dict() if scaler else None,
        "stopping": stopping.state(),
        "position": asdict(at),
    }

    def fill(folder: Path) -> None:
        checkpoint.save_weights(folder / checkpoint.WEIGHTS, machine.bare_model)
        checkpoint.save_state(folder / checkpoint.STATE, state)

    put(training, machine, last(training), fill)
    report.checkpointed()


def restore(machine: Machine, state: Mapping[str, Any]) -> None:
    """Take up optimizer, schedule and loss scaling where a checkpoint was written."""
    machine.load_optimizer_state(state["optimizer"])
    machine.scheduler.load_state_dict(state["scheduler"])
    if machine.accelerator.scaler and state["scaler"]:
        machine.accelerator.scaler.load_state_dict(state["scaler"])


def finish(
    training: Training, machine: Machine, at: Position, arithmetic: precision.Resolved, report: Reporter
) -> RunEnded:
    """Reload the best checkpoint on this device, score it again, and hand it over."""
    running = training.running
    folder = running.crew.first(
        checkpoint.find(running.run.checkpoint / "best")
    )  # once the leader has written it
    if folder is None:
        raise nothing_finite(running.spec, at.epoch)
    best = checkpoint.load_best(folder)
    with machine.whole(change=True):
        checkpoint.load_weights(folder / checkpoint.WEIGHTS, machine.bare_model)
    found = score(training, machine, at, report)
    near = SAME_LOSS[arithmetic]
    if not math.isclose(found.loss, best.loss, rel_tol=near, abs_tol=near):
        raise RunError(f"the best checkpoint has loss {found.loss} after reloading, {best.loss} before",
                       hint="The checkpoint on disk is not the model that was scored.")  # fmt: skip
    put(training, machine, running.run.output / "model",
        lambda folder: models.save(folder, machine.bare_model, training.tokenizer))  # fmt: skip
    notes = training.notes | {"precision": arithmetic, "best_step": best.step, "micro_batch": at.micro_batch}
    if at.recompute:
        notes["recompute"] = 1
    if running.seat.world > 1:
        notes["processes"] = running.seat.world
    if running.seat.deepspeed is not None:
        notes["engine"] = "deepspeed"
    return running.ended(
        epochs_done=at.epoch, best_epoch=best.epoch, validation_loss=found.loss, validation=found.scores,
        flags=found.flags, notes=notes, device=device_name(), seconds_per_step=report.seconds_per_step,
        peak_memory_mb=report.sampler.most_mb or None, host_memory_mb=report.sampler.most_host_mb,
        device_use=report.sampler.mean_use, energy_joules=report.sampler.joules,
    )  # fmt: skip


def zero(device: torch.device) -> Tensor:
    return torch.zeros((), dtype=torch.float64, device=device)

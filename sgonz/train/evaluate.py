"""A run that scores a trained model on the test split."""

from __future__ import annotations

from sgonz.errors import RunError
from sgonz.events import RunEnded
from sgonz.plan.runs import Outcome
from sgonz.train import batches, precision, preparation
from sgonz.train.evaluation import Pass
from sgonz.train.evaluation import evaluate as measure
from sgonz.train.inference import answering, say_ready
from sgonz.train.running import Running, Stopped
from sgonz.train.unit_rows import with_units


def evaluate(running: Running) -> RunEnded:
    """Score the needed run's model, decoded as it was trained to be."""
    spec = running.spec
    model, tokenizer, labels, units = preparation.saved_model(running, "model")
    if spec.dataset.labels and sorted(spec.dataset.labels) != sorted(labels):
        raise RunError(f"the model's labels are {', '.join(labels)}; the data set's are other ones")
    task = preparation.task_for(spec, model.config, tokenizer, labels, units)
    test = preparation.split(running, task, tokenizer, "test")
    if units:
        test, _ = with_units(test, running.run.workdir.cache, pool=units)
    arithmetic = precision.resolve(
        spec.precision, kind=spec.kind, switches=spec.switches, device=running.device
    )
    say_ready(running, model, arithmetic, len(test.rows))
    going = Pass(
        batch_size=spec.settings.batch_size, order=batches.order_of(spec.switches), go_on=running.go_on,
        shrunk=running.read_smaller,
    )  # fmt: skip
    forward = answering(running, model, arithmetic)
    try:
        found = measure(task, forward, test, going, micro_batch=going.batch_size)
    except Stopped:
        return running.ended(Outcome.PREEMPTED)
    return running.ended(
        test=found.scores | {"loss": found.loss},
        flags=found.flags,
        notes={"precision": arithmetic} | preparation.counted(test=test),
    )

"""A run that trains a model on gold labels."""

from __future__ import annotations

from sgonz.events import RunEnded
from sgonz.train import loop, preparation
from sgonz.train.running import Running


def finetune(running: Running) -> RunEnded:
    """Load model and data, then train."""
    return loop.train(prepare(running))


def prepare(running: Running) -> loop.Training:
    """All that the loop needs."""
    spec = running.spec
    labels = preparation.labels(spec)
    tokenizer = preparation.tokenizer_of(spec, spec.model)
    preparation.check_unchanged(spec.model, running.run.workdir.cache)
    model, notes = preparation.new_model(spec, labels, tokenizer)
    task = preparation.task_for(spec, model.config, tokenizer, labels)
    train = preparation.split(running, task, tokenizer, "train")
    validation = preparation.split(running, task, tokenizer, "validation")
    return loop.Training(
        running=running, task=task, model=model, tokenizer=tokenizer, train=train, validation=validation,
        notes=notes | preparation.counted(train=train, validation=validation),
    )  # fmt: skip

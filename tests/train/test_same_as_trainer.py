"""Our loop takes the steps that Hugging Face's Trainer takes on the same rows, in the same order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import Sampler
from transformers import Trainer, TrainingArguments

from sgonz.events import EpochEnded
from sgonz.plan.runs import Kind, Outcome
from sgonz.train import batches, finetune, step
from sgonz.train.loop import Training, machine_of
from sgonz.train.tasks.task import IGNORED, Batch

BATCH, EPOCHS = 10, 2  # 96 rows: the last step of an epoch has 6
NO_DROPOUT = {
    "bert": {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
    "albert": {"classifier_dropout_prob": 0.0},
    "roberta": {},
}


class Order(Sampler[int]):
    """The rows of every epoch as our plan has them."""

    def __init__(self, training: Training) -> None:
        self.training, self.epoch = training, 0

    def __len__(self) -> int:
        return len(self.training.train.rows)

    def __iter__(self) -> Any:
        plan = batches.epoch_batches(self.training.train.lengths, batch_size=BATCH, seed=self.training.running.spec.seed,
                                     epoch=self.epoch, order="plain")  # fmt: skip
        self.epoch += 1
        return iter([int(row) for rows in plan for row in rows])


class InOurOrder(Trainer):
    """Trainer as it is, but for where its rows come from."""

    order: Order

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        return self.order


def labelled(batch: Batch) -> dict[str, torch.Tensor]:
    """A batch as the library's own heads take it, labels and all."""
    targets = batch.targets
    if "label" in targets:
        return batch.inputs | {"labels": targets["label"]}
    if "tag" in targets:
        labels = torch.full_like(batch.inputs["input_ids"], IGNORED)
        labels[targets["row"], targets["position"]] = targets["tag"]
        return batch.inputs | {"labels": labels}
    return batch.inputs | {"start_positions": targets["start"], "end_positions": targets["end"]}


def prepared(bench: Any, dataset: str, family: str, **fields: Any) -> tuple[Any, Training]:
    run = bench.run("ours", Kind.FINETUNE, dataset, family, model_fields={"overrides": NO_DROPOUT[family]},
                    switches={"batching": "plain", "qa_columns": "all"},
                    settings={"batch_size": BATCH, "epochs": EPOCHS, "eval_every_steps": 1, **fields})  # fmt: skip
    return run, finetune.prepare(bench.preparing(run))


def their_trainer(training: Training, folder: Path, **more: Any) -> InOurOrder:
    settings = training.running.spec.settings
    arguments = TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=BATCH, num_train_epochs=EPOCHS, learning_rate=settings.learning_rate,
        lr_scheduler_type="linear", weight_decay=settings.weight_decay, max_grad_norm=settings.max_grad_norm, logging_steps=1,
        logging_nan_inf_filter=False, save_strategy="no", report_to=[], use_cpu=True, disable_tqdm=True,
        dataloader_pin_memory=False, optim="adamw_torch", remove_unused_columns=False, **more,
    )  # fmt: skip
    trainer = InOurOrder(
        model=training.model, args=arguments, train_dataset=list(range(len(training.train.rows))),
        data_collator=lambda rows: labelled(training.task.collate(training.train.take(rows))),
    )  # fmt: skip
    trainer.order = Order(training)
    return trainer


@pytest.mark.parametrize(("dataset", "family"), [("pair", "albert"), ("tagging", "bert"), ("qa", "roberta")])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_losses_step_by_step(bench: Any, tmp_path: Path, dataset: str, family: str) -> None:
    run, training = prepared(bench, dataset, family, weight_decay=0.01)
    trainer = their_trainer(training, tmp_path / "theirs")
    trainer.train()
    theirs = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert bench.do(run).outcome is Outcome.COMPLETED
    ours = [event.train_loss for event in bench.events if isinstance(event, EpochEnded)]
    ours = [loss for loss in ours if loss is not None]
    steps = EPOCHS * batches.steps_per_epoch(len(training.train.rows), BATCH)
    assert len(ours) == len(theirs) == steps
    assert max(theirs) > 1.3 * min(theirs), "a model that stands still proves nothing"
    assert ours == pytest.approx(theirs, rel=2e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_weights_after_the_last_step(bench: Any, tmp_path: Path) -> None:
    _, training = prepared(bench, "pair", "albert", weight_decay=0.01)
    _, total = len(training.train.rows), EPOCHS * batches.steps_per_epoch(len(training.train.rows), BATCH)
    before = {name: value.clone() for name, value in training.model.state_dict().items()}
    trainer = their_trainer(training, tmp_path / "theirs")
    trainer.train()
    theirs = {name: value.clone() for name, value in training.model.state_dict().items()}
    training.model.load_state_dict(before)
    machine = machine_of(training, "fp32", steps=total)
    order = Order(training)
    for epoch in range(EPOCHS):
        rows = torch.tensor(list(order)).numpy()
        for number, chosen in enumerate(batches.cut(rows, BATCH), epoch * total // EPOCHS):
            step.take(machine, chosen, number, step.Fit(BATCH))
    for name, value in machine.bare_model.state_dict().items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-4, atol=2e-5, msg=name)

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
import torch

from sgonz.events import EpochEnded, RunReady
from sgonz.plan.runs import Kind, Outcome
from sgonz.train import checkpoint, finetune, loop, step


@pytest.mark.parametrize("family", ["bert", "roberta", "albert"])
@pytest.mark.parametrize("dataset", ["text", "pair", "tagging", "qa"])
def test_validation_loss_falls_for_every_task_and_tokenizer(bench, dataset, family):
    run = bench.run("r1", Kind.FINETUNE, dataset, family)
    ended = bench.do(run)
    assert ended.outcome is Outcome.COMPLETED, ended.error
    losses = [event.validation_loss for event in bench.events if isinstance(event, EpochEnded)]
    assert len(losses) == 4
    assert min(losses[1:]) < losses[0]
    assert ended.validation_loss == pytest.approx(min(losses), rel=1e-6)
    assert ended.best_epoch == losses.index(min(losses)) + 1


def test_result_is_on_disk_and_checkpoints_are_gone(bench):
    run = bench.run("r1", Kind.FINETUNE, "text", "albert", settings={"epochs": 1})
    ended = bench.do(run)
    assert run.read_result() == ended
    assert not run.checkpoint.exists()
    assert {file.name for file in (run.output / "model").iterdir()} >= {"model.safetensors", "tokenizer.json"}


def test_finished_run_is_adopted_and_not_done_again(bench):
    run = bench.run("r1", Kind.FINETUNE, "text", "albert", settings={"epochs": 1})
    first = bench.do(run)
    bench.events.clear()
    again = bench.do(run, attempt=2)
    assert again.adopted
    assert again.validation_loss == first.validation_loss
    assert bench.events == []


def test_published_protocol_trains_too(bench):
    for dataset in ("text", "tagging", "qa"):
        run = bench.run(
            f"r-{dataset}", Kind.FINETUNE, dataset, "bert", protocol="paper", settings={"epochs": 2}
        )
        assert bench.do(run).outcome is Outcome.COMPLETED


def test_validations_inside_epochs_are_told_but_only_epochs_count_for_patience(bench):
    run = bench.run(
        "r1", Kind.FINETUNE, "text", "albert", settings={"epochs": 2, "eval_every_steps": 5, "patience": 1}
    )
    ended = bench.do(run)
    told = [(event.epoch, event.step) for event in bench.events if isinstance(event, EpochEnded)]
    assert told[:3] == [(1, 5), (1, 10), (1, 12)]
    assert ended.best_epoch in (1, 2)


def test_score_can_decide_instead_of_loss(bench):
    run = bench.run("r1", Kind.FINETUNE, "tagging", "albert", criterion="validation_f1")
    ended = bench.do(run)
    scores = [event.validation["f1"] for event in bench.events if isinstance(event, EpochEnded)]
    assert ended.validation["f1"] == max(scores)
    assert ended.best_epoch == scores.index(max(scores)) + 1


def test_run_without_any_finite_loss_fails_after_its_first_epoch_and_proves_nothing(bench):
    settings = {"learning_rate": 1e30, "max_grad_norm": 0.0, "epochs": 3}
    run = bench.run("r1", Kind.FINETUNE, "text", "albert", settings=settings)
    ended = bench.do(run)
    assert ended.outcome is Outcome.FAILED
    assert "no validation in 1 epochs gave a finite validation_loss" in ended.error
    assert "learning rate is probably too high" in ended.error
    assert not [event for event in bench.events if isinstance(event, EpochEnded)]  # a canary's like wait on
    assert run.read_result() is None


def test_missing_model_is_a_failure_that_reads_the_same_every_time(bench):
    bench.folders = bench.folders | {"gone": bench.workdir.root / "gone-123"}
    ends = [bench.do(bench.run(f"r{at}", Kind.FINETUNE, "text", "gone")) for at in range(2)]
    assert [end.outcome for end in ends] == [Outcome.FAILED, Outcome.FAILED]
    assert ends[0].signature == ends[1].signature
    assert "gone-123" in ends[0].error


def machine_for(bench, dataset: str, family: str, **settings) -> step.Machine:
    """A prepared model, before its first step."""
    run = bench.run("machine", Kind.FINETUNE, dataset, family, settings=settings)
    training = finetune.prepare(bench.preparing(run))
    return loop.machine_of(training, "fp32", steps=10)


@pytest.mark.parametrize("dataset", ["text", "tagging", "qa"])
def test_gradient_does_not_depend_on_the_micro_batch(bench, dataset):
    machine = machine_for(bench, dataset, "bert")
    machine.model.eval()  # dropout alone may differ
    rows = torch.arange(8).numpy()
    whole = step.gradients(machine, rows, 8)
    expected = [parameter.grad.clone() for parameter in machine.model.parameters()]
    machine.optimizer.zero_grad()
    parts = step.gradients(machine, rows, 3)
    assert parts.item() == pytest.approx(whole.item(), rel=1e-5)
    for parameter, gradient in zip(machine.model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=0, atol=1e-6)


def test_published_accumulation_is_the_mean_of_micro_batch_means(bench):
    machine = machine_for(bench, "tagging", "albert")
    machine.model.eval()
    rows = torch.arange(8).numpy()
    means = [step.gradients(machine, part, 8).item() for part in (rows[:5], rows[5:])]
    spec = msgspec.structs.replace(machine.spec, switches={"accumulation": "micro_means"})
    assert step.gradients(replace(machine, spec=spec), rows, 5).item() == pytest.approx(
        sum(means) / 2, rel=1e-5
    )


def test_step_out_of_memory_is_made_again_with_half_the_micro_batch(bench):
    def two_fit(module, arguments, inputs):
        if len(inputs["input_ids"]) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")

    machine = machine_for(bench, "text", "albert")
    untouched = [parameter.detach().clone() for parameter in machine.model.parameters()]
    machine.model.register_forward_pre_hook(two_fit, with_kwargs=True)
    loss, fitted = step.take(machine, torch.arange(7).numpy(), 0, step.Fit(8))
    assert fitted == step.Fit(2)
    assert loss.isfinite()
    moved = [not torch.equal(*pair) for pair in zip(machine.model.parameters(), untouched, strict=True)]
    assert any(moved)


def test_step_that_never_fits_is_out_of_memory(bench):
    def nothing_fits(module, arguments):
        raise torch.OutOfMemoryError("CUDA out of memory")

    machine = machine_for(bench, "text", "albert")
    machine.model.register_forward_pre_hook(nothing_fits)
    with pytest.raises(torch.OutOfMemoryError):
        step.take(machine, torch.arange(4).numpy(), 0, step.Fit(4))


def test_biases_and_norms_are_not_decayed_unless_the_published_rule_asks(bench):
    model = machine_for(bench, "text", "bert").bare_model
    decayed, spared = step.decay_groups(model, 0.01, everywhere=False)
    spared_names = {name for name, p in model.named_parameters() if any(p is q for q in spared["params"])}
    assert decayed["weight_decay"] == 0.01
    assert spared["weight_decay"] == 0
    assert spared_names == {n for n, _ in model.named_parameters() if n.endswith("bias") or "LayerNorm" in n}
    assert len(step.decay_groups(model, 0.01, everywhere=True)) == 1


def test_run_says_what_it_runs_on(bench):
    bench.do(bench.run("r1", Kind.FINETUNE, "text", "albert", settings={"epochs": 1}))
    ready = next(event for event in bench.events if isinstance(event, RunReady))
    assert (ready.precision, ready.rows, ready.steps, ready.micro_batch) == ("fp32", 96, 12, 8)


def test_mixed_precision_outlasts_whoever_looks_at_the_model(bench):
    run = bench.run("run", Kind.FINETUNE, "text", "albert")
    machine = loop.machine_of(finetune.prepare(bench.preparing(run)), "bf16", steps=10)
    assert sum(parameter.numel() for parameter in machine.bare_model.parameters())
    seen = set()
    layer = next(module for module in machine.model.modules() if isinstance(module, torch.nn.Linear))
    layer.register_forward_hook(lambda module, arguments, output: seen.add(output.dtype))
    step.gradients(machine, np.arange(4), 4)
    assert seen == {torch.bfloat16}


def test_step_that_overflows_in_half_precision_leaves_weights_and_schedule(bench, monkeypatch):
    scaler = torch.amp.GradScaler("cpu", init_scale=float("inf"))
    plain = loop.accelerator

    def scaling(*given):
        made = plain(*given)
        made.scaler = scaler
        return made

    monkeypatch.setattr(loop, "accelerator", scaling)
    machine = machine_for(bench, "text", "albert", warmup_ratio=0.5)
    before = [parameter.detach().clone() for parameter in machine.model.parameters()]

    def moved() -> bool:
        return any(not torch.equal(*pair) for pair in zip(machine.model.parameters(), before, strict=True))

    step.take(machine, np.arange(4), 0, step.Fit(4))
    assert machine.scheduler.get_last_lr()[0] == 0
    assert not moved()
    scaler.update(1.0)
    step.take(machine, np.arange(4), 1, step.Fit(4))  # at the warm-up's first rate, which is 0
    assert machine.scheduler.get_last_lr()[0] > 0
    step.take(machine, np.arange(4), 2, step.Fit(4))
    assert moved()


@pytest.mark.parametrize(("precision", "outcome"), [("fp32", Outcome.FAILED), ("bf16", Outcome.COMPLETED)])
def test_a_checkpoint_is_the_one_that_was_scored_as_far_as_its_arithmetic_tells(
    bench, monkeypatch, precision, outcome
):
    """Scored again in smaller parts, in half precision, the same weights have another loss in the third digit."""
    written = checkpoint.load_best

    def noted(folder):
        best = written(folder)
        return msgspec.structs.replace(best, loss=best.loss * 1.005 + 0.002)

    monkeypatch.setattr(checkpoint, "load_best", noted)
    ended = bench.do(
        bench.run("run", Kind.FINETUNE, "text", "albert", precision=precision, settings={"epochs": 1})
    )
    assert ended.outcome is outcome
    if outcome is Outcome.FAILED:
        assert "after reloading" in ended.error

"""Formulas of size against published check values, and against what torch counts on the meta device."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModelForSequenceClassification

from sgonz.catalog import models
from sgonz.errors import SpecError
from sgonz.plan.sizing import Shape, macs, macs_full, parameters, shape_of


def shape(name: str) -> Shape:
    return shape_of(models()[name].model_type, models()[name].config())


@pytest.mark.parametrize(
    ("name", "size", "work"),
    [
        ("beto-uncased", 109_853_187, 43_526_457_600),
        ("distilbeto", 67_324_419, 21_764_311_296),
        ("albeto-tiny", 5_345_075, 2_418_245_608),
    ],
)
def test_check_values_hold_to_the_last_digit(name: str, size: int, work: int) -> None:
    assert parameters(shape(name), 3) == size
    assert macs(shape(name), 1, 512, 3) == work


@pytest.mark.parametrize(
    ("name", "ratio"),
    [("albeto-tiny", 15.74), ("albeto-large", 0.288), ("albeto-xlarge", 0.075), ("albeto-xxlarge", 0.038),
     ("albeto-base-2", 5.96)],
)  # fmt: skip
def test_full_count_gives_the_known_speedups(name: str, ratio: float) -> None:
    reference = macs_full(shape("beto-uncased"), 1, 512, 3)
    digits = len(str(ratio).partition(".")[2])
    assert round(reference / macs_full(shape(name), 1, 512, 3), digits) == ratio


def count(model_type: str, fields: dict[str, object], batch: int, length: int) -> tuple[int, int, int]:
    """Parameters, MACs by THOP's rules and MACs with attention, counted by torch without memory."""
    config = AutoConfig.for_model(model_type, num_labels=3, **fields)
    with torch.device("meta"):
        model = AutoModelForSequenceClassification.from_config(config, attn_implementation="eager").eval()
        tokens = torch.ones(batch, length, dtype=torch.long)
    counted = {"linear": 0, "norm": 0}

    def linear(module: torch.nn.Linear, _: object, output: torch.Tensor) -> None:
        counted["linear"] += output.numel() * module.in_features

    def norm(_: torch.nn.Module, __: object, output: torch.Tensor) -> None:
        counted["norm"] += 4 * output.numel()

    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_hook(linear)
        if isinstance(module, torch.nn.LayerNorm):
            module.register_forward_hook(norm)
    with torch.no_grad(), FlopCounterMode(display=False) as flops:
        model(input_ids=tokens)
    size = sum(tensor.numel() for tensor in model.parameters())
    return size, counted["linear"] + counted["norm"], flops.get_total_flops() // 2 + counted["norm"]


@pytest.mark.parametrize("name", list(models()))
def test_torch_counts_the_same_for_every_model(name: str) -> None:
    model = models()[name]
    found = count(model.model_type, model.config(), 2, 96)
    known = shape(name)
    assert found == (parameters(known, 3), macs(known, 2, 96, 3), macs_full(known, 2, 96, 3))


def test_torch_counts_the_same_for_groups_of_shared_layers() -> None:
    fields = models()["albeto-tiny"].config() | {"num_hidden_groups": 2, "inner_group_num": 2}
    known = shape_of("albert", fields)
    found = count("albert", fields, 1, 32)
    assert found == (parameters(known, 3), macs(known, 1, 32, 3), macs_full(known, 1, 32, 3))


@pytest.mark.parametrize("model_type", ["camembert", "xlm-roberta"])
def test_relatives_of_roberta_have_its_size(model_type: str) -> None:
    fields = models()["bertin"].config() | {"num_hidden_layers": 2}
    known = shape_of(model_type, fields)
    assert count(model_type, fields, 1, 32)[:2] == (parameters(known, 3), macs(known, 1, 32, 3))


@given(depth=st.integers(1, 48), batch=st.integers(1, 64), length=st.sampled_from([128, 256, 512]))
def test_shared_layers_cost_work_but_no_parameters(depth: int, batch: int, length: int) -> None:
    fields = models()["albeto-base"].config()
    one, deep = (shape_of("albert", fields | {"num_hidden_layers": n}) for n in (depth, depth + 1))
    assert parameters(one, 3) == parameters(deep, 3)
    assert macs(one, batch, length, 3) < macs(deep, batch, length, 3)
    assert macs(one, batch, length, 3) == batch * macs(one, 1, length, 3)
    assert macs_full(one, batch, length, 3) == batch * macs_full(one, 1, length, 3)


def test_an_unknown_type_and_a_missing_field_are_named() -> None:
    with pytest.raises(SpecError, match="gpt2"):
        shape_of("gpt2", {})
    with pytest.raises(SpecError, match="hidden_size"):
        shape_of("bert", {"vocab_size": 1, "max_position_embeddings": 1, "type_vocab_size": 1})

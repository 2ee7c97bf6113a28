"""The selector that every command understands."""

from __future__ import annotations

import pytest

from sgonz.errors import SpecError
from sgonz.plan.runs import Kind, State
from sgonz.plan.state import RunRow
from sgonz.plan.where import FIELDS, parse

ROW = RunRow(run_id="0123456789abcdef", kind=Kind.FINETUNE, dataset="pos", model="albeto-tiny", state=State.FAILED,
             learning_rate=5e-5, batch_size=16, selected=False, tags=("paper", "keep"))  # fmt: skip


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("dataset in (pos, ner) and state = FAILED", True),
        ("dataset not in (pos, ner)", False),
        ("not dataset = ner", True),
        ("state = failed", True),
        ("learning_rate = 0.00005", True),
        ("learning_rate < 5e-5 or batch_size >= 16", True),
        ("(dataset = ner or dataset = pos) and batch_size != 16", False),
        ("model ~ 'albeto-*'", True),
        ('model = "albeto-tiny"', True),
        ("run_id = 0123", True),
        ("teacher = none", True),
        ("validation_loss = none or best_epoch = none", True),
        ("selected = false", True),
        ("validation_loss < 1", False),
        ("tags = paper and tags = keep", True),
        ("tags in (draft, other)", False),
        ("tags ~ pap*", True),
        ("not tags = none", True),
    ],
)
def test_conditions(text: str, matches: bool):
    assert parse(text)(ROW) is matches


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("datset = pos", "did you mean dataset"),
        ("dataset", "expected in, ="),
        ("dataset in pos", "expected '\\('"),
        ("dataset = pos state = x", "expected the end"),
        ("(dataset = pos", "expected '\\)'"),
        ("batch_size < x", "is not a number"),
        ("dataset =", "expected a value"),
        ("state = FAILD", "'FAILD' is no state .did you mean FAILED"),
        ("kind in (finetune, distil)", "did you mean distill"),
        ("seed = abc", "seed is a number"),
        ("selected != yes", "'yes' is no selected"),
        ("", "not a field"),
    ],
)
def test_a_bad_condition_says_what_was_expected(text: str, message: str):
    with pytest.raises(SpecError, match=message):
        parse(text)


def test_every_field_exists_on_a_run():
    assert all(hasattr(ROW, name) for name in FIELDS)

"""From axes to points."""

from __future__ import annotations

import itertools
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgonz.errors import SpecError
from sgonz.plan.expand import Sources, finetune_runs
from sgonz.plan.grid import excluded, points
from sgonz.plan.spec import decode


def grid(text: str, *, model: str = "m", dataset: str = "d") -> list[dict]:
    sweep = decode(
        tomllib.loads(f'name="x"\ndatasets=["d"]\n[finetune]\nmodels=["m", "n"]\n{text}'), "x.toml"
    )
    return points(sweep.finetune, "finetune", model=model, dataset=dataset, source="x.toml")


def test_axes_are_crossed_the_first_one_slowest():
    found = grid("grid.learning_rate = [1e-5, 2e-5]\ngrid.batch_size = [16, 32]")
    assert [(point["learning_rate"], point["batch_size"]) for point in found] == [
        (1e-5, 16), (1e-5, 32), (2e-5, 16), (2e-5, 32),
    ]  # fmt: skip


def test_zipped_axes_move_together():
    found = grid(
        'grid.batch_size = [16, 32]\ngrid.learning_rate = [1e-5, 2e-5]\ngrid.epochs = [2, 3]\ngrid.zip = [["batch_size", "learning_rate"]]'
    )
    assert [(point["batch_size"], point["learning_rate"], point["epochs"]) for point in found] == [
        (16, 1e-5, 2), (16, 1e-5, 3), (32, 2e-5, 2), (32, 2e-5, 3),
    ]  # fmt: skip


@given(
    values=st.lists(st.sampled_from([8, 16, 32, 64]), min_size=1, max_size=4, unique=True),
    epochs=st.integers(1, 5),
)
def test_a_grid_has_the_product_of_its_axes(values: list[int], epochs: int):
    found = grid(f"grid.batch_size = {values}\ngrid.epochs = {list(range(1, epochs + 1))}")
    expected = list(itertools.product(values, range(1, epochs + 1)))
    assert [(point["batch_size"], point["epochs"]) for point in found] == expected


def test_a_range_gives_the_numbers_a_person_would_write():
    assert [
        p["learning_rate"] for p in grid("grid.learning_rate = {from = 1e-5, to = 1e-3, num = 3, log = true}")
    ] == [1e-5, 1e-4, 1e-3]
    assert [p["epochs"] for p in grid("grid.epochs = {from = 2, to = 4, num = 3}")] == [2, 3, 4]
    assert [
        p["alpha"] if "alpha" in p else p["warmup_ratio"]
        for p in grid("grid.warmup_ratio = {from = 0, to = 0.3, num = 4}")
    ] == [0, 0.1, 0.2, 0.3]


@given(st.integers(1, 50), st.integers(2, 400), st.integers(1, 9))
def test_a_range_over_whole_numbers_stays_whole(low: int, count: int, step: int):
    table = f"{{from = {low}, to = {low + step * (count - 1)}, num = {count}}}"
    found = [point["epochs"] for point in grid(f"grid.epochs = {table}")]
    assert found == list(range(low, low + step * count, step))


def test_an_override_replaces_an_axis_for_its_models_only():
    text = 'grid.learning_rate = [1e-5, 2e-5]\n[[finetune.override]]\nmodels = ["n"]\ngrid.learning_rate = [1e-6]'
    assert len(grid(text)) == 2
    assert [point["learning_rate"] for point in grid(text, model="n")] == [1e-6]


def test_an_override_can_fix_an_axis_and_open_a_fixed_setting():
    text = 'weight_decay = 0.1\ngrid.epochs = [2, 3]\n[[finetune.override]]\nmodels = ["n"]\nepochs = 9\ngrid.weight_decay = [0.0, 0.2]'
    assert [(point["epochs"], point["weight_decay"]) for point in grid(text, model="n")] == [
        (9, 0.0),
        (9, 0.2),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("grid.batch_size = []", "finetune.grid.batch_size is empty"),
        ('grid.batch_size = [16, "x"]', r"finetune.grid.batch_size\[1\]: expected a whole number"),
        ("grid.learning_rate = {from = 0, to = 1, num = 2, log = true}", "a range needs numbers"),
        ("grid.learning_rate = {from = 1, to = inf, num = 2}", "a range needs numbers"),
        ("grid.learning_rate = {from = 1, to = 2}", "num is missing"),
        ("grid.learning_rate = {from = 1, to = 2, num = 10_000_000}", "num from 1 to 1,000,000"),
        (
            'grid.epochs = [1, 2]\ngrid.batch_size = [1]\ngrid.zip = [["epochs", "batch_size"]]',
            "differ in length",
        ),
        ('grid.epochs = [1]\ngrid.zip = [["epoch"]]', "not an axis"),
    ],
)
def test_bad_grids_are_refused_with_their_place(text: str, message: str):
    with pytest.raises(SpecError, match=message):
        grid(text)


@pytest.mark.parametrize(("stage", "who"), [("finetune", "models"), ("distill", "students")])
def test_a_grid_that_would_fill_the_memory_is_refused_before_a_run_is_made(stage: str, who: str):
    many = {"from": 1, "to": 500, "num": 500}
    table: dict = {"name": "x", "datasets": ["d"], "finetune": {"models": ["m"]}}
    table[stage] = {who: ["m"], "grid": {"epochs": many, "batch_size": many, "patience": many}}
    with pytest.raises(SpecError, match=rf"x.toml: {stage} has more than 1,000,000 runs"):
        finetune_runs(decode(table, "x.toml"), Sources(datasets={}, models={}, file="x.toml"))


def test_a_value_written_twice_is_one_point():
    assert len(grid("grid.learning_rate = [1e-5, 0.00001]")) == 1


def test_an_exclusion_needs_every_condition():
    facts = {"model": "m", "batch_size": 64, "dataset": "xnli"}
    assert excluded([{"model": "m", "batch_size": [32, 64]}], facts)
    assert not excluded([{"model": "m", "batch_size": 16}], facts)
    assert not excluded([], facts)

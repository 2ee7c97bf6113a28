"""Identity: what makes a run another run, for ever."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from sgonz.plan.expand import NO_DATASET
from sgonz.plan.ids import SETTINGS_BEFORE, SWITCHES_BEFORE, difference, identity, run_id, with_id
from sgonz.plan.protocol import BY_NAME, concerning, resolve
from sgonz.plan.runs import Dataset, Kind, Measure, Model, Need, RunSpec, Settings

GOLDEN = Path(__file__).with_name("golden_ids.json")
QA = Dataset(name="sqac", task="qa", format="squad", metric="f1", fingerprint="c0ffee")
TAGGING = Dataset(
    name="pos", task="tagging", format="conllu", metric="f1", fingerprint="beef", labels=("NOUN", "VERB")
)
BETO = Model(name="beto", hub=("a/beto",), fingerprint="hub:a/beto@main")


def spec(**changes: object) -> RunSpec:
    base = RunSpec(
        run_id="", kind=Kind.FINETUNE, dataset=TAGGING, model=BETO, settings=Settings(learning_rate=2e-5)
    )
    return msgspec.structs.replace(base, **changes)


def examples() -> dict[str, RunSpec]:
    paper = resolve("paper", {})
    student = Model(
        name="base-4", hub=("a/base",), overrides={"num_hidden_layers": 4}, fingerprint="hub:a/base@main"
    )
    return {
        "finetune": spec(),
        "finetune, other rate": spec(settings=Settings(learning_rate=3e-5)),
        "finetune, seed 7, two threads": spec(seed=7, threads=2),
        "finetune, bf16, chosen by f1": spec(precision="bf16", criterion="f1"),
        "finetune under paper": spec(switches=concerning(paper, kind="finetune", task="tagging", dataset="pos")),
        "logits": spec(kind=Kind.LOGITS, needs=(Need(role="teacher", run_id="00" * 8),)),
        "distill a cut student": spec(kind=Kind.DISTILL, model=student, needs=(Need(role="logits", run_id="11" * 8),),
                                      settings=Settings(epochs=50, patience=10, alpha=0.5, loss="mse")),
        "question answering": spec(dataset=QA, settings=Settings(overlap=64, pool="edge")),
        "evaluate": spec(kind=Kind.EVALUATE, needs=(Need(role="model", run_id="22" * 8),)),
        "first thousand rows": spec(dataset=msgspec.structs.replace(TAGGING, limit={"train": 1000})),
        "benchmark": spec(kind=Kind.BENCHMARK, dataset=NO_DATASET, settings=Settings(), measure=Measure(device="cpu"),
                          model=Model(name="small", architecture={"model_type": "bert"}, fingerprint="5ma11")),
    }  # fmt: skip


def test_ids_are_what_they_have_always_been():
    """A failure here means that finished studies would become new: see the tables in ids.py."""
    golden = json.loads(GOLDEN.read_text())
    assert {name: run_id(example) for name, example in examples().items()} == golden


def test_every_example_is_another_run():
    assert len({run_id(example) for example in examples().values()}) == len(examples())


@pytest.mark.parametrize(
    "same",
    [
        spec(settings=Settings(learning_rate=0.00002)),
        spec(settings=Settings(learning_rate=2e-5, overlap=64, n_best=5)),  # question answering only
        spec(settings=Settings(learning_rate=2e-5, alpha=0.3, loss="ce")),  # distillation only
        spec(switches=concerning(resolve("sound", {}), kind="finetune", task="tagging", dataset="pos")),
        spec(run_id="whatever", protocol="paper"),  # its switches decide, not its name
    ],
)
def test_what_cannot_change_the_numbers_is_not_identity(same: RunSpec):
    assert run_id(same) == run_id(spec())


def test_every_setting_and_switch_has_the_value_it_had_before_it_existed():
    always = {"learning_rate", "batch_size", "epochs"}
    assert set(SETTINGS_BEFORE) | always == set(Settings.__struct_fields__)
    assert set(SWITCHES_BEFORE) == set(BY_NAME)


def test_difference_names_the_fields():
    other = spec(settings=Settings(learning_rate=3e-5, weight_decay=0.1), seed=1)
    assert difference(spec(), other) == {
        "settings.learning_rate": (2e-5, 3e-5),
        "settings.weight_decay": (None, 0.1),
        "seed": (42, 1),
    }


def test_an_id_is_sixteen_hex_digits_and_survives_json():
    run = with_id(spec())
    assert len(run.run_id) == 16
    again = msgspec.json.decode(msgspec.json.encode(run), type=RunSpec)
    assert run_id(again) == run.run_id
    assert identity(again) == identity(run)

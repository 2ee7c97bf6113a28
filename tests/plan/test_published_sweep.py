"""The published study as a sweep file: it gives the published runs, and it documents every key."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from sgonz.catalog import datasets, models
from sgonz.plan.expand import Sources, count_runs, distill_runs, finetune_runs, logits_run
from sgonz.plan.grid import points
from sgonz.plan.protocol import SWITCHES, resolve
from sgonz.plan.runs import Dataset, Model, Settings
from sgonz.plan.spec import (
    Benchmark,
    Budget,
    Canary,
    DatasetTable,
    ModelTable,
    Retry,
    Sample,
    Stage,
    Sweep,
    Teacher,
    decode,
)

FILE = Path(__file__).resolve().parents[2] / "jobs" / "speedy_gonzales.toml"
TEXT = FILE.read_text(encoding="utf-8")
OPTION = re.compile(r"^#(?=[\[a-z])", re.MULTILINE)
BLOCKS = re.findall(r"(?:^#[\[a-z].*\n)+", TEXT, re.MULTILINE)


def load(text: str = TEXT) -> Sweep:
    table = tomllib.loads(text)
    table.pop("extends", None)
    return decode(table, FILE.name)


def sources() -> Sources:
    return Sources(
        datasets={
            name: Dataset(name=name, task=found.task, format=found.format, catalog=name)
            for name, found in datasets().items()
        },
        models={
            name: Model(name=name, hub=model.hub, overrides=model.overrides())
            for name, model in models().items()
        },
    )


def test_it_gives_the_published_number_of_runs() -> None:
    sweep = load()
    tuned = finetune_runs(sweep, sources())
    counts = count_runs(sweep, tuned)
    assert len(tuned) == 11 * 8 * 36 == 3168
    assert (counts["finetune"], counts["distill"]) == (3168, 6 * 8 * 6)
    assert set(Counter((run.dataset.name, run.model.name) for run in tuned).values()) == {36}


def test_students_are_distilled_in_the_published_order_with_the_published_settings() -> None:
    sweep = load()
    teacher = next(run for run in finetune_runs(sweep, sources()) if run.dataset.name == "sqac")
    runs = distill_runs(sweep, sources(), logits_run(sweep, teacher))
    assert len(runs) == 36
    first = [(run.settings.learning_rate, run.settings.batch_size) for run in runs[:6]]
    assert first == [(rate, batch) for rate in (5e-5, 1e-4) for batch in (16, 32, 64)]
    for run in runs:
        chosen = run.settings
        assert (chosen.epochs, chosen.patience, chosen.weight_decay, chosen.loss) == (50, 10, 0.01, "kl")
        assert (chosen.alpha, chosen.temperature) == (0, 1)


def test_large_albetos_learn_slower_and_ner_is_shorter() -> None:
    for run in finetune_runs(load(), sources()):
        large = run.model.name in ("albeto-large", "albeto-xlarge", "albeto-xxlarge")
        assert (run.settings.learning_rate < 1e-5) == large
        assert run.settings.max_length == datasets()[run.dataset.name].max_length
        assert (run.settings.weight_decay, run.settings.warmup_ratio) == (0, 0)


def test_every_key_of_the_format_stands_in_the_file() -> None:
    said = set(re.findall(r"^#?(?:grid\.)?([a-z_]+)(?:\.[a-z_]+)* =", TEXT, re.MULTILINE))
    said |= set(re.findall(r"^#?\[+(?:finetune\.|distill\.|teacher\.)?([a-z_]+)", TEXT, re.MULTILINE))
    fields = {
        name
        for kind in (
            Sweep,
            DatasetTable,
            ModelTable,
            Teacher,
            Sample,
            Retry,
            Settings,
            Stage,
            Benchmark,
            Canary,
            Budget,
        )
        for name in kind.__struct_fields__
    }
    wanted = fields - {"settings", "grid"} | {"extends", "zip", "students", "dataset", "model", "kind"}
    assert wanted <= said
    assert {switch.name for switch in SWITCHES} <= said


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[0])
def test_every_line_that_is_off_works_when_switched_on(block: str) -> None:
    text = TEXT.replace(block, OPTION.sub("", block))
    if "[datasets." in block:
        text = re.sub(r"^datasets = .*\n", "", text, count=1, flags=re.MULTILINE)
    sweep = load(text)
    resolve(sweep.protocol, sweep.protocol_switches)
    for stage, names in ((sweep.finetune, "finetune"), (sweep.distill, "distill")):
        assert stage is not None
        assert points(stage, names, model="distilbeto", dataset="xnli", source=FILE.name)


def test_switches_stand_at_their_sound_values_and_name_the_other() -> None:
    block = next(block for block in BLOCKS if block.startswith("#[protocol_switches]"))
    shown = load(TEXT.replace(block, OPTION.sub("", block))).protocol_switches
    assert shown == {switch.name: switch.sound for switch in SWITCHES}
    for switch in SWITCHES:
        line = next(line for line in block.splitlines() if line.startswith(f"#{switch.name} "))
        assert str(switch.paper) in line.partition(" # ")[2]


def test_what_is_said_to_be_a_default_is_one() -> None:
    bare = decode(
        {
            "name": "x",
            "datasets": ["xnli"],
            "finetune": {"models": ["beto-cased"]},
            "distill": {"students": ["x"]},
        },
        "",
    )
    full = load()
    for name in (
        "protocol",
        "seeds",
        "threads",
        "precision",
        "evaluate",
        "on_failure",
        "keep",
        "retry",
        "teacher",
    ):
        assert getattr(bare, name) == getattr(full, name), name
    for name, value in full.finetune.settings.items():
        assert getattr(Settings(), name) == value, name

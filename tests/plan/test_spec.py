"""Sweep files: what they may say, and what is said when they may not."""

from __future__ import annotations

import tomllib

import pytest

from sgonz.errors import SpecError
from sgonz.plan.spec import decode

SMALL = """
name = "small"
datasets = ["mldoc"]
[finetune]
models = ["m"]
grid.batch_size = [16]
"""


def read(text: str, **replaced: str):
    return decode(tomllib.loads(text), "jobs/x.toml")


def test_defaults_are_those_of_the_sound_protocol():
    sweep = read(SMALL)
    assert (sweep.protocol, sweep.seeds, sweep.threads, sweep.precision) == ("sound", (42,), 1, "auto")
    assert sweep.criterion("mldoc") == "validation_loss"


def test_data_sets_may_be_a_table_of_definitions():
    text = SMALL.replace('datasets = ["mldoc"]', "") + '[datasets.mine]\ntask = "qa"\nformat = "squad"\n'
    sweep = read(text)
    assert sweep.dataset_names == ["mine"]
    assert sweep.dataset_tables["mine"].format == "squad"


@pytest.mark.parametrize(
    ("addition", "message", "hint"),
    [
        (
            "learning_rat = 1",
            "finetune.learning_rat is not a setting; did you mean learning_rate?",
            "Allowed: models",
        ),
        ("grid.alpha = [1]", "finetune.grid.alpha is not a setting", "Allowed: zip, learning_rate"),
        ('batch_size = "x"', "finetune.batch_size: expected a whole number, got text", None),
        ("learning_rate = -1", "finetune.learning_rate: expected a number > 0.0", None),
        ("weight_decay = inf", "finetune.weight_decay: expected a finite number, got inf", None),
        (
            '[distill]\nstudents = ["s"]\ntemperature = inf',
            "distill.temperature: expected a finite number",
            None,
        ),
        ("batch_size = 16", "finetune.batch_size is fixed and also an axis", "Keep one"),
        ("[teacher]\nselec = 1", "teacher.selec is not a setting; did you mean select?", "Allowed: select"),
        ("[distill]\nalpha = 0.5", "distill.students is missing", "Name at least one"),
        ("[distill]\nstudents = []", "distill.students: expected a list of length >= 1", None),
        ('[distill]\nstudents = ["s"]\nalpha = 2', "distill.alpha: expected a number <= 1.0", None),
        (
            '[[finetune.override]]\nmodels = ["m"]\nlr = 1',
            "finetune.override[0].lr is not a setting",
            "Allowed: models",
        ),
        ("[retry]\nmax_failures = 0", "retry.max_failures: expected a whole number >= 1", None),
        ("[sample]\nsize = 1", "sample.size: expected a whole number >= 40", None),
        ("[models.mine]\npat = 1", "models.mine.pat is not a setting; did you mean path?", "Allowed: path"),
    ],
)
def test_bad_keys_and_values_are_named_with_what_is_allowed(addition: str, message: str, hint: str | None):
    with pytest.raises(SpecError) as caught:
        read(SMALL + addition)
    assert caught.value.message.startswith(f"jobs/x.toml: {message}")
    if hint:
        assert caught.value.hint is not None
        assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ('protocl = "paper"', "protocl is not a setting; did you mean protocol?", "Allowed: name, protocol"),
        ('protocol = "best"', "protocol: 'best' is not one of its values", "Allowed: paper, sound."),
        ('on_failure = "no"', "on_failure: 'no' is not one of its values", "Allowed: continue, stop."),
        ("seeds = []", "seeds: expected a list of length >= 1", None),
        ("seeds = [1, 1]", "seeds holds a value twice", "Name each seed once."),
    ],
)
def test_bad_top_level_values_are_named(line: str, message: str, hint: str | None):
    with pytest.raises(SpecError) as caught:
        read(f"{line}\n{SMALL}")
    assert caught.value.message == f"jobs/x.toml: {message}"
    assert caught.value.hint is None if hint is None else str(caught.value.hint).startswith(hint)


def test_a_missing_key_is_named():
    with pytest.raises(SpecError, match="name is missing"):
        read(SMALL.replace('name = "small"', ""))

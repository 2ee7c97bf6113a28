"""A sweep and its sources, small enough to read."""

from __future__ import annotations

import tomllib

from sgonz.plan.expand import Sources
from sgonz.plan.runs import Dataset, Model
from sgonz.plan.spec import Sweep, decode

TEXT = """
name = "small"
datasets = ["mldoc", "pos"]
[finetune]
models = ["beto", "albeto"]
grid.learning_rate = [1e-5, 2e-5]
[distill]
students = ["tiny"]
grid.batch_size = [16, 32]
"""


def small_sweep(addition: str = "") -> Sweep:
    return decode(tomllib.loads(addition + TEXT), "small.toml")


def small_sources() -> Sources:
    tasks = {"mldoc": ("classification", "mldoc"), "pos": ("tagging", "conllu")}
    return Sources(
        datasets={
            name: Dataset(name=name, task=task, format=kind, metric="f1", fingerprint=name * 3)  # type: ignore[arg-type]
            for name, (task, kind) in tasks.items()
        },
        models={
            name: Model(name=name, hub=(name,), fingerprint=name * 2) for name in ("beto", "albeto", "tiny")
        },
    )

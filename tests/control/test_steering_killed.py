"""A command that steers a sweep is killed (SIGKILL) half-way, and typed again: it comes to what it would have come to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

KILLED_AT = """
import importlib, os, signal, sys
place, moment = sys.argv[1:3]
module, owner, name = place.split(":")
holder = importlib.import_module(module)
holder = getattr(holder, owner) if owner else holder
real = getattr(holder, name)
def dying(*given, **named):
    if moment == "after":
        real(*given, **named)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(holder, name, dying)
from sgonz.cli.main import sgonz
sgonz(sys.argv[3:], standalone_mode=False)
"""
SWEEP = """
name = "steered"
evaluate = false
[datasets.reviews]
path = "."
task = "classification"
format = "jsonl"
files = { train = "reviews.jsonl", validation = "reviews.jsonl" }
[models.small]
path = "small"
[finetune]
models = ["small"]
grid.learning_rate = [1e-4, 2e-4, 3e-4, 4e-4]
[canary]
first = false
"""
PROFILE = """
scheduler = "local"
slots = 1
runs_per_job = 1
setup = ["while [ -e '{gate}' ]; do sleep 0.1; done; false"]
"""
CONFIG = {"model_type": "albert", "architectures": ["AlbertForMaskedLM"], "hidden_size": 32, "embedding_size": 32,
          "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "vocab_size": 100}  # fmt: skip
JOURNAL = "sgonz.workdir.journal:Journal:write"
ORDERS = "sgonz.store.store:Store:set_orders"
STATES = "sgonz.store.store:Store:set_state"
FAILURES = "sgonz.store.store:Store:reset_failures"
RENEWED = "sgonz.store.store:Store:renew"
ENDED = "sgonz.cluster.local:LocalCluster:cancel"


class Prompt:
    """Commands typed about one sweep, of which a job waits at a gate."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.work = folder, folder / "work"
        (folder / "gate").touch()
        (folder / "here.toml").write_text(PROFILE.format(gate=folder / "gate"))
        (folder / "steered.toml").write_text(SWEEP)
        lines = [json.dumps({"text": f"word {number}", "label": "ab"[number % 2]}) for number in range(8)]
        (folder / "reviews.jsonl").write_text("\n".join(lines) + "\n")
        (folder / "small").mkdir()
        (folder / "small/config.json").write_text(json.dumps(CONFIG))
        for name in ("model.safetensors", "tokenizer.json"):
            (folder / "small" / name).touch()  # nobody comes to read them

    def type(self, *words: str, code: int = 0, before: tuple[str, ...] = ("-m", "sgonz")) -> str:
        done = subprocess.run([sys.executable, *before, *words], cwd=self.folder, capture_output=True, text=True,
                              check=False, env={**os.environ, "SGONZ_WORKDIR": str(self.work)})  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def killed(self, place: str, moment: str, *words: str) -> None:
        self.type(*words, before=("-c", KILLED_AT, place, moment), code=-signal.SIGKILL)

    def stands(self) -> dict[str, Any]:
        """What was said and still counts, how runs and jobs stand, and whether what was written down tells the same."""
        said = json.loads(self.type("set", "--format", "json"))
        runs = json.loads(
            self.type("query", "SELECT state, generation, failures FROM runs", "--format", "json")
        )
        live = json.loads(
            self.type("query", "SELECT tag FROM jobs WHERE outcome IS NULL", "--format", "json")
        )
        return {
            "said": [(order["said"], order["value"]) for order in said],
            "states": {run["state"] for run in runs}, "generations": {run["generation"] for run in runs},
            "jobs": len(live),
        }  # fmt: skip

    def written(self, word: str) -> int:
        """How often the journal has it."""
        return (self.work / "coordinator.jsonl").read_text().count(f'"type":"{word}"')


# What is typed, and where it is killed: around its writes, in the order in which it makes them.
STORY: tuple[tuple[tuple[str, ...], tuple[tuple[str, str], ...], dict[str, Any]], ...] = (
    (("pause", "--reason", "a doubt"), ((JOURNAL, "after"), (ORDERS, "before"), (ORDERS, "after")),
     {"said": [("pause", None)]}),
    (("drain",), ((ORDERS, "after"),), {"said": [("drain", None)]}),
    (("set", "max_jobs=2"), ((JOURNAL, "after"),), {"said": [("drain", None), ("max_jobs", 2)]}),
    (("resume",), ((ORDERS, "before"),), {"said": [("resume", None), ("max_jobs", 2)]}),
    (("cancel", "--yes"), ((STATES, "before"), (ENDED, "before")), {"states": {"CANCELLED"}}),
    (("retry",), ((FAILURES, "before"), (STATES, "before")), {"states": {"PENDING"}}),
    (("invalidate", "--where", "kind = finetune", "--reason", "wrong labels"), ((RENEWED, "before"), (RENEWED, "after")),
     {"states": {"PENDING"}, "generations": {2}}),
)  # fmt: skip


@pytest.fixture(scope="module")
def prompt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prompt]:
    made = Prompt(tmp_path_factory.mktemp("steered"))
    made.type("submit", "steered.toml", "--cluster", "here.toml")
    yield made
    made.type("cancel", "--yes")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_was_killed_half_way_is_said_again_and_comes_to_the_same(prompt: Prompt) -> None:
    for words, moments, wanted in STORY:
        for place, moment in moments:
            before = prompt.written(words[0])
            prompt.killed(place, moment, *words)
            assert prompt.written(words[0]) > before  # it is written down before anything is done
        prompt.type(*words)
        stands = prompt.stands()
        assert {name: stands[name] for name in wanted} == wanted, (words, stands)
    assert stands["jobs"] == 0
    prompt.type("db", "check")
    prompt.type("db", "rebuild")
    assert prompt.stands() == stands

"""Models that moved: the names they were published under still lead to them, from the local cache, offline."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sgonz import catalog

COMMIT = "0" * 40
LOAD = """
import json, sys
from sgonz.plan.runs import Model
from sgonz.train import models
from sgonz.train.execute import settle
settle(1)
name, hub, revision = sys.argv[1], tuple(sys.argv[2].split(",")), sys.argv[3] or None
wanted = Model(name=name, hub=hub, revision=revision, overrides={"num_hidden_layers": 1}, expected={"hidden_size": 768})
model, notes = models.load(wanted, "tagging", ("O", "B"), seed=1)
tokenizer = models.load_tokenizer(wanted, words=True)
print(json.dumps({"layers": model.config.num_hidden_layers, "notes": notes, "vocabulary": len(tokenizer),
                  "weight": float(model.albert.embeddings.word_embeddings.weight.sum())}))
"""


def cached(home: Path, name: str, folder: Path, branch: str = "main") -> None:
    """Lay a model folder out as the hub's client keeps what it has fetched."""
    repository = home / "hub" / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / branch).write_text(COMMIT)
    shutil.copytree(folder, repository / "snapshots" / COMMIT)


def load(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", LOAD, *arguments], capture_output=True, text=True, check=False,
                          env={**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1"})  # fmt: skip


@pytest.mark.parametrize("which", [0, -1])
def test_a_model_is_found_under_any_of_its_names(
    folders: dict[str, Path], tmp_path: Path, which: int
) -> None:
    names = catalog.models()["albeto-base-2"].hub
    assert len(names) > 1
    cached(tmp_path, names[which], folders["albert"])
    done = load(tmp_path, "albeto-base-2", ",".join(names), "")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["layers"] == 1
    assert told["notes"]["config.hidden_size"] == "32, published 768"


def test_the_newest_name_goes_first(folders: dict[str, Path], tmp_path: Path) -> None:
    cached(tmp_path, "old/name", folders["bert"])
    cached(tmp_path, "new/name", folders["albert"])
    done = load(tmp_path, "mine", "new/name,old/name", "")
    assert done.returncode == 0, done.stderr


def test_a_revision_is_the_one_that_is_asked_for(folders: dict[str, Path], tmp_path: Path) -> None:
    cached(tmp_path, "org/name", folders["albert"], branch="v2")
    assert load(tmp_path, "mine", "org/name", "v2").returncode == 0
    missing = load(tmp_path, "mine", "org/name", "")
    assert missing.returncode == 1
    assert "mine cannot be loaded from org/name" in missing.stderr


def test_every_published_model_that_moved_keeps_its_old_names() -> None:
    for model in catalog.models().values():
        organisations = [name.partition("/")[0] for name in model.hub]
        assert len(set(organisations)) == len(organisations)
        if model.model_type == "albert":
            assert organisations == ["dccuchile", "CenIA"]
    assert "CenIA/distillbert-base-spanish-uncased" in catalog.models()["distilbeto"].hub

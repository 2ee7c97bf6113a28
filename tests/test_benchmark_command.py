"""sgonz benchmark: the published sizes from configurations alone, in the formats that scripts read."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from sgonz import catalog
from sgonz.commands.measuring import architectures, sizes
from sgonz.errors import SpecError

KEYS = {"model", "batch_size", "length", "parameters", "macs", "macs_full", "latency_ms"}


def sgonz(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "sgonz", "benchmark", *arguments], capture_output=True, text=True,
                          check=False)  # fmt: skip


def test_every_model_of_the_catalog_has_a_row_for_every_length_and_batch_size() -> None:
    done = sgonz("--models", "all", "--lengths", "128,512", "--batch-sizes", "1,8", "--format", "json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert len(rows) == len(catalog.models()) * 2 * 2
    assert all(row.keys() >= KEYS and row["latency_ms"] is None for row in rows)
    point = {row["model"]: row for row in rows if (row["batch_size"], row["length"]) == (1, 512)}
    assert (point["beto-cased"]["parameters"], point["beto-cased"]["macs"]) == (109_853_187, 43_526_457_600)
    assert (point["distilbeto"]["parameters"], point["distilbeto"]["macs"]) == (67_324_419, 21_764_311_296)
    assert (point["albeto-tiny"]["parameters"], point["albeto-tiny"]["macs"]) == (5_345_075, 2_418_245_608)
    assert len({point[f"albeto-base-{n}"]["parameters"] for n in (2, 4, 6, 8, 10)}) == 1


def test_sizes_are_told_without_a_training_library() -> None:
    code = ("import sys; from sgonz.commands.measuring import benchmark;"
            "benchmark('albeto-tiny', (8,), (1,), None, protocol='sound', repeats=2, reference='none', output='json');"
            "assert not {'torch', 'numpy', 'transformers', 'sqlalchemy'} & set(sys.modules)")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("output", ["csv", "markdown", "table"])
def test_other_formats_hold_the_same_numbers(output: str) -> None:
    done = sgonz("--models", "albeto-tiny", "--lengths", "512", "--format", output)
    assert done.returncode == 0, done.stderr
    assert "2418245608" in done.stdout
    if output == "csv":
        (row,) = csv.DictReader(io.StringIO(done.stdout))
        assert (row["parameters"], row["latency_ms"]) == ("5345075", "")


def test_a_folder_is_measured_as_its_config_says_and_timed_beside_a_reference(tmp_path: Path) -> None:
    for name, width in (("small", 16), ("smaller", 8)):
        (tmp_path / name).mkdir()
        fields = {"model_type": "albert", "vocab_size": 50, "embedding_size": 8, "hidden_size": width, "num_hidden_layers": 2,
                  "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 32, "type_vocab_size": 2,
                  "num_hidden_groups": 1, "inner_group_num": 1, "id2label": {"0": "a"}}  # fmt: skip
        (tmp_path / name / "config.json").write_text(json.dumps(fields))
    done = sgonz("--models", str(tmp_path / "small"), "--lengths", "8", "--batch-sizes", "1,2", "--device", "cpu",
                 "--repeats", "2", "--reference", str(tmp_path / "smaller"), "--format", "json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [(row["batch_size"], row["status"]) for row in rows] == [(1, "measured"), (2, "measured")]
    for row in rows:
        assert row["latency_ms"] > 0
        assert row["reference_ms"] > 0
        assert row["size_mb"] > 0
        assert row["machine"]["cpu"]
        assert len(row["latencies_ms"]) == 2


def test_an_unknown_model_is_named_with_the_nearest() -> None:
    done = sgonz("--models", "albeto-tin")
    assert done.returncode == 2
    assert "did you mean albeto-tiny" in done.stderr
    with pytest.raises(SpecError, match="names no model"):
        architectures(" , ")


@pytest.mark.parametrize("listed", ["", "0", "-1", "1.5", "128,x", "1,,2", "٣"])
def test_lists_of_sizes_are_whole_numbers_from_one(listed: str) -> None:
    with pytest.raises(SpecError, match="--lengths"):
        sizes("--lengths", listed)

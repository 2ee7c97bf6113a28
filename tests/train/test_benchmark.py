"""Benchmark rows on small models: what is computed, what is measured, what the filter keeps."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from statistics import fmean

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModelForSequenceClassification

from sgonz.catalog import models
from sgonz.errors import SpecError
from sgonz.plan.scoring import BETO_MACS
from sgonz.train.benchmark import Timing, rows, summary, typical
from sgonz.train.memory import out_of_memory

SMALL = {
    "vocab_size": 60,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 40,
}
SHARED = {"embedding_size": 4, "num_hidden_groups": 1, "inner_group_num": 1}
TINY = {
    "small-bert": {"model_type": "bert", "type_vocab_size": 2, **SMALL},
    "small-albert": {"model_type": "albert", "type_vocab_size": 2, **SHARED, **SMALL},
    "small-roberta": {"model_type": "roberta", "type_vocab_size": 1, **SMALL},
}
QUICK = Timing(warm_up=1, repeats=4, threads=1)


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    assert torch.get_num_threads() == before


def test_sizes_need_no_torch() -> None:
    code = (
        "import sys; from sgonz.catalog import models; from sgonz.train.benchmark import rows;"
        "found = list(rows({name: model.architecture() for name, model in models().items()}));"
        "print(len(found), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(19 * 7 * 3), "False"]


def test_reported_point_of_beto_is_the_published_one() -> None:
    (row,) = rows({"beto": models()["beto-cased"].architecture()}, [1], [512])
    assert (row["parameters"], row["macs"], row["status"]) == (109_853_187, BETO_MACS, "computed")
    assert row["size_mb"] is row["latency_ms"] is None


def test_every_cell_is_measured_on_the_cpu_beside_the_reference() -> None:
    timing = Timing(warm_up=1, repeats=4, threads=1, reference="small-bert")
    found = list(rows(TINY, [1, 2], [8, 16], "cpu", timing))
    cells = [(row["model"], row["batch_size"], row["length"]) for row in found]
    assert cells == [(name, batch, length) for name in TINY for batch in (1, 2) for length in (8, 16)]
    for row in found:
        assert row["status"] == "measured"
        assert len(row["latencies_ms"]) == 4
        assert min(row["latencies_ms"]) <= row["latency_ms"] <= max(row["latencies_ms"])
        assert ("reference_ms" in row) == (row["model"] != "small-bert")
        machine = row["machine"]
        assert (machine["threads"], machine["device"], machine["torch"]) == (1, "cpu", torch.__version__)
        assert all(machine[key] for key in ("host", "cpu", "device_name", "transformers", "clock"))
    json.dumps(found)


def test_size_is_that_of_the_saved_state_dict() -> None:
    (row,) = rows({"small-bert": TINY["small-bert"]}, [1], [8], "cpu", QUICK)
    model = AutoModelForSequenceClassification.from_config(
        AutoConfig.for_model(**TINY["small-bert"], num_labels=3), dtype=torch.float32
    )
    saved = io.BytesIO()
    torch.save(model.state_dict(), saved)
    assert row["size_mb"] == pytest.approx(len(saved.getvalue()) / 2**20, rel=1e-3)
    assert row["parameters"] == sum(tensor.numel() for tensor in model.parameters())


def test_no_memory_is_an_empty_row_and_any_other_error_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def hungry(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("no memory left")

    monkeypatch.setattr("transformers.BertForSequenceClassification.forward", hungry)
    timing = Timing(warm_up=1, repeats=2, threads=1, reference="small-bert")
    found = {row["model"]: row for row in rows(TINY, [1], [8], "cpu", timing)}
    assert (found["small-bert"]["status"], found["small-bert"]["latency_ms"]) == ("out_of_memory", None)
    assert found["small-bert"]["size_mb"] > 0
    assert found["small-albert"]["status"] == "measured"
    assert "reference_ms" not in found["small-albert"]
    with pytest.raises(Exception, match=r"(?i)index|size|expand"):
        list(rows({"small-albert": TINY["small-albert"]}, [1], [64], "cpu", QUICK))  # more than its positions


def test_what_counts_as_no_memory() -> None:
    assert out_of_memory(MemoryError())
    assert out_of_memory(
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
    )
    assert not out_of_memory(RuntimeError("shape mismatch"))


def test_measuring_leaves_the_random_state_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    list(rows({"small-bert": TINY["small-bert"]}, [1], [8], "cpu", QUICK))
    assert torch.equal(torch.rand(3), expected)


def test_a_reference_must_be_among_the_models_and_calls_must_be_two() -> None:
    with pytest.raises(SpecError, match="beto"):
        list(rows(TINY, [1], [8], "cpu", Timing(reference="beto")))
    with pytest.raises(SpecError, match="1 timed"):
        Timing(repeats=1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_named() -> None:
    with pytest.raises(SpecError, match="no GPU"):
        list(rows(TINY, [1], [8], "cuda", QUICK))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_every_model_is_measured_on_a_gpu() -> None:
    found = list(rows(TINY, [1, 64], [32], "cuda", Timing(warm_up=3, repeats=10, reference="small-bert")))
    assert {row["status"] for row in found} == {"measured"}
    assert found[0]["machine"]["device_name"] == torch.cuda.get_device_name()


def test_outliers_are_left_out_of_mean_and_deviation_but_not_of_the_record() -> None:
    values = [10.0, 10.1, 9.9, 10.2, 9.8, 50.0]
    found = summary(values)
    assert found["latency_ms"] == pytest.approx(10.0)
    assert (found["latencies_kept"], found["latencies_ms"]) == (5, values)
    assert found["latency_median_ms"] == pytest.approx(10.05)
    assert found["latency_percentiles_ms"]["95"] > 10.2


def test_the_bound_of_the_filter_is_open() -> None:
    values = [0.0, 1.0, 2.0, 3.0, 4.0]  # median 2, MAD 1
    assert typical(values, 0.6745) == [2.0]
    assert typical(values, 0.6746) == [1.0, 2.0, 3.0]


def test_equal_latencies_are_all_kept_by_sound_and_none_by_paper() -> None:
    assert summary([5.0] * 4)["latency_ms"] == 5.0
    assert summary([5.0] * 4, "paper")["latency_ms"] is None


def test_paper_filters_a_second_time_at_three_quarters() -> None:
    values = [8.0, 9.0, 10.0, 11.0, 12.5, 90.0]
    assert summary(values, "paper")["latency_ms"] == fmean(typical(typical(values, 3.5), 0.75))
    assert summary(values, "paper")["latencies_kept"] < summary(values)["latencies_kept"]


@given(st.lists(st.floats(0.01, 1e4), min_size=2, max_size=40), st.randoms())
def test_order_does_not_matter_and_half_the_calls_always_stay(values: list[float], random) -> None:
    shuffled = values.copy()
    random.shuffle(shuffled)
    kept = typical(values, 3.5)
    assert sorted(typical(shuffled, 3.5)) == sorted(kept)
    assert len(kept) * 2 >= len(values)

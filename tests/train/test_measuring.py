"""A run that measures an architecture."""

from __future__ import annotations

import json

import msgspec

from sgonz.coordinator.benchmarks import keep_measured
from sgonz.plan.expand import NO_DATASET
from sgonz.plan.runs import Kind, Measure, Model, Outcome, RunSpec, Settings, State
from sgonz.store.store import open_store

SMALL = {"model_type": "albert", "vocab_size": 50, "embedding_size": 8, "hidden_size": 16, "num_hidden_layers": 2,
         "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 32, "type_vocab_size": 2,
         "num_hidden_groups": 1, "inner_group_num": 1}  # fmt: skip
MEASURE = Measure(batch_sizes=(1, 2), lengths=(8, 16), device="cpu", repeats=3, warm_up=1, reference="other",
                  reference_architecture=SMALL | {"num_hidden_layers": 1})  # fmt: skip


def laid_out(bench, **changes):
    spec = RunSpec(run_id="b1", kind=Kind.BENCHMARK, dataset=NO_DATASET, model=Model(name="small", architecture=SMALL),
                   settings=Settings(), measure=MEASURE, switches={"latency": "synchronised"})  # fmt: skip
    run = bench.workdir.run("b1")
    run.root.mkdir(parents=True)
    run.spec.write_bytes(msgspec.json.encode(msgspec.structs.replace(spec, **changes)))
    return run


def test_rows_of_the_model_alone_are_left_on_disk_with_every_latency(bench):
    run = laid_out(bench)
    ended = bench.do(run)
    assert ended.outcome is Outcome.COMPLETED, ended.error
    rows = json.loads(run.measured.read_text())
    assert [(row["model"], row["batch_size"], row["length"]) for row in rows] == [
        ("small", batch, length) for batch in (1, 2) for length in (8, 16)
    ]
    assert all(len(row["latencies_ms"]) == 3 and row["reference_ms"] > 0 for row in rows)
    assert ended.notes["rows"] == 4


def test_the_published_rule_filters_twice(bench):
    run = laid_out(bench, switches={"latency": "published"})
    assert bench.do(run).outcome is Outcome.COMPLETED
    assert {row["protocol"] for row in json.loads(run.measured.read_text())} == {"paper"}


def test_a_stopped_benchmark_leaves_nothing_and_is_done_again(bench):
    run = laid_out(bench)
    assert bench.do(run, stop=lambda: True).outcome is Outcome.PREEMPTED
    assert not run.measured.exists()
    assert bench.do(run).outcome is Outcome.COMPLETED


def test_a_benchmark_without_an_architecture_fails_with_its_cause(bench):
    ended = bench.do(laid_out(bench, model=Model(name="small", path="/absent")))
    assert ended.outcome is Outcome.FAILED
    assert "architecture" in ended.error


def test_what_was_measured_is_stored_once_however_often_it_is_collected(bench):
    run = laid_out(bench)
    ended = bench.do(run)
    with open_store(bench.workdir.store, workspace=bench.workdir.root, create=True) as store:
        sweep = store.add_sweep(name="s", text="", spec_json="{}", cluster="local", time=0.0, provenance={})
        store.add_runs(sweep, [run.read_spec()])
        store.apply("events", [ended], 10, tag="t", element=0)
        rows = store.snapshot(sweep)
        assert rows[0].state is State.COMPLETED
        for _ in range(2):
            keep_measured(store, bench.workdir, rows)
        stored = store.benchmarks()
    assert [(row.batch_size, row.length) for row in stored] == [(1, 8), (1, 16), (2, 8), (2, 16)]
    assert all(row.device.startswith("cpu: ") and row.latency_ms > 0 and row.macs > 0 for row in stored)

from __future__ import annotations

import msgspec

from sgonz.plan.history import History, Trial, noted, shape_of, start
from sgonz.plan.runs import Dataset, Kind, Model, RunSpec, Settings

SPEC = RunSpec(
    run_id="r", kind=Kind.FINETUNE, settings=Settings(batch_size=32), model=Model(name="beto", fingerprint="f"),
    dataset=Dataset(name="pos", task="tagging", format="conllu", fingerprint="d"),
)  # fmt: skip
A100 = "NVIDIA A100"


def with_settings(**values: object) -> RunSpec:
    return msgspec.structs.replace(SPEC, settings=msgspec.structs.replace(SPEC.settings, **values))


def after(*trials: Trial) -> History:
    return noted(History(), [(SPEC, trial) for trial in trials])


SPLIT = Trial(device=A100, batch_size=32, micro_batch=8, seconds_per_step=1.0, peak_memory_mb=900.0)


def test_a_split_is_where_runs_of_the_shape_start_whatever_their_learning_rate():
    assert start(after(SPLIT), with_settings(learning_rate=1e-3, batch_size=64), A100) == (8, False)
    assert start(after(SPLIT), with_settings(batch_size=8), A100) == (None, False)


def test_other_devices_lengths_and_contents_are_other_shapes():
    history = after(SPLIT)
    assert start(history, SPEC, "cpu") == (None, False)
    assert start(history, with_settings(max_length=128), A100) == (None, False)
    other = msgspec.structs.replace(SPEC, model=Model(name="beto", fingerprint="g"))
    assert start(history, other, A100) == (None, False)
    assert shape_of(SPEC, A100) == shape_of(with_settings(learning_rate=1e-3), A100)


def test_small_batches_that_fit_do_not_unlearn_a_split_and_large_ones_do():
    small = Trial(device=A100, batch_size=8, micro_batch=8)
    assert start(after(SPLIT, small), SPEC, A100) == (8, False)
    assert start(after(SPLIT, Trial(device=A100, batch_size=32, micro_batch=32)), SPEC, A100) == (None, False)


def test_recomputing_is_remembered_with_the_micro_batch_that_it_allowed():
    recomputed = Trial(device=A100, batch_size=32, micro_batch=16, recompute=True)
    assert start(after(SPLIT, recomputed), SPEC, A100) == (16, True)


def test_costs_are_the_newest_seconds_and_the_highest_peak():
    faster = Trial(device=A100, batch_size=16, micro_batch=8, seconds_per_step=0.5, peak_memory_mb=100.0)
    (cost,) = after(SPLIT, faster).costs
    assert (cost.runs, cost.batch_size, cost.peak_memory_mb) == (2, 16, 900.0)
    assert 0.5 < (cost.seconds_per_step or 0) < 1.0


def test_history_survives_its_file():
    history = after(SPLIT)
    assert msgspec.json.decode(msgspec.json.encode(history), type=History) == history

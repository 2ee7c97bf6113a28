"""What was measured decides what the next run gets; what was not is estimated, and said to be."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgonz.catalog import models
from sgonz.plan.estimate import done_at, predictor
from sgonz.plan.history import AtBatch, History, Trial, noted, start
from sgonz.plan.prediction import (
    LEAST_MINUTES,
    epoch_seconds,
    memory_at,
    micro_batch_within,
    minutes_for,
    recall,
)
from sgonz.plan.runs import Dataset, Kind, Model, RunSpec, Settings, State
from sgonz.plan.sizing import parameters, shape_of, training_bytes
from sgonz.plan.state import RunRow

A100, T4 = "NVIDIA A100", "Tesla T4"
SPEC = RunSpec(
    run_id="r", kind=Kind.FINETUNE, settings=Settings(batch_size=32, epochs=4), model=Model(name="beto", fingerprint="f"),
    dataset=Dataset(name="pos", task="tagging", format="conllu", fingerprint="d"),
)  # fmt: skip


def spec(**settings: object) -> RunSpec:
    return msgspec.structs.replace(SPEC, settings=msgspec.structs.replace(SPEC.settings, **settings))


def trial(
    batch_size: int, *, device: str = A100, peak: float = 4000.0, epoch: float = 60.0, **more: object
) -> Trial:
    return Trial(device=device, batch_size=batch_size, seconds_per_step=0.5, seconds_per_epoch=epoch,
                 peak_memory_mb=peak, **more)  # fmt: skip


def history(*trials: Trial) -> History:
    return noted(History(), [(spec(batch_size=each.batch_size), each) for each in trials])


def row(**values: object) -> RunRow:
    facts = {
        "run_id": "r",
        "kind": Kind.FINETUNE,
        "dataset": "pos",
        "model": "beto",
        "batch_size": 32,
        "epochs": 4,
    }
    return RunRow(**{**facts, **values})


def test_seconds_are_those_of_the_shape_whatever_its_learning_rate_on_the_slowest_device():
    found = recall(history(trial(32, epoch=60.0), trial(32, device=T4, epoch=200.0)))
    measured = found(spec(learning_rate=1e-4))
    assert measured is not None
    assert (measured.device, measured.seconds_per_epoch, measured.runs) == (T4, 200.0, 1)
    assert found(spec(max_length=128)) is None


def test_another_batch_reads_the_same_rows_and_takes_other_steps():
    measured = recall(history(trial(32)))(spec(batch_size=64))
    assert measured is not None
    assert (measured.seconds_per_epoch, measured.seconds_per_step) == (60.0, 1.0)
    assert measured.peak_memory_mb is None  # one point is no line


def test_memory_follows_the_line_through_what_was_measured():
    batches = [AtBatch(batch_size=16, rows=16, peak_memory_mb=3000.0), AtBatch(batch_size=32, rows=32, peak_memory_mb=5000.0)]  # fmt: skip
    assert memory_at(batches, 64) == pytest.approx(9000.0)
    assert memory_at(batches, 16) == 3000.0


def test_a_run_begins_with_the_rows_that_are_predicted_to_fit():
    known = history(trial(16, peak=3000.0), trial(32, peak=5000.0))
    assert micro_batch_within(known, spec(batch_size=64), A100, memory_mb=8000.0) == 32
    assert micro_batch_within(known, spec(batch_size=64), A100, memory_mb=80_000.0) is None
    assert micro_batch_within(known, spec(batch_size=64), T4, memory_mb=8000.0) is None
    assert micro_batch_within(history(trial(32)), spec(batch_size=64), A100, memory_mb=1.0) is None
    assert start(known, spec(batch_size=64), A100) == (None, False)  # no step was ever too large


@given(st.floats(100, 1e5), st.sampled_from([16, 24, 33, 64, 256]))
def test_what_is_predicted_to_fit_does_by_that_prediction(memory_mb: float, batch_size: int):
    known = history(trial(16, peak=3000.0), trial(32, peak=5000.0))
    rows = micro_batch_within(known, spec(batch_size=batch_size), A100, memory_mb)
    predicted = memory_at(known.costs[0].batches, rows or batch_size)
    assert rows == 1 or (predicted or 0.0) <= memory_mb
    assert rows is None or 1 <= rows < batch_size


def test_jobs_are_given_twice_what_their_runs_took_and_nothing_where_one_was_never_seen():
    known = history(trial(32, epoch=600.0))
    assert (
        minutes_for(known, [[SPEC], [SPEC, SPEC]]) == 161
    )  # 2 runs of 4 epochs of 10 minutes, and their start
    assert minutes_for(history(trial(32, epoch=1.0)), [[SPEC]]) == LEAST_MINUTES
    assert minutes_for(known, [[SPEC, msgspec.structs.replace(SPEC, kind=Kind.LOGITS)]]) is None
    assert minutes_for(History(), [[SPEC]]) is None


def test_packing_goes_by_what_was_measured_then_by_the_guess_scaled_by_how_wrong_it_was():
    known = epoch_seconds(history(trial(32, epoch=50.0)), [SPEC])
    rows = [row(), row(run_id="s", model="other")]
    seconds = predictor(rows, lambda each: 100.0, known)
    assert [seconds(each) for each in rows] == [200.0, 200.0]  # the guess was half of it
    done = row(run_id="t", model="other", state=State.COMPLETED, seconds=20.0, epochs_done=4)
    assert predictor([*rows, done], lambda each: 100.0, known)(rows[1]) == 20.0


def test_a_job_lasts_as_long_as_its_runs_take_so_many_at_a_time():
    assert done_at([3.0, 1.0, 1.0, 1.0], 1) == 6.0
    assert done_at([3.0, 1.0, 1.0, 1.0], 2) == 3.0
    assert done_at([5.0], 4) == 5.0  # a run alone is no faster for the room beside it
    assert done_at([2.0], 2, [10.0]) == 12.0  # behind one at work: it may wait for that one's result
    assert done_at([], 2, [10.0, 7.0]) == 10.0


def test_runs_of_every_batch_have_a_cost_of_their_own_and_recomputed_ones_no_memory():
    known = history(
        trial(16, peak=3000.0), trial(32, peak=100.0, recompute=True), trial(16, peak=2000.0, epoch=70.0)
    )
    (cost,) = known.costs
    assert [(each.batch_size, each.peak_memory_mb) for each in cost.batches] == [(16, 3000.0), (32, None)]
    assert 60.0 < (cost.batches[0].seconds_per_epoch or 0.0) < 70.0
    assert msgspec.json.decode(msgspec.json.encode(known), type=History) == known


def test_the_first_estimate_of_memory_grows_with_model_batch_and_length():
    def gib(name: str, batch: int, length: int) -> float:
        shape = shape_of(models()[name].model_type, models()[name].config())
        assert training_bytes(shape, batch, length) > 16 * parameters(shape, 3)
        return training_bytes(shape, batch, length) / 2**30

    assert gib("albeto-tiny", 16, 512) < gib("beto-cased", 16, 512) < gib("albeto-xxlarge", 16, 512)
    assert gib("beto-cased", 16, 128) < gib("beto-cased", 16, 512) < gib("beto-cased", 32, 512)
    assert 5 < gib("beto-cased", 16, 512) < 12  # a base model fits a 12 GB card with 16 rows, and not with 64

"""From a sweep to its runs."""

from __future__ import annotations

import tomllib
from collections import Counter

import msgspec
import pytest
from small_sweep import small_sources, small_sweep

from sgonz.errors import SpecError
from sgonz.plan.expand import (
    benchmark_runs,
    count_runs,
    distill_runs,
    evaluate_run,
    finetune_runs,
    logits_run,
)
from sgonz.plan.runs import Dataset, Kind, Settings
from sgonz.plan.spec import decode


def test_the_grid_is_every_data_set_model_and_point():
    runs = finetune_runs(small_sweep(), small_sources())
    assert Counter((run.dataset.name, run.model.name) for run in runs) == {
        (dataset, model): 2 for dataset in ("mldoc", "pos") for model in ("beto", "albeto")
    }
    assert len({run.run_id for run in runs}) == 8
    assert all(run.kind is Kind.FINETUNE and run.settings.epochs == Settings().epochs for run in runs)


def test_two_ways_to_write_a_grid_give_the_same_runs():
    other = small_sweep().finetune
    ranged = msgspec.structs.replace(other, grid={"learning_rate": {"from": 1e-5, "to": 2e-5, "num": 2}})
    split = msgspec.structs.replace(other, grid={}, settings={}, override=other.override)
    split = msgspec.structs.replace(split, grid={"learning_rate": [2e-5, 1e-5], "epochs": 3})
    ids = [
        {
            run.run_id
            for run in finetune_runs(msgspec.structs.replace(small_sweep(), finetune=stage), small_sources())
        }
        for stage in (other, ranged, split)
    ]
    assert ids[0] == ids[1] == ids[2]


def test_a_new_value_adds_only_its_own_cells():
    small = small_sweep()
    stage = msgspec.structs.replace(small.finetune, grid={"learning_rate": [1e-5, 2e-5, 3e-5]})
    before = {run.run_id for run in finetune_runs(small, small_sources())}
    after = {
        run.run_id for run in finetune_runs(msgspec.structs.replace(small, finetune=stage), small_sources())
    }
    assert before < after
    assert len(after - before) == 4


def test_seeds_multiply_and_exclusions_take_away():
    sweep = small_sweep(
        'seeds = [1, 2]\nexclude = [{model = "beto", seed = 2}, {dataset = "pos", learning_rate = 2e-5}]\n'
    )
    runs = finetune_runs(sweep, small_sources())
    assert len(runs) == 16 - 4 - 3  # three of the points on pos are not excluded already
    assert not [run for run in runs if run.model.name == "beto" and run.seed == 2]


def test_an_exclusion_of_everything_or_of_an_unknown_field_is_refused():
    with pytest.raises(SpecError, match="the grid is empty"):
        finetune_runs(small_sweep('exclude = [{kind = "finetune"}]\n'), small_sources())
    with pytest.raises(SpecError, match="did you mean model"):
        finetune_runs(small_sweep('exclude = [{modle = "beto"}]\n'), small_sources())


def test_students_follow_a_teacher_through_its_logits():
    sweep = small_sweep()
    teacher = finetune_runs(sweep, small_sources())[0]
    logits = logits_run(sweep, teacher)
    students = distill_runs(sweep, small_sources(), logits)
    assert logits.need("teacher") == teacher.run_id
    assert [student.settings.batch_size for student in students] == [16, 32]
    assert all(student.need("logits") == logits.run_id for student in students)
    assert all(student.teacher == teacher.model for student in students)
    assert (
        students[0].settings.epochs,
        students[0].settings.patience,
        students[0].settings.weight_decay,
    ) == (50, 10, 0.01)


def test_another_teacher_makes_other_students():
    sweep = small_sweep()
    one, other, *_ = finetune_runs(sweep, small_sources())
    ids = [
        {run.run_id for run in distill_runs(sweep, small_sources(), logits_run(sweep, run))}
        for run in (one, other)
    ]
    assert not ids[0] & ids[1]


def test_an_evaluation_reads_one_run():
    run = finetune_runs(small_sweep(), small_sources())[0]
    evaluation = evaluate_run(small_sweep(), run)
    assert (evaluation.kind, evaluation.need("model"), evaluation.model) == (
        Kind.EVALUATE,
        run.run_id,
        run.model,
    )


def test_counts_say_what_the_whole_chain_will_be():
    sweep = small_sweep()
    runs = finetune_runs(sweep, small_sources())
    assert count_runs(sweep, runs) == {"finetune": 8, "logits": 2, "distill": 4, "evaluate": 4 + 2}


def test_a_data_set_without_a_test_split_counts_no_evaluation():
    sources = small_sources()
    files = {"train": "a", "validation": "b"}
    bare = {**sources.datasets, "pos": msgspec.structs.replace(sources.datasets["pos"], files=files)}
    sweep = small_sweep()
    runs = finetune_runs(sweep, msgspec.structs.replace(sources, datasets=bare))
    assert count_runs(sweep, runs) == {"finetune": 8, "logits": 2, "distill": 4, "evaluate": 2 + 1}


def test_switches_of_a_task_enter_its_runs_only():
    text = 'name="x"\ndatasets=["mldoc","pos"]\n[protocol_switches]\ntagging_labels = "all_pieces"\n[finetune]\nmodels=["beto"]'
    plain = text.replace('tagging_labels = "all_pieces"', "")
    changed, before = (
        {
            run.dataset.name: run.run_id
            for run in finetune_runs(decode(tomllib.loads(t), "x"), small_sources())
        }
        for t in (text, plain)
    )
    assert changed["mldoc"] == before["mldoc"]
    assert changed["pos"] != before["pos"]


MEASURED = small_sweep("benchmark = {lengths = [128], reference = 'beto'}\n")
SHAPES = {
    name: {"model_type": "bert", "num_hidden_layers": layers}
    for name, layers in (("beto", 12), ("albeto", 12), ("tiny", 4))
}


def test_models_and_students_are_measured_once_where_the_sweep_says_so():
    runs = benchmark_runs(MEASURED, SHAPES)
    assert [run.model.name for run in runs] == ["beto", "albeto", "tiny"]
    assert len({run.run_id for run in runs}) == 3
    assert all(run.kind is Kind.BENCHMARK and not run.needs and run.measure.lengths == (128,) for run in runs)
    assert runs[0].measure.reference_architecture == SHAPES["beto"]
    assert benchmark_runs(small_sweep(), SHAPES) == []
    assert [run.model.name for run in benchmark_runs(MEASURED, {"beto": SHAPES["beto"]})] == ["beto"]
    whole = finetune_runs(MEASURED, small_sources()) + runs
    assert count_runs(MEASURED, whole)["benchmark"] == 3
    assert count_runs(MEASURED, whole)["finetune"] == 8


def test_a_benchmark_is_known_by_architecture_and_grid():
    def ids(sweep=MEASURED, **shapes):
        return {run.model.name: run.run_id for run in benchmark_runs(sweep, SHAPES | shapes)}

    assert ids()["tiny"] != ids(tiny={"model_type": "bert", "num_hidden_layers": 5})["tiny"]
    assert ids()["albeto"] == ids(tiny={"model_type": "bert", "num_hidden_layers": 5})["albeto"]
    longer = small_sweep("benchmark = {lengths = [256], reference = 'beto'}\n")
    assert ids() != ids(longer)
    published = small_sweep("protocol = 'paper'\nbenchmark = {lengths = [128], reference = 'beto'}\n")
    assert ids() != ids(published)
    other_seed = small_sweep("seeds = [7]\nbenchmark = {lengths = [128], reference = 'beto'}\n")
    assert ids() == ids(other_seed)


def test_a_reference_of_unknown_shape_is_refused():
    with pytest.raises(SpecError, match="reference"):
        benchmark_runs(small_sweep("benchmark = {reference = 'gpt'}\n"), SHAPES)


@pytest.mark.parametrize("where", ["finetune", "distill"])
def test_windows_that_would_bring_nothing_new_are_refused(where: str):
    questions = Dataset(name="mlqa", task="qa", format="squad", metric="f1", fingerprint="q")
    sources = msgspec.structs.replace(small_sources(), datasets={"mlqa": questions})
    sweep = msgspec.structs.replace(small_sweep(), datasets=["mlqa"])
    assert finetune_runs(sweep, sources)
    short = {where: msgspec.structs.replace(getattr(sweep, where), settings={"max_length": 100})}
    with pytest.raises(SpecError, match=rf"{where}.max_length 100 leaves no room beside an overlap of 128"):
        finetune_runs(msgspec.structs.replace(sweep, **short), sources)
    short[where] = msgspec.structs.replace(short[where], settings={"max_length": 100, "overlap": 95})
    assert finetune_runs(msgspec.structs.replace(sweep, **short), sources)

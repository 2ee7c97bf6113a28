"""What the names in a sweep come to, and that other content is always another run."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from sgonz.commands.planning import plan_answer
from sgonz.errors import SpecError
from sgonz.plan.expand import finetune_runs
from sgonz.plan.runs import Dataset, Kind, Model
from sgonz.plan.spec import decode
from sgonz.rundir import Workdir
from sgonz.sweep.planned import plan_sweep
from sgonz.sweep.sources import Resolution, resolve


def resolved(folder: Path, text: str) -> Resolution:
    standard = (
        'name = "x"\n'
        + text
        + ('\n[finetune]\nmodels = ["beto-cased"]\n' if "[finetune]" not in text else "")
    )
    return resolve(decode(tomllib.loads(standard), "x.toml"), Workdir(folder), "x.toml")


def run_id(folder: Path, text: str) -> str:
    standard = (
        'name = "x"\n'
        + text
        + ('\n[finetune]\nmodels = ["beto-cased"]\n' if "[finetune]" not in text else "")
    )
    sweep = decode(tomllib.loads(standard), "x.toml")
    (run,) = finetune_runs(sweep, resolve(sweep, Workdir(folder), "x.toml").sources)
    return run.run_id


def model_folder(folder: Path, words: str = "{}") -> Path:
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "bert"}')
    (folder / "tokenizer.json").write_text(words)
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


HUB = '[datasets.mine]\ntask = "classification"\nformat = "jsonl"\nhub = "org/mine"\n'


@pytest.mark.parametrize(
    "addition",
    ['hub_config = "es"', 'revision = "v2"', 'hub_splits = {train = "a", validation = "b"}', 'language = "en"',
     'labels = ["a", "b"]', "limit = {train = 5}"],
)  # fmt: skip
def test_another_part_of_a_hubs_data_set_is_another_run(tmp_path: Path, addition: str) -> None:
    assert run_id(tmp_path, HUB) != run_id(tmp_path, HUB + addition + "\n")


def test_a_tokenizer_that_stands_elsewhere_is_part_of_the_model(tmp_path: Path) -> None:
    weights = model_folder(tmp_path / "weights")
    one, other = (model_folder(tmp_path / name, f'{{"version": "{name}"}}') for name in ("one", "other"))
    sweep = f'datasets = ["xnli"]\n[models.mine]\npath = "{weights}"\n%s\n[finetune]\nmodels = ["mine"]\n'
    ids = {run_id(tmp_path, sweep % line) for line in ("", f'tokenizer = "{one}"', f'tokenizer = "{other}"')}
    assert len(ids) == 3


def test_a_published_name_keeps_its_facts_wherever_its_weights_stand(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "weights")
    found = resolved(tmp_path, f'datasets = ["xnli"]\n[models.albeto-base]\npath = "{folder}"\n[finetune]\n'
                               'models = ["albeto-base", "albeto-base-4"]\n')  # fmt: skip
    whole, cut = found.sources.models["albeto-base"], found.sources.models["albeto-base-4"]
    assert isinstance(whole, Model)
    assert (whole.path, cut.path) == (str(folder), str(folder))
    assert whole.expected["num_hidden_layers"] == 12
    assert (cut.overrides, cut.expected["num_hidden_layers"]) == ({"num_hidden_layers": 4}, 4)


def test_a_data_set_like_a_published_one_has_its_labels_and_its_files(tmp_path: Path) -> None:
    found = resolved(
        tmp_path, f'[datasets.small]\nlike = "xnli"\npath = "{tmp_path}"\nlimit = {{train = 3}}\n'
    )
    small = found.sources.datasets["small"]
    assert isinstance(small, Dataset)
    assert (small.labels, small.catalog) == (("entailment", "neutral", "contradiction"), "xnli")
    assert len(found.missing) == 1


def test_an_unknown_name_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="did you mean xnli"):
        resolved(tmp_path, 'datasets = ["xnly"]\n')


def test_inputs_longer_than_a_models_positions_are_told(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep.toml"
    sweep.write_text(
        'name = "x"\ndatasets = ["xnli"]\n[finetune]\nmodels = ["beto-cased", "bertin"]\nmax_length = 513\n'
    )
    warnings = plan_answer(plan_sweep(str(sweep), (), Workdir(tmp_path)), Workdir(tmp_path))["warnings"]
    assert [line for line in warnings if "positions" in line] == [
        "model beto-cased: max_length = 513, but it has positions for 512 tokens; inputs are cut to those"
    ]


def test_a_model_that_only_its_hub_knows_is_not_measured_and_plan_says_so(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep.toml"
    sweep.write_text('name = "x"\ndatasets = ["xnli"]\n[benchmark]\n[models.mine]\nhub = "org/mine"\n'
                     '[models.moved]\nhub = "CenIA/albert-tiny-spanish"\n'
                     '[finetune]\nmodels = ["mine", "moved", "beto-cased"]\n')  # fmt: skip
    planned = plan_sweep(str(sweep), (), Workdir(tmp_path))
    measured = {run.model.name: run for run in planned.runs if run.kind is Kind.BENCHMARK}
    assert set(measured) == {"moved", "beto-cased"}
    assert measured["moved"].model.architecture["hidden_size"] == 312  # type: ignore[index]
    warnings = plan_answer(planned, Workdir(tmp_path))["warnings"]
    assert [line for line in warnings if "benchmark" in line] == [
        "benchmark: the architecture of mine is not known here; it is not measured"
    ]


@pytest.mark.parametrize(
    ("teacher", "named"),
    [('select = "test_accuracy"', "teacher.select for data set mldoc is 'test_accuracy'"),
     ('select = "loss"', "Allowed there: validation_loss, validation_accuracy"),
     ('select = "validation_f1"', "a classification run"),
     ('per_dataset.ner = "validation_exact_match"', "teacher.per_dataset.ner for data set ner")],
)  # fmt: skip
def test_a_teacher_is_chosen_by_what_its_runs_are_validated_by(
    tmp_path: Path, teacher: str, named: str
) -> None:
    sweep = f'datasets = ["mldoc", "ner"]\n[teacher]\n{teacher}\n'
    with pytest.raises(SpecError) as refused:
        resolved(tmp_path, sweep)
    assert named in str(refused.value)
    fine = 'select = "validation_accuracy"\nper_dataset.ner = "f1"'
    assert resolved(tmp_path, sweep.replace(teacher, fine)).sources.datasets


def test_a_metric_is_a_score_of_the_task(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="Allowed there: accuracy, f1_macro"):
        resolved(tmp_path, HUB + 'metric = "bleu"\n')


def test_a_format_is_one_of_its_tasks(tmp_path: Path) -> None:
    own = '[datasets.mine]\ntask = "tagging"\nformat = "csv"\npath = "."\nfiles = {train = "a", validation = "b"}\n'
    with pytest.raises(SpecError, match="Allowed for tagging: conllu, conll2002"):
        resolved(tmp_path, own)


def test_a_model_comes_from_one_place(tmp_path: Path) -> None:
    both = '[models.mine]\npath = "here"\nhub = "org/mine"\n[finetune]\nmodels = ["mine"]\n'
    with pytest.raises(SpecError, match="says both path and hub"):
        resolved(tmp_path, 'datasets = ["xnli"]\n' + both)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "config.json").write_text("{}"), "names no model_type"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "config.json").unlink(), "holds no config.json"),
        (lambda folder: (folder / "model.safetensors").unlink(), "holds no weights"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "holds no tokenizer"),
    ],
)
def test_a_folder_that_is_no_models_is_missing_something(tmp_path: Path, spoil, said: str) -> None:
    spoil(model_folder(tmp_path / "weights"))
    text = f'datasets = ["xnli"]\n[models.mine]\npath = "{tmp_path / "weights"}"\n[finetune]\nmodels = ["mine"]\n'
    assert [line for line in resolved(tmp_path, text).missing if "mine" in line and said in line]

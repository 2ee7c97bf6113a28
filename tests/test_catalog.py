"""The catalog against transformers and against itself."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from sgonz.catalog import datasets, models, published, trained_ids
from sgonz.plan.runs import Dataset
from sgonz.plan.scoring import millions
from sgonz.plan.sizing import parameters, shape_of

NAMES = list(models())


def build(name: str, labels: int = 3) -> torch.nn.Module:
    model = models()[name]
    config = AutoConfig.for_model(model.model_type, num_labels=labels, **model.config())
    with torch.device("meta"):
        return AutoModelForSequenceClassification.from_config(config)


def test_eleven_candidates_and_six_published_students_are_there() -> None:
    candidates = [model.name for model in models().values() if "candidate" in model.roles]
    assert len(candidates) == 11
    taught = {row.model for row in published().rows if row.stage == "distill"}
    assert len(taught) == 6
    assert taught <= {model.name for model in models().values() if "student" in model.roles}


@pytest.mark.parametrize("name", NAMES)
def test_a_model_built_from_the_catalog_has_the_published_number_of_parameters(name: str) -> None:
    model = models()[name]
    built = sum(tensor.numel() for tensor in build(name).parameters())
    assert built == parameters(shape_of(model.model_type, model.config()), 3)
    for row in published().rows:
        if row.model == name:
            assert millions(built) == row.millions


@pytest.mark.parametrize("name", NAMES)
def test_every_field_is_one_that_transformers_knows_and_keeps(name: str) -> None:
    model = models()[name]
    config = AutoConfig.for_model(model.model_type, **model.config())
    known = set(AutoConfig.for_model(model.model_type).to_dict())
    assert set(model.config()) <= known
    assert {key: getattr(config, key) for key in model.config()} == model.config()


@pytest.mark.parametrize(
    ("name", "hidden", "attention", "head"),
    [
        ("albeto-xlarge", 0, 0, 0.1),
        ("beto-cased", 0.1, 0.1, 0.1),
        ("distilbeto", 0.1, 0.1, 0.2),
        ("bertin", 0, 0, 0),
    ],
)
def test_dropouts_are_those_of_the_checkpoints(
    name: str, hidden: float, attention: float, head: float
) -> None:
    built = build(name)
    assert (built.classifier.dropout if name == "bertin" else built.dropout).p == head
    config = built.config
    distil = name == "distilbeto"
    assert (config.dropout if distil else config.hidden_dropout_prob) == hidden
    assert (config.attention_dropout if distil else config.attention_probs_dropout_prob) == attention


def test_every_layer_norm_has_the_epsilon_of_its_family() -> None:
    for name in NAMES:
        norms = {module.eps for module in build(name).modules() if isinstance(module, torch.nn.LayerNorm)}
        assert norms == {1e-5 if models()[name].model_type == "roberta" else 1e-12}, name


def test_a_cut_differs_from_its_whole_in_depth_alone() -> None:
    for model in models().values():
        if model.cut_from is None:
            assert model.overrides() == {}
            continue
        whole = models()[model.cut_from]
        assert model.config() == {**whole.config(), "num_hidden_layers": model.layers}
        assert model.overrides() == {"num_hidden_layers": model.layers}
        assert (model.hub, model.vocabulary) == (whole.hub, whole.vocabulary)
        assert build(model.name).state_dict().keys() == build(whole.name).state_dict().keys()


def test_changing_a_config_leaves_the_catalog_alone() -> None:
    models()["albeto-tiny"].config()["hidden_size"] = 1
    assert models()["albeto-tiny"].config()["hidden_size"] == 312


def test_ids_of_trained_models_follow_the_published_patterns() -> None:
    squad = datasets()["tar"]
    assert trained_ids("finetune", models()["albeto-tiny"], squad) == (
        "dccuchile/albert-tiny-spanish-finetuned-qa-tar",
        "CenIA/albert-tiny-spanish-finetuned-qa-tar",
    )
    assert trained_ids("distill", models()["albeto-base-6"], datasets()["pos"]) == (
        "dccuchile/albert-base-6-spanish-distilled-pos",
    )
    assert trained_ids("distill", models()["albeto-tiny-6"], squad) == ()
    assert "CenIA/distillbert-base-spanish-uncased-finetuned-ner" in trained_ids(
        "finetune", models()["distilbeto"], datasets()["ner"]
    )


def test_every_data_set_fills_a_resolved_one() -> None:
    for name, found in datasets().items():
        Dataset(name=name, task=found.task, format=found.format, files=dict(found.files), labels=found.labels)
        assert set(found.files) == set(found.sizes) == {"train", "validation", "test"}
        assert (found.labels is None) == (found.task == "qa")
        assert found.pair == (name in ("pawsx", "xnli"))
        assert found.metric == ("accuracy" if found.task == "classification" else "f1")


def test_labels_stand_in_the_published_order() -> None:
    orders = {name: found.labels for name, found in datasets().items()}
    assert orders["mldoc"] == ("CCAT", "ECAT", "GCAT", "MCAT")
    assert orders["pawsx"] == ("0", "1")
    assert orders["xnli"] == ("entailment", "neutral", "contradiction")
    assert orders["ner"] is not None
    assert " ".join(orders["ner"]) == "O B-PER I-PER B-ORG I-ORG B-LOC I-LOC B-MISC I-MISC"
    assert orders["pos"] is not None
    assert " ".join(orders["pos"]) == (
        "NOUN PUNCT ADP NUM SYM SCONJ ADJ PART DET CCONJ PROPN PRON X _ ADV INTJ VERB AUX"
    )


def test_every_published_row_is_complete() -> None:
    rows = published().rows
    assert [row.stage for row in rows] == ["finetune"] * 11 + ["distill"] * 6
    for row in rows:
        assert list(row.headline) == list(datasets())
        assert list(row.exact_match) == ["mlqa", "sqac", "tar"]
        assert all(row.exact_match[name] < row.headline[name] for name in row.exact_match)
    assert set(published().teachers) == set(published().distillation_hours) == set(datasets())
    unreleased = {row.model for row in rows if not row.timings_released}
    assert unreleased == set(published().released_per_second)
    assert len(unreleased) == 5


def test_one_architecture_in_two_stages_has_one_size_and_speed() -> None:
    tuned, taught = (published().row(stage, "albeto-tiny") for stage in ("finetune", "distill"))
    assert tuned is not None
    assert taught is not None
    assert (tuned.millions, tuned.speedup, tuned.per_second) == (
        taught.millions,
        taught.speedup,
        taught.per_second,
    )


def test_choosing_teachers_by_test_would_change_four_of_eight() -> None:
    tuned = [row for row in published().rows if row.stage == "finetune"]
    best = {name: max(tuned, key=lambda row: row.headline[name]).model for name in datasets()}
    differing = {name: best[name] for name, teacher in published().teachers.items() if best[name] != teacher}
    assert differing == {
        "pawsx": "roberta-bne-large", "pos": "bertin", "ner": "beto-cased", "tar": "albeto-xlarge",
    }  # fmt: skip


def test_three_published_results_are_suspect_and_nothing_else() -> None:
    suspect = set()
    for stage in ("finetune", "distill"):
        rows = [row for row in published().rows if row.stage == stage]
        for name in datasets():
            best = max(row.headline[name] for row in rows)
            suspect |= {(row.model, name) for row in rows if best - row.headline[name] >= 25}
    assert suspect == {("roberta-bne-large", name) for name in ("xnli", "pos", "ner")}

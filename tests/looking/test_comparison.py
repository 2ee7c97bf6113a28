"""Ours beside the published numbers; the published numbers themselves stand in for ours."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from sgonz import catalog
from sgonz.catalog import PublishedRow
from sgonz.looking.comparison import COLUMNS, compare, flat, per_second
from sgonz.store.rows import BenchmarkRow
from sgonz.view.published import show_comparison

NAMES = {name: name for name in catalog.datasets()}
SHAPES = {name: model.architecture() for name, model in catalog.models().items()}


def row(kind: str, model: str, dataset: str, test: dict[str, float], **facts: Any) -> dict[str, Any]:
    return {"run_id": f"{kind}{model}{dataset}", "kind": kind, "model": model, "dataset": dataset, "teacher": None,
            "metric": catalog.datasets()[dataset].metric if dataset in NAMES else "f1", "test": test, "selected": True,
            "superseded": False, "protocol": "sound", **facts}  # fmt: skip


def as_ours(published: PublishedRow) -> list[dict[str, Any]]:
    rows = []
    for dataset, value in published.headline.items():
        test = {catalog.datasets()[dataset].metric: value}
        if dataset in published.exact_match:
            test["exact_match"] = published.exact_match[dataset]
        rows.append(row(published.stage, published.model, dataset, test))
    return rows


def test_published_scores_and_speedups_come_out_to_the_last_digit() -> None:
    ours = [row for published in catalog.published().rows for row in as_ours(published)]
    compared = compare(ours, NAMES, SHAPES)
    assert len(compared["results"]) == 17 * (8 + 3)
    assert {row["difference"] for row in compared["results"]} == {0.0}
    assert len(compared["summary"]) == 17
    for summary in compared["summary"]:
        assert summary["score_truncated"] == summary["published_score"], summary["model"]
        assert summary["score_difference"] == 0
        assert summary["speedup_truncated"] == summary["published_speedup"], summary["model"]
        assert summary["millions"] == summary["published_millions"], summary["model"]


def test_stages_are_compared_apart_and_differences_have_a_sign() -> None:
    ours = [row(kind, "albeto-tiny", "mldoc", {"accuracy": 96.0}) for kind in ("finetune", "distill")]
    found = {row["kind"]: row for row in compare(ours, NAMES, SHAPES)["results"]}
    assert (found["finetune"]["published"], found["finetune"]["difference"]) == (95.82, 0.18)
    assert (found["distill"]["published"], found["distill"]["difference"]) == (96.40, -0.4)


def test_seeds_count_with_their_mean_once_all_of_them_are_scored() -> None:
    ours = [row("finetune", "albeto-tiny", "mldoc", {"accuracy": score}) for score in (94.0, 96.0)]
    (found,) = compare(ours, NAMES, SHAPES)["results"]
    assert (found["ours"], found["seeds"]) == (95.0, 2)
    ours.append(row("finetune", "albeto-tiny", "mldoc", {}))
    (found,) = compare(ours, NAMES, SHAPES)["results"]
    assert (found["ours"], found["difference"], found["seeds"]) == (None, None, 3)


def test_scores_of_the_published_protocol_are_compared_as_they_were_printed() -> None:
    def ours(protocol: str) -> list[float]:
        tar = {"f1": 70.1234, "exact_match": 61.999}
        rows = [row("finetune", "albeto-tiny", "mldoc", {"accuracy": 96.375}, protocol=protocol),
                row("finetune", "albeto-tiny", "tar", tar, protocol=protocol)]  # fmt: skip
        return [found["ours"] for found in compare(rows, NAMES, SHAPES)["results"]]

    assert ours("sound") == [96.375, 70.1234, 61.999]
    assert ours("paper") == [96.38, 70.1234, 61.99]


def test_a_model_without_all_eight_data_sets_has_no_score_but_its_speedup() -> None:
    ours = as_ours(catalog.published().row("finetune", "distilbeto"))[:-1]  # type: ignore[arg-type]
    (summary,) = compare(ours, NAMES, SHAPES)["summary"]
    assert (summary["score"], summary["score_difference"]) == (None, None)
    assert summary["published_score"] == 76.73
    assert summary["speedup_truncated"] == 2.0


def test_what_was_measured_at_the_published_point_stands_beside_the_published_speed() -> None:
    rows = [BenchmarkRow(run_id="b", model="distilbeto", device=device, batch_size=batch, length=length, latency_ms=latency)
            for device, batch, length, latency in (("cpu: a", 1, 512, 50.0), ("cpu: a", 2, 512, 9.0), ("gpu", 1, 512, None),
                                                   ("cpu: a", 1, 128, 9.0))]  # fmt: skip
    ours = as_ours(catalog.published().row("finetune", "distilbeto"))  # type: ignore[arg-type]
    (summary,) = compare(ours, NAMES, SHAPES, per_second(rows))["summary"]
    assert summary["per_second"] == {"cpu: a": 20.0}
    assert summary["published_per_second"] == {"cpu": 9.12, "gpu": 217.40}


def test_the_full_count_gives_other_speedups() -> None:
    ours = [
        row("finetune", model, "mldoc", {"accuracy": 90.0})
        for model in ("albeto-tiny", "albeto-large", "beto-cased")
    ]
    found = {row["model"]: row["speedup_full"] for row in compare(ours, NAMES, SHAPES)["summary"]}
    assert (round(found["albeto-tiny"], 2), round(found["albeto-large"], 3)) == (15.74, 0.288)
    assert found["beto-cased"] == 1


def test_what_was_not_published_has_blanks_beside_it() -> None:
    compared = compare([row("finetune", "mine", "reviews", {"f1": 70.0})], {"reviews": None}, {})
    (result,) = compared["results"]
    assert (result["ours"], result["published"], result["difference"]) == (70.0, None, None)
    (summary,) = compared["summary"]
    assert (summary["score"], summary["speedup"], summary["published_speedup"]) == (None, None, None)


def test_a_data_set_under_another_name_is_known_by_what_it_is_like() -> None:
    ours = [row("finetune", "bertin", "xnli", {"accuracy": 80.5}) | {"dataset": "xnli-small"}]
    (result,) = compare(ours, {"xnli-small": "xnli"}, SHAPES)["results"]
    assert result["difference"] == 0


def test_seeds_count_with_their_mean_and_unselected_runs_not_at_all() -> None:
    ours = [row("finetune", "bertin", "pos", {"f1": value}) for value in (98.0, 99.0)]
    ours += [row("finetune", "bertin", "pos", {"f1": 0.0}, selected=False),
             row("finetune", "bertin", "pos", {"f1": 0.0}, superseded=True)]  # fmt: skip
    (result,) = compare(ours, NAMES, SHAPES)["results"]
    assert (result["ours"], result["seeds"]) == (98.5, 2)


def test_a_score_that_is_missing_is_blank() -> None:
    (result,) = compare([row("finetune", "bertin", "pos", {})], NAMES, SHAPES)["results"]
    assert (result["ours"], result["published"], result["difference"]) == (None, 99.02, None)


@pytest.mark.parametrize(
    "published", [row.model for row in catalog.published().rows if row.stage == "distill"]
)
def test_one_table_holds_both_parts(published: str) -> None:
    ours = as_ours(catalog.published().row("distill", published))  # type: ignore[arg-type]
    rows = flat(compare(ours, NAMES, SHAPES))
    assert [row["metric"] for row in rows][-2:] == ["score", "speedup"]
    assert rows[-1]["ours"] == rows[-1]["published"]
    assert set(COLUMNS) <= set(rows[0])


@pytest.mark.parametrize("width", [80, 120])
def test_tables_hold_both_parts(width: int) -> None:
    ours = [row for published in catalog.published().rows for row in as_ours(published)]
    at = Console(file=io.StringIO(), width=width, force_terminal=False, legacy_windows=False)
    show_comparison(compare(ours, NAMES, SHAPES), console=at)
    lines = at.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert max(map(len, lines)) <= width
    (tiny,) = [line for line in lines if "albeto-tiny" in line and "18.05" in line and "finetune" in line]
    assert tiny.split()[:5] == ["finetune", "albeto-tiny", "74.97", "74.97", "+0.00"]
    assert sum("exact match" in line for line in lines) == 17 * 3


def test_nothing_selected_is_said() -> None:
    at = Console(file=io.StringIO(), width=80)
    show_comparison(compare([], NAMES, SHAPES), console=at)
    assert "no run is selected yet" in at.file.getvalue()  # type: ignore[attr-defined]

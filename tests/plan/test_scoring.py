"""The derived columns against every published row."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgonz.catalog import PublishedRow, models, published
from sgonz.plan.scoring import (
    BETO_MACS,
    Figure,
    gmacs,
    millions,
    per_second,
    printed_accuracy,
    round2,
    score,
    speedup,
    trunc2,
)  # fmt: skip
from sgonz.plan.sizing import macs, parameters, shape_of

ROWS = published().rows


def work(name: str) -> int:
    model = models()[name]
    return macs(shape_of(model.model_type, model.config()), 1, 512, 3)


def scored(row: PublishedRow) -> Figure:
    figure = score(row.headline.values())
    assert figure is not None
    return figure


def label(row: PublishedRow) -> str:
    return f"{row.stage}-{row.model}"


@pytest.mark.parametrize("row", ROWS, ids=label)
def test_published_score_is_the_mean_cut_to_two_decimals(row: PublishedRow) -> None:
    assert scored(row).truncated == Decimal(str(row.score))


@pytest.mark.parametrize("row", ROWS, ids=label)
def test_published_speedup_follows_from_the_shape(row: PublishedRow) -> None:
    assert speedup(work(row.model)).truncated == Decimal(str(row.speedup))


@pytest.mark.parametrize("row", ROWS, ids=label)
def test_published_size_follows_from_the_shape(row: PublishedRow) -> None:
    model = models()[row.model]
    assert millions(parameters(shape_of(model.model_type, model.config()), 3)) == row.millions


def test_rounding_half_up_changes_ten_of_seventeen_scores() -> None:
    changed = [row for row in ROWS if scored(row).rounded != scored(row).truncated]
    assert (len(changed), len(ROWS)) == (10, 17)
    assert all(scored(row).rounded - scored(row).truncated == Decimal("0.01") for row in changed)


def test_misprinted_row_does_not_give_its_published_score() -> None:
    row = published().row("finetune", "albeto-xlarge")
    assert row is not None
    other = score((row.headline | row.misprint).values())
    assert other is not None
    assert (other.truncated, Decimal(str(row.score))) == (Decimal("84.37"), Decimal("84.13"))


def test_speedup_of_tiny_is_larger_in_print_than_exactly() -> None:
    tiny = speedup(work("albeto-tiny"))
    assert gmacs(work("albeto-tiny")).truncated == Decimal("2.41")
    assert (tiny.truncated, tiny.rounded) == (Decimal("18.05"), Decimal("18.00"))
    assert tiny.exact == pytest.approx(17.999, abs=5e-4)


def test_reference_is_beto() -> None:
    assert work("beto-cased") == work("beto-uncased") == BETO_MACS
    assert gmacs(BETO_MACS).truncated == Decimal("43.52")


def test_speedup_of_something_tiny_does_not_divide_by_a_printed_zero() -> None:
    assert speedup(1_000_000).truncated == Decimal("43526.45")


def test_two_point_zero_one_is_not_cut_to_two() -> None:
    assert trunc2(2.01) == Decimal("2.01")
    assert trunc2(1.1 * 3) == Decimal("3.30")
    assert trunc2(-0.999) == Decimal("-0.99")


def test_halves_are_rounded_up() -> None:
    assert (round2(0.125), round2(2.675), round2(-0.125)) == (
        Decimal("0.13"),
        Decimal("2.68"),
        Decimal("-0.13"),
    )


def test_score_needs_every_data_set() -> None:
    assert score([80.0, None]) is None
    assert score([80.0, float("nan")]) is None
    assert score([]) is None


def test_inferences_per_second_from_a_latency() -> None:
    assert per_second(30.735).truncated == Decimal("32.53")


def test_accuracy_is_printed_from_single_precision() -> None:
    assert printed_accuracy(3855 / 4000) == Decimal(
        "96.38"
    )  # 0.96375 lies above the half in single precision
    assert printed_accuracy(0.898) == Decimal("89.80")


@given(st.fractions(min_value=-1000, max_value=1000))
def test_cut_and_rounded_stay_within_a_hundredth(value: Fraction) -> None:
    cut, rounded = Fraction(trunc2(value)), Fraction(round2(value))
    assert 0 <= abs(value) - abs(cut) < Fraction(1, 100)
    assert abs(value - rounded) <= Fraction(1, 200)

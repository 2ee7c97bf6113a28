"""Cost against quality: the front, the area under it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgonz.errors import SpecError
from sgonz.plan.tradeoff import Box, Point, area, box, front

CHEAP = Point(name="cheap", cost=1, quality=60)
MIDDLE = Point(name="middle", cost=10, quality=80)
DEAR = Point(name="dear", cost=100, quality=90)
BEATEN = Point(name="beaten", cost=20, quality=70)
ALL = (CHEAP, MIDDLE, DEAR, BEATEN)

points = st.lists(
    st.builds(Point, name=st.just("x"), cost=st.floats(0.01, 1e4), quality=st.floats(0, 100)),
    min_size=1,
    max_size=12,
)


def test_who_is_dearer_and_worse_is_not_on_the_front() -> None:
    assert [point.name for point in front(ALL)] == ["cheap", "middle", "dear"]


def test_two_that_are_the_same_are_both_on_it() -> None:
    twin = Point(name="twin", cost=1, quality=60)
    assert {point.name for point in front([CHEAP, twin])} == {"cheap", "twin"}


def test_costs_count_by_their_logarithm() -> None:
    within = box(ALL)
    assert [within.economy(point.cost) for point in (CHEAP, MIDDLE, DEAR)] == pytest.approx([1, 0.5, 0])
    assert [within.quality(point.quality) for point in (CHEAP, MIDDLE, DEAR)] == pytest.approx([0, 2 / 3, 1])


def test_area_is_that_of_the_rectangles_under_the_steps() -> None:
    assert area(ALL, box(ALL)) == pytest.approx(0.5 * 2 / 3)
    assert area([CHEAP], box([CHEAP])) == 1  # the only one is the cheapest and the best


def test_nothing_cannot_be_weighed() -> None:
    with pytest.raises(SpecError, match="no model"):
        box([])
    with pytest.raises(SpecError, match="above 0"):
        box([Point(name="free", cost=0, quality=1)])


@given(points)
def test_the_front_holds_the_cheapest_and_the_best_and_every_other_is_beaten(some: list[Point]) -> None:
    found = front(some)
    assert found[0].cost == min(point.cost for point in some)
    assert found[-1].quality == max(point.quality for point in some)
    for point in some:
        assert any(other.cost <= point.cost and other.quality >= point.quality for other in found)


@given(points, points)
def test_more_models_never_make_the_area_smaller(some: list[Point], more: list[Point]) -> None:
    within = box([*some, *more])
    assert 0 <= area(some, within) <= area([*some, *more], within) + 1e-9 <= 1 + 2e-9


def test_one_value_for_all_is_the_best_there_is() -> None:
    within = Box(cheapest=2, dearest=2, worst=5, best=5)
    assert (within.economy(2), within.quality(5)) == (1, 1)

"""More runs for a warm worker: one of the two sides wins every number, and nothing is lost in between."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sgonz.rundir import Element
from sgonz.workdir import more_work


def runs(*run_ids: str) -> Element:
    return Element(run_ids=run_ids)


def test_an_offer_is_read_whole_by_its_number(tmp_path: Path):
    assert more_work.read(tmp_path, 0, 0) is None
    assert more_work.offer(tmp_path, 0, runs("a", "b"))
    assert more_work.offer(tmp_path, 0, runs("c"))
    assert more_work.offer(tmp_path, 1, runs("other"))
    assert [more_work.read(tmp_path, 0, number).run_ids for number in (0, 1)] == [("a", "b"), ("c",)]  # type: ignore[union-attr]


def test_a_worker_that_has_left_is_offered_nothing(tmp_path: Path):
    assert more_work.leave(tmp_path, 0, 0)
    assert not more_work.offer(tmp_path, 0, runs("a"))


def test_a_worker_does_not_leave_past_an_offer(tmp_path: Path):
    more_work.offer(tmp_path, 0, runs("a"))
    assert not more_work.leave(tmp_path, 0, 0)


@pytest.mark.parametrize("attempt", range(20))
def test_of_an_offer_and_a_leave_at_once_exactly_one_wins(tmp_path: Path, attempt: int):
    with ThreadPoolExecutor(2) as both:
        offered = both.submit(more_work._make, tmp_path, 0, 0, runs(f"run{attempt}"))
        left = both.submit(more_work.leave, tmp_path, 0, 0)
    assert offered.result() != left.result()

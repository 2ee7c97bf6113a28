"""How numbers of things are said."""

from __future__ import annotations

from sgonz.plan.wording import number_of


def test_one_thing_is_said_as_one() -> None:
    assert [number_of(size, "run") for size in (0, 1, 2, 1000)] == ["0 runs", "1 run", "2 runs", "1,000 runs"]
    assert [number_of(size, "run waits", "runs wait") for size in (1, 2)] == ["1 run waits", "2 runs wait"]

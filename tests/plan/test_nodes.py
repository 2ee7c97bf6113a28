"""A node is left out when one thing after another goes wrong on it that goes well elsewhere."""

from __future__ import annotations

import pytest

from sgonz.plan.nodes import NodeRecord, excluded
from sgonz.plan.spec import Retry

NOW = 1_000_000.0
HOUR = 3600.0
WELL = NodeRecord(node="good", began=NOW - 100, completed=NOW - 50)


def record(**facts: object) -> NodeRecord:
    return NodeRecord(node="bad", **facts)


@pytest.mark.parametrize(
    ("facts", "others", "retry", "why"),
    [
        ({"lost": (NOW - 3, NOW - 2, NOW - 1)}, [WELL], {}, "3 jobs in a row did not start there, or were lost"),
        ({"failed": (NOW - 3, NOW - 2, NOW - 1)}, [WELL], {}, "3 runs in a row failed there"),
        ({"lost": (NOW - 3, NOW - 2)}, [WELL], {}, None),  # not often enough
        ({"lost": (NOW - 3, NOW - 2)}, [WELL], {"node_failures": 2}, "2 jobs in a row did not start there, or were lost"),
        ({"lost": (NOW - 3, NOW - 2, NOW - 1)}, [WELL], {"node_failures": 0}, None),  # nobody wants it
        ({"lost": (NOW - 3, NOW - 2, NOW - 1)}, [], {}, None),  # the only node
        ({"lost": (NOW - 3, NOW - 2, NOW - 1)}, [NodeRecord(node="idle")], {}, None),  # wrong everywhere
        ({"lost": (NOW - 3, NOW - 2, NOW - 1), "began": NOW - 2.5}, [WELL], {}, None),  # not in a row
        ({"failed": (NOW - 3, NOW - 2, NOW - 1), "completed": NOW - 2.5}, [WELL], {}, None),
        ({"failed": (NOW - 3, NOW - 2, NOW - 1), "began": NOW}, [WELL], {}, "3 runs in a row failed there"),
        ({"failed": (NOW - 3, NOW - 2, NOW - 1)}, [NodeRecord(node="new", began=NOW)], {}, None),  # not done elsewhere yet
        ({"lost": (NOW - 30 * HOUR, NOW - 29 * HOUR, NOW - 25 * HOUR)}, [WELL], {}, None),  # mended by now, maybe
        ({"lost": (NOW - 30 * HOUR, NOW - 29 * HOUR, NOW - 2 * HOUR)}, [WELL], {"node_hours": 1.0}, None),
    ],
)  # fmt: skip
def test_a_node_is_left_out_for_what_goes_wrong_there_alone(
    facts: dict[str, object], others: list[NodeRecord], retry: dict[str, float], why: str | None
) -> None:
    found = excluded([record(**facts), *others], Retry(**retry), NOW)
    assert found == ({} if why is None else {"bad": why})

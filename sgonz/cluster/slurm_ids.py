"""What a job is called outside: its array and index, and the cluster in which they are counted.

Several clusters may be used from one work folder, and all of them count jobs from 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from sgonz.plan.state import JobRow

EXTERNAL_ID = re.compile(r"(\d+)_(\d+)(?:@(.+))?")

Key = tuple[int, int]  # array and index, of this cluster


def external_id(array: int, index: int, cluster: str) -> str:
    return f"{array}_{index}@{cluster}"


def key_in(cluster: str, external_id: str | None) -> Key | None:
    """Array and index of a job of this cluster; None where it was not sent yet, or elsewhere.

    One without the name of a cluster was written before there was one.
    """
    found = EXTERNAL_ID.fullmatch(external_id or "")
    return (int(found[1]), int(found[2])) if found and found[3] in (None, cluster) else None


def elsewhere(cluster: str, jobs: Iterable[JobRow]) -> dict[str, int]:
    """How many of these jobs each other cluster has."""
    counted: dict[str, int] = {}
    for job in jobs:
        found = EXTERNAL_ID.fullmatch(job.external_id or "")
        if found and found[3] not in (None, cluster):
            counted[found[3]] = counted.get(found[3], 0) + 1
    return counted

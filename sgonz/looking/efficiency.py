"""What runs asked for beside what they used, and smaller requests that would have been enough."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sgonz.cluster.profile import Profile, Resource
from sgonz.plan.history import Cost, History
from sgonz.plan.runs import Outcome
from sgonz.plan.state import RunRow
from sgonz.store.rows import AttemptRow

ROOM = 1.25  # of what was used: runs differ, and one that asks for too little is lost
WORTH_IT = 0.75  # a proposal must ask for less than this share of what was asked for


def rows(
    profile: Profile,
    runs: Sequence[RunRow],
    attempts: Sequence[AttemptRow],
    places: Mapping[str, str | None],
    history: History,
) -> list[dict[str, Any]]:
    """One row for every (kind, model, data set, device, class); `places`: submission -> its resource class.

    `memory_gb` is the device's where there is one; what a class asks for is the host's. The host's memory, the
    device's use and the energy of a run are those of every run of the kind in this work folder.
    """
    known: dict[tuple[str, ...], list[Cost]] = defaultdict(list)
    for cost in history.costs:
        known[cost.shape.kind, cost.shape.model, cost.shape.dataset, cost.shape.device].append(cost)
    meant = {row.run_id: row for row in runs}
    groups: dict[tuple[str, ...], list[AttemptRow]] = defaultdict(list)
    for each in attempts:
        if each.outcome is Outcome.COMPLETED and each.run_id in meant:
            run = meant[each.run_id]
            place = places.get(each.tag) or profile.resource_for(run.model)[0]
            groups[run.kind, run.model, run.dataset, each.device or "", place].append(each)
    return [_row(profile, key, group, known[key[:4]]) for key, group in sorted(groups.items())]


def _row(
    profile: Profile, key: tuple[str, ...], group: Sequence[AttemptRow], costs: Sequence[Cost]
) -> dict[str, Any]:
    kind, model, dataset, device, place = key
    asked = profile.resources.get(place, Resource())
    peaks = [each.peak_memory_mb for each in group if each.peak_memory_mb is not None]
    peak = max(peaks) / 1024 if peaks else None
    longest = max(each.seconds or 0.0 for each in group) / 60
    most = max((cost.host_memory_mb for cost in costs if cost.host_memory_mb), default=None)
    host = most / 1024 if most is not None else peak if device == "cpu" else None
    use = max((cost.device_use for cost in costs if cost.device_use is not None), default=None)
    joules = max((cost.energy_joules for cost in costs if cost.energy_joules is not None), default=None)
    return {
        "kind": kind, "model": model, "dataset": dataset, "device": device, "resource": place, "runs": len(group),
        "memory_gb": None if peak is None else round(peak, 2), "host_gb": None if host is None else round(host, 2),
        "asked_memory_gb": asked.memory_gb,
        "minutes": round(longest, 1), "asked_minutes": asked.max_minutes,
        "micro_batch": min((each.micro_batch for each in group if each.micro_batch), default=None),
        "device_use": None if use is None else round(use), "kwh": None if joules is None else round(joules / 3.6e6, 4),
        "proposal": _proposal(asked, host, longest),
    }  # fmt: skip


def _proposal(asked: Resource, peak_gb: float | None, minutes: float) -> str | None:
    """Smaller values for the resource class, where they would make a difference."""
    found = []
    if peak_gb is not None and asked.memory_gb and math.ceil(peak_gb * ROOM) < WORTH_IT * asked.memory_gb:
        found.append(f"memory_gb = {math.ceil(peak_gb * ROOM)}")
    if asked.max_minutes and math.ceil(minutes * ROOM) < WORTH_IT * asked.max_minutes:
        found.append(f"max_minutes = {max(1, math.ceil(minutes * ROOM))} for one run at a time")
    return ", ".join(found) or None

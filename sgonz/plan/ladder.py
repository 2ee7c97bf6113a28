"""Where runs go that memory ended: more of the host's memory, then the profile's next resource class."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sgonz.plan.runs import Kind

GROWTH = 2.0  # of the memory asked for, after the host's was not enough


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """What a job asks for: a resource class, and memory where that is not the class's own."""

    resource: str
    memory_gb: float | None = None


class Rung(msgspec.Struct, frozen=True, kw_only=True):
    """A resource class, as far as memory goes; their order is the ladder."""

    name: str
    memory_gb: float | None = None  # asked for; None: whatever the cluster gives
    max_memory_gb: float | None = None  # the most that may be asked for


class Climb(msgspec.Struct, frozen=True, kw_only=True):
    """Where runs of one kind, model and data set start on one cluster since memory ended one of them."""

    cluster: str
    kind: Kind
    model: str
    dataset: str
    place: Place
    since: float  # when the last run ended that did not fit below
    reason: str
    passed: tuple[Place, ...] = ()  # where memory ended them, in order


def up(ladder: Sequence[Rung], place: Place, *, host: bool) -> Place | None:
    """The next place; `host` says that the host's memory was short, not the device's. None at the top."""
    names = [rung.name for rung in ladder]
    if place.resource not in names:
        return None
    at = names.index(place.resource)
    rung = ladder[at]
    asked = place.memory_gb or rung.memory_gb
    if host and asked is not None and asked < (rung.max_memory_gb or 0.0):
        return Place(resource=rung.name, memory_gb=min(asked * GROWTH, rung.max_memory_gb or asked))
    for higher in ladder[at + 1 :]:
        offered = higher.max_memory_gb or higher.memory_gb
        if host and asked is not None and offered is not None and offered <= asked:
            continue  # a class with a larger device and no more memory
        if host and asked is not None and higher.memory_gb is not None and higher.memory_gb <= asked:
            return Place(resource=higher.name, memory_gb=min(asked * GROWTH, higher.max_memory_gb or asked))
        return Place(resource=higher.name)
    return None


def is_below(ladder: Sequence[Rung], place: Place, other: Place) -> bool:
    """Whether a place is lower on the ladder than another."""
    names = [rung.name for rung in ladder]
    if place.resource not in names or other.resource not in names:
        return False
    asked = {rung.name: rung.memory_gb or 0.0 for rung in ladder}
    mine, theirs = (
        (names.index(each.resource), each.memory_gb or asked[each.resource]) for each in (place, other)
    )
    return mine < theirs


def climb(
    ladder: Sequence[Rung], known: Climb | None, ran_at: Place, tried: Climb, *, host: bool
) -> Climb | None:
    """What is known after a run ended out of memory at `ran_at`; None where nothing higher is left.

    `tried` says whose end that was. A run that was sent before another one climbed only confirms that climb.
    """
    if known is not None and is_below(ladder, ran_at, known.place):
        return msgspec.structs.replace(known, since=max(known.since, tried.since))
    higher = up(ladder, ran_at, host=host)
    if higher is None:
        return None
    passed = (*known.passed, ran_at) if known is not None else (ran_at,)
    return msgspec.structs.replace(tried, place=higher, passed=passed)

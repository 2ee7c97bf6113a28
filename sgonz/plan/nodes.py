"""Which nodes are left out: those on which one thing after another goes wrong that goes well elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from sgonz.plan.spec import Retry

JOB_ENDED = "job ended "  # what the signature of a failure begins with that none of a job's runs told
LONG_AGO = float("-inf")
LATELY = 3600.0  # seconds before the first failure in which something may have gone well elsewhere


class NodeRecord(Struct, frozen=True, kw_only=True):
    """What happened on one node lately; times in seconds since the epoch."""

    node: str
    began: float | None = None  # when a job last began there, its set-up done
    completed: float | None = None  # when a run was last completed there
    lost: tuple[float, ...] = ()  # jobs that it did not start, or took with it
    failed: tuple[float, ...] = ()  # attempts that failed there


def at_node(node: str) -> str:
    """What the signature of a failure ends with that may be the fault of a node."""
    return f" on {node}"


def is_of_job(signature: str | None) -> bool:
    """Whether it was the job that failed, and no run of it."""
    return signature is not None and signature.startswith(JOB_ENDED)


def anywhere(signature: str | None) -> str | None:
    """The signature without the node: a set-up line that is wrong fails alike on all of them."""
    if signature is None or not is_of_job(signature):
        return signature
    return signature.partition(at_node(""))[0]


def excluded(records: Sequence[NodeRecord], retry: Retry, now: float) -> dict[str, str]:
    """Nodes that jobs are not to go to, and why.

    What goes wrong everywhere is no node's fault: the same has to have gone well elsewhere, lately or since.
    """
    found = {record.node: _why(record, records, retry, now) for record in records}
    return {node: why for node, why in found.items() if why is not None}


def _why(record: NodeRecord, records: Sequence[NodeRecord], retry: Retry, now: float) -> str | None:
    others = [other for other in records if other.node != record.node]
    since = now - retry.node_hours * 3600
    for times, well, elsewhere, words in (
        (record.lost, record.began, [other.began for other in others], "jobs in a row did not start there, or were lost"),
        (record.failed, record.completed, [other.completed for other in others], "runs in a row failed there"),
    ):  # fmt: skip
        row = [time for time in times if time > (well or LONG_AGO)]
        often = 0 < retry.node_failures <= len(row) and max(row) > since
        if often and any(moment is not None and moment > min(row) - LATELY for moment in elsewhere):
            return f"{len(row)} {words}"
    return None

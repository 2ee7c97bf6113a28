"""What a store knows of nodes, and how the end of a job on one counts against its runs."""

from __future__ import annotations

from store_examples import a_run, a_sweep, completed, ended, send, started

from sgonz.plan.nodes import NodeRecord
from sgonz.plan.runs import Outcome
from sgonz.store.rows import EndedJob
from sgonz.store.store import Store


def fall(store: Store, sweep: int, run_id: str, tag: str, node: str, time: float) -> None:
    """A job that fails on a node before its worker says anything."""
    send(store, sweep, tag, [run_id])
    over = EndedJob(tag=tag, element=0, outcome=Outcome.FAILED, evidence="squeue: FAILED", node=node)
    store.end_jobs([over], time)


def test_nothing_is_told_of_nodes_while_none_does_badly(store: Store) -> None:
    sweep = a_sweep(store, [a_run("a")])
    send(store, sweep, "t", ["a"])
    store.apply("jobs/t/events/0.0.jsonl", [*started("a"), completed("a")], 100, tag="t", element=0)
    assert store.node_records(0.0) == []


def test_a_node_is_known_by_what_it_lost_and_what_failed_there(store: Store) -> None:
    sweep = a_sweep(store, [a_run("a"), a_run("b"), a_run("c"), a_run("d")])
    send(store, sweep, "t", ["a", "b", "c"])  # all on n1
    lines = [*started("a"), completed("a", time=40.0), *started("b"), ended("b", Outcome.FAILED, time=45.0, signature="OSError"),
             *started("c"), ended("c", Outcome.FAILED, time=46.0, signature="DataError in train.jsonl")]  # fmt: skip
    store.apply("jobs/t/events/0.0.jsonl", lines, 100, tag="t", element=0)
    fall(store, sweep, "d", "u", "n2", 60.0)
    assert store.node_records(0.0) == [
        NodeRecord(node="n1", began=20.0, completed=40.0, failed=(45.0,)),
        NodeRecord(node="n2", lost=(60.0,)),
    ]
    assert store.node_records(50.0)[0].failed == ()
    assert store.node_records(70.0) == []


def test_a_job_that_fails_on_one_node_again_says_little_of_its_run_and_on_another_much(store: Store) -> None:
    sweep = a_sweep(store, [a_run("a")])
    seen = []
    for number, node in enumerate(("n1", "n1", "n2")):
        fall(store, sweep, "a", f"t{number}", node, 30.0 + number)
        [run] = store.snapshot()
        seen.append((run.failures, run.signature_repeats))
    assert seen == [(1, 1), (2, 1), (3, 2)]
    assert run.signature == "job ended FAILED on n2"

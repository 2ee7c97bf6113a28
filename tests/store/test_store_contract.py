"""What every store does, whatever database is behind it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from store_examples import (
    BETO,
    POS,
    TINY,
    a_family,
    a_run,
    a_sweep,
    completed,
    ended,
    epoch,
    left,
    send,
    started,
)

from sgonz import events
from sgonz.errors import StoreError
from sgonz.events import MemoryShort, Progress, RunReady
from sgonz.plan.runs import Kind, Outcome, RunSpec, Settings, State
from sgonz.plan.state import RunRow, ScoreRow
from sgonz.store import collect, watched
from sgonz.store.rows import Applied, BenchmarkRow, EndedJob, SplitAt, Stretch, decoded_splits
from sgonz.store.store import Store, open_store


def row(store: Store, run_id: str) -> RunRow:
    return next(row for row in store.snapshot() if row.run_id == run_id)


def apply(store: Store, tag: str, element: int, *lines: events.AnyEvent, file: str | None = None) -> Applied:
    """Apply lines as the next stretch of the job's event file."""
    name = file or f"jobs/{tag}/events/{element}.1.jsonl"
    return store.apply(name, lines, store.offsets().get(name, 0) + 100, tag=tag, element=element)


def gone(tag: str, element: int = 0, outcome: Outcome = Outcome.UNKNOWN) -> EndedJob:
    return EndedJob(tag=tag, element=element, outcome=outcome, evidence="not in squeue")


class TestSweeps:
    def test_same_name_and_text_is_the_same_sweep_made_newest(self, store: Store) -> None:
        first = a_sweep(store, [a_run("a")], time=1.0)
        second = a_sweep(store, [a_run("b")], name="second", time=2.0)
        assert [sweep.id for sweep in store.sweeps()] == [second, first]
        assert a_sweep(store, [], time=2.0) == first
        newest = store.sweeps()[0]
        assert (newest.id, newest.created, newest.runs) == (first, 1.0, 1)
        assert newest.provenance == {"sgonz": "0.1"}

    def test_runs_that_are_there_are_only_linked(self, store: Store) -> None:
        first = a_sweep(store, [a_run("a"), a_run("b")])
        store.set_state(["a"], State.COMPLETED, time=3.0)
        second = a_sweep(store, [], name="second")
        assert store.add_runs(second, [a_run("a"), a_run("c"), a_run("c")]) == 1
        assert store.add_runs(second, [a_run("a"), a_run("c")]) == 0
        assert {run.run_id: run.state for run in store.snapshot(second)} == {"a": "COMPLETED", "c": "PENDING"}
        assert [run.run_id for run in store.snapshot(first)] == ["a", "b"]
        assert [run.run_id for run in store.snapshot()] == ["a", "b", "c"]
        assert store.sweeps()[0].states == {State.COMPLETED: 1, State.PENDING: 1}

    def test_few_runs_are_known_again_among_many(self, store: Store) -> None:
        many = [a_run(f"run{number}") for number in range(40)]
        sweep = a_sweep(store, many)
        assert store.add_runs(sweep, [many[7], many[30]]) == 0
        assert store.add_runs(sweep, [many[7], a_run("new")]) == 1
        assert store.add_runs(sweep, [*many, a_run("newer")]) == 1
        assert [run.run_id for run in store.snapshot()] == [*(run.run_id for run in many), "new", "newer"]

    def test_needs_come_before_what_needs_them(self, store: Store) -> None:
        a_sweep(store, a_family())
        rows = store.snapshot()
        assert [run.run_id for run in rows] == ["teacher", "logits", "student", "exam"]
        assert [run.needs for run in rows] == [(), ("teacher",), ("logits",), ("student",)]
        assert [run.teacher for run in rows] == [None, BETO.name, BETO.name, BETO.name]

    def test_run_that_needs_what_is_not_there_is_refused_whole(self, store: Store) -> None:
        sweep = a_sweep(store, [])
        with pytest.raises(StoreError):
            store.add_runs(sweep, a_family()[1:])
        assert store.snapshot() == []

    def test_specs_come_back_as_they_were_in_the_order_asked_for(self, store: Store) -> None:
        odd = a_run("odd", model=TINY, settings=Settings(learning_rate=3e-5, patience=2), switches={"x": "y"})
        a_sweep(store, [a_run("a"), odd])
        assert store.specs(["odd", "a", "odd"]) == [odd, a_run("a"), odd]
        assert store.spec("odd") == odd
        with pytest.raises(StoreError, match="nowhere"):
            store.spec("nowhere")

    def test_marks_belong_to_a_sweep(self, store: Store) -> None:
        first = a_sweep(store, [a_run("a"), a_run("b"), a_run("c")])
        second = a_sweep(store, [a_run("a"), a_run("b")], name="second")
        store.mark_selected({"a"}, {"b"}, sweep_id=first)
        store.mark_selected({"c"}, set(), sweep_id=first)
        store.mark_selected({"b"}, set(), sweep_id=second)
        assert [(run.selected, run.superseded) for run in store.snapshot(first)] == [
            (False, False),
            (False, False),
            (True, False),
        ]
        assert [run.selected for run in store.snapshot(second)] == [False, True]
        assert [run.selected for run in store.snapshot()] == [False, True, True]

    def test_workspaces_do_not_see_each_other(
        self, store: Store, reopen: Callable[[], Store], tmp_path: Path
    ) -> None:
        a_sweep(store, [a_run("a")])
        other = tmp_path / "other"
        other.mkdir()
        with open_store(store.location, workspace=other, create=True) as second:
            assert second.snapshot() == []
            sweep = a_sweep(second, [a_run("a"), a_run("b")])
            send(second, sweep, "same-tag", ["a"])
            assert second.next_sequence() == 2
        assert [run.state for run in store.snapshot()] == [State.PENDING]
        assert (store.live_jobs(), store.next_sequence()) == ([], 1)


class TestJobs:
    def test_submission_is_written_down_with_its_runs_before_it_is_sent(self, store: Store) -> None:
        sweep = a_sweep(store, [a_run("a"), a_run("b"), a_run("c")])
        sequence = store.next_sequence()
        elements = [["b", "a"], ["c"]]
        store.add_submission(
            tag="t", sequence=sequence, sweep_id=sweep, cluster="x", elements=elements, time=5.0
        )
        [intent] = store.unsent()
        assert (intent.tag, intent.sequence, intent.sweep_id, intent.elements) == ("t", 1, sweep, 2)
        assert [(run.state, run.tag, run.element) for run in store.snapshot()] == [
            (State.SUBMITTED, "t", 0),
            (State.SUBMITTED, "t", 0),
            (State.SUBMITTED, "t", 1),
        ]
        store.mark_sent("t", ["77_0", "77_1"], 6.0)
        assert store.unsent() == []
        jobs = store.live_jobs()
        assert [(job.element, job.external_id, job.run_ids) for job in jobs] == [
            (0, "77_0", ("b", "a")),
            (1, "77_1", ("c",)),
        ]
        assert not any(job.started or job.ended for job in jobs)
        assert store.next_sequence() == 2

    def test_tag_is_used_once(self, store: Store) -> None:
        sweep = a_sweep(store, [a_run("a"), a_run("b")])
        send(store, sweep, "t", ["a"])
        with pytest.raises(StoreError):
            send(store, sweep, "t", ["b"])
        assert row(store, "b").state is State.PENDING

    def test_submission_that_was_never_sent_gives_its_runs_back_without_blame(self, store: Store) -> None:
        sweep = a_sweep(store, [a_run("a")])
        store.add_submission(tag="t", sequence=1, sweep_id=sweep, cluster="x", elements=[["a"]], time=5.0)
        store.end_jobs([gone("t", outcome=Outcome.CANCELLED)], 9.0)
        assert (store.unsent(), store.live_jobs()) == ([], [])
        run = row(store, "a")
        assert (run.state, run.tag, run.interruptions, run.failures) == (State.PENDING, None, 0, 0)

    def test_run_that_was_at_work_is_blamed_for_the_end_of_its_job_and_others_are_not(
        self, store: Store
    ) -> None:
        sweep = a_sweep(store, [a_run("done"), a_run("at-work"), a_run("waiting")])
        send(store, sweep, "t", ["done", "at-work", "waiting"])
        apply(store, "t", 0, *started("done"), completed("done"), *started("at-work", time=60.0))
        store.end_jobs([gone("t", outcome=Outcome.TIMEOUT)], 90.0)
        assert [(run.state, run.interruptions, run.last_outcome) for run in store.snapshot()] == [
            (State.COMPLETED, 0, Outcome.COMPLETED),
            (State.PENDING, 1, Outcome.TIMEOUT),
            (State.PENDING, 0, None),
        ]
        assert [(tried.run_id, tried.outcome, tried.evidence) for tried in store.attempts()] == [
            ("done", Outcome.COMPLETED, None),
            ("at-work", Outcome.TIMEOUT, "not in squeue"),
        ]

    def test_job_that_dies_before_its_first_run_counts_against_all_of_them(self, store: Store) -> None:
        sweep = a_sweep(store, [a_run("a"), a_run("b")])
        send(store, sweep, "t", ["a", "b"])
        store.end_jobs([gone("t")], 30.0)
        assert [(run.interruptions, run.attempts) for run in store.snapshot()] == [(1, 0), (1, 0)]
        assert store.attempts() == []

    def test_job_killed_for_memory_is_a_failure_of_the_run_at_work(self, store: Store) -> None:
        sweep = a_sweep(store, [a_run("a")])
        for number in (1, 2):
            send(store, sweep, f"t{number}", ["a"])
            apply(store, f"t{number}", 0, *started("a", attempt=number, time=20.0 * number))
            store.end_jobs([gone(f"t{number}", outcome=Outcome.OUT_OF_MEMORY)], 30.0 * number)
        run = row(store, "a")
        assert (run.state, run.failures, run.signature_repeats, run.ended) == (State.PENDING, 2, 2, 60.0)

    def test_job_that_waits_is_idle_until_it_is_given_more(self, store: Store) -> None:
        sweep = a_sweep(store, [a_run("a"), a_run("b"), a_run("c")])
        send(store, sweep, "t", ["a"])
        assert not store.live_jobs()[0].idle  # it has not started
        apply(store, "t", 0, *started("a"), completed("a"))
        assert store.live_jobs()[0].idle
        store.extend_job("t", 0, ["b", "c"], 55.0)
        [job] = store.live_jobs()
        assert (job.idle, job.run_ids, job.sweep_id) == (False, ("a", "b", "c"), sweep)
        assert [(run.state, run.tag) for run in store.snapshot()][1:] == [(State.SUBMITTED, "t")] * 2

    def test_job_ends_once(self, store: Store) -> None:
        sweep = a_sweep(store, [a_run("a")])
        send(store, sweep, "t", ["a"])
        store.end_jobs([gone("t")], 30.0)
        send(store, sweep, "t2", ["a"])
        store.end_jobs([gone("t"), gone("unheard-of")], 40.0)
        run = row(store, "a")
        assert (run.state, run.tag, run.interruptions) == (State.SUBMITTED, "t2", 1)

    def test_run_set_by_decision_leaves_its_job(self, store: Store) -> None:
        sweep = a_sweep(store, [a_run("a")])
        send(store, sweep, "t", ["a"])
        store.set_state(["a"], State.CANCELLED, reason="by hand", time=30.0)
        run = row(store, "a")
        assert (run.state, run.reason, run.tag, run.element) == (State.CANCELLED, "by hand", None, None)
        apply(store, "t", 0, *started("a"))
        assert row(store, "a").state is State.CANCELLED
        store.end_jobs([gone("t")], 40.0)
        assert row(store, "a").state is State.CANCELLED
        assert store.attempts()[0].outcome is Outcome.UNKNOWN


class TestEvents:
    def test_run_that_completes_has_its_result(self, store: Store) -> None:
        sweep = a_sweep(store, [a_run("a")])
        send(store, sweep, "t", ["a"])
        assert apply(store, "t", 0, *started("a")).started == ("a",)
        run = row(store, "a")
        assert (run.state, run.tag, run.attempts) == (State.RUNNING, "t", 1)
        assert store.live_jobs()[0].started
        applied = apply(store, "t", 0, epoch("a", 1), epoch("a", 2), completed("a", flags=("slow",)), left())
        assert (applied.ended, applied.completed, applied.epochs) == (("a",), ("a",), 2)
        run = row(store, "a")
        assert (run.state, run.tag, run.last_outcome) == (State.COMPLETED, None, Outcome.COMPLETED)
        assert (run.best_epoch, run.epochs_done, run.validation_loss) == (2, 3, 0.5)
        assert (run.validation, run.test, run.flags) == ({"f1": 0.8, "precision": 0.7}, {}, ("slow",))
        assert (run.seconds, run.ended) == (30.0, 50.0)
        assert store.live_jobs()[0].ended

    def test_curves_come_back_in_order(self, store: Store) -> None:
        sweep = a_sweep(store, [a_run("a")])
        send(store, sweep, "t", ["a"])
        apply(store, "t", 0, *started("a"), epoch("a", 2, train_loss=None), epoch("a", 1), completed("a"))
        assert store.epochs("a") == [
            ScoreRow(run_id="a", epoch=1, train_loss=1.0, validation_loss=2.0, validation={"f1": 0.1}),
            ScoreRow(run_id="a", epoch=2, train_loss=None, validation_loss=1.0, validation={"f1": 0.2}),
        ]

    def test_same_stretch_of_a_file_counts_once(self, store: Store) -> None:
        sweep = a_sweep(store, [a_run("a")])
        send(store, sweep, "t", ["a"])
        failed = ended("a", Outcome.FAILED, signature="E:1", error="boom")
        lines = [*started("a"), epoch("a", 1), failed]
        store.apply("f", lines, 300, tag="t", element=0)
        before = store.snapshot(), store.epochs("a"), store.attempts()
        assert store.apply("f", lines, 300, tag="t", element=0).ended == ()
        assert store.apply("f", lines, 200, tag="t", element=0).ended == ()
        store.apply(
            "f", lines, 301, tag="t", element=0
        )  # read from the start by one that did not know the offset
        assert (store.snapshot(), store.epochs("a"), store.attempts()) == before
        assert store.offsets() == {"f": 301}
        assert row(store, "a").failures == 1

    def test_files_of_one_look_give_what_they_give_one_after_the_other(self, store: Store) -> None:
        def found(run: str, many: bool) -> str:
            a, b, c, d, t, u = (f"{run}{name}" for name in "abcdtu")
            sweep = a_sweep(store, [a_run(name) for name in (a, b, c, d)], name=run)
            send(store, sweep, t, [a, b], [c])
            store.end_jobs([gone(t, outcome=Outcome.NODE_FAIL)], 15.0)
            send(store, sweep, u, [a], [d])
            files = [
                (t, 0, [*started(a), epoch(a, 1), *started(b), completed(b)]),  # read after its job was over
                (t, 1, [*started(c), ended(c, Outcome.FAILED, signature="E:1"), *started("absent")]),
                (u, 0, [*started(a, attempt=2, time=30.0), completed(a, attempt=2), left()]),
                (u, 1, [*started(d)]),
                (u, 1, [*started(d), epoch(d, 1), completed(d), left()]),
            ]
            stretches = [
                Stretch(
                    file=f"{tag}.{element}", events=lines, offset=100 * len(lines), tag=tag, element=element
                )
                for tag, element, lines in files
            ]
            parts = [stretches] if many else [[one] for one in stretches]
            applied = [one for part in parts for one in store.collect(part, 70.0)]
            rows = [each for each in store.snapshot() if each.run_id.startswith(run)]
            tried = [each for each in store.attempts() if each.run_id.startswith(run)]
            curves = [store.epochs(each) for each in (a, b, c, d)]
            jobs = [(job.tag, job.started, job.ended) for job in store.live_jobs() if job.tag in (t, u)]
            return repr((applied, rows, tried, curves, jobs)).replace(run, "")

        assert found("one-", many=False) == found("all-", many=True)

    def test_crash_while_applying_leaves_neither_events_nor_offset(
        self, store: Store, reopen: Callable[[], Store]
    ) -> None:
        sweep = a_sweep(store, [a_run("a")])
        send(store, sweep, "t", ["a"])
        before = store.snapshot()

        lines = [*started("a"), completed("a")]

        def die_half_way() -> None:
            with store.transaction() as at:
                stretch = Stretch(file="f", events=lines, offset=300, tag="t", element=0)
                collect.apply_stretches(at, [stretch], 0.0)
                raise InterruptedError

        with pytest.raises(InterruptedError):
            die_half_way()
        with reopen() as again:
            assert (again.snapshot(), again.offsets()) == (before, {})
            again.apply("f", lines, 300, tag="t", element=0)
            assert row(again, "a").state is State.COMPLETED

    def test_torn_line_waits_until_it_is_whole(self, store: Store, tmp_path: Path) -> None:
        sweep = a_sweep(store, [a_run("a")])
        send(store, sweep, "t", ["a"])
        path = tmp_path / "0.1.jsonl"
        whole = b"".join(msgspec.json.encode(line) + b"\n" for line in [*started("a"), completed("a")])
        for size in range(0, len(whole) + 1, 7):
            path.write_bytes(whole[:size])
            _collect(store, path)
            assert store.offsets().get(path.name, 0) <= size
        path.write_bytes(whole)
        _collect(store, path)
        assert store.offsets() == {path.name: len(whole)}
        assert (row(store, "a").state, len(store.attempts())) == (State.COMPLETED, 1)

    def test_events_of_unknown_runs_are_counted_and_left(self, store: Store) -> None:
        sweep = a_sweep(store, [a_run("a")])
        send(store, sweep, "t", ["a"])
        applied = apply(store, "t", 0, *started("ghost"), completed("ghost"), *started("a"))
        assert (applied.unknown, applied.started) == (2, ("a",))

    @pytest.mark.parametrize(
        "outcome", [Outcome.PREEMPTED, Outcome.TIMEOUT, Outcome.NODE_FAIL, Outcome.UNKNOWN]
    )
    def test_interrupted_run_is_pending_again(self, store: Store, outcome: Outcome) -> None:
        sweep = a_sweep(store, [a_run("a")])
        send(store, sweep, "t", ["a"])
        apply(store, "t", 0, *started("a"), ended("a", outcome))
        run = row(store, "a")
        assert (run.state, run.tag, run.interruptions, run.failures) == (State.PENDING, None, 1, 0)
        store.end_jobs([gone("t")], 90.0)
        assert row(store, "a").interruptions == 1

    def test_same_failure_in_a_row_is_counted(self, store: Store) -> None:
        sweep = a_sweep(store, [a_run("a")])
        seen = []
        for number, signature in enumerate(["E:1", "E:1", "E:2"], 1):
            send(store, sweep, f"t{number}", ["a"])
            fault = ended("a", Outcome.FAILED, number, signature=signature, error="boom")
            apply(store, f"t{number}", 0, *started("a", number), fault)
            run = row(store, "a")
            seen.append((run.state, run.failures, run.signature, run.signature_repeats, run.reason))
        assert seen == [
            (State.PENDING, 1, "E:1", 1, "boom"),
            (State.PENDING, 2, "E:1", 2, "boom"),
            (State.PENDING, 3, "E:2", 1, "boom"),
        ]
        store.reset_failures(["a"])
        run = row(store, "a")
        assert (run.failures, run.signature, run.signature_repeats, run.attempts) == (0, None, 0, 3)

    def test_cancelled_run_is_held_and_pruned_run_is_given_up(self, store: Store) -> None:
        sweep = a_sweep(store, [a_run("a"), a_run("b")])
        send(store, sweep, "t", ["a", "b"])
        apply(store, "t", 0, *started("a"), ended("a", Outcome.CANCELLED))
        apply(store, "t", 0, *started("b"), ended("b", Outcome.PRUNED))
        assert [(run.state, run.failures) for run in store.snapshot()] == [
            (State.CANCELLED, 0),
            (State.FAILED, 0),
        ]

    def test_completed_run_never_moves_back(self, store: Store) -> None:
        sweep = a_sweep(store, [a_run("a")])
        send(store, sweep, "t", ["a"])
        apply(store, "t", 0, *started("a"), completed("a"))
        apply(store, "t", 0, *started("a", 2), ended("a", Outcome.FAILED, 2, signature="E"))
        run = row(store, "a")
        assert (run.state, run.validation_loss, run.failures) == (State.COMPLETED, 0.5, 0)

    def test_older_attempt_does_not_overwrite_a_newer_one(self, store: Store) -> None:
        sweep = a_sweep(store, [a_run("a")])
        send(store, sweep, "old", ["a"])
        apply(store, "old", 0, *started("a", 1))
        store.end_jobs([gone("old")], 30.0)
        send(store, sweep, "new", ["a"])
        apply(store, "new", 0, *started("a", 2), epoch("a", 1, attempt=2))
        apply(
            store,
            "old",
            0,
            epoch("a", 1, attempt=1, train_loss=9.0),
            ended("a", Outcome.FAILED, 1, signature="E"),
        )
        run = row(store, "a")
        assert (run.state, run.tag, run.failures, run.attempts) == (State.RUNNING, "new", 0, 2)
        assert store.epochs("a")[0].train_loss == 1.0
        assert [tried.outcome for tried in store.attempts(["a"])] == [Outcome.UNKNOWN, None]

    def test_job_that_lost_a_run_to_another_does_not_take_it_back(self, store: Store) -> None:
        sweep = a_sweep(store, [a_run("a")])
        send(store, sweep, "old", ["a"])
        store.set_state(["a"], State.PENDING, time=12.0)
        send(store, sweep, "new", ["a"])
        apply(store, "old", 0, *started("a", 1), ended("a", Outcome.PREEMPTED, 1))
        run = row(store, "a")
        assert (run.state, run.tag) == (State.SUBMITTED, "new")
        store.end_jobs([gone("old")], 40.0)
        assert row(store, "a").state is State.SUBMITTED

    def test_requeued_job_starts_its_run_again(self, store: Store) -> None:
        sweep = a_sweep(store, [a_run("a")])
        send(store, sweep, "t", ["a"])
        apply(store, "t", 0, *started("a", 1), left())
        assert store.live_jobs()[0].ended
        apply(store, "t", 0, *started("a", 2, time=40.0), file="jobs/t/events/0.2.jsonl")
        run = row(store, "a")
        assert (run.state, run.attempts, run.interruptions) == (State.RUNNING, 2, 1)
        assert not store.live_jobs()[0].ended
        assert [tried.outcome for tried in store.attempts(["a"])] == [Outcome.UNKNOWN, None]

    def test_words_that_arrive_after_the_job_was_closed(self, store: Store) -> None:
        sweep = a_sweep(store, [a_run("a"), a_run("b")])
        send(store, sweep, "t", ["a", "b"])
        apply(store, "t", 0, *started("a"))
        store.end_jobs([gone("t")], 40.0)
        apply(store, "t", 0, completed("a"), *started("b"))
        assert [run.state for run in store.snapshot()] == [State.COMPLETED, State.PENDING]
        assert [tried.outcome for tried in store.attempts()] == [Outcome.COMPLETED, Outcome.UNKNOWN]

    def test_result_found_on_disk_is_adopted_whatever_its_attempt(self, store: Store) -> None:
        sweep = a_sweep(store, [a_run("a")])
        send(store, sweep, "t", ["a"])
        apply(store, "t", 0, *started("a", 3), completed("a", 2, adopted=True))
        assert row(store, "a").state is State.COMPLETED
        outcomes = {tried.attempt: tried.outcome for tried in store.attempts()}
        assert outcomes == {2: Outcome.COMPLETED, 3: Outcome.CANCELLED}

    def test_attempt_tells_where_it_ran_and_what_it_took(self, store: Store) -> None:
        sweep = a_sweep(store, [a_run("a")])
        send(store, sweep, "t", ["a"])
        ready = RunReady(
            time=22.0, run_id="a", attempt=1, device="cuda:0", precision="bf16", epoch=0, steps=30, rows=90,
            micro_batch=16, parameters=5_345_075,
        )  # fmt: skip
        progress = Progress(time=29.0, run_id="a", epoch=1, step=3, steps=30, loss=1.0, rows_per_second=9.0)
        apply(
            store, "t", 0, *started("a"), ready, epoch("a", 1, micro_batch=8, peak_memory_mb=900.0), progress
        )
        [tried] = store.attempts(["a"])
        assert (tried.host, tried.device, tried.precision, tried.external_id) == (
            "n1",
            "cuda:0",
            "bf16",
            "t_0",
        )
        assert (tried.micro_batch, tried.peak_memory_mb, tried.seen, tried.outcome) == (8, 900.0, 29.0, None)

    def test_every_smaller_part_that_an_attempt_tried_is_kept_once(self, store: Store) -> None:
        sweep = a_sweep(store, [a_run("a"), a_run("b")])
        send(store, sweep, "t", ["a", "b"])
        short = [
            MemoryShort(time=22.0, run_id="a", attempt=1, step=3, micro_batch=4),
            MemoryShort(time=23.0, run_id="a", attempt=1, step=3, micro_batch=8, recompute=True),
            MemoryShort(time=24.0, run_id="a", attempt=1, step=9, micro_batch=2, reading=True),
        ]
        apply(store, "t", 0, *started("a"), *started("b"), *short, short[1])
        (tried,) = store.splits(sweep)
        assert (tried.run_id, tried.kind, tried.outcome) == ("a", Kind.FINETUNE, None)
        assert tried.splits == (
            SplitAt(3, 4, False, False),
            SplitAt(3, 8, True, False),
            SplitAt(9, 2, False, True),
        )
        assert [one.micro_batch for one in store.attempts(["a"])] == [8]
        with store.reading() as at:
            assert decoded_splits(watched.tries(at, ["a"])[0].splits) == tried.splits
        assert store.splits(sweep + 1) == []

    def test_test_scores_show_on_the_run_that_was_scored(self, store: Store) -> None:
        sweep = a_sweep(store, a_family())
        send(store, sweep, "t", ["student", "exam"])
        exam = completed("exam", validation={}, validation_loss=None, test={"f1": 0.75, "recall": 0.5})
        apply(store, "t", 0, *started("student"), completed("student"), *started("exam"), exam)
        student = next(result for result in store.results(sweep) if result.run_id == "student")
        assert (student.metric, student.validation_score, student.test_score) == ("f1", 0.8, 0.75)
        assert (student.validation["precision"], student.test["recall"]) == (0.7, 0.5)
        assert row(store, "student").test == {"f1": 0.75, "recall": 0.5}

    def test_scores_that_are_no_numbers_are_left_out(self, store: Store) -> None:
        sweep = a_sweep(store, [a_run("a")])
        send(store, sweep, "t", ["a"])
        nothing = completed("a", validation={"f1": float("nan")}, validation_loss=float("inf"))
        apply(store, "t", 0, *started("a"), epoch("a", 1, validation={"f1": float("nan")}), nothing)
        run = row(store, "a")
        assert (run.validation, run.validation_loss, store.epochs("a")[0].validation) == ({}, None, {})


class TestReading:
    def test_counts_by_kind_data_set_and_state(self, store: Store) -> None:
        other = msgspec.structs.replace(POS, name="ner")
        sweep = a_sweep(store, [*a_family(), a_run("n", dataset=other)])
        a_sweep(store, [a_run("elsewhere")], name="second")
        store.set_state(["teacher"], State.COMPLETED, time=2.0)
        counted = store.counts(sweep)
        assert counted[(Kind.FINETUNE, "pos")] == {State.COMPLETED: 1}
        assert counted[(Kind.FINETUNE, "ner")] == {State.PENDING: 1}
        assert store.counts()[(Kind.FINETUNE, "pos")] == {State.COMPLETED: 1, State.PENDING: 1}

    def test_benchmarks_are_replaced_by_newer_ones(self, store: Store) -> None:
        a_sweep(store, [a_run("a")])
        point = BenchmarkRow(run_id="a", model="m", device="cpu", batch_size=1, length=512, macs=4.3e10)
        store.add_benchmarks([point])
        faster = msgspec.structs.replace(point, latency_ms=12.5, parameters=3_000_000_000)
        store.add_benchmarks([faster])
        assert store.benchmarks() == [faster]

    def test_what_a_run_left_on_disk_is_known_until_it_is_removed_or_made_again(self, store: Store) -> None:
        send(store, a_sweep(store, [a_run("aa1"), a_run("bb2")]), "t", ["aa1", "bb2"])
        done = [completed(run_id, left={"model": 5_000_000_000}) for run_id in ("aa1", "bb2")]
        apply(store, "t", 0, *started("aa1"), done[0], *started("bb2"), done[1])
        assert [(row.run_id, row.kind, row.path, row.size) for row in store.artifacts()] == [
            ("aa1", "model", "runs/aa/aa1/output/model", 5_000_000_000),
            ("bb2", "model", "runs/bb/bb2/output/model", 5_000_000_000),
        ]
        store.forget_artifacts(["aa1"])
        assert [row.run_id for row in store.artifacts()] == ["bb2"]
        store.renew({"bb2": 1}, "wrong labels", "wrong labels, at work", 9.0)
        assert store.artifacts() == []

    def test_everything_is_there_after_opening_again(self, store: Store, reopen: Callable[[], Store]) -> None:
        sweep = a_sweep(store, a_family())
        send(store, sweep, "t", ["teacher"])
        apply(store, "t", 0, *started("teacher"), completed("teacher"))
        with reopen() as again:
            assert again.snapshot(sweep) == store.snapshot(sweep)
            assert (again.attempts(), again.offsets()) == (store.attempts(), store.offsets())

    def test_long_names_are_kept_whole(self, store: Store) -> None:
        model = msgspec.structs.replace(BETO, name="ñ" * 1000)
        sweep = a_sweep(store, [a_run("a", model=model)], name="x" * 500)
        assert store.snapshot(sweep)[0].model == model.name

    def test_many_runs_in_one_call(self, store: Store) -> None:
        runs: list[RunSpec] = [a_run(f"{number:05d}") for number in range(3000)]
        sweep = a_sweep(store, runs)
        store.set_state([run.run_id for run in runs], State.SKIPPED, time=2.0)
        assert store.counts(sweep) == {(Kind.FINETUNE, "pos"): {State.SKIPPED: 3000}}
        assert len(store.specs(run.run_id for run in runs)) == 3000


def _collect(store: Store, path: Path) -> None:
    """What a coordinator does with an event file."""
    offset = store.offsets().get(path.name, 0)
    lines = list(events.read(path, offset))
    if lines:
        understood = [event for event, _ in lines if event is not None]
        store.apply(path.name, understood, lines[-1][1], tag="t", element=0)

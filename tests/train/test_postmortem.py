from __future__ import annotations

import signal
from pathlib import Path

import msgspec
import pytest

from sgonz import events
from sgonz.events import RunEnded
from sgonz.plan.runs import Outcome
from sgonz.rundir import RunDir, write_atomic
from sgonz.train import postmortem
from sgonz.train.postmortem import Death
from sgonz.train.told import CANCEL, STOP

HEADER = "=== attempt 2, sgonz-1 element 0, node1, 2024-01-01 00:00:00\n"


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    run = RunDir(tmp_path / "aa01")
    run.root.mkdir()
    return run


def death(status: int | None, *, asked: bytes | None = None, oom_killed: bool = False) -> Death:
    return Death(status=status, asked=asked, oom_killed=oom_killed, began=0.0)


@pytest.mark.parametrize(
    ("seen", "outcome", "words"),
    [
        (death(-signal.SIGKILL), Outcome.FAILED, "killed by SIGKILL"),
        (death(-signal.SIGKILL, oom_killed=True), Outcome.OUT_OF_MEMORY, "out of memory of the host"),
        (death(-signal.SIGSEGV, oom_killed=True), Outcome.FAILED, "killed by SIGSEGV"),
        (death(-40), Outcome.FAILED, "killed by signal 40"),
        (death(3), Outcome.FAILED, "left with exit status 3"),
        (death(None), Outcome.FAILED, "the fork server could not start it"),
        (death(-signal.SIGKILL, asked=STOP), Outcome.PREEMPTED, "killed before its checkpoint"),
        (death(-signal.SIGKILL, asked=CANCEL), Outcome.CANCELLED, "killed before its checkpoint"),
    ],
)
def test_how_a_process_left_decides_the_outcome(
    run: RunDir, seen: Death, outcome: Outcome, words: str
) -> None:
    ended = postmortem.ended(run, 2, seen)
    assert (ended.outcome, ended.attempt, ended.run_id) == (outcome, 2, "aa01")
    assert words in (ended.error or "")


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ("memory allocation of 8589934592 bytes failed", Outcome.OUT_OF_MEMORY),
        ("terminate called after throwing an instance of 'std::bad_alloc'", Outcome.OUT_OF_MEMORY),
        ("free(): invalid pointer", Outcome.FAILED),
    ],
)
def test_a_library_that_ends_the_process_for_want_of_memory_is_out_of_memory(
    run: RunDir, said: str, outcome: Outcome
) -> None:
    run.log.write_text(f"{HEADER}loading\n{said}\nFatal Python error: Aborted\n\nThread 0x7f12\n  File x\n")
    assert postmortem.ended(run, 2, death(-signal.SIGABRT)).outcome is outcome
    assert postmortem.ended(run, 2, death(-signal.SIGSEGV)).outcome is Outcome.FAILED
    assert postmortem.ended(run, 2, death(-signal.SIGABRT, asked=STOP)).outcome is Outcome.PREEMPTED
    run.log.write_text(f"{said}\n{HEADER}loading\n")  # an attempt before
    assert postmortem.ended(run, 2, death(-signal.SIGABRT)).outcome is Outcome.FAILED


def test_run_that_died_after_its_result_is_completed(run: RunDir) -> None:
    result = RunEnded(time=1.0, run_id="aa01", attempt=2, outcome=Outcome.COMPLETED, validation_loss=0.5)
    write_atomic(run.result, msgspec.json.encode(result))
    ended = postmortem.ended(run, 2, death(-signal.SIGKILL))
    assert (ended.outcome, ended.validation_loss, ended.adopted) == (Outcome.COMPLETED, 0.5, True)


def test_last_line_of_this_attempt_is_the_error(run: RunDir) -> None:
    run.log.write_text(f"old trouble\n{HEADER}loading\nCUDA error 0x7f12 at step 17\n\n")
    ended = postmortem.ended(run, 2, death(1))
    assert ended.error == "left with exit status 1: CUDA error 0x7f12 at step 17"
    assert ended.signature == "left with exit status #: CUDA error # at step #"


def test_line_of_an_earlier_attempt_is_not_this_ones_error(run: RunDir) -> None:
    run.log.write_text(f"old trouble\n{HEADER}")
    assert postmortem.last_line(run.log) == ""


def test_crash_in_c_is_named_by_what_happened_not_by_where(run: RunDir) -> None:
    trace = 'Fatal Python error: Segmentation fault\n\nCurrent thread 0x1:\n  File "a.py", line 1 in b\n'
    run.log.write_text(f"{HEADER}loading\n{trace}")
    assert postmortem.last_line(run.log) == "Fatal Python error: Segmentation fault"


def test_line_torn_by_a_death_does_not_swallow_the_next_one(tmp_path: Path) -> None:
    file = tmp_path / "0.0.jsonl"
    end = RunEnded(time=1.0, run_id="aa01", attempt=1, outcome=Outcome.FAILED)
    file.write_bytes(b'{"type":"progress","ti')
    with file.open("ab", buffering=0) as stream:
        stream.write(postmortem.missing_newline(file))
        events.append(stream, end)
        stream.write(postmortem.missing_newline(file))
    assert [event for event, _ in events.read(file, 0)] == [None, end]
    assert postmortem.has_ended(file, 0, "aa01", 1)
    assert not postmortem.has_ended(file, 0, "aa01", 2)
    assert not postmortem.has_ended(file, events.size(file), "aa01", 1)


def test_empty_file_needs_no_newline(tmp_path: Path) -> None:
    (tmp_path / "0.0.jsonl").touch()
    assert postmortem.missing_newline(tmp_path / "0.0.jsonl") == b""


def test_kernel_counts_its_kills_of_this_control_group() -> None:
    kills = postmortem.oom_kills()
    assert kills >= 0
    assert postmortem.oom_kills() >= kills

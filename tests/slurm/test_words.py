"""What Slurm prints, read: states, folded indices, lines, limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgonz.cluster.base import JobReport, JobStatus
from sgonz.cluster.profile import Profile, Resource
from sgonz.cluster.slurm_limits import Association, Limits, Qos, Rule
from sgonz.cluster.slurm_words import (
    STATES,
    Line,
    fold,
    is_quota,
    is_silence,
    read_indices,
    read_sacct,
    read_squeue,
)
from sgonz.plan.runs import Outcome


@given(st.sets(st.integers(0, 5000), min_size=1))
def test_indices_survive_folding(indices: set[int]) -> None:
    assert read_indices(f"[{fold(list(indices))}%7]") == indices


@pytest.mark.parametrize(
    ("text", "indices"),
    [("7", {7}), ("[4-6,9%2]", {4, 5, 6, 9}), ("0-8:4", {0, 4, 8}), ("N/A", None), ("", None)],
)
def test_indices_are_read_as_slurm_writes_them(text: str, indices: set[int] | None) -> None:
    assert read_indices(text) == indices


def test_lines_of_squeue_are_read_and_what_is_not_one_is_left_out() -> None:
    text = "12|0-999%4|PENDING|normal|dev||Priority\n12|7|RUNNING|normal|dev|n1|None\nslurm: a note\n|||\n"
    pending, running = read_squeue(text)
    assert pending.indices == frozenset(range(1000))
    assert pending.evidence == "squeue: PENDING (Priority)"
    assert running.report == JobReport(status=JobStatus.RUNNING, evidence="squeue: RUNNING", node="n1")


def test_lines_of_sacct_say_who_cancelled() -> None:
    (line,) = read_sacct("12_[0-3]|CANCELLED by 1000|0:15|1700000000|None assigned\n")
    assert line.report == JobReport(
        status=JobStatus.GONE,
        outcome=Outcome.CANCELLED,
        evidence="sacct: CANCELLED by 1000, exit code 0:15, ended 1700000000",
    )


def test_a_job_that_only_the_controller_gave_up_was_not_cancelled_by_somebody() -> None:
    (line,) = read_sacct("12_0|CANCELLED|0:0|1700000000|n1\n")
    assert line.report is not None
    assert line.report.outcome is Outcome.UNKNOWN


@given(st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ_+", min_size=1).filter(lambda word: word not in STATES))
def test_nothing_is_concluded_from_a_state_that_is_not_known(word: str) -> None:
    (line,) = read_sacct(f"12_0|{word}|0:0|Unknown|n[1-2]\n")
    assert line.report is None
    assert not line.is_over


@given(st.text())
def test_no_output_of_slurm_is_an_error(text: str) -> None:
    for line in [*read_squeue(text), *read_sacct(text)]:
        assert isinstance(line.array, int)


def test_every_interruption_is_told_from_a_failure() -> None:
    outcomes = {word: outcome for word, (status, outcome) in STATES.items() if status is JobStatus.GONE}
    assert {word for word, outcome in outcomes.items() if outcome is not None and outcome.is_interruption} == {
        "BOOT_FAIL", "COMPLETED", "DEADLINE", "FLUSHED", "LAUNCH_FAILED", "NODE_FAIL", "PREEMPTED", "TIMEOUT",
    }  # fmt: skip


@pytest.mark.parametrize(
    "said",
    [
        "sbatch: error: QOSMaxSubmitJobPerUserLimit",
        "sbatch: error: AssocMaxSubmitJobLimit",
        "sbatch: error: AssocGrpSubmitJobsLimit",
        "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying",
        "sbatch: error: Batch job submission failed: Rate limit exceeded, please retry later",  # since 24.05
    ],
)
def test_refusals_that_waiting_cures_are_told_apart(said: str) -> None:
    assert is_quota(said)
    assert not is_silence(said)


def test_a_refusal_for_good_is_not_taken_for_a_quota() -> None:
    assert not is_quota("sbatch: error: Batch job submission failed: Invalid partition name specified")
    assert not is_quota("sbatch: error: QOSMaxWallDurationPerJobLimit")


@pytest.mark.parametrize(
    "said",
    [
        "Unable to contact slurm controller (connect failure)",
        "Socket timed out on send/recv operation",
        "Connection reset by peer",  # it ended before it had read the request
        "Zero Bytes were transmitted or received",  # it ended after that
        "Connection timed out reading",  # since 26.05, as the next two
        "Connection rejected by handler",
        "Connection forced closed by quiesce timeout",
    ],
)
def test_a_submission_whose_answer_was_lost_is_not_taken_for_a_refused_one(said: str) -> None:
    assert is_silence(f"sbatch: error: Batch job submission failed: {said}")


@pytest.mark.parametrize("state", ["REQUEUED", "REQUEUE_HOLD", "EXPEDITING"])
def test_a_job_that_slurm_sent_back_waits(state: str) -> None:
    (line,) = read_squeue(f"12|7|{state}|normal|dev||BeginTime\n")
    assert line.report is not None
    assert line.report.status is JobStatus.QUEUED


LIMITS = Limits(
    array=1001,
    accounting=True,
    default_account="dev",
    associations=(Association(account="dev", default_qos="normal", most=100),),
    qos=(Qos(name="normal", most=None), Qos(name="few", most=4), Qos(name="of-partition", most=10)),
    partition_qos={"gpu": "of-partition"},
)


def rules(**resource: object) -> set[Rule]:
    return LIMITS.rules(Profile(name="x", scheduler="slurm", resources={"only": Resource(**resource)}))


def test_limits_of_account_qos_and_partition_all_hold() -> None:
    account = Rule(most=100, account="dev")
    assert rules() == {account}
    assert rules(qos="few") == {account, Rule(most=4, qos="few")}
    assert rules(partition=["cpu", "gpu"], qos="few") == {account, Rule(most=4, qos="few"), Rule(most=10)}
    assert rules(account="another") == set()
    assert rules(qos="normal,few") == {account, Rule(most=4, qos="few")}  # several since Slurm 24.11


def test_jobs_that_name_several_qos_count_in_each() -> None:
    (line,) = read_squeue("22|0-2|PENDING|few,normal|dev||None\n")
    assert [Rule(most=9, qos=name).room(set(), [line]) for name in ("few", "normal", "fewer")] == [6, 6, 9]


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_room_counts_every_job_once(most: int, ours: int, others: int) -> None:
    mine = {(1, index) for index in range(ours)}
    lines = [
        Line(1, frozenset(range(ours)), "RUNNING", "", qos="few"),
        Line(2, frozenset(range(others)), "PENDING", "", qos="few"),
        Line(3, frozenset(range(9)), "PENDING", "", qos="normal"),
        Line(4, frozenset(range(9)), "COMPLETED", "", qos="few"),
    ]
    assert Rule(most=most, qos="few").room(mine, lines) == max(0, most - ours - others)

"""Jobs on this machine, started for real."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from job_folders import ends, eventually, job_list, lay_out, noop, told

from sgonz.cluster.base import Cluster, JobReport, JobStatus
from sgonz.cluster.local import LocalCluster
from sgonz.cluster.processes import Identity, Process, processes
from sgonz.cluster.profile import Profile, Resource
from sgonz.events import JobEnded, JobStarted, RunStarted
from sgonz.plan.runs import Outcome
from sgonz.plan.state import JobRow
from sgonz.rundir import JobList, Workdir

PROFILE = Profile(name="test", scheduler="local", slots=2)
WAITING = msgspec.structs.replace(PROFILE, setup=("sleep 600",))  # jobs that live until they are ended
TAG = "sgonz-test-000001"


@pytest.fixture
def workdir(tmp_path: Path) -> Workdir:
    workdir = Workdir(tmp_path / "a work folder")
    workdir.create()
    lay_out(workdir, [noop("aa01"), noop("bb02"), noop("cc03")])
    return workdir


@pytest.fixture
def waiting() -> Iterator[LocalCluster]:
    """A cluster whose jobs wait before their worker starts; nothing of them is left afterwards."""
    cluster = LocalCluster(WAITING, grace_seconds=0.2)
    yield cluster
    cluster.cancel([row(TAG, 0, str(Identity.here(pid, found.start))) for pid in cluster._children
                    if (found := processes().get(pid))])  # fmt: skip


def row(tag: str, element: int, external_id: str) -> JobRow:
    return JobRow(tag=tag, element=element, sequence=1, external_id=external_id)


def rows(jobs: JobList, ids: list[str]) -> list[JobRow]:
    return [row(jobs.tag, element, external_id) for element, external_id in enumerate(ids)]


def states(cluster: Cluster, jobs: list[JobRow]) -> list[JobStatus]:
    statuses = cluster.poll(jobs)
    return [statuses[(job.tag, job.element)].status for job in jobs]


def session(external_id: str) -> list[Process]:
    return [process for process in processes().values() if process.session == Identity.read(external_id).pid]


def shell_of(external_id: str) -> Process | None:
    """The shell that becomes a worker once the set-up is done."""
    return next((process for process in session(external_id) if process.command.startswith("bash")), None)


def test_jobs_do_their_runs_and_are_gone_afterwards(workdir: Workdir) -> None:
    cluster: Cluster = LocalCluster(PROFILE)
    jobs = job_list(TAG, ["aa01", "bb02"], ["cc03"])
    live = rows(jobs, cluster.submit(workdir, jobs))
    eventually(lambda: set(states(cluster, live)) == {JobStatus.GONE})

    started, first, first_end, second, second_end, left = told(workdir.job(TAG), 0)
    assert isinstance(started, JobStarted)
    assert isinstance(first, RunStarted)
    assert isinstance(second, RunStarted)
    assert isinstance(left, JobEnded)
    assert [end.run_id for end in ends([first_end, second_end])] == ["aa01", "bb02"]
    assert {end.outcome for end in ends(told(workdir.job(TAG), 1))} == {Outcome.COMPLETED}
    assert workdir.run("cc03").result.exists()


def test_no_pickle_is_written(workdir: Workdir) -> None:
    cluster = LocalCluster(PROFILE)
    jobs = job_list(TAG, ["aa01"])
    live = rows(jobs, cluster.submit(workdir, jobs))
    eventually(lambda: states(cluster, live) == [JobStatus.GONE])
    assert not list(workdir.root.rglob("*.pkl"))


def test_output_of_a_job_is_kept_beside_its_events(workdir: Workdir) -> None:
    cluster = LocalCluster(msgspec.structs.replace(PROFILE, setup=("echo 'it''s ready'", "echo twice >&2")))
    jobs = job_list(TAG, ["aa01"])
    live = rows(jobs, cluster.submit(workdir, jobs))
    eventually(lambda: states(cluster, live) == [JobStatus.GONE])
    assert (workdir.job(TAG) / "0.out").read_text() == "its ready\ntwice\n"
    assert workdir.run("aa01").result.exists()


def test_worker_does_not_start_after_a_failed_set_up(workdir: Workdir) -> None:
    cluster = LocalCluster(msgspec.structs.replace(PROFILE, setup=("echo no such module; false",)))
    jobs = job_list(TAG, ["aa01"])
    live = rows(jobs, cluster.submit(workdir, jobs))
    eventually(lambda: states(cluster, live) == [JobStatus.GONE])
    assert "no such module" in (workdir.job(TAG) / "0.out").read_text()
    assert not (workdir.job(TAG) / "events").exists()


def test_slots_are_what_live_jobs_leave(workdir: Workdir) -> None:
    cluster = LocalCluster(PROFILE)
    jobs = [row(TAG, element, "") for element in range(3)]
    assert [cluster.free_slots(jobs[:count]) for count in range(4)] == [2, 1, 0, 0]
    assert cluster.free_slots([msgspec.structs.replace(jobs[0], ended=True), jobs[1]]) == 1


def test_jobs_outlive_whoever_sent_them(workdir: Workdir, waiting: LocalCluster) -> None:
    code = f"""
import os, sys
from pathlib import Path
from job_folders import job_list
from sgonz.cluster.local import LocalCluster
from sgonz.cluster.profile import Profile, Resource
from sgonz.rundir import Workdir
profile = Profile(name="test", scheduler="local", setup=("sleep 600",))
print(*LocalCluster(profile).submit(Workdir(Path(sys.argv[1])), job_list({TAG!r}, ["aa01"])), flush=True)
os.kill(os.getpid(), 9)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    sender = subprocess.run(
        [sys.executable, "-c", code, str(workdir.root)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert sender.returncode == -signal.SIGKILL, sender.stderr
    job = row(TAG, 0, sender.stdout.strip())
    assert states(waiting, [job]) == [JobStatus.RUNNING]
    controller = processes()[Identity.read(job.external_id or "").pid]
    assert controller.session == controller.pid  # no terminal's end reaches it
    waiting.cancel([job])
    assert states(waiting, [job]) == [JobStatus.GONE]


def test_cancel_ends_every_process_of_its_job_and_no_other(workdir: Workdir, waiting: LocalCluster) -> None:
    jobs = job_list(TAG, ["aa01"], ["bb02"])
    first, second = rows(jobs, waiting.submit(workdir, jobs))
    eventually(lambda: shell_of(str(first.external_id)) and shell_of(str(second.external_id)))
    waiting.cancel([first])
    assert states(waiting, [first, second]) == [JobStatus.GONE, JobStatus.RUNNING]
    assert session(str(first.external_id)) == []
    assert shell_of(str(second.external_id))
    waiting.cancel([first, second])
    assert session(str(second.external_id)) == []


def test_cancel_kills_what_does_not_listen(workdir: Workdir) -> None:
    cluster = LocalCluster(
        msgspec.structs.replace(PROFILE, setup=("trap '' TERM", "sleep 600")), grace_seconds=0.2
    )
    jobs = job_list(TAG, ["aa01"])
    live = rows(jobs, cluster.submit(workdir, jobs))
    eventually(lambda: any("sleep" in process.command for process in session(str(live[0].external_id))))
    cluster.cancel(live)
    assert session(str(live[0].external_id)) == []


def test_number_used_again_is_not_the_job(waiting: LocalCluster) -> None:
    with subprocess.Popen(["sleep", "600"]) as innocent:
        job = row(TAG, 0, str(Identity.here(innocent.pid, "1")))
        assert states(waiting, [job]) == [JobStatus.GONE]
        waiting.cancel([job])
        assert innocent.poll() is None
        innocent.kill()


def test_nothing_is_concluded_about_another_machine(waiting: LocalCluster) -> None:
    here = Identity.here(os.getpid(), "1")
    elsewhere = row(TAG, 0, str(replace(here, host="elsewhere", boot="00000000")))
    restarted = row(TAG, 1, str(replace(here, boot="00000000")))
    unsent = msgspec.structs.replace(restarted, element=2, external_id=None)
    assert waiting.poll([elsewhere, restarted, unsent]) == {(TAG, 1): JobReport(status=JobStatus.GONE)}
    waiting.cancel([elsewhere, restarted, unsent])


def test_job_lives_as_long_as_its_worker_even_without_a_controller(
    workdir: Workdir, waiting: LocalCluster
) -> None:
    jobs = job_list(TAG, ["aa01"])
    live = rows(jobs, waiting.submit(workdir, jobs))
    identity = Identity.read(str(live[0].external_id))
    eventually(lambda: shell_of(str(identity)))
    os.kill(identity.pid, signal.SIGKILL)
    eventually(lambda: identity.pid not in processes())
    assert states(waiting, live) == [JobStatus.RUNNING]
    found = waiting.find(workdir, TAG)
    assert found is not None
    assert states(waiting, rows(jobs, found)) == [JobStatus.RUNNING]
    waiting.cancel(live)
    assert states(waiting, live) == [JobStatus.GONE]
    assert session(str(identity)) == []


def test_submission_of_a_dead_coordinator_is_found(workdir: Workdir, waiting: LocalCluster) -> None:
    jobs = job_list(TAG, ["aa01"], ["bb02"])
    other = job_list("sgonz-test-000002", ["cc03"])
    ids = waiting.submit(workdir, jobs)
    other_ids = waiting.submit(workdir, other)
    somebody_else = LocalCluster(WAITING)
    assert somebody_else.find(workdir, TAG) == ids
    waiting.cancel(rows(jobs, ids)[:1])
    found = somebody_else.find(workdir, TAG)
    assert found is not None  # adopted as a whole, with what is over known to be over
    assert states(somebody_else, rows(jobs, found)) == [JobStatus.GONE, JobStatus.RUNNING]
    waiting.cancel(rows(jobs, ids) + rows(other, other_ids))
    assert somebody_else.find(workdir, TAG) is None


def test_submission_that_never_happened_is_not_found(workdir: Workdir) -> None:
    assert LocalCluster(PROFILE).find(workdir, "sgonz-test-000009") is None


def test_submitit_is_imported_only_when_something_is_sent() -> None:
    code = "import sys, sgonz.cluster.local; print('submitit' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "False\n"
    )


def test_time_limit_of_the_resource_goes_to_the_controller(workdir: Workdir) -> None:
    limited = LocalCluster(
        msgspec.structs.replace(WAITING, resources={"machine": Resource(max_minutes=90)}), grace_seconds=0.2
    )
    jobs = job_list(TAG, ["aa01"])
    (external_id,) = limited.submit(workdir, jobs)
    # A process has no environment to read until it has become the new program.
    environ = Path("/proc", str(Identity.read(external_id).pid), "environ")
    eventually(lambda: b"SUBMITIT_LOCAL_TIMEOUT_S=5400\0" in environ.read_bytes())
    limited.cancel(rows(jobs, [external_id]))

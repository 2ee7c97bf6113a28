from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from job_folders import eventually

from sgonz.cluster import processes as seen
from sgonz.cluster.processes import Identity, processes, send, start_of


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process with a name that is hard to read, in a session of its own."""
    code = "import time; open('/proc/self/comm', 'w').write(') Z (x y'); print(flush=True); time.sleep(600)"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_living_process_is_seen_with_its_session(sleeper: subprocess.Popen[bytes]) -> None:
    found = processes()[sleeper.pid]
    assert found.session == sleeper.pid
    assert "time.sleep(600)" in found.command
    assert found.start == start_of(sleeper.pid) != start_of(os.getpid())


def test_zombie_is_not_seen(sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.kill()  # and not waited for
    eventually(lambda: sleeper.pid not in processes())
    assert start_of(sleeper.pid) is None


def test_ps_tells_the_same_where_there_is_no_proc(sleeper: subprocess.Popen[bytes]) -> None:
    listed = {process.pid: process for process in seen._from_ps()}
    again = {process.pid: process for process in seen._from_ps()}
    assert listed[sleeper.pid] == again[sleeper.pid]
    assert listed[sleeper.pid].session == sleeper.pid
    assert listed[sleeper.pid].command.endswith("time.sleep(600)")


def test_signal_reaches_its_process(sleeper: subprocess.Popen[bytes]) -> None:
    send(processes()[sleeper.pid], signal.SIGTERM)
    assert sleeper.wait(300) == -signal.SIGTERM


def test_signal_spares_a_process_that_has_taken_over_the_number(sleeper: subprocess.Popen[bytes]) -> None:
    send(replace(processes()[sleeper.pid], start="1"), signal.SIGKILL)
    send(processes()[sleeper.pid], signal.SIGTERM)
    assert sleeper.wait(300) == -signal.SIGTERM


@given(
    pid=st.integers(0, 2**22),
    start=st.from_regex(r"\A(\d+|\w{3}-\w{3}-\d+-\d\d:\d\d:\d\d-\d{4})\Z"),
    host=st.from_regex(r"\A[a-z0-9.-]+\Z"),
    boot=st.from_regex(r"\A([0-9a-f]{8})?\Z"),
)
def test_identity_reads_back(pid: int, start: str, host: str, boot: str) -> None:
    identity = Identity(pid, start, host, boot)
    assert Identity.read(str(identity)) == identity


@pytest.mark.parametrize(
    ("other_host", "other_boot", "local"), [(False, False, True), (False, True, False), (True, True, None)]
)
def test_only_this_machine_since_its_start_can_be_asked(
    other_host: bool, other_boot: bool, local: bool | None
) -> None:
    here = Identity.here(1, "1")
    other = replace(
        here, host="elsewhere" if other_host else here.host, boot="00000000" if other_boot else here.boot
    )
    assert other.is_local is local

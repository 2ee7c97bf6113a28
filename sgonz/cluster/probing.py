"""A probe in the place of a worker: sent as jobs are sent, it tells what a node sees."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from sgonz.cluster.base import NoAnswer
from sgonz.cluster.profile import Profile, Resource
from sgonz.cluster.site import read_words
from sgonz.cluster.slurm_executor import ArrayExecutor, guarded
from sgonz.cluster.slurm_requests import Requests
from sgonz.rundir import write_atomic

PROBE = "sgonz.train.probe"
MINUTES = 10  # asked for: more than it needs, little enough to start soon
LOOK_SECONDS = 0.1  # between looks at files, which cost a controller nothing
ASK_SECONDS = 2.0  # between questions to Slurm, and every answer makes the next one wait longer
MOST_ASK_SECONDS = 15.0
AFTERWARDS = 15.0  # seconds for files of a job that is over to appear here
OVER = re.compile("COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL|BOOT_FAIL|OUT_OF_MEMORY|DEADLINE|PREEMPTED")

# What a step found goes out as the exit status, which comes back even where no disk is shared.
HIDDEN, UNWRITABLE, SETUP, NO_PYTHON, NO_SGONZ = 41, 42, 43, 44, 45
SCRIPT = """\
[ -f "$1/$3" ] || exit {hidden}
: > "$1/written" || exit {unwritable}
exec >> "$1/output.txt" 2>&1
{setup}
command -v "$2" > /dev/null || exit {no_python}
"$2" -c 'import {probe}' || exit {no_sgonz}
exec "$2" -m {probe} "$1"
"""


@dataclass(kw_only=True)
class Probe:
    """What came of it."""

    state: str = ""  # Slurm's word; RUNNING or COMPLETED on this machine
    exit_code: str = ""
    reason: str = ""
    node: str = ""
    refused: str = ""  # why nothing was sent
    greeting: dict[str, Any] | None = None
    report: dict[str, Any] | None = None
    seen: float = 0.0  # when the greeting was seen here
    echoed: float = 0.0  # when it was answered here
    output: str = ""
    files: set[str] = field(default_factory=set)

    @property
    def is_over(self) -> bool:
        return bool(OVER.match(self.state))


def probe_slurm(
    folder: Path, profile: Profile, resource: Resource, requests: Requests, asked: dict[str, Any], wait: float,
    python: str = sys.executable,
) -> Probe:  # fmt: skip
    """Send it to a cluster and listen for so many seconds; the job is ended where it has not started by then."""
    token = _prepare(folder, asked)
    found = Probe()

    def send(command: Sequence[str]) -> str:
        result = requests.run(["sbatch", "--output=/dev/null", *command[2:]])  # the folder may not be there
        if result.returncode:
            raise NoAnswer(" ".join(result.stderr.split())[:500] or "sbatch refused")
        return result.stdout

    short = msgspec.structs.replace(resource, max_minutes=min(MINUTES, resource.max_minutes or MINUTES))
    executor = ArrayExecutor(
        folder, tag=f"sgonz-doctor-{token[:6]}", elements=1, worker=_worker(folder, profile, python, token),
        setup=(), resource=short, send=send,
    )  # fmt: skip
    try:
        job = f"{executor.start()}_0"
    except NoAnswer as refusal:
        found.refused = refusal.message
        return found
    try:
        _listen(found, folder, wait, lambda: _state(found, requests, job))
    finally:
        if not found.is_over:
            requests.run(["scancel", "--quiet", job])
    return found


def probe_here(
    folder: Path, profile: Profile, asked: dict[str, Any], wait: float, python: str = sys.executable
) -> Probe:
    """The same as a process of this machine."""
    token = _prepare(folder, asked)
    found = Probe(state="RUNNING", node="this machine")
    process = subprocess.Popen(_worker(folder, profile, python, token), stdin=subprocess.DEVNULL)

    def look() -> None:
        if process.poll() is not None:
            found.state = "FAILED" if process.returncode else "COMPLETED"
            found.exit_code = f"{process.returncode}:0"

    try:
        _listen(found, folder, wait, look, ask=LOOK_SECONDS)
    finally:
        process.kill()
        process.wait()
    return found


def _prepare(folder: Path, asked: dict[str, Any]) -> str:
    """The folder anew, with a file of a name that no other folder at the same path has."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    token = secrets.token_hex(8)
    (folder / token).touch()
    write_atomic(folder / "asked.json", json.dumps(asked).encode())
    return token


def _worker(folder: Path, profile: Profile, python: str, token: str) -> list[str]:
    setup = "\n".join(f"{guarded(line).removesuffix('exit')}exit {SETUP}" for line in profile.setup)
    script = SCRIPT.format(
        hidden=HIDDEN, unwritable=UNWRITABLE, no_python=NO_PYTHON, no_sgonz=NO_SGONZ, probe=PROBE,
        setup=setup,
    )  # fmt: skip
    return ["bash", "-c", script, "probe", str(folder), python, token]


def _listen(found: Probe, folder: Path, wait: float, look: Any, ask: float = ASK_SECONDS) -> None:
    """Answer the greeting as soon as it is here, until the report is or nothing will come any more."""
    deadline, next_ask, ended = time.monotonic() + wait, 0.0, 0.0
    while found.report is None and time.monotonic() < deadline:
        _read(found, folder)
        now = time.monotonic()
        if found.is_over and not ended:
            ended = now
        if ended and (
            now - ended > AFTERWARDS or (found.greeting is None and found.exit_code not in ("", "0:0"))
        ):
            break
        if now > next_ask and not found.is_over:
            look()
            next_ask = time.monotonic() + ask
            ask = min(MOST_ASK_SECONDS, ask * 1.3)
            if found.greeting is not None or found.is_over:
                deadline = max(deadline, now + AFTERWARDS)
        time.sleep(LOOK_SECONDS)
    _read(found, folder)
    look()


def _read(found: Probe, folder: Path) -> None:
    found.files = {path.name for path in folder.iterdir()}
    if found.greeting is None and "greeting.json" in found.files:
        found.greeting, found.seen = json.loads((folder / "greeting.json").read_bytes()), time.time()
        found.echoed = time.time()
        (folder / "echo").touch()
    if found.report is None and "report.json" in found.files:
        found.report = json.loads((folder / "report.json").read_bytes())
    if "output.txt" in found.files:
        found.output = (folder / "output.txt").read_text(errors="replace")[-2000:]


def _state(found: Probe, requests: Requests, job: str) -> None:
    try:
        words = read_words(requests.ask("scontrol", "show", "job", "--oneliner", job))
    except NoAnswer as silence:
        found.reason = silence.message
        return
    found.state, found.reason = words.get("JobState", ""), words.get("Reason", "")
    found.exit_code, found.node = words.get("ExitCode", ""), words.get("NodeList", "") or found.node

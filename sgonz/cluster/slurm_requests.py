"""Requests to Slurm: counted by kind, spread over time, and never waited for without end."""

from __future__ import annotations

import contextlib
import errno
import getpass
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sgonz.cluster.base import NoAnswer
from sgonz.rundir import write_atomic

NAME = "requests.json"  # in the work folder
LATE_SECONDS = 4.0  # until somebody is told that an answer is waited for
COMMAND_SECONDS = 30.0  # a controller that needs longer is not asked again soon
FIRST_PAUSE = 5.0
LONGEST_PAUSE = 300.0
RECENT_SECONDS = 60.0
LONGEST_DEBT = 60.0  # seconds without a look that many requests at once may cost


class Notes(msgspec.Struct, kw_only=True):
    """What is remembered between turns."""

    counts: dict[str, int] = {}  # command -> how often it was run
    recent: list[float] = []  # times of the last minute's requests
    next_look: float = 0.0  # when the budget allows another look
    avoided: list[str] = []  # nodes that jobs are kept off, as waiting ones were told
    missing: dict[str, float] = {}  # job that Slurm does not know -> since when


@dataclass(frozen=True)
class Silence:
    """Somebody who did not answer."""

    pause: float  # seconds
    until: float
    message: str


class Requests:
    """Holds the counts of one work folder, and how long to leave a silent controller alone."""

    def __init__(
        self, per_minute: float, environment: Mapping[str, str], *, first_pause: float = FIRST_PAUSE
    ) -> None:
        self._spacing = 60.0 / per_minute
        self._environment = clean_environment(environment)
        self._first_pause = first_pause
        self._silences: dict[str, Silence] = {}
        self.folder: Path | None = None
        self.when_late: Callable[[str], None] | None = None
        self._told_late = threading.Event()
        self.notes = Notes()

    def keep_in(self, folder: Path) -> None:
        """From now on the counts are in this folder, and go on from what is there."""
        if folder == self.folder:
            return
        self.folder = folder
        with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
            self.notes = msgspec.json.decode((folder / NAME).read_bytes(), type=Notes)

    @property
    def asked_by(self) -> tuple[str, str]:
        """The user and the Slurm that answers hold for; the same command may reach several."""
        return getpass.getuser(), self._environment.get("SLURM_CONF", "")

    @property
    def spacing(self) -> float:
        """Seconds that the budget leaves between requests."""
        return self._spacing

    @property
    def may_look(self) -> bool:
        """Whether the budget leaves room for another look now. What a person or a plan asks for never waits."""
        return time.time() >= self.notes.next_look

    def pause(self) -> float:
        """Seconds until the budget leaves room for another look."""
        return max(0.0, self.notes.next_look - time.time())

    def forgive(self) -> None:
        """Let the next look be now, whatever was asked before."""
        self.notes.next_look = min(self.notes.next_look, time.time())

    def per_minute(self) -> int:
        """Requests in the last minute."""
        since = time.time() - RECENT_SECONDS
        return sum(moment >= since for moment in self.notes.recent)

    def ask(self, *command: str) -> str:
        """What a command printed. Raises NoAnswer when it failed, and at once while a pause lasts."""
        return self.ask_all(command)[0]

    def ask_all(self, *commands: Sequence[str]) -> list[str]:
        """What several commands printed that run side by side. Raises as `ask` does, for the first that failed."""
        for command in commands:
            silence = self._silences.get(_server(command[0]))
            if silence is not None and (left := silence.until - time.monotonic()) > 0:
                raise NoAnswer(silence.message, hint=f"Asked again in {left:.0f} s.")
        for command in commands:
            self._count(command[0])
        with ThreadPoolExecutor(len(commands)) as together:
            results = list(together.map(self._answer, commands))
        for command, result in zip(commands, results, strict=True):
            if result.returncode:
                raise self.silent(command[0], f"does not answer: {_last_line(result.stderr)}")
            self._silences.pop(_server(command[0]), None)
            self._told_late.clear()
        return [result.stdout for result in results]

    def run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command and count it, whatever it says. Raises NoAnswer when it takes too long or is not there."""
        self._count(command[0])
        return self._answer(command)

    def _answer(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        late = threading.Timer(LATE_SECONDS, self._say_late, [command[0]])
        late.daemon = True
        late.start()
        try:
            return self._answered(command)
        finally:
            late.cancel()

    def _say_late(self, command: str) -> None:
        if self.when_late is not None and not self._told_late.is_set():
            self._told_late.set()
            self.when_late(f"{command} has not answered yet; it is given {COMMAND_SECONDS:.0f} s")

    def _answered(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=COMMAND_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            said = error.stderr.decode(errors="replace") if isinstance(error.stderr, bytes) else ""
            last = _last_line(said)
            raise self.silent(command[0], f"has not answered in {COMMAND_SECONDS:.0f} s {last}") from error
        except FileNotFoundError as error:
            raise NoAnswer(f"there is no {command[0]} here", hint="Is this a node of the cluster?") from error

    def silent(self, command: str, message: str) -> NoAnswer:
        """Leave whoever answers this command alone for a while, longer every time."""
        server = _server(command)
        before = self._silences.get(server)
        pause = min(LONGEST_PAUSE, before.pause * 2) if before else self._first_pause
        silence = Silence(pause, time.monotonic() + pause, f"{command} {message}".rstrip(": "))
        self._silences[server] = silence
        return NoAnswer(silence.message)

    def save(self) -> None:
        if self.folder is None:
            return
        try:
            write_atomic(self.folder / NAME, msgspec.json.encode(self.notes))
        except OSError as refused:  # somebody else's folder: whoever only reads may ask too
            if refused.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise

    def _count(self, command: str) -> None:
        now = time.time()
        notes = self.notes
        notes.counts = {**notes.counts, command: notes.counts.get(command, 0) + 1}
        notes.recent = [moment for moment in notes.recent if moment > now - RECENT_SECONDS] + [now]
        # Every request is paid for by the looks that follow it.
        debt = max(0.0, notes.next_look - now) + self._spacing
        notes.next_look = now + min(debt, max(LONGEST_DEBT, self._spacing))
        self.save()


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Ours without what a surrounding Slurm job set, which would speak for the jobs that we send."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SLURM_", "SLURMD_")) or name == "SLURM_CONF"
    }
    # 0: never cut a long list of array indices short.
    return {**kept, "SLURM_TIME_FORMAT": "%s", "SLURM_BITSTR_LEN": "0", "LC_ALL": "C.UTF-8", **environment}


def _server(command: str) -> str:
    """Who answers: the accounting may be silent while the controller is not."""
    return "accounting" if command.startswith("sacct") else "controller"


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""

"""submitit's local executor, sending our worker instead of a pickled function."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from submitit.local.local import LocalExecutor, LocalJob

NO_LIMIT_MINUTES = 366 * 24 * 60  # submitit's controller wants a number


class WorkerExecutor(LocalExecutor):  # type: ignore[misc]  # submitit is not typed
    """Starts one element: submitit's controller in a session of its own, and under it the worker.

    No pickle is written: job.json says what there is to do.
    """

    def __init__(
        self,
        folder: Path,
        *,
        worker: Sequence[str],
        setup: Sequence[str],
        output: Path,
        members: Sequence[str] = (),
        processes: int = 1,
    ) -> None:
        super().__init__(folder)
        self.members = members  # how one of several processes is started, where a run takes several
        self.processes = processes
        self.worker = worker
        self.setup = setup
        self.output = output

    def start(self) -> int:
        """Start it; the number of the controller's process, which is also that of the session."""
        return int(self._submit_command(self._submitit_command_str).job_id)

    @property
    def _submitit_command_str(self) -> str:
        # The last exec puts the worker in the shell's place, so that the controller's signals reach it.
        ranks = range(self.processes if self.processes > 1 else 0)
        started = [f"{{ SGONZ_RANK={rank} {shlex.join(self.members)} & }}" for rank in ranks]
        lines = ['exec >>"$0" 2>&1', *self.setup, *started, 'exec "$@"']
        return shlex.join(["bash", "-c", " &&\n".join(lines), str(self.output), *self.worker])

    def _submit_command(self, command: str) -> LocalJob[None]:
        environment = {
            **os.environ,
            "SUBMITIT_EXECUTOR": "local",
            "SUBMITIT_LOCAL_COMMAND": command,
            "SUBMITIT_LOCAL_JOB_NUM_NODES": "1",
            "SUBMITIT_LOCAL_NODEID": "0",
            "SUBMITIT_LOCAL_NTASKS": "1",
            "SUBMITIT_LOCAL_SIGNAL_DELAY_S": str(self.parameters.get("signal_delay_s", 60)),
            "SUBMITIT_LOCAL_TIMEOUT_S": str(60 * self.parameters.get("timeout_min", NO_LIMIT_MINUTES)),
            "SUBMITIT_LOCAL_WITH_SHELL": "",
            "SUBMITIT_STDERR_TO_STDOUT": "1",
        }
        # submitit's own start_controller would leave it in the terminal's session.
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", "submitit.local._local", str(self.folder)],
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(self.output), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM],
        )
        return LocalJob(folder=self.folder, job_id=str(pid))

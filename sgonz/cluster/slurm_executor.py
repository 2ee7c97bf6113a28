"""submitit's Slurm executor, sending our worker as one array instead of pickled functions one by one."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from submitit.slurm.slurm import SlurmExecutor

from sgonz.cluster.profile import Resource

WARNING_SECONDS = 90  # before the time limit, for a checkpoint
SHORT_WARNING = 0.25  # of a limit that is not much longer than that
# Ignored until the worker listens: a warning during the set-up would end the job as if it had failed.
DEAF = "trap '' USR2"


class ArrayExecutor(SlurmExecutor):  # type: ignore[misc]  # submitit is not typed
    """Sends one array whose tasks need nothing but their folder and index: no pickle, no srun, no throttle."""

    def __init__(
        self,
        folder: Path,
        *,
        tag: str,
        elements: int,
        worker: Sequence[str],
        setup: Sequence[str],
        resource: Resource,
        send: Callable[[Sequence[str]], str],
        members: Sequence[str] = (),
        processes: int = 1,
    ) -> None:
        super().__init__(folder)
        self.worker = worker
        self.members = members  # how one of several processes is started, where a run takes several
        self.processes = processes
        self.resource = resource
        self.send = send
        self.update_parameters(
            **parameters(resource, processes), job_name=tag, setup=[DEAF, *map(guarded, setup)]
        )
        self.parameters["map_count"] = elements
        self.update_parameters(
            additional_parameters={
                "array": f"0-{elements - 1}",  # submitit would hold it to 256 at a time
                "signal": f"B:USR2@{warning(resource)}",  # to the batch shell, whose place the worker takes
                "requeue": True,
                "output": "%a.out",  # on the command line with its folder
            }
        )

    def start(self) -> int:
        """Send it; the array's job id."""
        return int(self._submit_command(self._submitit_command_str))

    @property
    def _submitit_command_str(self) -> str:
        # exec: the signal before the time limit goes to the shell's process, and only to that.
        worker = f"exec {shlex.join(self.worker)}"
        return worker if self.processes == 1 else f"{self._srun} &\n{worker}"

    @property
    def _srun(self) -> str:
        """One task for every process, beside the worker, which calls them together; they leave when it does.

        A task that ends must not end the others, and none reads what is meant for the shell. What sbatch was told
        of CPUs srun has to be told again since Slurm 22.05; and all of our environment, where the site keeps jobs from it.
        """
        tasks = [f"--ntasks={self.processes}", f"--ntasks-per-node={self.processes // self.resource.nodes}",
                 f"--cpus-per-task={self.resource.cpus}"]  # fmt: skip
        apart = [
            "--export=ALL",
            "--overlap",
            "--mpi=none",
            "--kill-on-bad-exit=0",
            "--wait=0",
            "--input=none",
            "--unbuffered",
        ]
        return shlex.join(["srun", *tasks, *apart, *self.members])

    @property
    def _file(self) -> Path:
        return Path(self.folder) / "submission.sh"

    @property
    def script(self) -> str:
        """What sbatch reads."""
        return str(self._make_submission_file_text(self._submitit_command_str, uid=""))

    @property
    def command(self) -> list[str]:
        """How sbatch is called."""
        return self._make_submission_command(self._file)

    def _submit_command(self, command: str) -> str:
        """submitit writes a hidden draft, links to it by job id and waits 0.2 s; one file by one name is enough."""
        self._file.write_text(self.script)
        said = self.send(self.command)
        return str(self._get_job_id_from_submission_command(said))

    def _make_submission_command(self, submission_file_path: Path) -> list[str]:
        # On the command line a path may hold anything: no shell reads it, and Slurm's patterns have %% for %.
        output = str(self.folder / "%a.out").replace("%", "%%").removesuffix("%%a.out") + "%a.out"
        return ["sbatch", f"--output={output}", *self.resource.sbatch, str(submission_file_path)]


def parameters(resource: Resource, processes: int = 1) -> dict[str, object]:
    """A resource class in submitit's words; what it does not say is left to the cluster."""
    partition = resource.partition
    return {
        "partition": ",".join(partition) if isinstance(partition, list) else partition,
        "account": resource.account,
        "qos": resource.qos,
        "constraint": resource.constraint,
        "gres": resource.gres,
        "nodes": resource.nodes,
        "ntasks_per_node": processes // resource.nodes if processes > 1 else None,
        "cpus_per_task": resource.cpus,
        "mem": f"{int(resource.memory_gb * 1024)}M" if resource.memory_gb else None,
        "time": resource.max_minutes,
        "exclude": ",".join(resource.exclude) or None,
        "wckey": None,  # submitit's own would be refused where keys are checked
        "stderr_to_stdout": True,
        "use_srun": False,
    }


def warning(resource: Resource) -> int:
    """Seconds before the time limit at which the worker is told."""
    if resource.max_minutes is None:
        return WARNING_SECONDS
    return min(WARNING_SECONDS, int(SHORT_WARNING * 60 * resource.max_minutes))


def guarded(line: str) -> str:
    """A set-up line after whose failure the job does not go on; it may hold several commands and a comment."""
    return f"eval {shlex.quote(line)} || exit"

"""A command on a node with its output here: srun with what a resource class asks for, or this machine."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sgonz.cluster.profile import Profile, Resource
from sgonz.cluster.slurm_requests import clean_environment
from sgonz.errors import UserError

if TYPE_CHECKING:
    from types import FrameType

NOT_FOR_SRUN = ("wckey", "stderr_to_stdout", "use_srun")


def command_for(profile: Profile, resource: Resource, command: Sequence[str]) -> list[str]:
    """The whole command line, the profile's set-up lines included."""
    from sgonz.cluster.slurm_executor import guarded  # submitit: 0.1 s, and only here

    lines = "\n".join([*map(guarded, profile.setup), 'exec "$@"'])
    inside = ["bash", "-c", lines, "debug", *command]
    if profile.scheduler == "local":
        return inside
    return ["srun", "--ntasks=1", "--unbuffered", "--job-name=sgonz-debug", *_asked(resource), *inside]


def run_live(profile: Profile, command: Sequence[str], extra: Mapping[str, str]) -> int:
    """Run it with our terminal; Ctrl-C is left to it. Its exit status."""
    environment = {**clean_environment(profile.expanded_environment), **extra}
    try:
        process = subprocess.Popen(command, env=environment)
    except FileNotFoundError as error:
        raise UserError(f"there is no {command[0]} here", hint="Is this a node of the cluster?") from error

    def wait_on(number: int, frame: FrameType | None) -> None:
        """The terminal has told the child too."""

    before = signal.signal(signal.SIGINT, wait_on)
    try:
        return process.wait()
    finally:
        signal.signal(signal.SIGINT, before)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGTERM)
            process.wait()


def _asked(resource: Resource) -> list[str]:
    from sgonz.cluster.slurm_executor import parameters

    values = {name: value for name, value in parameters(resource).items() if name not in NOT_FOR_SRUN}
    options = [f"--{name.replace('_', '-')}={value}" for name, value in values.items() if value is not None]
    return [*options, *resource.sbatch]

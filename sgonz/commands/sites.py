"""cluster detect, doctor: commands that get to know a cluster."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from sgonz import options
from sgonz.errors import SpecError
from sgonz.rundir import disk_errors

SLURM_VARIABLES = ("SLURM_CONF",)  # what tells Slurm's commands where their cluster is


def detect(file: str | None) -> None:
    """Write a profile of the cluster that Slurm's commands speak to here."""
    from sgonz.cluster.detect import detect as ask
    from sgonz.cluster.drafting import draft
    from sgonz.cluster.slurm_requests import Requests

    target = Path(file).expanduser() if file else None
    if target is not None and target.exists():
        raise SpecError(f"{target} is there already", hint="Give -o another name, or move it away.")
    if target is not None and target.suffix != ".toml":
        raise SpecError(f"{target}: the name of a profile ends in .toml", hint=f"Say -o {target.stem}.toml.")
    environment = {name: os.environ[name] for name in SLURM_VARIABLES if os.environ.get(name)}
    text = draft(ask(Requests(60.0, environment)), environment, time.strftime("%Y-%m-%d"))
    if target is None:
        click.echo(text, nl=False)
        return
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    options.say(
        f"{target} is written. Try it: sgonz doctor {target}; then: sgonz run SWEEP --cluster {target}"
    )

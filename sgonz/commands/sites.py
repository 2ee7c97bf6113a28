"""cluster detect, doctor: commands that get to know a cluster."""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sgonz import options
from sgonz.errors import SpecError
from sgonz.rundir import disk_errors

if TYPE_CHECKING:
    from sgonz.cluster.doctor import Check

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


def doctor(cluster: str, workdir: str | None, sweep: str | None, *, wait: float, output: str) -> int:
    """Say line by line whether runs would work there; 1 when a line is red."""
    from sgonz.checkup import check_up
    from sgonz.cluster.doctor import Health
    from sgonz.cluster.profile import load_profile
    from sgonz.planned import plan_sweep, workdir_of

    profile = load_profile(cluster)
    folder = workdir_of(workdir, profile.workdir)
    sources = plan_sweep(sweep, (), folder).resolution.sources if sweep else None
    found = []
    for check in check_up(profile, folder, sources, wait=wait):
        found.append(check)
        if output == "table":
            _print_check(check)
    if output != "table":
        options.print_rows([asdict(check) for check in found], output, ("check", "health", "said", "remedy"))
    return int(any(check.health is Health.RED for check in found))


def _print_check(check: Check) -> None:
    """As soon as it is known: the probe job may wait for a while."""
    colour = {"green": "green", "yellow": "yellow", "red": "red"}[check.health]
    click.echo(f"{click.style(f'{check.health:<6}', fg=colour)}  {check.check}: {check.said}")
    if check.remedy:
        click.echo(f"{'':6}  {'':2}{check.remedy}")

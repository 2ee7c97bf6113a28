"""cluster detect, doctor, debug, prefetch: commands about a cluster and what its nodes find there."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sgonz.cli import options
from sgonz.cli.working import working
from sgonz.errors import SpecError
from sgonz.rundir import disk_errors

if TYPE_CHECKING:
    from sgonz.cluster.doctor import Check

ASK_AGAIN = "Try sinfo by hand: log in where it answers, load the site's slurm module, or set SLURM_CONF."
SLURM_VARIABLES = ("SLURM_CONF",)  # what tells Slurm's commands where their cluster is


def detect(file: str | None) -> None:
    """Write a profile of the cluster that Slurm's commands speak to here."""
    from sgonz.cluster.base import NoAnswer
    from sgonz.cluster.detect import detect as ask
    from sgonz.cluster.drafting import draft
    from sgonz.cluster.slurm_requests import Requests

    target = Path(file).expanduser() if file else None
    if target is not None and target.exists():
        raise SpecError(f"{target} is there already", hint="Give -o another name, or move it away.")
    if target is not None and target.suffix != ".toml":
        raise SpecError(f"{target}: the name of a profile ends in .toml", hint=f"Say -o {target.stem}.toml.")
    environment = {name: os.environ[name] for name in SLURM_VARIABLES if os.environ.get(name)}
    requests = Requests(60.0, environment)
    with working("asking Slurm (sinfo, scontrol, sacctmgr)") as shown:
        requests.when_late = shown.say
        try:
            site = ask(requests)
        except NoAnswer as silence:
            raise NoAnswer(silence.message, hint=silence.hint or ASK_AGAIN) from silence
    text = draft(site, environment, time.strftime("%Y-%m-%d"))
    if target is None:
        click.echo(text, nl=False)
        return
    with disk_errors(target, option="-o"):
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
    from sgonz.sweep.planned import plan_sweep, workdir_of

    profile = load_profile(cluster)
    folder = workdir_of(workdir, profile.workdir)
    sources = plan_sweep(sweep, (), folder).resolution.sources if sweep else None
    found = []
    with working("looking the cluster over") as shown:
        for check in check_up(profile, folder, sources, wait=wait, say=shown.say):
            found.append(check)
            if output == "table":
                with shown.aside():
                    _print_check(check)
    if output != "table":
        options.print_rows([asdict(check) for check in found], output, ("check", "health", "said", "remedy"))
    return int(any(check.health is Health.RED for check in found))


def debug(run_id: str, workdir: str | None, sweep: str | None, cluster: str | None, *, keep: bool) -> int:
    """Do one run by hand on a node, with its output here; nothing of the sweep changes."""
    import shutil

    from sgonz.commands.planning import find_run
    from sgonz.control.debugging import debug as by_hand
    from sgonz.coordinator.coordinator import closing
    from sgonz.sweep.opening import reopen
    from sgonz.sweep.planned import workdir_of

    at = reopen(workdir_of(workdir), sweep, cluster=cluster)
    with closing(at):
        found = find_run([row.run_id for row in at.store.snapshot(at.sweep_id)], run_id)
        spec = at.store.spec(found)
    status, scratch = by_hand(at, spec)
    if keep:
        options.say(f"what it wrote is in {scratch}")
    else:
        shutil.rmtree(scratch, ignore_errors=True)
    return status


def prefetch(sweep: str, workdir: str | None, changes: Sequence[str], *, output: str) -> int:
    """Bring what a sweep takes from the hub into its cache; 1 where something cannot be had."""
    from sgonz.hub_cache import cache_folder
    from sgonz.sweep.planned import plan_sweep, workdir_of
    from sgonz.train.prefetch import prefetch as fetch

    sources = plan_sweep(sweep, changes, workdir_of(workdir)).resolution.sources
    found = []
    with working("fetching") as shown:
        fetched = fetch(sources.models.values(), sources.datasets.values())
        for each in shown.through(fetched):
            found.append(each)
            if output == "table":
                with shown.aside():
                    click.echo(f"{each.status:<8}  {each.kind} {each.name}: {each.detail}")
    if output != "table":
        options.print_rows([asdict(each) for each in found], output, ("kind", "name", "status", "detail"))
    absent = sum(each.status == "absent" for each in found)
    options.say(
        f"{len(found) - absent} of {len(found)} are in {cache_folder()}"
        if found
        else "the sweep takes nothing from the hub"
    )
    if absent:
        options.say(
            "Fetch the others where there is network, with the same HF_HOME, or give local folders as path."
        )
    return int(bool(absent))


def _print_check(check: Check) -> None:
    """As soon as it is known: the probe job may wait for a while."""
    colour = {"green": "green", "yellow": "yellow", "red": "red"}[check.health]
    click.echo(f"{click.style(f'{check.health:<6}', fg=colour)}  {check.check}: {check.said}")
    if check.remedy:
        click.echo(f"{'':6}  {'':2}{check.remedy}")

"""What can be wrong with a Slurm cluster as seen from here: one line each, with a remedy."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sgonz.cluster.base import NoAnswer
from sgonz.cluster.detect import detect, gpu_types
from sgonz.cluster.profile import Profile, Resource
from sgonz.cluster.quota import ask_quota, quotas_of
from sgonz.cluster.quota_words import Quota
from sgonz.cluster.site import Partition, Site, read_gpus, refusal
from sgonz.cluster.slurm_requests import Requests

FULL = 0.9  # of a quota
COMMANDS = ("sinfo", "squeue", "sbatch", "scancel", "scontrol")


class Health(StrEnum):
    GREEN = "green"
    YELLOW = "yellow"  # works, but look at it
    RED = "red"  # runs would fail


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    check: str
    health: Health
    said: str
    remedy: str = ""


def green(check: str, said: str) -> Check:
    return Check(check=check, health=Health.GREEN, said=said)


def yellow(check: str, said: str, remedy: str) -> Check:
    return Check(check=check, health=Health.YELLOW, said=said, remedy=remedy)


def red(check: str, said: str, remedy: str) -> Check:
    return Check(check=check, health=Health.RED, said=said, remedy=remedy)


def check_commands(environment: Mapping[str, str]) -> list[Check]:
    """Slurm's commands, as the profile's environment finds them."""
    path = environment.get("PATH")
    missing = [name for name in COMMANDS if shutil.which(name, path=path) is None]
    if missing:
        remedy = "Log in to a node of the cluster, load its slurm module, or set PATH under environment."
        return [red("commands", f"{', '.join(missing)} not found", remedy)]
    if shutil.which("sacct", path=path) is None:
        return [
            yellow(
                "commands", "all but sacct", "Without it, how jobs ended is known from their events alone."
            )
        ]
    return [green("commands", f"{', '.join(COMMANDS)}, sacct")]


def check_controller(requests: Requests) -> Check:
    """Whether slurmctld answers."""
    remedy = "Nothing is lost while it is down: jobs go on, and so does sgonz. Ask the site, or look at SLURM_CONF."
    try:
        result = requests.run(["scontrol", "ping"])
    except NoAnswer as silence:
        return red("controller", silence.message, remedy)
    said = " ".join((result.stdout or result.stderr).replace("*", "").split())  # DOWN comes in a banner
    if " is UP" in said:
        return green("controller", said)
    return red("controller", said[:300] or "scontrol ping says nothing", remedy)


def check_site(requests: Requests, profile: Profile) -> list[Check]:
    """Every resource class against what the site offers this user; and the accounting."""
    try:
        site = detect(requests)
    except NoAnswer as silence:
        return [red("controller", silence.message, "Ask again when it answers.")]
    found = [check for name, asked in _classes(profile) for check in check_class(site, name, asked)]
    return [*found, _accounting(requests, site)]


def check_class(site: Site, name: str, asked: Resource) -> list[Check]:
    """Partition, nodes, gres, time and account of one class; what follows from a red line is left out."""
    partitions = _partitions(site, asked)
    wrong = _wrong_partition(site, name, asked, partitions)
    if wrong is not None:
        return [wrong]
    names = ", ".join(each.name for each in partitions)
    checks = [green(f"partition of {name}", f"{names} {'is' if len(partitions) == 1 else 'are'} open to you")]
    nodes = {node.name: node for each in partitions for node in site.nodes_of(each)}
    usable = [node for node in nodes.values() if node.is_usable]
    if not usable:
        states = ", ".join(f"{node.name} {node.state}" for node in list(nodes.values())[:8]) or "it has none"
        return [*checks, red(f"nodes of {name}", f"no node of {names} takes jobs: {states}",
                             "Wait for the site, or name another partition.")]  # fmt: skip
    checks.append(_gres(site, name, asked, partitions))
    return [*checks, *_size(name, asked, partitions, usable), *_account(site, name, asked)]


def _classes(profile: Profile) -> list[tuple[str, Resource]]:
    return list(profile.resources.items()) or [("default", Resource())]


def _partitions(site: Site, asked: Resource) -> list[Partition]:
    known = {each.name: each for each in site.partitions}
    if asked.partition is None:
        return [each for each in site.partitions if each.is_default]
    return [known[name] for name in asked.partitions if name in known]


def _wrong_partition(site: Site, name: str, asked: Resource, found: Sequence[Partition]) -> Check | None:
    open_to_us = (
        ", ".join(each.name for each in site.partitions if refusal(each, site.user) is None) or "none"
    )
    where, remedy = f"partition of {name}", f"Set resources.{name}.partition; open to you: {open_to_us}."
    if asked.partition is None:
        return None if found else red(where, "the site has no default partition, and none is named", remedy)
    unknown = [each for each in asked.partitions if each not in {partition.name for partition in found}]
    if unknown:
        return red(where, f"there is no partition {', '.join(unknown)} (or it is hidden from you)", remedy)
    closed = [f"{each.name} {why}" for each in found if (why := refusal(each, site.user)) is not None]
    return red(where, "; ".join(closed), remedy) if closed else None


def _gres(site: Site, name: str, asked: Resource, partitions: Sequence[Partition]) -> Check:
    check = f"gres of {name}"
    offered: dict[str, int] = {}
    for partition in partitions:
        for kind, count in gpu_types(site, partition).items():
            offered[kind] = max(count, offered.get(kind, 0))
    shown = (
        ", ".join(f"gpu:{kind}:{count}" if kind else f"gpu:{count}" for kind, count in offered.items())
        or "none"
    )
    where = ", ".join(each.name for each in partitions)
    if asked.gres is None:
        if offered:
            return yellow(check, f"no GPU is asked for, and nodes of {where} have {shown}",
                          f'Set resources.{name}.gres, say "gpu:{next(filter(None, offered), "1")}:1", to use them.')  # fmt: skip
        return green(check, "none asked for, none there")
    for kind, count in read_gpus(asked.gres).items():
        most = offered.get(kind, 0) if kind else max(offered.values(), default=0)
        if most < count:
            remedy = f"Set resources.{name}.gres to what is there, or name a partition that has them."
            return red(check, f"{asked.gres} is asked for; a node of {where} has at most: {shown}", remedy)
    return green(check, f"{asked.gres} of {shown} on a node")


def _size(
    name: str, asked: Resource, partitions: Sequence[Partition], usable: Sequence[object]
) -> list[Check]:
    limits = [each.max_minutes for each in partitions if each.max_minutes is not None]
    longest = max(limits) if len(limits) == len(partitions) else None
    if asked.max_minutes and longest is not None and asked.max_minutes > longest:
        return [red(f"time of {name}", f"{asked.max_minutes} minutes are asked for; the partition allows {longest}",
                    f"Set resources.{name}.max_minutes = {longest} or less.")]  # fmt: skip
    most_cpus = max(getattr(node, "cpus", 1) for node in usable)
    most_mb = max(getattr(node, "memory_mb", 0) for node in usable)
    if asked.cpus > most_cpus:
        return [red(f"cpus of {name}", f"{asked.cpus} are asked for; its largest node has {most_cpus}",
                    f"Set resources.{name}.cpus = {most_cpus} or less.")]  # fmt: skip
    if asked.memory_gb and most_mb and asked.memory_gb * 1024 > most_mb:
        return [red(f"memory of {name}", f"{asked.memory_gb:g} GB are asked for; its largest node has {most_mb // 1024}",
                    f"Set resources.{name}.memory_gb = {most_mb // 1024} or less.")]  # fmt: skip
    return []


def _account(site: Site, name: str, asked: Resource) -> list[Check]:
    user = site.user
    if user.accounts and asked.account and asked.account not in user.accounts:
        return [
            red(
                f"account of {name}",
                f"{asked.account} is not one of yours",
                f"Yours: {', '.join(user.accounts)}.",
            )
        ]
    named = asked.qos.split(",") if asked.qos else []  # several since Slurm 24.11
    if user.qos and (wrong := [each for each in named if each not in user.qos]):
        said = f"{', '.join(wrong)} is not one of yours"
        return [red(f"qos of {name}", said, f"Yours: {', '.join(user.qos)}.")]
    return []


def _accounting(requests: Requests, site: Site) -> Check:
    check = "accounting"
    without = "Nothing is needed: hours and ends of jobs are then taken from event files."
    if not site.accounting:
        return yellow(check, "this cluster keeps none (no slurmdbd)", without)
    try:
        requests.ask("sacct", "-X", "-n", "-P", "-o", "JobID", "-S", "now-1minutes")
    except NoAnswer as silence:
        return yellow(check, silence.message, f"{without} Limits on jobs are read when it answers again.")
    return green(check, "sacct answers")


def check_quota(folder: Path) -> list[Check]:
    """What `quota` says, where the site has it, and what the parallel file system of this folder does."""
    try:
        quotas = ask_quota()
    except NoAnswer as silence:
        return [yellow("quota", silence.message, "Look yourself how much is left.")]
    own = [quota for quota in quotas_of(folder) if quota not in (quotas or ())]
    if quotas is None and not own:
        return [green("quota", "there is no quota command here; see the line above")]
    return judge_quota([*own, *(quotas or ())])


def judge_quota(quotas: Sequence[Quota]) -> list[Check]:
    """One line for each: the work folder may be moved to any of them."""
    checks = []
    for quota in quotas:
        line = f"{quota.device}: {quota.used:.0f} of {quota.limit:.0f} GiB"
        full = red if quota.used >= quota.limit else yellow
        remedy = "Free some, or choose another folder with --workdir."
        fits = quota.used < FULL * quota.limit
        checks.append(green("quota", line) if fits else full("quota", line, remedy))
    return checks or [green("quota", "none is set")]

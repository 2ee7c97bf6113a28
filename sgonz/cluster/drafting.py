"""A commented profile for a site, drafted from what Slurm says of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sgonz.cluster.detect import gpu_types
from sgonz.cluster.site import Node, Partition, Site, refusal
from sgonz.plan.wording import number_of

LONGEST_MINUTES = 1440  # asked for where a site sets no limit, or a longer one: shorter jobs start sooner
SHORT_MINUTES = 30  # below that a partition is for trying things; runs would be cut off again and again
MOST_CPUS = 16  # more than loading data for one GPU can use
CPUS_WITHOUT_GPU = 8
TARGET_MINUTES = 120
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, kw_only=True)
class Class:
    """One resource class as it will be written."""

    name: str
    gres: str | None
    partitions: tuple[Partition, ...]
    others: Mapping[str, str]  # partition that has such nodes too -> why it is left out
    cpus: int
    memory_gb: int | None
    most_memory_gb: int | None
    minutes: int
    shorter: Mapping[str, int]  # partition -> its limit, for runs that are predicted to end before it
    count: int  # GPUs (or nodes) of the kind
    per_node: int


def draft(site: Site, environment: Mapping[str, str], date: str) -> str:
    """The text of a profile; `environment` is what commands and jobs need to find this Slurm."""
    classes = classes_of(site)
    target = min([TARGET_MINUTES, *(max(1, each.minutes // 2) for each in classes)])
    lines = [
        f"# Cluster {site.name}, as its Slurm {site.version} described itself on {date}.".replace("  ", " "),
        "# Written by `sgonz cluster detect`; look it over, then try it with `sgonz doctor`.",
        *(f"# Not known: {one_line(each)}" for each in site.unknown),
        "",
        'scheduler = "slurm"',
        "# workdir = \"/shared/me/sgonz\"      # on a disk that every node sees; by default ./work",
        *_environment(environment),
        '# setup = ["module load cuda"]       # shell lines before a job\'s worker starts',
        f"target_minutes = {target}".ljust(37) + "# how long a packed job should last",
        "runs_per_gpu = 1",
        "requests_per_minute = 4              # looks at the queue; submissions count too",
        "",
        *_about(site),
    ]  # fmt: skip
    for each in classes:
        lines += ["", *_class(site, each)]
    for name, minutes in {
        name: minutes for each in classes for name, minutes in each.shorter.items()
    }.items():
        lines += [
            "",
            f"[partitions.{key(name)}]".ljust(37) + "# jobs that ask for more minutes do not go there",
            f"max_minutes = {minutes}",
        ]
    if classes:
        lines += [
            "",
            "[assign]                             # model -> class",
            f"default = {text(classes[0].name)}",
        ]
    return "\n".join(lines) + "\n"


def classes_of(site: Site) -> list[Class]:
    """One class for every GPU type that this user can reach, the most plentiful first; without GPUs, one for CPUs."""
    open_to_us = [each for each in site.partitions if refusal(each, site.user) is None]
    kinds = {kind for partition in open_to_us for kind in gpu_types(site, partition)}
    found = [made for kind in sorted(kinds) if (made := _of_kind(site, open_to_us, kind)) is not None]
    # Where types have names, `gpu:N` alone would take any of them; it is kept only where nothing else is there.
    found.sort(key=lambda each: (-each.count, each.name))
    if found:
        return found
    bare = _of_kind(site, open_to_us, None)
    return [bare] if bare is not None else []


def _of_kind(site: Site, partitions: Sequence[Partition], kind: str | None) -> Class | None:
    """The class for one GPU type (None: for nodes as they are)."""

    def fitting(partition: Partition) -> list[Node]:
        nodes = [node for node in site.nodes_of(partition) if node.is_usable]
        return nodes if kind is None else [node for node in nodes if kind in node.gpus]

    candidates = {partition.name: partition for partition in partitions if fitting(partition)}
    if not candidates:
        return None
    chosen, others = _alternatives(list(candidates.values()))
    nodes = list({node.name: node for partition in chosen for node in fitting(partition)}.values())
    shares = [node.gpus[kind] if kind is not None else 1 for node in nodes]
    whole = [sum(node.gpus.values()) if kind is not None else 1 for node in nodes]
    cpus = min(max(1, node.cpus // each) for node, each in zip(nodes, whole, strict=True))
    memory_mb = min(node.memory_mb // each for node, each in zip(nodes, whole, strict=True))
    per_cpu = [each.max_memory_per_cpu_mb for each in chosen if each.max_memory_per_cpu_mb]
    cpus = min(cpus, MOST_CPUS if kind is not None else CPUS_WITHOUT_GPU)
    if kind is None:  # as large a part of the memory as of the processors
        memory_mb = min(node.memory_mb * cpus // node.cpus for node in nodes)
    memory_mb = min([memory_mb, *(each * cpus for each in per_cpu)])
    limits = [limit for limit in (site.user.max_minutes, chosen[0].max_minutes) if limit]
    minutes = min([LONGEST_MINUTES, *limits])
    return Class(
        name=kind or ("cpu" if kind is None else "gpu"),
        gres=None if kind is None else f"gpu:{kind}:1" if kind else "gpu:1",
        partitions=tuple(chosen),
        others=others,
        cpus=cpus,
        memory_gb=max(1, memory_mb // 1024) if memory_mb >= 1024 else None,
        most_memory_gb=max(node.memory_mb for node in nodes) // 1024 or None,
        minutes=minutes,
        shorter={
            each.name: each.max_minutes for each in chosen if each.max_minutes and each.max_minutes < minutes
        },
        count=sum(shares),
        per_node=max(shares),
    )


def _alternatives(candidates: Sequence[Partition]) -> tuple[list[Partition], dict[str, str]]:
    """Partitions as good as the usual one, it first; and why the others are not among them."""
    # The site's default, else the one with the longest limit.
    usual = max(
        candidates, key=lambda each: (each.is_default, each.max_minutes is None, each.max_minutes or 0)
    )
    chosen, others = [usual], {}
    for each in candidates:
        if each is usual:
            continue
        if each.max_minutes is not None and each.max_minutes < SHORT_MINUTES:
            others[each.name] = f"ends jobs after {each.max_minutes} minutes"
        elif each.tier < usual.tier:
            others[each.name] = "comes later" + (
                ", and its jobs are sent back for others" if _preempted(each) else ""
            )
        elif each.tier > usual.tier:
            others[each.name] = "comes before the others; ask whether it is meant for this"
        elif _preempted(each) and not _preempted(usual):
            others[each.name] = "sends jobs back for others (sgonz goes on from their checkpoints)"
        else:
            chosen.append(each)
    return chosen, others


def _preempted(partition: Partition) -> bool:
    return partition.preempt_mode.upper() not in ("", "OFF", "N/A")


def _about(site: Site) -> list[str]:
    user = site.user
    facts = []
    if site.max_array is not None:
        facts.append(
            f"At most {site.max_array} jobs in one array (MaxArraySize); larger submissions are split."
        )
    if not site.accounting:
        facts.append("No accounting (slurmdbd): how jobs ended is known from their own event files alone.")
    if user.accounts:
        facts.append(
            f"Your accounts: {', '.join(user.accounts)}; without a word, jobs go to {user.default_account}."
        )
    if user.qos:
        facts.append(f"Your QOS: {', '.join(user.qos)}; without a word, {user.default_qos or 'none'}.")
    if user.max_jobs is not None:
        facts.append(f"At most {user.max_jobs} jobs of yours at a time; what is over waits.")
    closed = {each.name: why for each in site.partitions if (why := refusal(each, user)) is not None}
    facts += [f"Partition {name} {why}." for name, why in closed.items()]
    if not any(refusal(each, user) is None and site.nodes_of(each) for each in site.partitions):
        facts.append(
            "No partition with nodes is open to you: ask the site which one is, and fill it in below."
        )
    return [f"# {one_line(fact)}" for fact in facts]


def _class(site: Site, made: Class) -> list[str]:
    names = [each.name for each in made.partitions]
    shown = text(names[0]) if len(names) == 1 else f"[{', '.join(map(text, names))}]"
    what = (
        f"{made.count} in all, up to {made.per_node} on a node"
        if made.gres
        else number_of(made.count, "node without GPUs", "nodes without GPUs")
    )
    lines = [f"[resources.{key(made.name)}]".ljust(37) + f"# {what}", f"partition = {shown}"]
    lines += [f"# {one_line(name)} has them too, but {why}" for name, why in made.others.items()]
    if made.gres is not None:
        lines.append(f"gres = {text(made.gres)}")
    lines.append(f"cpus = {made.cpus}".ljust(37) + "# a GPU's share of its node" * (made.gres is not None))
    if made.memory_gb is not None:
        unasked = "" if site.memory_is_shared_out else "# "
        lines.append(
            f"{unasked}memory_gb = {made.memory_gb}" + "    # memory is not shared out here" * bool(unasked)
        )
        if made.most_memory_gb is not None and made.most_memory_gb > made.memory_gb:
            lines.append(f"{unasked}max_memory_gb = {made.most_memory_gb}")
    lines.append(
        f"max_minutes = {made.minutes}".ljust(37)
        + "# 90 s before it ends, runs write a checkpoint and go on in the next job"
    )
    return lines + _account(site, made)


def _account(site: Site, made: Class) -> list[str]:
    """Account and QOS, written out where the default would be refused by the partitions."""
    user, lines = site.user, []
    allowed = [name for name in user.accounts if all(_takes(each, account=name) for each in made.partitions)]
    if user.default_account and allowed and user.default_account not in allowed:
        lines.append(f"account = {text(allowed[0])}")
    elif len(user.accounts) > 1:
        lines.append(f"# account = {text(user.default_account)}")
    qos = [name for name in user.qos if all(_takes(each, qos=name) for each in made.partitions)]
    if user.default_qos and qos and user.default_qos not in qos:
        lines.append(f"qos = {text(qos[0])}")
    elif len(user.qos) > 1:
        lines.append(f"# qos = {text(user.default_qos)}")
    return lines


def _takes(partition: Partition, *, account: str | None = None, qos: str | None = None) -> bool:
    if account is not None:
        return account not in partition.denied_accounts and (
            not partition.accounts or account in partition.accounts
        )
    return not partition.allowed_qos or qos in partition.allowed_qos


def _environment(environment: Mapping[str, str]) -> list[str]:
    if not environment:
        return []
    pairs = ", ".join(f"{key(name)} = {text(value)}" for name, value in environment.items())
    return [f"environment = {{{pairs}}}"]


def one_line(said: str) -> str:
    """What somebody else named or said, as part of a comment."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in said).split())


def text(value: str) -> str:
    """A TOML string; JSON's is one, but for a sign that nobody types."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def key(name: str) -> str:
    return name if BARE_KEY.fullmatch(name) else text(name)

"""What a Slurm site is made of, as values read from what its commands print."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

UNUSABLE = (
    "DOWN",
    "FAIL",
    "FUTURE",
    "INVAL",
    "POWERED_DOWN_FOREVER",
)  # states of nodes that will take no job
SINFO_FORMAT = "%N|%R|%T|%G|%c|%m|%l|%a"
NOTHING = ("", "(null)", "N/A", "NONE", "n/a", "None")
EVERYBODY = ("ALL", "(null)", "N/A", "")
ENDLESS = ("UNLIMITED", "INFINITE", "NOT_SET", "INVALID")


@dataclass(frozen=True, kw_only=True)
class Node:
    """One node as its site declares it."""

    name: str
    state: str = ""
    cpus: int = 1
    memory_mb: int = 0
    gpus: Mapping[str, int] = field(default_factory=dict)  # type -> count; "" where the site names none

    @property
    def is_usable(self) -> bool:
        """Whether it takes jobs now or will; a drained one comes back, and busy ones are the rule."""
        return not any(word in self.state.upper() for word in UNUSABLE)


@dataclass(frozen=True, kw_only=True)
class Partition:
    """One partition: who may use it, for how long, and which nodes it has."""

    name: str
    nodes: tuple[str, ...] = ()
    is_default: bool = False
    state: str = "UP"
    max_minutes: int | None = None  # None: no limit
    tier: int = 1
    preempt_mode: str = ""
    qos: str = ""
    root_only: bool = False
    needs_reservation: bool = False
    accounts: tuple[str, ...] = ()  # those that may use it; none: all
    denied_accounts: tuple[str, ...] = ()
    allowed_qos: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    max_memory_per_cpu_mb: int | None = None


@dataclass(frozen=True, kw_only=True)
class User:
    """Whoever asks: groups of the machine, and what the accounting says where it may be asked."""

    groups: tuple[str, ...] = ()
    is_root: bool = False
    default_account: str = ""
    accounts: tuple[str, ...] = ()
    default_qos: str = ""
    qos: tuple[str, ...] = ()
    max_minutes: int | None = None  # by association or by the default QOS
    max_jobs: int | None = None


@dataclass(frozen=True, kw_only=True)
class Site:
    """A whole cluster."""

    name: str = "slurm"
    version: str = ""
    partitions: tuple[Partition, ...] = ()
    nodes: tuple[Node, ...] = ()
    max_array: int | None = None
    memory_is_shared_out: bool = False  # jobs get what they ask for, and no more
    accounting: bool = False
    user: User = User()
    unknown: tuple[str, ...] = ()  # what was asked and not answered

    def nodes_of(self, partition: Partition) -> list[Node]:
        return [node for node in self.nodes if node.name in partition.nodes]


def read_minutes(text: str) -> int | None:
    """Slurm's time limits: 30, 2:00, 1:00:00, 1-0, 1-12:00:00; None for no limit. Seconds count as a minute."""
    text = text.strip()
    if not text or text.upper() in ENDLESS or text in NOTHING:
        return None
    days, dash, clock = text.rpartition("-")
    parts = clock.split(":")
    if not all(part.isdigit() for part in (*parts, *((days,) if dash else ()))):
        return None
    numbers = [int(part) for part in parts]
    if dash:
        hours, minutes, seconds = (*numbers, 0, 0)[:3]
    elif len(numbers) == 3:
        hours, minutes, seconds = numbers
    else:
        hours, (minutes, seconds) = 0, (*numbers, 0)[:2]
    return int(days or 0) * 1440 + hours * 60 + minutes + (seconds > 0)


def read_gpus(gres: str) -> dict[str, int]:
    """GPUs by type in `gpu:a100:4(S:0-1),lustre:1`, `gpu:2`, `gres/gpu:v100=2` or `gpu:1g.5gb:7`."""
    found: dict[str, int] = {}
    for part in re.split(r",(?![^(]*\))", gres.replace("gres/", "").replace("gres:", "")):
        words = re.sub(r"\(.*", "", part).strip().replace("=", ":").split(":")
        if words[0] != "gpu":
            continue
        kinds = [word for word in words[1:] if word != "no_consume"]
        count = int(kinds.pop()) if kinds and kinds[-1].isdigit() else 1
        kind = kinds[0] if kinds else ""
        if count:
            found[kind] = found.get(kind, 0) + count
    return found


def read_nodes(sinfo: str) -> tuple[list[Node], dict[str, list[str]]]:
    """Lines of `sinfo -h -N -o SINFO_FORMAT`: nodes, and the names of those in every partition."""
    nodes: dict[str, Node] = {}
    members: dict[str, list[str]] = {}
    for fields in _columns(sinfo, 8):
        name, partition, state, gres, cpus, memory, _, _ = fields
        members.setdefault(partition.rstrip("*"), []).append(name)
        nodes[name] = Node(
            name=name, state=state, cpus=_number(cpus) or 1, memory_mb=_number(memory) or 0, gpus=read_gpus(gres)
        )  # fmt: skip
    return list(nodes.values()), members


def read_partitions(text: str, sinfo: str, members: Mapping[str, Iterable[str]]) -> list[Partition]:
    """`scontrol show partition --oneliner`; where that says nothing, what sinfo says of limits."""
    found = []
    for line in text.splitlines():
        words = read_words(line)
        if "PartitionName" not in words:
            continue
        yes = {key for key, value in words.items() if value == "YES"}
        found.append(
            Partition(
                name=words["PartitionName"],
                nodes=tuple(members.get(words["PartitionName"], ())),
                is_default="Default" in yes,
                state=words.get("State", "UP"),
                max_minutes=read_minutes(words.get("MaxTime", "")),
                tier=_number(words.get("PriorityTier", words.get("Priority", "1"))) or 0,
                preempt_mode=words.get("PreemptMode", ""),
                qos="" if words.get("QoS", "") in NOTHING else words["QoS"],
                root_only="RootOnly" in yes,
                needs_reservation="ReqResv" in yes,
                accounts=_names(words.get("AllowAccounts", "")),
                denied_accounts=_names(words.get("DenyAccounts", "")),
                allowed_qos=_names(words.get("AllowQos", "")),
                groups=_names(words.get("AllowGroups", "")),
                max_memory_per_cpu_mb=_number(words.get("MaxMemPerCPU", "")),
            )
        )
    return found or _partitions_of_sinfo(sinfo, members)


def read_words(line: str) -> dict[str, str]:
    """The KEY=VALUE words of a line of scontrol."""
    pairs = (word.partition("=") for word in line.split())
    return {key: value for key, equals, value in pairs if equals}


def read_settings(text: str) -> dict[str, str]:
    """The lines of `scontrol show config`."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key.strip(): value.strip() for key, _, value in pairs}


def refusal(partition: Partition, user: User) -> str | None:
    """Why this user cannot send jobs to a partition; None where nothing speaks against it."""
    state = partition.state.upper()
    if state != "UP":
        return f"is {state.lower()}"
    if partition.needs_reservation:
        return "takes only jobs with a reservation"
    if user.is_root:
        return None
    if partition.root_only:
        return "is for root alone"
    if partition.groups and not set(partition.groups) & set(user.groups):
        return f"is for the groups {', '.join(partition.groups)}"
    if user.accounts and partition.accounts and not set(partition.accounts) & set(user.accounts):
        return f"is for the accounts {', '.join(partition.accounts)}"
    if user.accounts and set(user.accounts) <= set(partition.denied_accounts):
        return "is closed to your accounts"
    if user.qos and partition.allowed_qos and not set(partition.allowed_qos) & set(user.qos):
        return f"is for the QOS {', '.join(partition.allowed_qos)}"
    return None


def _partitions_of_sinfo(sinfo: str, members: Mapping[str, Iterable[str]]) -> list[Partition]:
    known: dict[str, Partition] = {}
    for _, name, *_, limit, state in _columns(sinfo, 8):
        clean = name.rstrip("*")
        known[clean] = Partition(
            name=clean, is_default=name.endswith("*"), nodes=tuple(members.get(clean, ())),
            max_minutes=read_minutes(limit), state=state,
        )  # fmt: skip
    return list(known.values())


def _columns(text: str, width: int) -> list[list[str]]:
    rows = ([field.strip() for field in line.split("|")] for line in text.splitlines())
    return [row for row in rows if len(row) == width]


def _names(text: str) -> tuple[str, ...]:
    return () if text in EVERYBODY else tuple(name for name in text.split(",") if name)


def _number(text: str) -> int | None:
    """`4`, or `4+` where nodes differ."""
    digits = re.match(r"\d+", text.strip())
    return int(digits[0]) if digits else None

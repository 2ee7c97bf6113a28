"""The limits that a cluster sets, read from it: array size, and how many jobs a user may have in it."""

from __future__ import annotations

import contextlib
import getpass
import re
import time
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from sgonz.cluster.profile import Profile, Resource
from sgonz.cluster.slurm_ids import Key
from sgonz.cluster.slurm_requests import Requests
from sgonz.cluster.slurm_words import Line
from sgonz.rundir import write_atomic

NAME = "limits.json"  # in the work folder
KEPT_SECONDS = 600.0


class Association(msgspec.Struct, frozen=True, kw_only=True):
    """What a user may do under one account."""

    account: str
    default_qos: str
    most: int | None  # jobs in the cluster, started or not


class Qos(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    most: int | None  # jobs of one user


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Of one cluster for one user."""

    array: int  # jobs in one submission
    accounting: bool  # whether sacct can be asked
    cluster: str = ""  # its name
    default_account: str = ""
    associations: tuple[Association, ...] = ()
    qos: tuple[Qos, ...] = ()
    partition_qos: dict[str, str] = {}

    def rules(self, profile: Profile) -> set[Rule]:
        """Every rule that a resource class of the profile falls under."""
        resources = list(profile.resources.values()) or [Resource()]
        return {rule for resource in resources for rule in self._rules_for(resource)}

    def _rules_for(self, resource: Resource) -> Iterable[Rule]:
        account = resource.account or self.default_account
        own = next((each for each in self.associations if each.account == account), None)
        if own is not None and own.most is not None:
            yield Rule(account=account, most=own.most)
        # Since 24.11 a job may name several QOS, and those of all of them hold until it starts.
        asked = (resource.qos or (own.default_qos if own else "")).split(",")
        for name in {*asked, *(self.partition_qos.get(each, "") for each in resource.partitions)} - {""}:
            found = next((each for each in self.qos if each.name == name), None)
            if found is not None and found.most is not None:
                yield Rule(qos=name if name in asked else "", most=found.most)


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """At most so many jobs of this user, of those under an account or QOS where one is named."""

    most: int
    account: str = ""
    qos: str = ""

    def room(self, mine: Collection[Key], lines: Sequence[Line]) -> int:
        """How many more; jobs of ours that the listing does not have (yet, or any more) still count."""
        others = sum(self._others(line, mine) for line in lines if not line.is_over)
        return max(0, self.most - len(mine) - others)

    def _others(self, line: Line, mine: Collection[Key]) -> int:
        if (self.account and line.account != self.account) or (
            self.qos and self.qos not in line.qos.split(",")
        ):
            return 0
        if line.indices is None:
            return int((line.array, 0) not in mine)
        return sum((line.array, index) not in mine for index in line.indices)


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """Limits as somebody read them a moment ago."""

    limits: Limits
    time: float
    asked_by: tuple[str, str]


def recent_limits(requests: Requests) -> Limits:
    """As whoever asked last in this work folder was told, asked anew after a while. Raises as `read_limits` does.

    Every command is a process of its own, and half a dozen requests for each would use the budget up.
    """
    if requests.folder is None:
        return read_limits(requests)
    path = requests.folder / NAME
    with contextlib.suppress(OSError, msgspec.DecodeError):
        kept = msgspec.json.decode(path.read_bytes(), type=Kept)
        if kept.asked_by == requests.asked_by and 0 <= time.time() - kept.time < KEPT_SECONDS:
            return kept.limits
    found = read_limits(requests)
    with contextlib.suppress(OSError):  # it is asked again, then
        write_atomic(
            path, msgspec.json.encode(Kept(limits=found, time=time.time(), asked_by=requests.asked_by))
        )
    return found


def read_limits(requests: Requests) -> Limits:
    """Ask Slurm. Raises NoAnswer when it is silent; where only the accounting is, what it would say is left out."""
    config = _settings(requests.ask("scontrol", "show", "config"))
    largest = min(int(config.get("MaxArraySize", "1001")), int(config.get("MaxJobCount", "10000")))
    accounting = "slurmdbd" in config.get("AccountingStorageType", "")
    name = config.get("ClusterName", "")
    bare = Limits(array=max(1, largest), accounting=accounting, cluster=name)
    if "limits" not in config.get("AccountingStorageEnforce", "").lower():
        return bare
    show = ("sacctmgr", "-n", "-P", "show")
    of_user, where = (
        getpass.getuser(),
        ("association", "where", f"cluster={name}"),
    )  # the accounting may be that of several
    associations, accounts, default, qos, partitions = requests.ask_all(
        (*show, *where, f"user={of_user}", "format=Account,DefaultQOS,QOS,MaxSubmitJobs,GrpSubmitJobs"),
        (*show, *where, "user=", "format=Account,ParentName,GrpSubmitJobs"),
        (*show, "user", of_user, "format=DefaultAccount"),
        (*show, "qos", "format=Name,MaxSubmitJobsPU,GrpSubmitJobs"),
        ("scontrol", "show", "partition", "--oneliner"),
    )
    groups = _groups(accounts)
    return msgspec.structs.replace(
        bare,
        default_account=default.strip(),
        associations=tuple(_association(line, groups) for line in associations.splitlines() if line.count("|") == 4),
        qos=tuple(
            Qos(name=name, most=_least(own, group))
            for name, own, group in (line.split("|") for line in qos.splitlines() if line.count("|") == 2)
        ),
        partition_qos=_partition_qos(partitions),
    )  # fmt: skip


def limits_without_accounting(requests: Requests) -> Limits:
    """What the controller alone says, while the accounting does not answer."""
    config = _settings(requests.ask("scontrol", "show", "config"))
    most = int(config.get("MaxArraySize", "1001"))
    return Limits(array=max(1, most), accounting=True, cluster=config.get("ClusterName", ""))


def _groups(text: str) -> dict[str, tuple[str, str]]:
    """The account above every account, and how many jobs its users may have together; inherited by nobody."""
    lines = [line.split("|") for line in text.splitlines() if line.count("|") == 2]
    return {account: (parent, most) for account, parent, most in lines}


def _above(account: str, groups: Mapping[str, tuple[str, str]]) -> list[str]:
    """The limits of an account and of those above it."""
    found: list[str] = []
    while account in groups and len(found) <= len(groups):
        account, most = groups[account]
        found.append(most)
    return found


def _association(line: str, groups: Mapping[str, tuple[str, str]]) -> Association:
    account, default_qos, allowed, own, group = line.split("|")
    first = allowed.split(",")
    # Without a default, Slurm takes `normal` where that is allowed.
    default = default_qos or ("normal" if "normal" in first else first[0])
    return Association(
        account=account, default_qos=default, most=_least(own, group, *_above(account, groups))
    )


def _least(*limits: str) -> int | None:
    """The narrowest of a user's limit and those of groups; what others of a group have in the queue is not seen."""
    return min((most for most in map(_number, limits) if most is not None), default=None)


def _number(text: str) -> int | None:
    return int(text) if text.strip().isdigit() else None


def _settings(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _partition_qos(text: str) -> dict[str, str]:
    found = re.findall(r"^PartitionName=(\S+).*?\sQoS=(\S+)", text, re.MULTILINE)
    return {name: qos for name, qos in found if qos != "N/A"}

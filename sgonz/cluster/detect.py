"""Ask a Slurm site what it is, once, with the commands that every user may run."""

from __future__ import annotations

import getpass
import grp
import os

from sgonz.cluster.base import NoAnswer
from sgonz.cluster.site import (
    SINFO_FORMAT,
    Partition,
    Site,
    User,
    read_minutes,
    read_nodes,
    read_partitions,
    read_settings,
)
from sgonz.cluster.slurm_requests import Requests

MANAGER = ("sacctmgr", "-n", "-P", "show")
ASSOCIATIONS = "format=Account,DefaultQOS,QOS,MaxSubmitJobs,MaxWall"


def detect(requests: Requests) -> Site:
    """What sinfo, scontrol and (where it answers) sacctmgr say. Raises NoAnswer where there is no Slurm."""
    sinfo = requests.ask("sinfo", "-h", "-N", "-o", SINFO_FORMAT)
    nodes, members = read_nodes(sinfo)
    unknown: list[str] = []
    config = read_settings(_asked(requests, unknown, "scontrol", "show", "config"))
    shown = _asked(requests, unknown, "scontrol", "show", "partition", "--oneliner")
    partitions = read_partitions(shown, sinfo, members)
    accounting = "slurmdbd" in config.get("AccountingStorageType", "")
    user = _user(requests, unknown, config.get("ClusterName", "")) if accounting else _person()
    return Site(
        name=config.get("ClusterName", "slurm"),
        version=config.get("SLURM_VERSION", ""),
        partitions=tuple(partitions),
        nodes=tuple(nodes),
        max_array=int(config["MaxArraySize"]) if config.get("MaxArraySize", "").isdigit() else None,
        memory_is_shared_out="MEMORY" in config.get("SelectTypeParameters", "").upper(),
        accounting=accounting,
        user=user,
        unknown=tuple(unknown),
    )


def read_user(person: User, associations: str, default_account: str, qos: str) -> User:
    """What sacctmgr says of whoever asks: `associations` in the ASSOCIATIONS format, `qos` as Name|MaxWall."""
    rows = [row for line in associations.splitlines() if len(row := line.split("|")) == 5]
    if not rows:
        return person
    own = next((row for row in rows if row[0] == default_account), rows[0])
    allowed = tuple(name for name in own[2].split(",") if name)
    # Without a default, Slurm takes `normal` where that is allowed.
    default_qos = own[1] or ("normal" if "normal" in allowed else next(iter(allowed), ""))
    walls = {name: read_minutes(wall) for name, _, wall in (line.partition("|") for line in qos.splitlines())}
    limits = [limit for limit in (read_minutes(own[4]), walls.get(default_qos)) if limit]
    return User(
        groups=person.groups,
        is_root=person.is_root,
        default_account=default_account or own[0],
        accounts=tuple(dict.fromkeys(row[0] for row in rows)),
        default_qos=default_qos,
        qos=tuple(dict.fromkeys(name for row in rows for name in row[2].split(",") if name)),
        max_minutes=min(limits, default=None),
        max_jobs=int(own[3]) if own[3].isdigit() else None,
    )


def gpu_types(site: Site, partition: Partition) -> dict[str, int]:
    """GPU types on the usable nodes of a partition, with the most that one node has."""
    found: dict[str, int] = {}
    for node in site.nodes_of(partition):
        for kind, count in node.gpus.items() if node.is_usable else ():
            found[kind] = max(count, found.get(kind, 0))
    return found


def _asked(requests: Requests, unknown: list[str], *command: str) -> str:
    try:
        return requests.ask(*command)
    except NoAnswer as silence:
        unknown.append(f"{' '.join(command[:3])}: {silence.message}")
        return ""


def _user(requests: Requests, unknown: list[str], cluster: str) -> User:
    name = getpass.getuser()
    where = ("where", f"user={name}", *((f"cluster={cluster}",) if cluster else ()))
    associations = _asked(requests, unknown, *MANAGER, "association", *where, ASSOCIATIONS)
    if not associations:
        return _person()
    account = _asked(requests, unknown, *MANAGER, "user", name, "format=DefaultAccount").strip()
    qos = _asked(requests, unknown, *MANAGER, "qos", "format=Name,MaxWall")
    return read_user(_person(), associations, account, qos)


def _person() -> User:
    names = []
    for number in {*os.getgroups(), os.getgid()}:
        try:
            names.append(grp.getgrgid(number).gr_name)
        except KeyError:
            names.append(str(number))
    return User(groups=tuple(sorted(names)), is_root=os.getuid() == 0)

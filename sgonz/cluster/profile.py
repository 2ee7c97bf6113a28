"""A cluster profile: one TOML file that says how a cluster is used."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from sgonz.cluster import deepspeed
from sgonz.errors import SpecError
from sgonz.plan.converting import convert, unknown_key
from sgonz.plan.runs import Count, NotNegative, Positive
from sgonz.plan.spec import Table
from sgonz.resources import shipped
from sgonz.toml_files import read_toml

FOLDER = "cluster_configs"
A100 = 4e13  # MACs per second that fine-tuning in bf16 sustains on one: about a quarter of its peak
SLOW_CORE = 2e10  # MACs per second of a core


class Resource(Table, frozen=True, kw_only=True):
    """[resources.NAME]: what one job asks for. Their order is the ladder that a run out of memory climbs."""

    partition: str | list[str] | None = None  # a list: alternatives
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    gres: str | None = None  # gpu:a100:1
    gpu_memory_gb: Positive | None = (
        None  # of one of its GPUs; decides between the classes that `assign` names
    )
    nodes: Count = 1
    cpus: Count = 1
    memory_gb: Positive | None = None
    max_memory_gb: Positive | None = None  # how far a run may go up that the host's memory ended
    max_minutes: Count | None = None
    exclude: tuple[str, ...] = ()  # nodes
    sbatch: tuple[str, ...] = ()  # anything else that the site wants, as written on sbatch's command line
    engine: Literal["torch", "deepspeed"] = "torch"
    deepspeed: str | None = None  # configuration file, where the engine is deepspeed
    processes: Count | None = None  # that do a run together; None: deepspeed takes one for every GPU

    @property
    def partitions(self) -> list[str]:
        """Those that it names; none where that is left to the cluster."""
        return [self.partition] if isinstance(self.partition, str) else self.partition or []

    @property
    def crew(self) -> int:
        """How many processes do a run together."""
        if self.processes is not None:
            return self.processes
        return self.nodes * max(deepspeed.gpus_in(self.gres), 1) if self.engine == "deepspeed" else 1


class PartitionTable(Table, frozen=True, kw_only=True):
    """[partitions.NAME]: what tells a partition from the alternatives beside it."""

    max_minutes: Count | None = None  # jobs that ask for more do not go there


class AdvanceTable(Table, frozen=True, kw_only=True):
    """[advance]: the small job that makes turns of a sweep that nobody watches (`sgonz submit --detach`)."""

    partition: str | None = None  # the cluster's default where it is not given
    account: str | None = None  # that of the class that runs start in, where it is not given
    qos: str | None = None
    memory_gb: Positive | None = None
    max_minutes: Count = 15
    every_seconds: Positive = 60.0  # turns are at least so far apart
    sbatch: tuple[str, ...] = ()  # anything else that the site wants


Address = Annotated[str, Meta(pattern=r"^[^\s,<>%-][^\s,<>%]*$")]  # one, and no option


class NotifyTable(Table, frozen=True, kw_only=True):
    """[notify]: who is told what without asking."""

    webhook_file: str | None = (
        None  # its first line is the address; SGONZ_WEBHOOK in the environment goes before it
    )
    on: tuple[Literal["finished", "stalled", "needs_person"], ...] = ("finished", "stalled", "needs_person")
    mail: Address | None = None  # who gets the same text as the webhook
    mail_through: Literal["sendmail", "slurm"] = "sendmail"  # of the machine that makes the turn; Slurm's own
    mail_type: tuple[str, ...] = ()  # Slurm's own mails about the jobs of `sgonz submit --detach`
    mail_user: str | None = None


class Profile(Table, frozen=True, kw_only=True):
    """A whole profile."""

    name: str  # of the file
    path: str = ""  # the file
    scheduler: Literal["local", "slurm"]
    slots: Count = 1  # jobs at a time on this machine (local only)
    workdir: str | None = None
    database: str | None = None  # URL; a file in the work folder where it is not given
    # For the scheduler's commands and for jobs; $NAME, ${NAME} and ${NAME:-otherwise} are filled in.
    environment: dict[str, str] = msgspec.field(default_factory=dict)
    setup: tuple[str, ...] = ()  # shell lines before the worker starts
    target_minutes: Positive = 120.0  # how long a packed job should last
    runs_per_gpu: Count = 1  # processes of runs that a job keeps at the same time
    real_gpus: bool = True  # false on a trial cluster, whose GPUs are names
    runs_per_job: Count | None = None  # None: as many as fill target_minutes
    linger_seconds: NotNegative = 0.0  # how long a job that is done waits for more runs before it leaves
    requests_per_minute: Positive = 4.0  # to the scheduler's controller
    macs_per_second: Positive | None = None  # of one job, see `speed`
    resources: dict[str, Resource] = msgspec.field(default_factory=dict)
    partitions: dict[str, PartitionTable] = msgspec.field(default_factory=dict)
    advance: AdvanceTable = AdvanceTable()
    notify: NotifyTable = NotifyTable()
    # model -> resource, or several of which the first is taken whose limits its runs keep; `default` for the others
    assign: dict[str, str | list[str]] = msgspec.field(default_factory=dict)

    def resource_for(self, model: str) -> tuple[str, Resource]:
        """Name and values of the resource class that a model's runs start in."""
        name = self.alternatives(model)[0]
        return name, self.resources.get(name, Resource())

    def alternatives(self, model: str) -> list[str]:
        """The resource classes that a model's runs may start in, the preferred one first."""
        named = self.assign.get(model) or self.assign.get("default") or next(iter(self.resources), "default")
        return [named] if isinstance(named, str) else named

    @property
    def speed(self) -> float:
        """MACs per second of one job, for predictions until something has been measured."""
        gpus = self.real_gpus and any(deepspeed.gpus_in(asked.gres) for asked in self.resources.values())
        return self.macs_per_second or (A100 if gpus else SLOW_CORE)

    @property
    def chooses(self) -> bool:
        """Whether some model may start in one of several classes."""
        return any(not isinstance(named, str) and len(named) > 1 for named in self.assign.values())

    def runs_at_once(self, resource: str | None) -> int:
        """How many runs a job of this class does at the same time; a run of many processes has it to itself."""
        shared = self.resources.get(resource or "", Resource()).engine == "torch"
        return self.runs_per_gpu if shared else 1

    def runs_at_once_of(self, model: str) -> int:
        """How many runs a job of this model does at the same time, in the class that they start in."""
        return self.runs_at_once(self.resource_for(model)[0])

    def within_limits(self, resource: Resource) -> Resource:
        """The class without those of its alternative partitions that are too short for it; never without any."""
        if not isinstance(resource.partition, list) or resource.max_minutes is None:
            return resource
        limits = {name: table.max_minutes for name, table in self.partitions.items()}
        fitting = [
            name
            for name in resource.partition
            if (limits.get(name) or resource.max_minutes) >= resource.max_minutes
        ]
        return msgspec.structs.replace(resource, partition=fitting or resource.partition)

    @property
    def expanded_environment(self) -> dict[str, str]:
        """What `environment` means for whoever asks."""
        return {name: _with_variables(value) for name, value in self.environment.items()}


def load_profile(name_or_file: str) -> Profile:
    """Read a profile by name (./cluster_configs first, then those that ship with sgonz) or by path.

    Raises SpecError: no such profile, not TOML, unknown key, wrong type, a resource that is not defined.
    """
    path = _find(name_or_file)
    table = read_toml(path)
    source = str(path)
    for ours in {"name", "path"} & table.keys():
        allowed = [field for field in Profile.__struct_fields__ if field not in ("name", "path")]
        raise unknown_key(ours, allowed, source)
    for name, entry in _tables(table, "resources").items():  # one by one, so that errors carry the name
        convert(entry, Resource, source, f"resources.{name}")
    for name, entry in _tables(table, "partitions").items():
        convert(entry, PartitionTable, source, f"partitions.{name}")
    if "advance" in table:
        convert(table["advance"], AdvanceTable, source, "advance")
    profile: Profile = convert({**table, "name": path.stem, "path": str(path.absolute())}, Profile, source)
    _check(profile, table, source)
    return msgspec.structs.replace(profile, workdir=_expanded(profile.workdir))


def lasting_name(profile: Profile) -> str:
    """What finds a profile again: its name where that leads to its file, otherwise the file."""
    found = any((folder / f"{profile.name}.toml").is_file() for folder in _folders())
    same = found and str(_find(profile.name).absolute()) == profile.path
    return profile.name if same else profile.path or profile.name


def profile_names() -> list[str]:
    """Every profile that can be asked for by name here."""
    return sorted({path.stem for folder in _folders() for path in folder.glob("*.toml")})


def _folders() -> tuple[Path, Path]:
    return Path(FOLDER), shipped(FOLDER)


def _find(name_or_file: str) -> Path:
    if name_or_file.endswith(".toml") or os.sep in name_or_file:
        return Path(name_or_file).expanduser()
    for folder in _folders():
        if (path := folder / f"{name_or_file}.toml").is_file():
            return path
    names = profile_names()
    near = difflib.get_close_matches(name_or_file, names, n=1)
    guess = f"; did you mean {near[0]}?" if near else ""
    raise SpecError(
        f"there is no cluster profile {name_or_file}{guess}",
        hint=f"Profiles: {', '.join(names)}. A file of your own is given by its path.",
    )


def _tables(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = table.get(key)
    return found if isinstance(found, dict) else {}


def _check(profile: Profile, table: Mapping[str, Any], source: str) -> None:
    """What types alone cannot say."""
    if profile.scheduler == "slurm" and "slots" in table:
        raise SpecError(
            f'{source}: slots is for scheduler = "local"', hint="Slurm decides how many jobs run."
        )
    names = list(profile.resources)
    named = [
        (model, resource)
        for model, several in profile.assign.items()
        for resource in ([several] if isinstance(several, str) else several)
    ]
    for model, resource in named:
        if resource not in names:
            near = difflib.get_close_matches(resource, names, n=1)
            guess = f"; did you mean {near[0]}?" if near else ""
            raise SpecError(
                f"{source}: assign.{model}: there is no resources.{resource}{guess}",
                hint=f"Defined: {', '.join(names) or 'none'}.",
            )
    if len(names) > 1 and "default" not in profile.assign:
        raise SpecError(
            f"{source}: assign.default is missing", hint=f"Say which one runs start in: {', '.join(names)}."
        )
    for name, asked in profile.resources.items():
        if (asked.engine == "deepspeed") != (asked.deepspeed is not None):
            raise SpecError(
                f'{source}: resources.{name}: engine = "deepspeed" and deepspeed = FILE go together',
                hint="Give both or neither.",
            )
        if asked.crew % asked.nodes:
            raise SpecError(
                f"{source}: resources.{name}: {asked.crew} processes on {asked.nodes} nodes",
                hint="Every node takes the same number: processes must be a multiple of nodes.",
            )
        gpus = asked.nodes * deepspeed.gpus_in(asked.gres)
        if profile.real_gpus and 0 < gpus < asked.crew:
            raise SpecError(
                f"{source}: resources.{name}: {asked.crew} processes on {gpus} GPU{'s' * (gpus > 1)}",
                hint="Those that do a run together need one GPU each.",
            )
        if asked.deepspeed is not None:
            deepspeed.read(asked.deepspeed, source)


def _with_variables(text: str) -> str:
    """$NAME, ${NAME} and ${NAME:-otherwise} as a shell has them; UID is there even where nobody exported it."""
    known = {"UID": str(os.getuid()), **os.environ}
    pattern = r"\$(?:(\w+)|\{(\w+)(?::-([^}]*))?\})"
    return re.sub(
        pattern,
        lambda found: known.get(found[1] or found[2], "") or _with_variables(found[3] or ""),
        text,
    )


def _expanded(workdir: str | None) -> str | None:
    return os.path.expandvars(os.path.expanduser(workdir)) if workdir else workdir

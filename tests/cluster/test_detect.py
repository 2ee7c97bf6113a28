"""Profiles drafted from what Slurm prints at sites of different kinds."""

from __future__ import annotations

from pathlib import Path

import pytest

from sgonz.cluster.detect import read_user
from sgonz.cluster.drafting import draft
from sgonz.cluster.profile import Profile, load_profile
from sgonz.cluster.site import Site, User, read_gpus, read_minutes, read_nodes, read_partitions, refusal

ME = User(groups=("staff",))


def site(sinfo: str, partitions: str = "", *, user: User = ME, **facts: object) -> Site:
    nodes, members = read_nodes(sinfo)
    found = read_partitions(partitions, sinfo, members)
    return Site(nodes=tuple(nodes), partitions=tuple(found), user=user, **facts)  # type: ignore[arg-type]


def drafted(folder: Path, at: Site, environment: dict[str, str] | None = None) -> Profile:
    """The draft, read back as whoever uses it will."""
    path = folder / "found.toml"
    path.write_text(draft(at, environment or {}, "2026-11-21"))
    return load_profile(str(path))


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("30", 30), ("2:00", 2), ("0:30", 1), ("1:00:00", 60), ("1-0", 1440), ("7-12:30:00", 10830), ("infinite", None),
     ("UNLIMITED", None), ("n/a", None), ("", None), ("soon", None), ("1-", None)],
)  # fmt: skip
def test_time_limits_are_read_in_every_form_of_slurm(text: str, minutes: int | None) -> None:
    assert read_minutes(text) == minutes


@pytest.mark.parametrize(
    ("gres", "gpus"),
    [("gpu:a100:4(S:0-1)", {"a100": 4}), ("gpu:2", {"": 2}), ("gpu", {"": 1}), ("(null)", {}), ("lustre:1", {}),
     ("gpu:v100:2(S:0,1),gpu:a100:2,mps:400", {"v100": 2, "a100": 2}), ("gpu:a100_1g.5gb:7", {"a100_1g.5gb": 7}),
     ("gpu:a100:no_consume:8", {"a100": 8}), ("gres:gpu:k80:4", {"k80": 4}), ("gpu:a100:0", {})],
)  # fmt: skip
def test_gpus_are_read_in_every_form_of_slurm(gres: str, gpus: dict[str, int]) -> None:
    assert read_gpus(gres) == gpus


def test_every_gpu_type_gets_a_class_with_its_share_of_the_smallest_node(tmp_path: Path) -> None:
    sinfo = """\
g1|gpu|mixed|gpu:a100:8(S:0-1)|128|1031000|2-00:00:00|up
g2|gpu|idle|gpu:a100:4|32|257000|2-00:00:00|up
g3|gpu|drained*|gpu:v100:2|40|385000|2-00:00:00|up
g4|gpu|down*|gpu:h100:8|192|2000000|2-00:00:00|up
g1|long|mixed|gpu:a100:8(S:0-1)|128|1031000|7-00:00:00|up
"""
    partitions = """\
PartitionName=gpu Default=YES MaxTime=2-00:00:00 PriorityTier=1 PreemptMode=OFF State=UP
PartitionName=long Default=NO MaxTime=7-00:00:00 PriorityTier=1 PreemptMode=OFF State=UP
"""
    profile = drafted(tmp_path, site(sinfo, partitions, memory_is_shared_out=True, max_array=1001))
    assert list(profile.resources) == ["a100", "v100"]  # most first; h100 is down for good
    assert profile.assign == {"default": "a100"}
    a100 = profile.resources["a100"]
    assert (a100.partition, a100.gres, a100.cpus, a100.memory_gb) == (["gpu", "long"], "gpu:a100:1", 8, 62)
    assert (a100.max_memory_gb, a100.max_minutes) == (1006, 1440)
    assert profile.resources["v100"].partition == "gpu"


def test_a_site_without_gpus_gets_a_class_for_processors(tmp_path: Path) -> None:
    sinfo = "c1|batch*|idle|(null)|64|256000|infinite|up\nc2|batch*|allocated|(null)|32+|128000|infinite|up\n"
    profile = drafted(tmp_path, site(sinfo, memory_is_shared_out=True))
    (cpu,) = profile.resources.values()
    assert (cpu.gres, cpu.partition, cpu.cpus, cpu.memory_gb) == (None, "batch", 8, 31)


def test_partitions_that_differ_are_left_out_with_the_reason_or_kept_with_their_limit(tmp_path: Path) -> None:
    names = ("gpu", "debug", "day", "spot", "express")
    sinfo = "".join(f"g1|{name}|idle|gpu:4|32|128000|1:00|up\n" for name in names)
    partitions = """\
PartitionName=gpu Default=YES MaxTime=1-00:00:00 PriorityTier=5 PreemptMode=OFF State=UP
PartitionName=debug MaxTime=00:10:00 PriorityTier=5 PreemptMode=OFF State=UP
PartitionName=day MaxTime=08:00:00 PriorityTier=5 PreemptMode=OFF State=UP
PartitionName=spot MaxTime=UNLIMITED PriorityTier=1 PreemptMode=REQUEUE State=UP
PartitionName=express MaxTime=UNLIMITED PriorityTier=9 PreemptMode=OFF State=UP
"""
    profile = drafted(tmp_path, site(sinfo, partitions))
    gpu = profile.resources["gpu"]
    assert (gpu.partition, gpu.gres, gpu.max_minutes) == (["gpu", "day"], "gpu:1", 1440)
    assert {name: table.max_minutes for name, table in profile.partitions.items()} == {"day": 480}
    text = (tmp_path / "found.toml").read_text()
    assert "debug has them too, but ends jobs after 10 minutes" in text
    assert "spot has them too, but comes later, and its jobs are sent back for others" in text
    assert "express has them too, but comes before the others" in text


def test_partitions_that_this_user_may_not_use_are_not_proposed(tmp_path: Path) -> None:
    sinfo = "".join(f"g1|{name}|idle|gpu:4|32|128000|1:00|up\n" for name in ("a", "b", "c", "d", "e", "f"))
    partitions = """\
PartitionName=a AllowGroups=physics AllowAccounts=ALL AllowQos=ALL State=UP
PartitionName=b AllowGroups=ALL AllowAccounts=bio,chem AllowQos=ALL State=UP
PartitionName=c AllowGroups=ALL DenyAccounts=nlp AllowQos=ALL State=UP
PartitionName=d AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL State=DRAIN
PartitionName=e AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL ReqResv=YES State=UP
PartitionName=f AllowGroups=staff AllowAccounts=nlp AllowQos=long State=UP MaxTime=UNLIMITED
"""
    user = read_user(ME, "nlp|normal|long,normal||\n", "nlp", "normal|12:00:00\nlong|")
    at = site(sinfo, partitions, user=user)
    reasons = {each.name: refusal(each, user) for each in at.partitions}
    assert reasons == {
        "a": "is for the groups physics",
        "b": "is for the accounts bio, chem",
        "c": "is closed to your accounts",
        "d": "is drain",
        "e": "takes only jobs with a reservation",
        "f": None,
    }
    gpu = drafted(tmp_path, at).resources["gpu"]
    assert (gpu.partition, gpu.qos) == ("f", "long")  # the default QOS would be refused there


def test_accounting_says_what_a_user_may_do() -> None:
    associations = "bio||normal,high|20|\nnlp|high|normal,high|100|3-00:00:00\n"
    user = read_user(ME, associations, "nlp", "normal|\nhigh|2-00:00:00\n")
    assert (user.accounts, user.default_account, user.default_qos) == (("bio", "nlp"), "nlp", "high")
    assert (user.max_minutes, user.max_jobs) == (2880, 100)
    assert read_user(ME, "", "", "") == ME  # where the accounting does not answer


def test_an_old_slurm_that_shows_no_partitions_is_drafted_from_sinfo_alone(tmp_path: Path) -> None:
    sinfo = "n1|main*|alloc|gpu:k80:2|16|64000|3-00:00:00|up\nn2|off|idle|gpu:k80:2|16|64000|1:00:00|inact\n"
    at = site(sinfo, "", unknown=("scontrol show partition: refused\n[resources.x]",))
    profile = drafted(tmp_path, at)
    assert profile.resources["k80"].partition == "main"
    assert list(profile.resources) == ["k80"]
    assert "# Partition off is inact." in (tmp_path / "found.toml").read_text()


def test_a_site_that_is_closed_to_the_user_gives_a_profile_that_says_so(tmp_path: Path) -> None:
    at = site("n1|main|idle|gpu:2|8|64000|1:00|up\n", "PartitionName=main AllowGroups=others State=UP\n")
    assert drafted(tmp_path, at).resources == {}
    assert "No partition with nodes is open to you" in (tmp_path / "found.toml").read_text()


def test_names_of_a_site_are_written_as_toml_whatever_they_hold(tmp_path: Path) -> None:
    sinfo = 'n1|we"ird.part|idle|gpu:rtx 3090é:2|8|64000|1:00:00|up\n'
    profile = drafted(tmp_path, site(sinfo), {"SLURM_CONF": '/a b/"slurm".conf'})
    (only,) = profile.resources.values()
    assert (only.partition, only.gres) == ('we"ird.part', "gpu:rtx 3090é:1")
    assert profile.environment == {"SLURM_CONF": '/a b/"slurm".conf'}

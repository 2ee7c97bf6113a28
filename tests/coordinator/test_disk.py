"""A disk that will not hold what is still to come is noticed before it is full."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from plan.small_sweep import small_sources, small_sweep

from sgonz.cluster import quota
from sgonz.cluster.quota_words import (
    Quota,
    read_fileset,
    read_lfs,
    read_lfs_project,
    read_mmlsquota,
)
from sgonz.coordinator import disk
from sgonz.plan.estimate import Workload
from sgonz.plan.retention import logits_bytes
from sgonz.plan.runs import Kind, State, Task
from sgonz.plan.state import RunRow
from sgonz.train.cache_format import piece_record
from sgonz.train.teacher_cache import IDENTITY, Writer

GIB = 2**30


@pytest.mark.parametrize(
    ("free", "size", "needed", "warned"),
    [(1, 1000, 0, True), (60, 10_000, 0, False), (3, 40, 0, False), (1, 40, 0, True), (60, 1000, 80, True),
     (90, 1000, 80, False)],
)  # fmt: skip
def test_too_little_room_is_told_of_in_one_line(free: int, size: int, needed: int, warned: bool):
    said = disk.said(free * GIB, size * GIB, needed * GIB, "on the disk of /w")
    assert (said is not None) is warned
    if said:
        assert "sgonz clean" in said
        assert (f"up to {needed}.0 GiB" in said) == (needed > free)


def test_the_quota_of_the_folders_own_device_counts_before_free_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    number = os.stat(tmp_path).st_dev
    mounts = (
        "22 1 999:9 / /other rw - ext4 /dev/other rw\n"
        f"23 1 {os.major(number)}:{os.minor(number)} / {tmp_path} rw shared:1 - nfs server:/home rw\n"
    )
    command = tmp_path / "quota"
    command.write_text(
        "#!/bin/sh\necho 'Disk quotas for user me (uid 1000):'\n"
        "echo 'Filesystem blocks quota limit grace files'\n"
        f"echo 'server:/home {95 * 2**20} {100 * 2**20} {110 * 2**20} 0 12 0 0'\n"
    )
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    found = quota.quota_of(tmp_path, mounts)
    assert found == Quota(device="server:/home", used=95.0, limit=100.0)
    assert quota.quota_of(tmp_path, "") is None
    (tmp_path / "mountinfo").write_text(mounts)
    monkeypatch.setattr(quota, "MOUNTS", tmp_path / "mountinfo")
    disk._asked.cache_clear()
    said = disk.warning(tmp_path, 6 * GIB)
    disk._asked.cache_clear()
    assert said is not None
    assert "5.0 GiB left of the quota on server:/home, and what is still to come takes up to 6.0 GiB" in said


def test_what_is_less_than_a_gibibyte_is_told_in_smaller_units() -> None:
    said = disk.said(3 * 2**20, 12 * 2**20, 5 * 2**20, "of it")
    assert said == (
        "disk: 3.0 MiB left of it, and what is still to come takes up to 5.0 MiB; `sgonz clean` shows what can go"
    )
    assert disk.said(0, GIB, 0, "of it") == "disk: 0.0 GiB left of it; `sgonz clean` shows what can go"


# As the commands print it: a mount point too long for its column, over the soft limit, a server that did not answer.
WRAPPED = "/lustre/scratch/projects\n                 5242880*  4194304 6291456 6d23h59m10s  120000       0 1000000       -\n"
INEXACT = """          /fred [1041408]  5242880 6291456       -     [0]       0       0       -
Some errors happened when getting quota info. Some devices may be not working or deactivated. The data in "[]" is inaccurate.
"""
UNLIMITED = "        /lustre  982177580       0       0       -  443208230       0       0       -\nuid 1000 is using default file quota setting\n"
GPFS = """mmlsquota::HEADER:version:reserved:reserved:filesystemName:quotaType:id:name:blockUsage:blockQuota:blockLimit:blockInDoubt:blockGrace:filesUsage:filesQuota:filesLimit:filesInDoubt:filesGrace:remarks:quota:defQuota:fid:filesetname:
mmlsquota::0:1:::gpfs0:USR:1001:me:1048576:10485760:12582912:0:none:1000:0:0:0:none:e:on:off:0:root:
mmlsquota::0:1:::gpfs0:USR:1001:me:31457280:31457280:31457280:0:7 days:1:0:0:0:none:e:on:off:2:software:
"""
GPFS_FILESET = """mmlsquota:fileset:HEADER:version:reserved:reserved:filesystemName:quotaType:id:name:blockUsage:blockQuota:blockLimit:blockInDoubt:blockGrace:filesUsage:filesQuota:filesLimit:filesInDoubt:filesGrace:remarks:fid:filesetname:
mmlsquota:fileset:0:1:::gpfs0:FILESET:408:lab:341467872:2147483648:2147483648:0:none:6286:2000000:2000000:0:none::::
"""
ATTRIBUTES = "file name:            /gpfs/lab/me\nmetadata replication: 1 max 2\nstorage pool name:    system\nfileset name:         lab\nsnapshot name:\n"


def test_what_lustre_says_is_read():
    assert read_lfs(WRAPPED, "/l") == [Quota(device="/l", used=5.0, limit=4.0)]
    assert [each.limit for each in read_lfs(INEXACT, "/fred")] == [5.0]
    assert read_lfs(UNLIMITED, "/lustre") == []
    assert read_lfs("lfs: command not found", "/l") == read_lfs("", "/l") == []
    assert read_lfs_project("    1001 P /lustre/lab\n") == "1001"
    assert read_lfs_project("       0 - /lustre/me\n") is None


def test_what_gpfs_says_is_read():
    assert read_mmlsquota(GPFS, "/g", "root") == [Quota(device="/g", used=1.0, limit=10.0)]
    assert [each.limit for each in read_mmlsquota(GPFS, "/g", "software")] == [30.0]
    assert [each.limit for each in read_mmlsquota(GPFS, "/g", None)] == [10.0, 30.0]
    assert [round(each.limit) for each in read_mmlsquota(GPFS_FILESET, "/g", "lab")] == [2048]
    assert read_mmlsquota("mmlsquota: 6027-2150 The Device parameter must be specified.", "/g", None) == []
    assert read_fileset(ATTRIBUTES) == "lab"
    assert read_fileset("snapshot name:\n") is None


def put_command(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def mounted_as(folder: Path, kind: str, source: str) -> str:
    number = os.stat(folder).st_dev
    return f"23 1 {os.major(number)}:{os.minor(number)} / /mnt rw shared:1 - {kind} {source} rw\n"


def test_on_lustre_the_tightest_limit_of_user_group_and_project_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    put_command(tmp_path, "lfs", f"""
        [ "$1" = project ] && echo "  77 P $3" && exit
        [ "$*" = "quota -q -u {os.getuid()} /mnt" ] && echo "/mnt {2 * 2**20} 0 {100 * 2**20} - 1 0 0 -"
        [ "$*" = "quota -q -p 77 /mnt" ] && echo "/mnt {90 * 2**20} 0 {95 * 2**20} - 1 0 0 -"
        exit 1""")  # fmt: skip
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    found = quota.quota_of(tmp_path, mounted_as(tmp_path, "lustre", "10.0.0.1@o2ib:/scratch"))
    assert found == Quota(device="/mnt, of the project", used=90.0, limit=95.0)


def test_on_gpfs_the_tightest_limit_of_user_group_and_fileset_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    put_command(tmp_path, "mmlsattr", f"printf '{ATTRIBUTES}'")
    put_command(tmp_path, "mmlsquota", f"""
        case "$*" in "-Y -u {os.getuid()} gpfs0") cat <<'END'
{GPFS}END
;;
        "-Y -j lab gpfs0") cat <<'END'
{GPFS_FILESET}END
;; *) exit 1;; esac""")  # fmt: skip
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    found = quota.quota_of(tmp_path, mounted_as(tmp_path, "gpfs", "/dev/gpfs0"))
    assert found is not None
    assert (found.device, round(found.limit)) == ("/mnt, of the fileset lab", 2048)


@pytest.mark.parametrize("kind", ["lustre", "gpfs", "nfs"])
def test_a_command_that_hangs_or_is_not_there_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
):
    mounts = mounted_as(tmp_path, kind, "source")
    monkeypatch.setattr(quota, "SECONDS", 0.1)
    monkeypatch.setattr(quota, "GPFS_COMMANDS", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert quota.quota_of(tmp_path, mounts) is None
    for name in ("lfs", "mmlsquota", "mmlsattr", "quota"):
        put_command(tmp_path, name, "exec /bin/sleep 5")
    assert quota.quota_of(tmp_path, mounts) is None


def stored_bytes(folder: Path, task: Task, add: Callable[[Writer], None]) -> int:
    with Writer(
        folder, task=task, labels=("a", "b", "c"), dtype="float16", manifest=dict.fromkeys(IDENTITY, "")
    ) as writer:
        add(writer)
    return sum(file.stat().st_size for file in folder.iterdir() if file.name != "manifest.json")


def test_the_size_of_stored_logits_is_known_before_they_are_stored(tmp_path: Path):
    def classified(writer: Writer) -> None:
        for number in range(50):
            writer.add_classification(b"%16d" % number, np.zeros(3))

    def tagged(writer: Writer) -> None:
        for number in range(50):
            writer.add_tagging(b"%16d" % number, np.zeros((7, 3)))

    assert stored_bytes(tmp_path / "c", "classification", classified) == logits_bytes(
        "classification", tokens=0, examples=50, labels=3, width=2
    )
    assert stored_bytes(tmp_path / "t", "tagging", tagged) == pytest.approx(
        logits_bytes("tagging", tokens=350, examples=50, labels=3, width=2), abs=8
    )
    assert logits_bytes("qa", tokens=1, examples=0, labels=0, width=2) == piece_record("float16").itemsize


def test_teachers_logits_that_are_not_stored_yet_are_still_to_come():
    sweep, sources = small_sweep(), small_sources()
    workloads = {(name, "tiny"): Workload(tokens=6400.0, macs=1.0) for name in ("mldoc", "pos")}
    teacher = RunRow(run_id="a", kind=Kind.FINETUNE, dataset="pos", model="unknown", batch_size=8, epochs=1)
    stored = msgspec.structs.replace(
        teacher, run_id="l", kind=Kind.LOGITS, dataset="mldoc", state=State.COMPLETED
    )
    labels = disk.LABELS
    texts = logits_bytes("classification", tokens=6400, examples=100, labels=labels, width=2)
    words = logits_bytes("tagging", tokens=6400, examples=6400 / 48, labels=labels, width=2)
    assert disk.to_come(sweep, sources, [teacher], workloads) == texts + words
    assert disk.to_come(sweep, sources, [teacher, stored], workloads) == words
    superseded = msgspec.structs.replace(stored, superseded=True)
    assert disk.to_come(sweep, sources, [teacher, superseded], workloads) == texts + words
    over = msgspec.structs.replace(teacher, state=State.COMPLETED)
    assert disk.to_come(sweep, sources, [over, stored], workloads) == 0
    alone = msgspec.structs.replace(sweep, distill=None)
    assert disk.to_come(alone, sources, [teacher], workloads) == 0
    exact = msgspec.structs.replace(sweep, protocol_switches={"logits_dtype": "float32"})
    assert disk.to_come(exact, sources, [teacher, stored], workloads) > 1.9 * words

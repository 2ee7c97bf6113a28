"""A disk that will not hold what is still to come is noticed before it is full."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sgonz.cluster import quota
from sgonz.coordinator import disk

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
    assert found == quota.Quota(device="server:/home", used=95.0, limit=100.0)
    assert quota.quota_of(tmp_path, "") is None
    (tmp_path / "mountinfo").write_text(mounts)
    monkeypatch.setattr(quota, "MOUNTS", tmp_path / "mountinfo")
    disk._asked.cache_clear()
    said = disk.warning(tmp_path, 6 * GIB)
    disk._asked.cache_clear()
    assert said is not None
    assert "5.0 GiB left of the quota on server:/home, and what is still to come takes up to 6.0 GiB" in said

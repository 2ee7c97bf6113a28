from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from sgonz import retention
from sgonz.rundir import Workdir


@pytest.fixture
def workdir(tmp_path: Path) -> Workdir:
    workdir = Workdir(tmp_path / "work")
    workdir.create()
    for run_id, size in (("aa", 1000), ("bb", 3000), ("cc", 10)):
        run = workdir.run(run_id)
        (run.output / "model").mkdir(parents=True)
        (run.output / "model" / "model.safetensors").write_bytes(b"x" * size)
        if run_id != "cc":
            run.result.write_bytes(b"{}")
    return workdir


def test_weights_go_and_scores_stay_with_a_mark_that_says_why(workdir):
    found = retention.weights_of(workdir, ["aa", "bb"])
    assert [(each.run_id, each.size) for each in found] == [("bb", 3000), ("aa", 1000)]
    assert retention.remove(workdir, found, "a better point is stored") == 4000
    for run_id in ("aa", "bb"):
        run = workdir.run(run_id)
        assert {path.name for path in run.output.iterdir()} == {"scores.json", retention.REMOVED}
        assert retention.are_removed(run)
        assert (
            msgspec.json.decode((run.output / retention.REMOVED).read_bytes())["reason"]
            == "a better point is stored"
        )
    (line,) = map(msgspec.json.decode, workdir.journal.read_bytes().splitlines())
    assert (line["type"], line["bytes"]) == ("weights_removed", 4000)
    assert retention.weights_of(workdir, ["aa", "bb"]) == []


def test_a_run_without_a_result_keeps_what_it_has(workdir):
    assert retention.weights_of(workdir, ["cc", "absent"]) == []


@pytest.mark.parametrize(
    ("free", "size", "warned"),
    [(1 * 2**30, 1000 * 2**30, True), (60 * 2**30, 10_000 * 2**30, False), (3 * 2**30, 40 * 2**30, False),
     (1 * 2**30, 40 * 2**30, True)],
)  # fmt: skip
def test_a_disk_that_is_nearly_full_is_told_of(tmp_path, free, size, warned):
    said = retention.disk_warning(tmp_path, free, size)
    assert (said is not None) is warned
    assert said is None or "sgonz clean" in said

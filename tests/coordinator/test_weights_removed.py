from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from sgonz.coordinator import retention, tidying
from sgonz.plan.runs import Kind, State
from sgonz.plan.state import RunRow
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
        assert {path.name for path in run.output.iterdir()} == {"scores.json", run.removed.name}
        assert run.removed.exists()
        assert msgspec.json.decode(run.removed.read_bytes())["reason"] == "a better point is stored"
    (line,) = map(msgspec.json.decode, workdir.journal.read_bytes().splitlines())
    assert (line["type"], line["bytes"]) == ("weights_removed", 4000)
    assert retention.weights_of(workdir, ["aa", "bb"]) == []


def test_a_run_without_a_result_keeps_what_it_has(workdir):
    assert retention.weights_of(workdir, ["cc", "absent"]) == []


def test_stored_logits_go_like_weights_and_what_was_invalidated_goes_without_a_mark(workdir):
    run = workdir.run("aa")
    for place in (
        run.output / "logits",
        run.root / "generations/1/output/model",
        run.root / "generations/1/checkpoint",
    ):
        place.mkdir(parents=True)
        (place / "part").write_bytes(b"x" * 100)
    (run.root / "generations/1/output/scores.json").write_bytes(b"{}")
    (earlier,) = retention.weights_of(workdir, [], ["aa"])
    assert (earlier.earlier, earlier.size) == (True, 200)
    retention.remove(workdir, [earlier], "invalidated")
    assert not run.removed.exists()
    assert (run.root / "generations/1/output/scores.json").exists()
    (now,) = retention.weights_of(workdir, ["aa"], ["aa"])
    assert (now.earlier, now.size) == (False, 1100)
    retention.remove(workdir, [now], "another teacher is better")
    assert run.removed.exists()
    assert not (run.output / "logits").exists()


def test_what_vanished_is_made_again_once_jobs_left_out_who_reads_it(workdir):
    """Folders that somebody deleted: the reader's need, and then what that reads itself."""
    again: list[str] = []

    def set_state(run_ids: Any, state: State, **how: Any) -> None:
        again.extend(run_ids)

    def made_again(*rows: RunRow) -> list[str]:
        again.clear()
        found = tidying.make_readable(
            SimpleNamespace(workdir=workdir, store=SimpleNamespace(set_state=set_state)), rows
        )  # type: ignore[arg-type]
        assert found == bool(again)
        return list(again)

    def row(run_id: str, *needs: str, **values: Any) -> RunRow:
        return RunRow(run_id=run_id, kind=Kind.NOOP, dataset="pos", model="beto", needs=needs, **values)

    teacher, logits = row("aa", state=State.COMPLETED), row("bb", "aa", state=State.COMPLETED)
    for run_id in ("aa", "bb"):
        shutil.rmtree(workdir.run(run_id).root)
    assert made_again(teacher, logits, row("cc", "bb")) == []  # nobody has missed it yet
    assert made_again(teacher, logits, row("cc", "bb", interruptions=2)) == ["bb"]
    waiting = row("bb", "aa", state=State.PENDING, reason=tidying.AGAIN)
    assert made_again(teacher, waiting, row("cc", "bb", interruptions=2)) == ["aa"]

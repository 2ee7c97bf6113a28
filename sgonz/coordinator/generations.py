"""Runs that are done again from the start: what there was is kept beside them, and whoever still works on it is fenced out.

The store says which generation counts; folders are brought in line after it, and again before anything is sent, so
that a crash in between leaves nothing to be mended by hand.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

import msgspec

from sgonz.coordinator.coordinator import Coordinator
from sgonz.rundir import Claim, RunDir, Workdir, last_claim, write_atomic
from sgonz.store.rows import GenerationRow

FENCE = "invalidated"  # stands in a claim where the tag of a submission would


def settle_all(at: Coordinator, run_ids: Iterable[str]) -> None:
    """Before runs are sent: their folders hold nothing of an earlier generation, nor a mark that asked its worker to leave."""
    wanted = set(run_ids)
    for each in at.store.generations():
        if each.run_id in wanted:
            settle(at.workdir, each, keep_mark=False)


def settle(workdir: Workdir, each: GenerationRow, *, keep_mark: bool) -> None:
    """Bring a run's folder in line with the store: fence first, then put aside what there was."""
    run = workdir.run(each.run_id)
    aside = run.root / "generations" / str(each.generation - 1)
    if not aside.exists():
        _write_fence(run, each.fence)
        draft = aside.with_name(f".{aside.name}")
        draft.mkdir(parents=True, exist_ok=True)
        for path in (run.output, run.checkpoint, run.log):
            if path.exists():
                os.replace(path, draft / path.name)
        os.replace(draft, aside)
    if not keep_mark:
        run.cancel.unlink(missing_ok=True)


def _write_fence(run: RunDir, fence: int) -> None:
    """A claim that no worker holds; any later one passes it."""
    last = last_claim(run)
    if last is not None and last.tag == FENCE and last.attempt >= fence:
        return
    number = fence if last is None else max(fence, last.attempt + 1)
    mine = Claim(
        attempt=number, sequence=0, restart=0, tag=FENCE, element=0, host="", pid=0, time=time.time()
    )
    write_atomic(run.claims / f"{number:06d}.json", msgspec.json.encode(mine))

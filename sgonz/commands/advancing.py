"""advance: turns without a dashboard, one by one, in a loop, or in jobs that follow each other."""

from __future__ import annotations

import time
from collections.abc import Iterator

from sgonz.cli import options
from sgonz.cli.working import working
from sgonz.commands.running import next_turn, show_status
from sgonz.coordinator import detached
from sgonz.coordinator.coordinator import Coordinator, closing
from sgonz.coordinator.sending import dismiss
from sgonz.coordinator.turn import Turn, turn
from sgonz.errors import StoreSilent
from sgonz.rundir import Workdir
from sgonz.sweep.opening import reopen
from sgonz.sweep.planned import workdir_of
from sgonz.workdir.lock import Busy

TRIES = 6  # of an advance job that finds the work folder busy, or is not given a successor
TRY_SECONDS = 30.0  # between them; all of them fit into [advance] max_minutes


def advance(
    workdir: str | None, sweep: str | None, cluster: str | None, *, detach: bool, every: float | None, output: str
) -> None:  # fmt: skip
    folder = workdir_of(workdir)
    if detached.is_left_behind(folder):
        options.say(f"another job makes the turns of {folder.root} by now")
    elif every is not None:
        _keep_turning(folder, sweep, cluster, every)
    elif detached.is_advance_job(folder):
        _patiently(folder, output)
    else:
        _advance(folder, sweep, cluster, detach=detach, output=output)


def turns(at: Coordinator, every: float) -> Iterator[Turn]:
    """A turn every so many seconds, until the sweep is done."""
    last: Turn | None = None
    while last is None or not last.decision.finished:
        if last is not None:
            time.sleep(every)
        last = next_turn(at, last)
        yield last
    dismiss(at)


def _keep_turning(folder: Workdir, sweep: str | None, cluster: str | None, every: float) -> None:
    at = reopen(folder, sweep, cluster=cluster)
    at.cluster.when_late(options.say)
    with closing(at):
        said = ""
        for last in turns(at, every):
            counts = ", ".join(f"{count:,} {state}" for state, count in last.answer["runs"].items())
            if counts != said:
                options.say(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {at.sweep.name}: {counts}")
                said = counts
        detached.settle(at, {at.sweep.name: True})


def _patiently(folder: Workdir, output: str) -> None:
    """In an advance job, where giving up would leave the sweeps to nobody."""
    for left in reversed(range(TRIES)):
        try:
            return _advance(folder, None, None, detach=True, output=output)
        except StoreSilent as silence:
            options.say(f"{silence.message}; tried again later")
            return detached.go_on_blindly(folder)
        except (Busy, detached.NotQueued) as refusal:
            if not left:
                raise
            options.say(f"{refusal.message}; tried again in {TRY_SECONDS:.0f} s")
            time.sleep(TRY_SECONDS)
    return None


def _advance(folder: Workdir, sweep: str | None, cluster: str | None, *, detach: bool, output: str) -> None:
    """A turn of each sweep that is meant, and then the job for the next one where there is to be one."""
    known = detached.read(folder).sweeps
    meant = list(known.items()) if detach and sweep is None and known else [(sweep, cluster)]
    finished: dict[str, bool] = {}
    for name, profile in meant:
        at = reopen(folder, name, cluster=cluster or profile)
        at.cluster.when_late(options.say)
        with closing(at):
            if detach:
                detached.prepare(at)
            with working("making a turn"):
                last = turn(at, rows_wanted=False)
            finished[at.sweep.name] = last.decision.finished
            if last.decision.finished:
                dismiss(at)
            if len(finished) == len(meant):
                detached.settle(at, finished, detach={at.sweep.name: at.profile.path} if detach else {})
            show_status(last.answer, folder, output)

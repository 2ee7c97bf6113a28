"""run, submit, advance: commands that make turns."""

from __future__ import annotations

import contextlib
import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import click

from sgonz.cli import options
from sgonz.cli.working import working
from sgonz.cluster.base import NoAnswer
from sgonz.cluster.profile import Profile, load_profile
from sgonz.commands.looking import print_status
from sgonz.control import steering
from sgonz.control.runs import add_grid, stop_local_jobs
from sgonz.coordinator import detached
from sgonz.coordinator.coordinator import Coordinator, closing
from sgonz.coordinator.observing import observe
from sgonz.coordinator.sending import dismiss
from sgonz.coordinator.turn import Turn, turn
from sgonz.coordinator.turning import Turning, pause_after
from sgonz.errors import StoreSilent
from sgonz.looking import answers
from sgonz.plan.runs import State
from sgonz.plan.wording import number_of
from sgonz.rundir import Workdir
from sgonz.sweep import hub
from sgonz.sweep.checks import check_datasets
from sgonz.sweep.foreseen import chosen_classes
from sgonz.sweep.opening import DEFAULT_CLUSTER, reopen, start
from sgonz.sweep.planned import Planned, plan_sweep, require_sources, workdir_of
from sgonz.sweep.sources import sample_folder
from sgonz.workdir import costs, lock

ASK_FROM = 100  # jobs that others share: more than this is asked about
LOCAL_SECONDS = 0.3  # between turns on this machine
LEAVING_SECONDS = 2.0  # for a job that is done to be out of the queue
LAST_SECONDS = 45.0  # for the accounts of a finished sweep's jobs
LONGEST_WAIT = 30.0  # between looks at a database that does not answer; the first ones come much sooner
INTERRUPTED = 130


def run(
    name: str, workdir: str | None, cluster: str | None, changes: Sequence[str], *, yes: bool, output: str
) -> int:
    """Turn until the sweep is done; the exit code says whether everything went well."""
    at = _start(name, workdir, cluster, changes, yes=yes)
    with closing(at):
        try:
            last = _turn_until_done(at)
        except KeyboardInterrupt:
            return _interrupted(at)
        detached.settle(at, {at.sweep.name: last.decision.finished})
        _show(at, last, output)
        if last.decision.stuck:
            _say_what_holds(last)
            return 1
        _settle_last(at)
        return 1 if any(row.state in (State.FAILED, State.SKIPPED) for row in last.rows) else 0


def submit(
    name: str, workdir: str | None, cluster: str | None, changes: Sequence[str], *, detach: bool, yes: bool, output: str
) -> None:  # fmt: skip
    at = _start(name, workdir, cluster, changes, detach=detach, yes=yes)
    with closing(at):
        if detach:
            detached.prepare(at)
        with working("sending"):
            last = turn(at)
        detached.settle(
            at, {at.sweep.name: last.decision.finished}, detach={at.sweep.name: at.profile.path} if detach else {}
        )  # fmt: skip
        _show(at, last, output, board=False)
        if last.sent:
            follows = "" if detach else "; sgonz advance sends what follows, sgonz watch looks on"
            options.say(f"{number_of(last.sent, 'job')} sent{follows}")


def rehearse(name: str, workdir: str | None, cluster: str | None, changes: Sequence[str]) -> None:
    """Print the exact commands and scripts that `submit` would send."""
    from sgonz.coordinator.rehearsal import rehearse as think

    planned = plan_sweep(name, changes, workdir_of(workdir))
    profile = load_profile(cluster or planned.sweep.cluster or DEFAULT_CLUSTER)
    folder = workdir_of(workdir, profile.workdir)
    planned = _with_sample(planned, name, changes, folder)
    require_sources(planned)
    for model, choice in chosen_classes(planned, profile, costs.read(folder)).items():
        options.say(f"{model}: {choice.name} ({choice.why})")
    with working("thinking it through"):
        found = think(planned, profile, folder)
    for each in found:
        if each.why:
            options.say(each.why)
        click.echo(f"$ {each.command}")
        if each.script:
            click.echo(each.script.rstrip("\n") + "\n")
    options.say(f"{number_of(len(found), 'submission')} would be sent now; nothing was.")


def _start(
    name: str, workdir: str | None, cluster: str | None, changes: Sequence[str], *, yes: bool, detach: bool = False
) -> Coordinator:  # fmt: skip
    """Everything that can be wrong is found here, before anything is queued."""
    with working("planning"):
        planned = plan_sweep(name, changes, workdir_of(workdir))
    profile = load_profile(cluster or planned.sweep.cluster or DEFAULT_CLUSTER)
    if detach:
        detached.require_scheduler(profile)
    _require_training(profile)
    folder = workdir_of(workdir, profile.workdir)
    planned = _with_sample(planned, name, changes, folder)
    require_sources(planned)
    if said := hub.remark(planned.resolution.sources, profile.expanded_environment):
        options.say(said)
    folder.create()
    with working("reading data") as shown:
        check_datasets(planned.resolution.sources, folder, shown.say)
    _ask(planned, profile, yes=yes)
    at = start(planned, profile, folder)
    with working("writing down runs"):
        new = add_grid(at, planned.runs)
    size = len(planned.runs)
    options.say(
        f"{planned.sweep.name}: {number_of(size, 'run')} to begin with, {new} of them new; work folder {folder.root}"
    )
    for said in steering.spoken(at.store.orders(at.sweep_id)):
        options.say(said)
    at.cluster.when_late(options.say)
    return at


def _require_training(profile: Profile) -> None:
    """On this machine jobs run this Python: what every one of them would fail for is said before they begin."""
    if profile.scheduler == "local" and not profile.setup and find_spec("torch") is None:
        raise ModuleNotFoundError(name="torch")


def _with_sample(planned: Planned, name: str, changes: Sequence[str], folder: Workdir) -> Planned:
    """The same plan after the corpora and models that sgonz makes itself are there."""
    sample = sample_folder(planned.sweep, folder)
    if sample is None or planned.sweep.sample is None:
        return planned
    if not (sample / "sample.json").exists():
        from sgonz.sample import make

        folder.create()
        options.say(f"making sample corpora and models in {sample}")
        with working("making them"):
            make(sample, seed=planned.sweep.sample.seed, size=planned.sweep.sample.size)
    return plan_sweep(name, changes, folder)


def _ask(planned: Planned, profile: Profile, *, yes: bool) -> None:
    """Before anything is written: a sweep that is declined leaves no trace in the store."""
    if profile.scheduler != "local" and not yes and len(planned.runs) > ASK_FROM:
        click.confirm(
            f"Send {number_of(len(planned.runs), 'run')} and what follows from them to {profile.name}?",
            abort=True,
            err=True,
        )


def watch(workdir: str | None, sweep: str | None, cluster: str | None, *, where: str, every: float) -> int:
    """Turn and draw until the sweep is done, for a sweep that was submitted before."""
    at = reopen(workdir_of(workdir), sweep, cluster=cluster)
    with closing(at):
        try:
            last = _turn_until_done(at, where=where, every=every)
        except KeyboardInterrupt:
            return _interrupted(at)
        detached.settle(at, {at.sweep.name: True})
        _show(at, last, "table")
        return 1 if any(row.state in (State.FAILED, State.SKIPPED) for row in last.rows) else 0


def _turn_until_done(at: Coordinator, *, where: str = "", every: float = 1.0) -> Turn:
    from sgonz.view.cells import is_terminal

    if is_terminal(sys.stderr):  # stdout holds answers only
        return _on_screen(at, where, every)
    from sgonz.view.live import Live

    live = Live(at.sweep)
    last: Turn | None = None
    while True:
        last = next_turn(at, last)
        live.update(dict(last.answer), last.rows, last.problems)
        if last.decision.finished or last.decision.stuck:
            dismiss(at)
            return last
        time.sleep(pause_after(last, LOCAL_SECONDS))


def _on_screen(at: Coordinator, where: str, every: float) -> Turn:
    """Turns in the background, the screen in front. Leaving it is as good as Ctrl-C."""
    from sgonz.looking.subject import subject
    from sgonz.looking.watching import Watcher
    from sgonz.view.show import show

    at.cluster.when_late(lambda text: None)  # it would stand in the screen
    row = next(row for row in at.store.sweeps() if row.id == at.sweep_id)
    watcher = Watcher(subject(at.store, at.workdir, row, at.profile))
    # The screen itself says that the store is silent.
    with Turning(lambda last: next_turn(at, last, say=lambda text: None), LOCAL_SECONDS) as turning:
        left = show(
            lambda asked, patient: watcher.look(asked, patient=patient), stream=sys.stderr, where=where, every=every,
            done=lambda: turning.over,
        )  # fmt: skip
    if left:
        raise KeyboardInterrupt
    dismiss(at)
    return turning.result()


def next_turn(at: Coordinator, last: Turn | None, say: Callable[[str], None] = options.say) -> Turn:
    """A turn, as soon as the database answers; jobs go on meanwhile and lose nothing."""
    wait, told = LOCAL_SECONDS, False
    while True:
        try:
            done = turn(at, last)
        except StoreSilent as silence:
            if not told:
                say(f"{silence.message}\nwaiting for it; jobs go on")
            told = True
            time.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)
            continue
        if told:
            say("the database answers again; going on")
        return done


def _say_what_holds(last: Turn) -> None:
    """Nothing goes on by itself: what a person has to look at, most runs first."""
    for why, count in Counter(last.decision.for_person.values()).most_common(5):
        options.say(f"{number_of(count, 'run waits', 'runs wait')} for you: {why}")
    options.say("Then the same command goes on from here.")


def _settle_last(at: Coordinator) -> None:
    """Wait a little until the last jobs are accounted; a later turn does what is left, also after Ctrl-C."""
    if not at.cluster.keeps_accounts or not _unsettled(at):
        return
    options.say("waiting for the accounts of the last jobs; Ctrl-C leaves them to a later turn")
    deadline = time.monotonic() + min(LAST_SECONDS, 10.0 + 120.0 / at.profile.requests_per_minute)
    with contextlib.suppress(KeyboardInterrupt, NoAnswer):
        time.sleep(LEAVING_SECONDS)
        at.cluster.look_now()
        while _unsettled(at) and time.monotonic() < deadline:
            time.sleep(LOCAL_SECONDS)
            with lock.hold(at.workdir, "accounting"):
                observe(at)


def _unsettled(at: Coordinator) -> bool:
    return any(job.sweep_id == at.sweep_id for job in at.store.live_jobs()) or bool(at.store.unaccounted())


def _interrupted(at: Coordinator) -> int:
    if at.profile.scheduler == "local":
        options.say(
            "stopping the jobs on this machine, in seconds; Ctrl-C again leaves them to end by themselves ..."
        )
        stopped = stop_local_jobs(at)
        options.say(f"{number_of(stopped, 'job')} stopped; the same command goes on from here.")
    else:
        options.say(
            "Jobs that were sent go on; the same command watches them again, `sgonz cancel` ends them."
        )
    return INTERRUPTED


def _show(at: Coordinator, last: Turn, output: str, *, board: bool = True) -> None:
    show_status(last.answer, at.workdir, output)
    if board and output == "table":
        from sgonz.view.tables import show_leaderboard

        metrics = {name: dataset.metric for name, dataset in at.sources.datasets.items()}
        found = answers.leaderboard(answers.results(last.rows, metrics))
        show_leaderboard(found)
        if found and last.answer["finished"]:
            options.say(
                f"everything on one page, with figures: sgonz report {shlex.quote(last.answer['sweep'])}"
            )


def show_status(answer: Mapping[str, Any], workdir: Workdir, output: str) -> None:
    answer = {**answer, "detached": detached.told(workdir, answer["sweep"])}
    print_status(answer, output)

"""watch: the live screen on a terminal, lines everywhere else; it reads, and makes turns only where it is asked to."""

from __future__ import annotations

import sys

from sgonz.looking.subject import profile_at_hand, subject
from sgonz.looking.watching import Watcher
from sgonz.plan.where import read
from sgonz.sweep.opening import named, open_existing
from sgonz.sweep.planned import workdir_of


def watch(
    workdir: str | None,
    sweep: str | None,
    where: str | None,
    *,
    every: float,
    advance: bool,
    cluster: str | None,
) -> int:
    if where:
        read(where)
    if advance:
        from sgonz.commands import running

        return running.watch(workdir, sweep, cluster, where=where or "", every=every)
    folder = workdir_of(workdir)
    with open_existing(folder, cluster, read_only=True) as store:
        row = named(store, sweep, folder)
        watcher = Watcher(subject(store, folder, row, profile_at_hand(cluster or row.cluster)))
        from sgonz.view.cells import is_terminal

        if is_terminal(sys.stdout):
            from sgonz.view.show import show

            show(lambda asked, patient: watcher.look(asked, patient=patient), where=where or "", every=every)
        else:
            from sgonz.view.telling import tell

            tell(
                watcher.look,
                watcher.ended,
                sys.stdout,
                metrics=watcher.of.metrics,
                where=where or "",
                every=every,
            )
    return 0

"""Slurm itself mails whoever is not there, when a sweep stands still and when it is done."""

from __future__ import annotations

from pathlib import Path

from job_folders import eventually
from slurm_sweeps import DevCluster, Start

from sgonz.cluster.profile import NotifyTable
from sgonz.control import steering


def mails(dev: DevCluster, to: str) -> list[str]:
    """Subjects of what Slurm's MailProg was called with for this address."""
    box = dev.home / "mails.txt"
    lines = [line.split("\t") for line in box.read_text().splitlines()] if box.exists() else []
    return [subject for address, subject in lines if address == to]


def test_slurm_mails_when_a_sweep_stands_still_and_when_it_is_done(
    start: Start, dev: DevCluster, tmp_path: Path
) -> None:
    to = "absent@example.org"
    notify = NotifyTable(mail=to, mail_through="slurm", on=("stalled", "finished"))
    sweep = start(2, notify=notify)
    steering.change(sweep.at, {"gpu_hours": 1e-7})
    sweep.until(lambda: mails(dev, to))
    assert [f"sgonz: {sweep.at.sweep.name} stands still" in subject for subject in mails(dev, to)] == [True]

    steering.change(sweep.at, {"gpu_hours": None})
    sweep.finish()
    eventually(lambda: len(mails(dev, to)) == 2)
    assert f"sgonz: {sweep.at.sweep.name} finished: 2 completed" in mails(dev, to)[1]
    sent = (sweep.at.workdir.root / "mail" / "last.txt").read_text()
    assert f"sgonz: {sweep.at.sweep.name} finished: 2 completed\n\n" in sent  # with what `sgonz history` says
    sweep.turn()
    assert len(mails(dev, to)) == 2, sweep.problems

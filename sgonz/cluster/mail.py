"""A mail to whoever is not there: through the sendmail of this machine, or as Slurm's own mail about a job of a second."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

from sgonz.cluster.base import Cluster
from sgonz.cluster.profile import Profile
from sgonz.cluster.slurm import SlurmCluster
from sgonz.cluster.slurm_advance import modest
from sgonz.errors import SgonzError
from sgonz.rundir import write_atomic

PLACES = "/usr/sbin:/usr/lib:/usr/bin"  # where sendmail is on machines whose users have no such path
SECONDS = 20.0  # that sendmail may take
LONGEST = 200  # signs of a subject: Slurm makes it of the job's name


def send(cluster: Cluster, profile: Profile, folder: Path, subject: str, text: str) -> str | None:
    """What went wrong, in words. Never raises: a turn is worth more than a mail."""
    assert profile.notify.mail is not None
    line = " ".join(subject.split())[:LONGEST]
    try:
        if profile.notify.mail_through == "sendmail":
            return _by_sendmail(profile.notify.mail, line, text)
        if not isinstance(cluster, SlurmCluster):
            return 'this cluster is not Slurm: mail_through = "sendmail"'
        _by_slurm(cluster, profile, folder, line, text)
        return None
    except (SgonzError, OSError, subprocess.SubprocessError) as error:
        return str(error).splitlines()[0] if isinstance(error, SgonzError) else type(error).__name__


def _by_sendmail(to: str, subject: str, text: str) -> str | None:
    program = shutil.which("sendmail") or shutil.which("sendmail", path=PLACES)
    if program is None:
        return 'this machine has no sendmail; with mail_through = "slurm" Slurm sends the mail'
    from email.message import EmailMessage  # it takes a while, and few commands send anything

    message = EmailMessage()
    message["To"], message["Subject"] = to, subject
    message.set_content(text)
    done = subprocess.run([program, "-oi", "-t"], input=bytes(message), capture_output=True, timeout=SECONDS)
    return f"sendmail ended with {done.returncode}" if done.returncode else None


def _by_slurm(cluster: SlurmCluster, profile: Profile, folder: Path, subject: str, text: str) -> None:
    """Slurm makes the subject of a job's name and knows no text: the text is the job's output, beside it."""
    folder.mkdir(mode=0o700, exist_ok=True)
    write_atomic(folder / "text", text.encode())
    asked = {
        **modest(profile),
        "job-name": subject,
        "output": str(folder / "last.txt").replace("%", "%%"),
        "chdir": str(folder),
        "time": "1",
        "mail-type": "END",
        "mail-user": profile.notify.mail,
    }
    options = [f"--{name}={value}" for name, value in asked.items() if value]
    show = f"cat {shlex.quote(str(folder / 'text'))}"
    cluster.sbatch(["sbatch", "--parsable", *options, *profile.advance.sbatch, f"--wrap={show}"])

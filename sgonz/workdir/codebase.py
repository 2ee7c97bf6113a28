"""The code that was submitted is the code that runs: a copy of sgonz by its content, beside the runs it is for.

A version that was installed does not change under waiting jobs, so it is not copied; its number says which it is.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import shutil
import sysconfig
import tempfile
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from sgonz.resources import PACKAGE
from sgonz.rundir import Workdir, disk_errors

DIGITS = 16
COMPILED = "__pycache__"
UNUSED_SECONDS = 30 * 24 * 3600.0


def keep(workdir: Workdir, package: Path = PACKAGE) -> str | None:
    """Copy a checkout's package to code/DIGEST/sgonz, once for each content; the digest, None of an installed one."""
    if is_installed(package):
        return None
    digest = digest_of(package)
    folder = folder_of(workdir, digest)
    if not folder.exists():
        with disk_errors(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            draft = Path(tempfile.mkdtemp(prefix=f".{digest}.", dir=folder.parent))
            try:
                _copy(package, draft / package.name)
                os.rename(draft, folder)
            except OSError:
                shutil.rmtree(draft, ignore_errors=True)
                if not folder.exists():  # or somebody was faster
                    raise
    os.utime(folder)  # when it was last asked for
    return digest


def kept_as(package: Path = PACKAGE) -> str | None:
    """What `keep` would say; nothing is copied."""
    return None if is_installed(package) else digest_of(package)


def setup_lines(workdir: Workdir, digest: str | None) -> tuple[str, ...]:
    """Shell lines after which Python finds the copy before anything else, also in what it starts."""
    if digest is None:
        return ()
    folder = shlex.quote(str(folder_of(workdir, digest).absolute()))
    # Without the safe path, `python -m` looks into the folder that it was started in first.
    return (f"test -d {folder}", f"export PYTHONSAFEPATH=1 PYTHONPATH={folder}${{PYTHONPATH:+:$PYTHONPATH}}")


def tidy(workdir: Workdir, wanted: Collection[str]) -> None:
    """Remove copies that no sweep refers to and nothing was sent with for a month: no job waits that long for its code."""
    for folder in (workdir.root / "code").glob("*"):
        if folder.name not in wanted and time.time() - folder.stat().st_mtime > UNUSED_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


def folder_of(workdir: Workdir, digest: str) -> Path:
    return workdir.root / "code" / digest


def is_installed(package: Path) -> bool:
    """Whether it lies where pip puts what is not edited."""
    places = (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
    return any(package.is_relative_to(Path(place).resolve()) for place in places)


def digest_of(package: Path) -> str:
    """Of the names and contents of all its files; what Python compiled does not count."""
    digest = hashlib.sha256()
    for path in sorted(_files(package)):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(package)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:DIGITS]


def _files(package: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(package):
        folders[:] = [name for name in folders if name != COMPILED and not name.startswith(".")]
        yield from (Path(place) / name for name in names if not name.startswith("."))


def _copy(package: Path, target: Path) -> None:
    """All its files. Compiled ones come along: they are valid for sources of the same size and time, which a copy keeps."""
    for path in _files(package):
        copied = target / path.relative_to(package)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copied)
    for path in package.rglob(f"{COMPILED}/*.pyc"):
        copied = target / path.relative_to(package)
        copied.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # made anew at this moment
            shutil.copy2(path, copied)

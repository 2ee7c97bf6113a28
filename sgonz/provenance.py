"""Where a sweep came from: versions, commit, host and command line."""

from __future__ import annotations

import os
import platform
import socket
import sys
from pathlib import Path
from typing import Any

from sgonz import __version__

PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "datasets",
    "accelerate",
    "deepspeed",
    "submitit",
    "sqlalchemy",
)


def provenance() -> dict[str, Any]:
    return {
        "sgonz": __version__,
        "commit": commit(Path(__file__).resolve().parents[1]),
        "python": platform.python_version(),
        "packages": versions(PACKAGES),
        "host": socket.gethostname(),
        "command": sys.argv,
    }


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Installed versions, as the names of the folders say that pip leaves.

    importlib.metadata says the same, and takes longer to import than a worker to start.
    """
    found: dict[str, str] = {}
    for folder in sys.path:
        try:
            names = os.listdir(folder or ".")
        except OSError:  # a zip file, or not there
            continue
        for name in names:
            stem, _, ending = name.rpartition(".")
            if ending in ("dist-info", "egg-info"):
                package, _, version = stem.partition("-")
                found.setdefault(package.lower().replace("_", "-"), version.partition("-")[0])
    return {package: found[package] for package in packages if found.get(package)}


def commit(checkout: Path) -> str | None:
    """The commit that a checkout stands at, read from its files; None where there is no checkout."""
    git = checkout / ".git"
    try:
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        reference = git / head.removeprefix("ref: ")
        if reference.exists():
            return reference.read_text().strip()
        packed = (git / "packed-refs").read_text().splitlines()
        return next((line.split()[0] for line in packed if line.endswith(head.removeprefix("ref: "))), None)
    except OSError:
        return None

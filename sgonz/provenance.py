"""Where a sweep came from: versions, commit, host and command line."""

from __future__ import annotations

import platform
import socket
import sys
from importlib import metadata
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
    """Installed versions, without importing anything."""
    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


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

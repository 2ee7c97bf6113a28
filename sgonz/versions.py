"""Which versions of the packages that results depend on are installed."""

from __future__ import annotations

import os
import sys

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

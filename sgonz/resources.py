"""Where the folders that ship with sgonz are: beside the package in a checkout, inside it in a wheel."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """The folder `jobs`, `cluster_configs`, `db` or `slurm` of this installation."""
    checkout = PACKAGE.parent
    beside = checkout / name
    if (checkout / "pyproject.toml").is_file() and beside.is_dir():
        return beside
    return PACKAGE / "_shipped" / name

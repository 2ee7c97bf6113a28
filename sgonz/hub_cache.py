"""The hub's cache on disk: what is in it, told without network and without any of its libraries."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where huggingface_hub keeps what it fetched, by the variables that it goes by."""
    if found := environment.get("HF_HUB_CACHE") or environment.get("HUGGINGFACE_HUB_CACHE"):
        return Path(found).expanduser()
    home = environment.get("HF_HOME") or os.path.join(
        environment.get("XDG_CACHE_HOME") or "~/.cache", "huggingface"
    )
    return Path(home).expanduser() / "hub"


def is_cached(kind: str, name: str, cache: Path | None = None) -> bool:
    """Whether the cache holds a snapshot of a model (`models`) or data set (`datasets`) with something in it."""
    snapshots = (cache or cache_folder()) / f"{kind}--{name.replace('/', '--')}" / "snapshots"
    return any(True for _ in snapshots.glob("*/*"))


def absent(models: Iterable[list[str]], datasets: Iterable[str], cache: Path | None = None) -> list[str]:
    """What is not there; a model may be had under any of several names."""
    lacking = [names[0] for names in models if not any(is_cached("models", name, cache) for name in names)]
    return lacking + [name for name in datasets if not is_cached("datasets", name, cache)]

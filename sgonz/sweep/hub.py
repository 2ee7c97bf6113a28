"""What a sweep takes from a hub, and what of it is not at hand yet."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from sgonz import hub_cache
from sgonz.plan.expand import Sources
from sgonz.plan.wording import number_of

SHOWN = 4  # names in a remark


def models_of(sources: Sources) -> list[list[str]]:
    """The ids under which each model and tokenizer may be had, the preferred one first."""
    models = sources.models.values()
    tokenizers = [
        [model.tokenizer] for model in models if model.tokenizer and not _is_folder(model.tokenizer)
    ]
    found = [list(model.hub) for model in models if model.hub] + tokenizers
    return list(map(list, dict.fromkeys(map(tuple, found))))


def _is_folder(tokenizer: str) -> bool:
    """Also one that is not there yet."""
    return Path(tokenizer).is_absolute() or Path(tokenizer).is_dir()


def datasets_of(sources: Sources) -> list[str]:
    return list(dict.fromkeys(dataset.hub for dataset in sources.datasets.values() if dataset.hub))


def remark(sources: Sources, environment: Mapping[str, str]) -> str | None:
    """What jobs with this environment beside ours will have to fetch; the network is not asked, since the nodes' may be another."""
    cache = hub_cache.cache_folder({**os.environ, **environment})
    lacking = hub_cache.absent(models_of(sources), datasets_of(sources), cache)
    if not lacking:
        return None
    more = f" and {number_of(len(lacking) - SHOWN, 'other')}" if len(lacking) > SHOWN else ""
    return (
        f"hub: jobs will fetch {', '.join(lacking[:SHOWN])}{more}, not in {cache} yet; "
        "where nodes have no network, run `sgonz prefetch SWEEP` first"
    )

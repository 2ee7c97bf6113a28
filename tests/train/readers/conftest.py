"""Data sets made of a few lines each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sgonz.plan.runs import Dataset

TASKS = {"conllu": "tagging", "conll2002": "tagging", "squad": "qa"}


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Dataset]:
    """A data set of this format whose splits hold these texts or bytes."""

    def make(format: str, *, splits: dict[str, str | bytes] | None = None, **fields: Any) -> Dataset:
        files = {}
        for split, content in (splits or {}).items():
            path = tmp_path / f"{split}.{format}"
            path.write_bytes(content.encode() if isinstance(content, str) else content)
            files[split] = str(path)
        fields.setdefault("task", TASKS.get(format, "classification"))
        return Dataset(name="made", format=format, files=files, **fields)

    return make

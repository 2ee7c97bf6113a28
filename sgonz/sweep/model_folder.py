"""Whether a folder is a model in the published format, said before a job finds out."""

from __future__ import annotations

from pathlib import Path

import msgspec

WEIGHTS = ("*.safetensors", "*.bin", "*.index.json")
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "*.model")


def lacks(folder: Path, *, tokenizer: bool) -> str | None:
    """What keeps it from being one, to stand after its path; `tokenizer`: whether it must be there too."""
    if not folder.is_dir():
        there = folder.exists()
        return f"{'is no folder' if there else 'is not there'}; one with config.json, weights and a tokenizer is meant"
    config = folder / "config.json"
    if not config.is_file():
        return "holds no config.json: it is not a model's folder"
    try:
        described = msgspec.json.decode(config.read_bytes())
    except (msgspec.DecodeError, OSError):
        return "holds a config.json that cannot be read"
    if not isinstance(described, dict) or "model_type" not in described:
        return "holds a config.json that names no model_type"
    if not _any(folder, WEIGHTS):
        return "holds no weights (*.safetensors or *.bin)"
    if tokenizer and not _any(folder, TOKENIZER):
        return "holds no tokenizer; where it stands elsewhere, say tokenizer = a folder or a hub id"
    return None


def _any(folder: Path, patterns: tuple[str, ...]) -> bool:
    return any(next(folder.glob(pattern), None) for pattern in patterns)

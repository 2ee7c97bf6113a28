"""What local files hold, as hashes; a file that did not change is not read again.

Runs are known by these hashes, and workers compare them again: what was edited meanwhile must not pass for what was planned.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from sgonz.rundir import write_atomic

FINGERPRINTS = "fingerprints.json"  # in the work folder's cache
SETTLED_SECONDS = 2.0  # a file younger than this may change within the clock's grain: it is hashed again
WEIGHT_FILES = ("config.json", "*.safetensors", "pytorch_model*.bin", "tokenizer*", "vocab*", "merges.txt", "spiece.model",
                "sentencepiece*.model", "special_tokens_map.json", "added_tokens.json")  # fmt: skip

Known = dict[str, tuple[int, int, str]]  # path -> size, modification time in ns, hash


class Fingerprints:
    """Hashes of files, remembered in one file of the work folder."""

    def __init__(self, memory: Path | None) -> None:
        self.memory = memory
        self.known = _recall(memory)
        self.changed = False

    def of_file(self, path: Path) -> str:
        """The sha256 of one file's bytes. Raises FileNotFoundError."""
        stat = path.stat()
        size, when, digest = self.known.get(str(path), (-1, -1, ""))
        if (size, when) == (stat.st_size, stat.st_mtime_ns):
            return digest
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if time.time() - stat.st_mtime > SETTLED_SECONDS:
            self.known[str(path)] = (stat.st_size, stat.st_mtime_ns, digest)
            self.changed = True
        return digest

    def of_files(self, files: Iterable[tuple[str, Path]]) -> str:
        """One short hash over named files."""
        whole = hashlib.sha256()
        for name, path in sorted(files):
            whole.update(f"{name}\0{self.of_file(path)}\n".encode())
        return whole.hexdigest()[:32]

    def of_model(self, folder: Path) -> str:
        """One short hash over a model folder: configuration, weights and tokenizer, nothing else in it."""
        return self.of_files((path.name, path) for path in model_files(folder))

    def of_dataset(self, files: Mapping[str, str]) -> str:
        """One short hash over the files of a data set, by split."""
        return self.of_files((split, Path(path)) for split, path in files.items())

    def of_local_model(self, folder: Path, tokenizer: str | None) -> str:
        """A model folder, and the tokenizer (a folder or a hub id) where that stands elsewhere."""
        found = self.of_model(folder)
        return found if tokenizer is None else joined(found, self.of_tokenizer(tokenizer))

    def of_tokenizer(self, tokenizer: str) -> bytes:
        folder = Path(tokenizer)
        return (self.of_model(folder) if folder.is_dir() else tokenizer).encode()

    def save(self) -> None:
        if self.memory is not None and self.changed:
            write_atomic(self.memory, msgspec.json.encode(self.known))
            self.changed = False


def joined(weights: str, tokenizer: bytes) -> str:
    """One short hash of a model's and its tokenizer's."""
    return hashlib.sha256(weights.encode() + tokenizer).hexdigest()[:32]


def model_files(folder: Path) -> list[Path]:
    return sorted({path for pattern in WEIGHT_FILES for path in folder.glob(pattern) if path.is_file()})


def _recall(memory: Path | None) -> Known:
    try:
        return msgspec.json.decode(memory.read_bytes(), type=Known) if memory else {}
    except (FileNotFoundError, msgspec.DecodeError):
        return {}

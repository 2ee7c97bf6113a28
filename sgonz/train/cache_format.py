"""The files of stored teacher logits: what they are called, what is in them, how they are known to be whole.

`keys` [rows] holds the sorted example keys and `rows` [rows] where each one's logits lie; `logits` [rows, C]
(classification) or [words, C] (tagging, with `offsets` [rows + 1]) holds the numbers. Question answering has
`pieces` (one record per position), `windows` [windows + 1] (where a window's pieces begin) and `offsets`
[rows + 1] (where an example's windows begin). `manifest.json` names every file with its size and checksum,
and is written last. All numbers are little-endian.
"""

from __future__ import annotations

import os
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from sgonz.errors import RunError
from sgonz.plan.runs import Task

FORMAT = 1
MANIFEST = "manifest.json"
KEY = np.dtype("S16")  # keys have all 16 bytes, so that numpy's disregard of trailing zeros does no harm
REFILL = "Run the teacher's logits again; the entry is then replaced."

Storage = Literal["float16", "float32"]
FILES: dict[str, tuple[str, ...]] = {
    "classification": ("keys", "rows", "logits"),
    "tagging": ("keys", "rows", "logits", "offsets"),
    "qa": ("keys", "rows", "pieces", "windows", "offsets"),
}


class CorruptEntry(RunError):
    """An entry is partial, damaged or of another format: fill it again."""


class StoredFile(msgspec.Struct, frozen=True):
    """One file of an entry."""

    size: int  # bytes
    blake2b: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What an entry holds and where it comes from."""

    format: int = FORMAT
    task: Task
    labels: tuple[str, ...]
    dtype: Storage
    rows: int  # distinct examples
    examples: int  # examples that were added, duplicates counted
    source: dict[str, Any]  # IDENTITY and whatever else the writer was told
    files: dict[str, StoredFile]


class Sealed(msgspec.Struct, frozen=True):
    """manifest.json: the manifest with its own checksum."""

    blake2b: str
    manifest: msgspec.Raw


def number_type(dtype: Storage) -> np.dtype:
    """The stored form of a logit."""
    return np.dtype(dtype).newbyteorder("<")


def piece_record(dtype: Storage) -> np.dtype:
    """The stored form of one position of a window, without padding bytes."""
    number = number_type(dtype)
    fields = [("id", "<i4"), ("offset_start", "<i4"), ("offset_end", "<i4")]
    return np.dtype([*fields, ("part", "i1"), ("start", number), ("end", number)])


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write manifest.json and bring it to the disk."""
    raw = msgspec.json.encode(manifest)
    with path.open("wb") as stream:
        stream.write(msgspec.json.encode(Sealed(blake2b(raw, digest_size=16).hexdigest(), msgspec.Raw(raw))))
        stream.flush()
        os.fsync(stream.fileno())


def read_manifest(folder: Path) -> Manifest:
    """The manifest of an entry; CorruptEntry if there is none, or if it is damaged or of another format."""
    try:
        sealed = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Sealed)
        if blake2b(sealed.manifest, digest_size=16).hexdigest() != sealed.blake2b:
            raise CorruptEntry(f"{folder / MANIFEST} is damaged", hint=REFILL)
        version = msgspec.json.decode(sealed.manifest, type=dict[str, Any]).get("format")
        if version != FORMAT:
            raise CorruptEntry(f"{folder} has format {version}, this version reads {FORMAT}", hint=REFILL)
        return msgspec.json.decode(sealed.manifest, type=Manifest)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CorruptEntry(f"{folder} holds no complete logits", hint=REFILL) from error
    except msgspec.DecodeError as error:
        raise CorruptEntry(f"{folder / MANIFEST} is damaged", hint=REFILL) from error


def check_file(path: Path, stored: StoredFile, verify: bool) -> None:
    """CorruptEntry unless the file has the size, and with verify the content, that the manifest says."""
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size != stored.size:
                raise CorruptEntry(f"{path} has {size} bytes, its manifest says {stored.size}", hint=REFILL)
            if verify and file_digest(stream, lambda: blake2b(digest_size=16)).hexdigest() != stored.blake2b:
                raise CorruptEntry(f"{path} is damaged: its checksum differs", hint=REFILL)
    except FileNotFoundError as error:
        raise CorruptEntry(f"{path} is missing", hint=REFILL) from error


def map_file(path: Path, name: str, manifest: Manifest) -> np.ndarray:
    """One file as a read-only array; an empty file cannot be mapped and is an empty array."""
    dtype = {"keys": KEY, "pieces": piece_record(manifest.dtype),
             "logits": number_type(manifest.dtype)}.get(name, np.dtype("<i8"))  # fmt: skip
    empty = manifest.files[name].size == 0
    # As a plain array, which is asked for its rows several times as fast.
    flat = np.empty(0, dtype=dtype) if empty else np.asarray(np.memmap(path, dtype=dtype, mode="r"))
    return flat.reshape(-1, len(manifest.labels)) if name == "logits" else flat

"""A teacher's logits on disk: written once, checked, then mapped read-only by every student."""

from __future__ import annotations

import errno
import itertools
import os
import secrets
import shutil
import socket
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from sgonz.errors import RunError
from sgonz.plan.runs import Task
from sgonz.rundir import disk_errors
from sgonz.train.alignment import Window
from sgonz.train.cache_format import (
    FILES,
    KEY,
    MANIFEST,
    CorruptEntry,
    Manifest,
    Storage,
    StoredFile,
    check_file,
    map_file,
    number_type,
    piece_record,
    read_manifest,
    write_manifest,
)
from sgonz.train.examples import Example, QuestionExample, TaggedExample

IDENTITY = ("teacher", "data", "tokenizer", "preprocessing", "precision")  # what a writer's manifest must say
BUFFER = 1 << 20  # bytes; parallel disks punish small writes


def key_of(*texts: str | None) -> bytes:
    """The key of an example: a hash of its texts in order, None and the empty string told apart."""
    digest = blake2b(digest_size=KEY.itemsize)
    for text in texts:
        raw = b"" if text is None else text.encode("utf-8", "surrogatepass")
        digest.update((-1 if text is None else len(raw)).to_bytes(8, "little", signed=True))
        digest.update(raw)
    return digest.digest()


def example_key(example: Example) -> bytes:
    """The key of an example as a reader gives it: text and pair, words, or question and context."""
    if isinstance(example, TaggedExample):
        return key_of(*example.words)
    if isinstance(example, QuestionExample):
        return key_of(example.question, example.context)
    return key_of(example.text, example.pair)


def permutation(teacher_labels: Sequence[str], student_labels: Sequence[str]) -> np.ndarray | None:
    """Which teacher column each student column is; None if all stand right, RunError if the sets differ."""
    if tuple(teacher_labels) == tuple(student_labels):
        return None
    if sorted(teacher_labels) != sorted(student_labels):
        raise RunError(
            f"the teacher's labels are {', '.join(teacher_labels)}; "
            f"the student's are {', '.join(student_labels)}",
            hint="Distil from a teacher that was trained on the same labels.",
        )
    place = {label: column for column, label in enumerate(teacher_labels)}
    return np.array([place[label] for label in student_labels], dtype=np.int64)


class _Stream:
    """A file that is appended to and hashed as it grows."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("wb", buffering=BUFFER)
        self.digest = blake2b(digest_size=16)
        self.size = 0

    def append(self, content: np.ndarray) -> None:
        raw = content.tobytes()
        self.file.write(raw)
        self.digest.update(raw)
        self.size += len(raw)

    def seal(self) -> StoredFile:
        """Bring the file to the disk."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        return StoredFile(self.size, self.digest.hexdigest())


class Writer:
    """Fills one entry: nothing is at `folder` until close; an example that was added before is passed over.

    `manifest` must name teacher, data, tokenizer and preprocessing (hashes or values) and the precision that
    the teacher ran in. As a context manager it closes after success and removes what it wrote after an error.
    """

    def __init__(
        self, folder: Path, *, task: Task, labels: Sequence[str], dtype: Storage, manifest: dict[str, Any]
    ) -> None:
        if missing := [name for name in IDENTITY if name not in manifest]:
            raise ValueError(f"the manifest of stored logits does not say its {', '.join(missing)}")
        self.folder, self.task, self.labels, self.dtype = Path(folder), task, tuple(labels), dtype
        self.source = dict(manifest)
        self.examples = 0
        self._number = number_type(dtype)
        self._rows: dict[bytes, int] = {}
        self._ends = {"offsets": 0, "windows": 0}
        owner = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._draft = self.folder.with_name(f".{self.folder.name}.draft-{owner}")
        with disk_errors(self.folder):
            self._draft.mkdir(parents=True)
            self._streams = {name: _Stream(self._draft / name) for name in FILES[task]}
        for name in self._ends.keys() & self._streams.keys():
            self._append(name, np.zeros(1, dtype="<i8"))

    def add_classification(self, key: bytes, logits: ArrayLike) -> None:
        """Add one example's logits [C]."""
        if self._is_new(key):
            self._append("logits", self._checked(logits, (len(self.labels),)))

    def add_tagging(self, key: bytes, logits: ArrayLike) -> None:
        """Add one sentence's logits [words, C], taken at the first piece of each word."""
        if self._is_new(key):
            words = len(np.asarray(logits))
            self._append("logits", self._checked(logits, (words, len(self.labels))))
            self._end("offsets", words)

    def add_question(
        self, key: bytes, windows: Sequence[Window], start: Sequence[ArrayLike], end: Sequence[ArrayLike]
    ) -> None:
        """Add one question's windows with start and end logits for each of their positions."""
        if not self._is_new(key):
            return
        for window, starts, ends in zip(windows, start, end, strict=True):
            length = len(window.ids)
            pieces = np.empty(length, dtype=piece_record(self.dtype))
            pieces["id"], pieces["part"] = window.ids, window.part
            pieces["offset_start"], pieces["offset_end"] = window.offset_start, window.offset_end
            pieces["start"], pieces["end"] = self._checked(starts, (length,)), self._checked(ends, (length,))
            self._append("pieces", pieces)
            self._end("windows", length)
        self._end("offsets", len(windows))

    def close(self) -> None:
        """Write the manifest and move the entry into place; a worker checks its claim just before."""
        try:
            with disk_errors(self.folder):
                self._finish()
        except BaseException:
            self.abandon()
            raise

    def _finish(self) -> None:
        if not self._draft.exists() and is_complete(self.folder):  # another writer was first, and tidied up
            return self.abandon()
        keys = np.array(list(self._rows), dtype=KEY)
        order = np.argsort(keys, kind="stable")
        self._append("keys", keys[order])
        self._append("rows", order.astype("<i8"))
        manifest = Manifest(
            task=self.task,
            labels=self.labels,
            dtype=self.dtype,
            rows=len(keys),
            examples=self.examples,
            source=self.source,
            files={name: stream.seal() for name, stream in self._streams.items()},
        )
        write_manifest(self._draft / MANIFEST, manifest)
        _sync_folder(self._draft)
        _move_into_place(self._draft, self.folder)
        _sync_folder(self.folder.parent)
        for left in self.folder.parent.glob(f".{self.folder.name}.draft-*"):  # of writers that were killed
            shutil.rmtree(left, ignore_errors=True)

    def abandon(self) -> None:
        """Remove what was written; no entry comes of it."""
        for stream in self._streams.values():
            with suppress(OSError):  # closing writes what is left, and the disk may be full
                stream.file.close()
        shutil.rmtree(self._draft, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def _is_new(self, key: bytes) -> bool:
        self.examples += 1
        if key in self._rows:
            return False
        self._rows[key] = len(self._rows)
        return True

    def _append(self, name: str, content: np.ndarray) -> None:
        with disk_errors(self.folder):
            self._streams[name].append(content)

    def _end(self, name: str, count: int) -> None:
        self._ends[name] += count
        self._append(name, np.array([self._ends[name]], dtype="<i8"))

    def _checked(self, logits: ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
        """Logits in the stored type; RunError if the shape is wrong or a number is not finite in it."""
        given = np.asarray(logits)
        if given.shape != shape:
            raise RunError(f"the teacher gave logits of shape {given.shape}, expected {shape}")
        with np.errstate(over="ignore"):
            stored = given.astype(self._number)
        if not np.isfinite(stored).all():
            raise RunError(
                f"the teacher gave logits that are not finite numbers in {self.dtype}",
                hint="Choose another teacher, or logits_dtype = 'float32' if they are only large.",
            )
        return stored


def _sync_folder(folder: Path) -> None:
    """Bring a folder's list of names to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _move_into_place(draft: Path, folder: Path) -> None:
    """Rename a finished draft; an older entry makes way, and students that have it mapped keep it."""
    try:
        os.rename(draft, folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        aside = draft.with_name(f"{draft.name}.replaced")
        os.rename(folder, aside)
        os.rename(draft, folder)


def is_complete(folder: Path) -> bool:
    """Whether a whole, undamaged entry lies there, so that its teacher need not be loaded."""
    try:
        Entry.open(folder)
    except CorruptEntry:
        return False
    return True


class Entry:
    """One stored entry, mapped read-only; made by `Entry.open`."""

    def __init__(self, manifest: Manifest, files: dict[str, np.ndarray]) -> None:
        self._manifest, self._files = manifest, files
        self.task, self.labels = manifest.task, manifest.labels

    @classmethod
    def open(cls, folder: Path, verify: bool = True) -> Entry:
        """Map an entry; CorruptEntry if it is partial or damaged (`verify` reads every byte to know)."""
        manifest = read_manifest(Path(folder))
        for name, stored in manifest.files.items():
            check_file(Path(folder) / name, stored, verify)
        return cls(manifest, {name: map_file(Path(folder) / name, name, manifest) for name in manifest.files})

    @property
    def manifest(self) -> dict[str, Any]:
        """What the writer was told, with format, task, labels, dtype, rows and examples."""
        own = {
            name: value for name, value in msgspec.structs.asdict(self._manifest).items() if name != "files"
        }
        return {**own.pop("source"), **own}

    def rows(self, keys: Sequence[bytes]) -> np.ndarray:
        """The row of each key, int64; RunError if examples are missing."""
        stored, wanted = self._files["keys"], np.array(keys, dtype=KEY)
        at = np.searchsorted(stored, wanted)
        found = at < len(stored)
        found[found] = stored[at[found]] == wanted[found]
        if not found.all():
            raise RunError(
                f"the stored logits lack {int((~found).sum())} of {len(wanted)} examples",
                hint="They were made from other texts: store the teacher's logits for this data set again.",
            )
        return np.asarray(self._files["rows"][at], dtype=np.int64)

    def classification(self, rows: np.ndarray) -> np.ndarray:
        """Logits of a batch as they are stored [B, C]."""
        return self._files["logits"].take(rows, axis=0)

    def word_counts(self, rows: np.ndarray) -> np.ndarray:
        """How many words each row has, int64 [B]."""
        offsets = self._files["offsets"]
        return offsets[rows + 1] - offsets[rows]

    def tagging(self, rows: np.ndarray, counts: np.ndarray, words: np.ndarray) -> np.ndarray:
        """Logits as they are stored [total, C]: of each row as many words as counted, their numbers one after the other."""
        if ((words < 0) | (words >= np.repeat(self.word_counts(rows), counts))).any():
            raise RunError(
                "a sentence has more words than the teacher's stored logits",
                hint="Both sides must read the same words: compare tagging_length of teacher and student.",
            )
        return self._files["logits"].take(np.repeat(self._files["offsets"][rows], counts) + words, axis=0)

    def windows(self, row: int) -> tuple[list[Window], list[np.ndarray], list[np.ndarray]]:
        """The teacher's windows of one question, with start and end logits (float32) for their positions."""
        first, end = (int(place) for place in self._files["offsets"][row : row + 2])
        borders = self._files["windows"][first : end + 1]
        pieces = [self._files["pieces"][a:b] for a, b in itertools.pairwise(borders)]
        windows = [
            Window(
                *(np.ascontiguousarray(piece[name]) for name in ("id", "offset_start", "offset_end", "part"))
            )
            for piece in pieces
        ]
        sides = [[piece[side].astype(np.float32) for piece in pieces] for side in ("start", "end")]
        return windows, sides[0], sides[1]

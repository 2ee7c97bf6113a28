"""What a worker reads and writes in the work folder before it needs a library.

The process of a job starts once for every job, and where jobs are short that is most of what they cost. So this
module, and all that a worker imports before its first run that trains, does with a few small modules of the standard
library: no msgspec, pathlib, dataclasses or typing, which take longer to import than a run that does nothing takes.
Everybody else uses the same functions through rundir.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False  # as type checkers read it; typing itself takes 10 ms to import
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


JOB_FORMAT = 1
TAKEN_BACK = "taken_back.json"  # in a job's folder: runs that it is not to begin any more


try:
    # What json itself reads and writes with; the rest of json compiles patterns, which takes 7 ms.
    from _json import encode_basestring_ascii, make_encoder, make_scanner

    class _Plain:
        """How a decoder is set up that reads nothing but JSON."""

        strict = True
        object_hook = object_pairs_hook = None
        parse_float, parse_int, parse_constant = float, int, float

    _scan: Any = make_scanner(_Plain)  # type: ignore[arg-type]
    _encode: Any = make_encoder(None, None, encode_basestring_ascii, None, ":", ",", False, False, True)  # type: ignore[arg-type]
except (ImportError, TypeError):  # another Python than CPython, or than those that were tried
    _scan = _encode = None


def loads(content: bytes) -> Any:
    """The value of a JSON text. Raises ValueError."""
    text = content.decode().strip()
    if _scan is None:
        import json

        return json.loads(text)
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        raise ValueError("it is not JSON") from None
    if end != len(text):
        raise ValueError(f"it is not JSON after character {end}")
    return value


def dumps(value: Any) -> bytes:
    if _encode is None:
        import json

        return json.dumps(value, separators=(",", ":")).encode()
    return "".join(_encode(value, 0)).encode()


class ClaimRefused(Exception):
    """A later job works on this run, or a result is already there."""


def run_folder(workdir: str, run_id: str) -> str:
    return f"{workdir}/runs/{run_id[:2]}/{run_id}"


def line(type: str, **facts: Any) -> bytes:
    """An event as its file has it, in the words of sgonz.events; made now."""
    return dumps({"type": type, "time": time.time(), **facts}) + b"\n"


def take(root: str, *, tag: str, sequence: int, element: int, restart: int) -> dict[str, Any]:
    """Take the next attempt at a run: the claim.

    Attempts are files made with O_EXCL, which is atomic on network file systems too. Raises ClaimRefused
    when a later submission (or a later restart of this one) holds the run.
    """
    claims = f"{root}/claim"
    os.makedirs(claims, exist_ok=True)
    while True:
        last = last_claim(claims)
        if last is not None and (last["sequence"], last["restart"]) > (sequence, restart):
            raise ClaimRefused(f"held by {last['tag']} element {last['element']}, attempt {last['attempt']}")
        mine = {"attempt": last["attempt"] + 1 if last else 1, "sequence": sequence, "restart": restart, "tag": tag,
                "element": element, "host": os.uname().nodename, "pid": os.getpid(), "time": time.time()}  # fmt: skip
        draft = f"{claims}/.draft-{mine['host']}-{mine['pid']}"
        with open(draft, "wb", buffering=0) as stream:
            stream.write(dumps(mine))
        try:
            os.link(draft, f"{claims}/{mine['attempt']:06d}.json")  # fails if somebody was faster
        except FileExistsError:
            continue
        finally:
            os.unlink(draft)
        return mine


def last_claim(claims: str) -> dict[str, Any] | None:
    try:
        names = [name for name in os.listdir(claims) if name.endswith(".json")]
    except FileNotFoundError:
        return None
    return read(f"{claims}/{max(names)}") if names else None


def still_holds(root: str, attempt: int) -> bool:
    """Whether nobody took the run over since this attempt claimed it; asked before every rename."""
    last = last_claim(f"{root}/claim")
    return last is None or last["attempt"] <= attempt


def lay_out(root: str, spec: bytes) -> None:
    """A run's run.json, whole; one that was left half by a machine that went down is written again."""
    path = f"{root}/run.json"
    try:  # contextlib would be imported for this alone
        if read(path):
            return
    except (FileNotFoundError, ValueError):
        pass
    write_atomic(path, spec, lasting=False)


def read(path: str) -> Any:
    """The JSON in a file."""
    with open(path, "rb", buffering=0) as stream:
        return loads(stream.readall())


def write_atomic(path: str, content: bytes, *, lasting: bool = True) -> None:
    """Write a whole file under a temporary name, then rename it into place.

    Not `lasting` is for what can be made again: a machine that loses its power may leave it empty.
    """
    folder, _, name = path.rpartition("/")
    os.makedirs(folder or ".", exist_ok=True)
    draft = f"{folder or '.'}/.{name}.{os.getpid()}"
    try:
        with open(draft, "wb") as stream:
            stream.write(content)
            stream.flush()
            if lasting:
                os.fsync(stream.fileno())
        os.replace(draft, path)
    except BaseException:
        if os.path.exists(draft):
            os.unlink(draft)
        raise


def specs(job_folder: str, element: Mapping[str, Any]) -> dict[str, bytes]:
    """The specs of an element's runs as runs.jsonl has them; none where their folders hold them."""
    if element.get("specs_at") is None:
        return {}
    with open(f"{job_folder}/runs.jsonl", "rb") as stream:
        stream.seek(element["specs_at"])
        return {run_id: stream.readline() for run_id in element["run_ids"]}

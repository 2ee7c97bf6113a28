"""How the processes of one run find each other and what they tell each other: JSON, between those that know a key.

The conductor of a run writes where it listens into the job's folder; members look there, connect, do their
share of the run and come back for the next one.
"""

from __future__ import annotations

import os
import socket
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec

from sgonz.events import MemoryShort, RunEnded
from sgonz.rundir import write_atomic


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a conductor listens; private to the owner of the work folder, as the key is."""

    host: str
    port: int
    key: bytes


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base of what is sent."""


class Hello(Message, frozen=True, kw_only=True, tag="hello"):
    """A member is there."""

    rank: int


class Begin(Message, frozen=True, kw_only=True, tag="begin"):
    """What a member is to do; the address is where its first process listens, which finds it itself."""

    folder: str
    attempt: int
    event_file: str
    world: int
    host: str = ""
    port: int = 0
    deepspeed: dict[str, Any] | None = None
    on_gpu: bool = False


class Listening(Message, frozen=True, kw_only=True, tag="listening"):
    """Where the first process of the run awaits the others."""

    host: str
    port: int


class Order(Message, frozen=True, kw_only=True, tag="order"):
    """What the worker was asked: stop or cancel."""

    word: str


class Left(Message, frozen=True, kw_only=True, tag="left"):
    """A member's process is gone; what it said last, or what can be said of it."""

    ended: RunEnded
    short: MemoryShort | None = None  # where memory ended it: how the run can go on


AnyMessage = Hello | Begin | Listening | Order | Left
_decoder = msgspec.json.Decoder(AnyMessage)


def send(connection: Connection, message: AnyMessage) -> None:
    connection.send_bytes(msgspec.json.encode(message))


def receive(connection: Connection) -> AnyMessage:
    """The next message. Raises EOFError when the other side is gone."""
    try:
        return _decoder.decode(connection.recv_bytes())
    except ConnectionError as error:
        raise EOFError from error


def here() -> tuple[str, str]:
    """By what name the job's other processes reach this one, and the address at which it listens for them."""
    if int(os.environ.get("SLURM_JOB_NUM_NODES", "1")) == 1:
        return "127.0.0.1", "127.0.0.1"
    # At every address: a node's own table often says 127.0.1.1 for its name, where no other node comes.
    return socket.gethostname(), ""


def place_file(job_folder: Path, element: int) -> Path:
    return job_folder / "meeting" / f"{element}.json"


def announce(file: Path, place: Place) -> None:
    file.parent.mkdir(mode=0o700, exist_ok=True)
    before = os.umask(0o077)
    try:
        write_atomic(file, msgspec.json.encode(place))
    finally:
        os.umask(before)


def look(file: Path) -> Place | None:
    """Where to go; None while nobody waits there."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Place)
    except (OSError, msgspec.DecodeError):
        return None

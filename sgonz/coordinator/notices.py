"""notices.json: what has to be told outside, what was told already, and how it is sent: to a webhook, by mail.

A turn writes down what is so, under its lock; sending comes after it, and nothing that goes wrong there harms a turn.
"""

from __future__ import annotations

import hashlib
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from sgonz import __version__
from sgonz.cluster.profile import NotifyTable
from sgonz.errors import SgonzError
from sgonz.plan.happenings import Happening
from sgonz.rundir import Workdir, write_atomic
from sgonz.workdir import lock

ENVIRONMENT = "SGONZ_WEBHOOK"
SECONDS = 5.0  # that a webhook may take
TRIES = 6
FIRST_PAUSE = 30.0  # after a webhook that did not take it; doubles each time


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One happening of one sweep, and whether it was told."""

    id: str  # the same however often it is sent, so that a receiver can tell
    what: str
    text: str
    since: float
    tries: int = 0
    due: float = 0.0
    told: tuple[str, ...] = ()  # ways that took it
    sent: float | None = None  # when all of them had


Mail = Callable[[str, str], str | None]  # subject and text; what went wrong
Kept = dict[str, dict[str, Notice]]  # sweep -> key -> notice
_decoder = msgspec.json.Decoder(Kept)


def webhook(table: NotifyTable) -> str | None:
    """The address, from the environment or the file that the profile names; None where nobody is to be told."""
    given = os.environ.get(ENVIRONMENT, "").strip()
    if not given and table.webhook_file:
        try:
            given = Path(table.webhook_file).expanduser().read_text().strip().splitlines()[0].strip()
        except (OSError, IndexError):
            return None
    return given if given.startswith(("https://", "http://")) else None


def note(workdir: Workdir, sweep: str, found: Callable[[], Sequence[Happening]], table: NotifyTable) -> None:
    """Write down what is so now; to be called under the lock. What is no longer so may be told again later."""
    kept = read(workdir)
    listening = webhook(table) is not None or table.mail is not None
    if not listening and not kept.get(sweep):
        return
    wanted = [one for one in found() if one.what in table.on] if listening else []
    before, now = kept.get(sweep, {}), time.time()
    after = {
        one.key: before.get(one.key) or Notice(id=_id(workdir, sweep, one.key, now), what=one.what, text=one.text, since=now)
        for one in wanted
    }  # fmt: skip
    if after != before:
        _write(workdir, {**kept, sweep: after})


def deliver(
    workdir: Workdir,
    sweep: str,
    table: NotifyTable,
    history: Callable[[], tuple[Mapping[str, Any], Sequence[str]]],
    mail: Mail | None = None,
) -> list[str]:
    """Send what is due, after a turn has let go of the lock; what went wrong. Never raises: a turn is worth more.

    A try is written down before it is made, so that two processes do not send the same.
    """
    try:
        return _deliver(workdir, sweep, _ways(table, mail), history)
    except (SgonzError, OSError) as error:
        return [f"notices: nothing was sent ({type(error).__name__})"]


def _ways(table: NotifyTable, mail: Mail | None) -> dict[str, Callable[[Mapping[str, Any]], str | None]]:
    """How a message leaves; each says what went wrong."""
    ways: dict[str, Callable[[Mapping[str, Any]], str | None]] = {}
    if (address := webhook(table)) is not None:
        ways["webhook"] = lambda message: _post(address, message)
    if table.mail is not None and mail is not None:
        ways["mail"] = lambda message: mail(message["text"].partition("\n")[0], message["text"])
    return ways


def _deliver(
    workdir: Workdir,
    sweep: str,
    ways: Mapping[str, Callable[[Mapping[str, Any]], str | None]],
    history: Callable[[], tuple[Mapping[str, Any], Sequence[str]]],
) -> list[str]:
    if not ways or not _due(read(workdir).get(sweep, {})):
        return []
    with lock.hold(workdir, "a notice"):
        kept = read(workdir)
        due = _due(kept.get(sweep, {}))
        now = time.time()
        tried = {
            key: msgspec.structs.replace(one, tries=one.tries + 1, due=now + FIRST_PAUSE * 2**one.tries)
            for key, one in due.items()
        }
        if not due or not _write(workdir, {**kept, sweep: {**kept.get(sweep, {}), **tried}}):
            return []
    known, problems, told = history(), [], {key: set(one.told) for key, one in due.items()}
    for name, way in ways.items():
        wanting = [one for key, one in due.items() if name not in told[key]]
        problem = way(_message(sweep, wanting, *known)) if wanting else None
        if problem is not None:
            problems.append(f"{name}: {problem}")
            continue
        for took in told.values():
            took.add(name)
    with lock.hold(workdir, "a notice"):
        kept = read(workdir)
        there = kept.get(sweep, {})
        after = {
            key: msgspec.structs.replace(there[key], told=tuple(sorted(took)), sent=time.time() if took >= set(ways) else None)
            for key, took in told.items() if key in there
        }  # fmt: skip
        _write(workdir, {**kept, sweep: {**there, **after}})
    return problems


def read(workdir: Workdir) -> Kept:
    try:
        return _decoder.decode(_path(workdir).read_bytes())
    except (OSError, msgspec.DecodeError):
        return {}


def _due(notices: Mapping[str, Notice]) -> dict[str, Notice]:
    now = time.time()
    return {
        key: one for key, one in notices.items() if one.sent is None and one.tries < TRIES and now >= one.due
    }


def _message(
    sweep: str, notices: Sequence[Notice], history: Mapping[str, Any], lines: Sequence[str]
) -> dict[str, Any]:
    """`text` is what Slack, Mattermost and their like show; the rest is for programs."""
    text = "\n".join([*(f"sgonz: {sweep} {one.text}" for one in notices), "", *lines])
    return {
        "text": text, "sweep": sweep, "version": 1,
        "happenings": [{"id": one.id, "what": one.what, "text": one.text, "since": one.since} for one in notices],
        "history": history,
    }  # fmt: skip


def _post(address: str, message: Mapping[str, Any]) -> str | None:
    """What went wrong, in words that do not hold the address: whoever knows it can write there."""
    try:
        request = urllib.request.Request(
            address, data=msgspec.json.encode(message), method="POST",
            headers={"Content-Type": "application/json", "User-Agent": f"sgonz/{__version__}"},
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=SECONDS):
            return None
    except urllib.error.HTTPError as error:
        return f"it answered {error.code}"
    except urllib.error.URLError as error:
        reason = error.reason
        return f"it cannot be reached: {reason.strerror if isinstance(reason, OSError) and reason.strerror else type(reason).__name__}"
    except (OSError, ValueError) as error:
        return f"it does not answer: {type(error).__name__}"
    except Exception as error:  # a broken answer, whatever it is, harms no turn
        return f"it answered nonsense: {type(error).__name__}"


def _id(workdir: Workdir, sweep: str, key: str, now: float) -> str:
    return hashlib.sha256(f"{workdir.root} {sweep} {key} {now}".encode()).hexdigest()[:16]


def _write(workdir: Workdir, kept: Kept) -> bool:
    """Whether it could be written: what cannot be remembered is not sent, as it would be sent again and again."""
    try:
        write_atomic(_path(workdir), msgspec.json.encode(kept))
    except OSError:
        return False
    return True


def _path(workdir: Workdir) -> Path:
    return workdir.root / "notices.json"

"""Where a sweep came from: versions, commit, host and command line."""

from __future__ import annotations

import platform
import re
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sgonz import __version__
from sgonz.cluster.checkout import commit_of, is_dirty
from sgonz.resources import PACKAGE
from sgonz.versions import PACKAGES, versions

_SECRET = r"(?:password|passwd|sslpassword|secret|token|api[_-]?key)"
URL_PASSWORD = re.compile(r"(://[^/\s:@]*:)[^/\s]*@")
SECRET_VALUE = re.compile(rf"((?:^|[^a-z]){_SECRET}=)[^\s&]+", re.IGNORECASE)
SECRET_OPTION = re.compile(rf"-+(?:[a-z]+[_-])*{_SECRET}", re.IGNORECASE)


def provenance() -> dict[str, Any]:

    checkout = PACKAGE.parent
    in_git = (checkout / ".git").exists()  # else the repository around it, if any, is of something else
    return {
        "sgonz": __version__,
        "commit": (commit_of(checkout) or commit(checkout)) if in_git else None,
        "dirty": is_dirty(checkout) if in_git else None,
        "python": platform.python_version(),
        "packages": versions(PACKAGES),
        "host": socket.gethostname(),
        "command": without_secrets(sys.argv),
    }


def without_secrets(command: Sequence[str]) -> list[str]:
    """A command line as it may be kept: passwords in URLs and values of what is called one are left out."""
    shown: list[str] = []
    for word in command:
        if shown and SECRET_OPTION.fullmatch(shown[-1]):
            shown.append("***")
        else:
            shown.append(SECRET_VALUE.sub(r"\1***", URL_PASSWORD.sub(r"\1***@", word)))
    return shown


def commit(checkout: Path) -> str | None:
    """The commit that a checkout stands at, read from its files; None where there is no checkout."""
    git = checkout / ".git"
    try:
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        reference = git / head.removeprefix("ref: ")
        if reference.exists():
            return reference.read_text().strip()
        packed = (git / "packed-refs").read_text().splitlines()
        return next((line.split()[0] for line in packed if line.endswith(head.removeprefix("ref: "))), None)
    except OSError:
        return None

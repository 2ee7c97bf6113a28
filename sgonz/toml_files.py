"""Read a TOML file that a person wrote, a sweep or a profile: what is wrong with it is told with its place."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from sgonz.errors import SpecError


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as a table; SpecError names the line where it is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise SpecError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise SpecError(f"{path} is a folder", hint="Give a TOML file.") from None
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{path}: not valid TOML: {error}") from None
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from None

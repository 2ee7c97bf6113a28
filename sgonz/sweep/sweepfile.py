"""Read a sweep file: what it extends, what --set changes, and paths made absolute where they are written."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w

from sgonz.errors import SpecError
from sgonz.resources import shipped
from sgonz.toml_files import read_toml

PATH_KEYS = ("path", "tokenizer", "data_dir")


def find(name: str) -> Path:
    """The sweep file that a user means: a path, or the name of one in jobs/ or among those that ship."""
    for candidate in (Path(name), Path("jobs") / f"{name}.toml", shipped("jobs") / f"{name}.toml"):
        if candidate.is_file():
            return candidate
    beside = Path(f"{name}.toml")
    if beside.is_file():
        raise SpecError(
            f"there is no sweep {name} in jobs/", hint=f"The file here is given by its path: {beside}."
        )
    nearby = _named(Path("jobs"), shipped("jobs"))
    what = (
        f"{name} is a folder, not a sweep file" if Path(name).is_dir() else f"there is no sweep file {name}"
    )
    raise SpecError(what, hint=f"Give a path, or one of: {nearby}.")


def _named(*folders: Path) -> str:
    return ", ".join(sorted({path.stem for folder in folders for path in folder.glob("*.toml")}))


def load(path: Path, changes: Sequence[str] = ()) -> dict[str, Any]:
    """The merged table of a sweep file: its bases first, then itself, then --set KEY=VALUE."""
    merged = _merged(path, ())
    for change in changes:
        _apply(merged, change)
    return merged


def dump(table: Mapping[str, Any]) -> str:
    """The merged table as TOML text."""
    return tomli_w.dumps(table)


def _merged(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    path = path.resolve()
    if path in above:
        chain = " -> ".join(str(link) for link in (*above, path))
        raise SpecError(f"{path}: extends itself: {chain}")
    table = read_toml(path)
    bases = table.pop("extends", [])
    bases = [bases] if isinstance(bases, str) else bases
    if not isinstance(bases, list) or not all(isinstance(base, str) for base in bases):
        raise SpecError(f"{path}: extends: expected a file or a list of files")
    merged: dict[str, Any] = {}
    for base in bases:
        merged = _overlay(merged, _merged(_base(base, path), (*above, path)))
    return _overlay(merged, _anchored(table, path.parent))


def _base(named: str, path: Path) -> Path:
    """The file that a sweep file extends: meant from where it stands itself, or one that ships, by its name."""
    beside = path.parent / Path(named).expanduser()
    ships = shipped("jobs") / f"{Path(named).name}.toml"
    if beside.exists():
        return beside
    if named == ships.stem and ships.is_file():
        return ships
    raise SpecError(f"{path}: extends: there is no file {beside}",
                    hint=f"Give a path from this file, or one of: {_named(shipped('jobs'))}.")  # fmt: skip


def _overlay(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are merged key by key; everything else is replaced."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _overlay(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _anchored(table: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Relative paths are meant from the file in which they stand."""
    anchored: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            value = _anchored(value, folder)
        elif key in PATH_KEYS and isinstance(value, str) and (key != "tokenizer" or value[:1] in "./~"):
            value = str((folder / Path(value).expanduser()).resolve())
        anchored[key] = value
    return anchored


def _apply(table: dict[str, Any], change: str) -> None:
    """Set one dotted key; the value is TOML, or plain text where it is not."""
    key, equals, text = change.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise SpecError(f"--set {change}: expected KEY=VALUE", hint="Example: --set finetune.grid.epochs=[2]")
    try:
        value = tomllib.loads(f"value = {text.strip()}")["value"]
    except tomllib.TOMLDecodeError as error:
        value = text.strip()
        if value[:1] in ("[", "{", '"', "'"):  # begun as TOML, and not finished as such
            raise SpecError(f"--set {change}: the value is not TOML ({error})",
                            hint="In a shell, put the whole of KEY=VALUE into quotes.") from None  # fmt: skip
    for part in parts[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise SpecError(f"--set {change}: {part} is not a table")
    table.update(_anchored({parts[-1]: value}, Path.cwd()))

"""Opening text: UTF-8 with or without a byte order mark, plain or gzip, lines ended by a line feed alone."""

from __future__ import annotations

import gzip
import zlib
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from typing import BinaryIO, cast

from sgonz.errors import DataError

TO_UTF8 = "sgonz reads UTF-8; convert the file, for example with: iconv -f ISO-8859-1 -t UTF-8"


def lines(file: str) -> Iterator[tuple[int, str]]:
    """Number and text of each line, without its end.

    Only a line feed ends a line: U+2028, U+0085 and their like are text. Raises DataError for a file
    that is missing, empty, cut short or not UTF-8.
    """
    number = 0
    for number, raw in enumerate(_stream(file), 1):
        yield number, text(file, _bare(raw) if number > 1 else _bare(raw.removeprefix(BOM_UTF8)), number)
    if not number:
        raise _empty(file)


def content(file: str) -> bytes:
    """Every byte of a file, unpacked, its byte order mark taken off."""
    whole = b"".join(_stream(file)).removeprefix(BOM_UTF8)
    if not whole:
        raise _empty(file)
    return whole


def text(file: str, raw: bytes, line: int = 1) -> str:
    """The bytes as UTF-8, the first of them standing on this line."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        where = line + raw.count(b"\n", 0, error.start)
        wide = line == 1 and raw.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
        hint = TO_UTF8.replace("ISO-8859-1", "UTF-16") if wide else TO_UTF8
        raise DataError(file, where, f"byte 0x{raw[error.start]:02x} is not UTF-8 text", hint=hint) from error


def split_lines(whole: str) -> Iterator[tuple[int, str]]:
    """Number and text of each line of a text already in memory, as `lines` gives them."""
    pieces = whole.split("\n")
    if not pieces[-1]:
        pieces.pop()
    for number, piece in enumerate(pieces, 1):
        yield number, piece.removesuffix("\r")


def _stream(file: str) -> Iterator[bytes]:
    try:
        with _opened(file) as stream:
            yield from stream
    except FileNotFoundError as error:
        raise DataError(
            file, None, "there is no such file", hint="Check the path that the data set gives for this split."
        ) from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            file, None, f"is not a whole gzip file ({error})", hint="Fetch or pack it again."
        ) from error
    except OSError as error:
        raise DataError(file, None, f"cannot be read: {error.strerror or error}") from error


def _opened(file: str) -> BinaryIO:
    return cast(BinaryIO, gzip.open(file, "rb")) if file.endswith(".gz") else open(file, "rb")


def _bare(raw: bytes) -> bytes:
    return raw.removesuffix(b"\n").removesuffix(b"\r")


def _empty(file: str) -> DataError:
    return DataError(file, None, "is empty")

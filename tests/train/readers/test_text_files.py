"""Opening text files."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from sgonz.errors import DataError
from sgonz.train.readers import files


def read(path: Path) -> list[tuple[int, str]]:
    return list(files.lines(str(path)))


def test_only_a_line_feed_ends_a_line(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    odd = "uno\u2028dos\u0085tres\x0bcuatro\rcinco\x1c"
    path.write_bytes(f"{odd}\nseis".encode())
    assert read(path) == [(1, odd), (2, "seis")]
    assert list(files.split_lines(f"{odd}\nseis\n")) == [(1, odd), (2, "seis")]


def test_byte_order_mark_is_taken_off_the_start_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes("\ufeffuno\n\ufeffdos\n".encode())
    assert read(path) == [(1, "uno"), (2, "\ufeffdos")]
    assert files.content(str(path)) == "uno\n\ufeffdos\n".encode()


def test_windows_line_ends_leave_no_carriage_return(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes(b"uno\t1\r\ndos\t0\r\n")
    assert read(path) == [(1, "uno\t1"), (2, "dos\t0")]


def test_decomposed_letters_stay_decomposed(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes("cancio\u0301n\n".encode())
    assert read(path) == [(1, "cancio\u0301n")]


def test_gzip_is_known_by_its_suffix(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv.gz"
    path.write_bytes(gzip.compress("sí\n".encode()))
    assert read(path) == [(1, "sí")]


def test_cut_gzip_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv.gz"
    path.write_bytes(gzip.compress(b"uno\n" * 50)[:-9])
    with pytest.raises(DataError, match=r"a\.tsv\.gz: is not a whole gzip file"):
        read(path)


def test_plain_text_under_a_gzip_name_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv.gz"
    path.write_bytes(b"uno\n")
    with pytest.raises(DataError, match="is not a whole gzip file"):
        read(path)


def test_undecodable_byte_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes("uno\ndos\ncanción\n".encode("iso-8859-1"))
    with pytest.raises(DataError, match=r"a\.tsv:3: byte 0xf3 is not UTF-8 text\n.*iconv"):
        read(path)


def test_missing_file_is_named_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.tsv: there is no such file\nCheck the path"):
        read(tmp_path / "none.tsv")


def test_folder_instead_of_a_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read(tmp_path)


@pytest.mark.parametrize("opened", [read, lambda path: files.content(str(path))])
def test_empty_file_is_an_error(tmp_path: Path, opened) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"a\.tsv: is empty"):
        opened(path)


def test_reading_needs_no_training_library() -> None:
    heavy = ("torch", "transformers", "datasets", "numpy")
    program = f"import sys, sgonz.train.readers; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

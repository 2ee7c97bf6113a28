"""What a worker reads and writes before it needs a library is JSON like any other."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgonz import bare

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_values_come_back_as_they_went(value: object) -> None:
    written = bare.dumps(value)
    assert written == json.dumps(value, separators=(",", ":")).encode()
    assert bare.loads(written) == bare.loads(b" " + written + b"\n") == value


@given(st.text())
def test_texts_are_refused_that_json_refuses(text: str) -> None:
    try:
        expected = json.loads(text.strip())
    except ValueError:
        with pytest.raises(ValueError, match=r"."):
            bare.loads(text.encode())
    else:
        found = bare.loads(text.encode())
        assert found == expected or math.isnan(found)


def test_without_what_json_is_made_of_json_is_used() -> None:
    code = (
        "import sys; sys.modules['_json'] = None\n"
        "from sgonz import bare; assert bare.loads(b'[1]') == [1]; print(bare.dumps({'a': [1]}).decode())"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == '{"a":[1]}\n'


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "result"
    bare.write_atomic(str(path), b"first")

    def refuse(*anything: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="no space"):
        bare.write_atomic(str(path), b"second")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("result", b"first")]

"""What a sweep file comes to: its bases, itself, then --set; paths are meant from where they are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from sgonz.errors import SpecError
from sgonz.sweep.sweepfile import load


def written(folder: Path, **texts: str) -> Path:
    """Files by name; the last one's path."""
    for name, text in texts.items():
        path = folder / f"{name}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return path


def test_tables_are_merged_and_all_else_is_replaced(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        base='seeds = [1, 2]\n[finetune]\nmodels = ["a", "b"]\ngrid.epochs = [2]',
        other="[finetune]\ngrid.batch_size = [8]",
        own='extends = ["base.toml", "other.toml"]\nseeds = [3]\n[finetune]\ngrid.epochs = [4]',
    )
    merged = {"models": ["a", "b"], "grid": {"epochs": [4], "batch_size": [8]}}
    assert load(path) == {"seeds": [3], "finetune": merged}
    assert load(path, ["finetune.grid.epochs=[9]"])["finetune"]["grid"]["epochs"] == [9]


def test_paths_are_meant_from_the_file_in_which_they_stand(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    written(
        tmp_path / "below", base='data_dir = "texts"\n[models.m]\npath = "weights"\ntokenizer = "org/name"'
    )
    path = written(
        tmp_path, own='extends = "below/base.toml"\n[models.n]\npath = "weights"\ntokenizer = "./words"'
    )
    merged = load(path)
    assert merged["data_dir"] == str(tmp_path / "below" / "texts")
    assert merged["models"]["m"] == {"path": str(tmp_path / "below" / "weights"), "tokenizer": "org/name"}
    assert merged["models"]["n"] == {"path": str(tmp_path / "weights"), "tokenizer": str(tmp_path / "words")}


def test_a_sweep_that_ships_is_extended_by_its_name_unless_a_file_is_called_so(tmp_path: Path) -> None:
    path = written(tmp_path, own='extends = "demo"\nname = "mine"')
    merged = load(path)
    assert (merged["name"], merged["teacher"]) == ("mine", {"select": "validation_loss"})
    (tmp_path / "demo").write_text("threads = 3", encoding="utf-8")
    assert load(path) == {"name": "mine", "threads": 3}


@pytest.mark.parametrize("named", ["nothing", "gone.toml", "../jobs/demo"])
def test_a_base_that_is_not_there_is_named_with_the_file_that_asks_for_it(tmp_path: Path, named: str) -> None:
    path = written(tmp_path, own=f'extends = "{named}"')
    with pytest.raises(SpecError, match=rf"own\.toml: extends: there is no file .*{named}") as raised:
        load(path)
    assert "demo" in str(raised.value.hint)


def test_files_that_extend_each_other_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, one='extends = "two.toml"', two='extends = "one.toml"')
    with pytest.raises(SpecError, match=r"two\.toml: extends itself: .*two\.toml -> .*one\.toml"):
        load(path)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_bytes(b'\xef\xbb\xbfname = "x"\r\n')
    assert load(path) == {"name": "x"}

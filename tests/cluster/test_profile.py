from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from sgonz.cluster.profile import (
    AdvanceTable,
    NotifyTable,
    PartitionTable,
    Profile,
    Resource,
    lasting_name,
    load_profile,
    profile_names,
)
from sgonz.errors import SpecError


def profile_file(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text)
    return str(path)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(SpecError) as refused:
        load_profile(profile_file(folder, text))
    return str(refused.value)


def test_local_profile_ships_and_is_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    profile = load_profile("local")
    assert (profile.name, profile.scheduler, profile.slots) == ("local", "local", 2)


def test_profile_here_comes_before_one_that_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cluster_configs").mkdir()
    (tmp_path / "cluster_configs" / "local.toml").write_text('scheduler = "local"\nslots = 7\n')
    assert load_profile("local").slots == 7


def test_every_key_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", "/shared/me")
    text = """
        scheduler = "slurm"
        workdir = "$PLACE/sgonz"
        setup = ["module load cuda"]
        target_minutes = 60
        runs_per_job = 1
        requests_per_minute = 2
        [resources.a100]
        partition = ["gpu", "gpu-long"]
        gres = "gpu:a100:1"
        cpus = 8
        memory_gb = 64
        max_minutes = 1440
        sbatch = ["--reservation=course"]
        [resources.a100x2]
        gres = "gpu:a100:2"
        engine = "deepspeed"
        deepspeed = "zero2.json"
        [assign]
        default = "a100"
        albeto-xxlarge = "a100x2"
    """
    profile = load_profile(profile_file(tmp_path, text))
    assert profile.workdir == "/shared/me/sgonz"
    assert profile.resources["a100"].partition == ["gpu", "gpu-long"]
    assert profile.resource_for("albeto-xxlarge")[0] == "a100x2"
    assert profile.resource_for("beto-cased") == ("a100", profile.resources["a100"])
    assert (profile.name, profile.target_minutes, profile.database) == ("mine", 60.0, None)


def test_runs_share_a_gpu_where_a_run_is_one_process(tmp_path: Path) -> None:
    text = """
        scheduler = "slurm"
        runs_per_gpu = 3
        [resources.one]
        [resources.two]
        engine = "deepspeed"
        deepspeed = "zero2.json"
        [assign]
        default = "one"
    """
    profile = load_profile(profile_file(tmp_path, text))
    assert [profile.runs_at_once(resource) for resource in ("one", "two", None)] == [3, 1, 3]


def test_unknown_key_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    message = refusal(tmp_path, 'scheduler = "local"\nslot = 2\n')
    assert "mine.toml: slot is not a setting; did you mean slots?" in message


def test_unknown_key_of_a_resource_is_placed(tmp_path: Path) -> None:
    message = refusal(tmp_path, 'scheduler = "slurm"\n[resources.big]\nmemory = 3\n')
    assert "resources.big.memory is not a setting; did you mean memory_gb?" in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('scheduler = "local"\nslots = "two"\n', ("slots", "a whole number")),
        ('scheduler = "local"\nslots = 0\n', ("slots", ">= 1")),
        ('scheduler = "slurm"\n[resources.big]\nsbatch = ["--a", 3]\n', ("resources.big.sbatch[1]", "text")),
        ('scheduler = "pbs"\n', ("scheduler", "local, slurm")),
        ("slots = 2\n", ("scheduler is missing",)),
        ('scheduler = "local"\nname = "x"\n', ("name is not a setting",)),
        ('scheduler = "slurm"\nslots = 2\n', ("slots is for", "local")),
        ('scheduler = "slurm"\nresources = 3\n', ("resources", "a table")),
        ('scheduler = "slurm"\n[resources.a]\nengine = "deepspeed"\n', ("resources.a", "go together")),
        (
            'scheduler = "slurm"\n[resources.a100]\n[assign]\ndefault = "a10"\n',
            ("assign.default", "did you mean a100"),
        ),
        ('scheduler = "slurm"\n[resources.a]\n[resources.b]\n', ("assign.default is missing", "a, b")),
        (
            'scheduler = "slurm"\n[resources.a]\ngres = "gpu:1"\nprocesses = 2\n',
            ("resources.a: 2 processes on 1 GPU", "one GPU each"),
        ),
        ("scheduler = \n", ("not valid TOML", "line 1")),
    ],
)
def test_refusal_names_file_place_and_what_is_allowed(
    tmp_path: Path, text: str, words: tuple[str, ...]
) -> None:
    message = refusal(tmp_path, text)
    assert message.startswith(str(tmp_path / "mine.toml"))
    assert all(word in message for word in words), message


def test_missing_profile_lists_those_that_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError, match="did you mean local") as refused:
        load_profile("locale")
    assert all(name in str(refused.value) for name in profile_names())


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"absent\.toml: there is no such file"):
        load_profile(str(tmp_path / "absent.toml"))


def test_a_profile_is_found_again_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = profile_file(tmp_path, 'scheduler = "local"\n')
    monkeypatch.chdir(tmp_path)
    relative = load_profile("mine.toml")
    monkeypatch.chdir("/")
    assert load_profile(lasting_name(relative)).path == str(Path(file).absolute())
    assert lasting_name(load_profile("local")) == "local"


def test_an_advance_job_is_described_key_by_key(tmp_path: Path) -> None:
    message = refusal(tmp_path, 'scheduler = "slurm"\n[advance]\nevery_second = 3\n')
    assert "advance.every_second is not a setting; did you mean every_seconds?" in message


def test_partitions_that_are_too_short_for_a_class_are_not_asked_for() -> None:
    limits = {"short": PartitionTable(max_minutes=60)}
    profile = Profile(name="x", scheduler="slurm", partitions=limits)
    long = Resource(partition=["short", "gpu"], max_minutes=1440)
    assert profile.within_limits(long).partition == ["gpu"]
    quick = Resource(partition=["short", "gpu"], max_minutes=60)
    assert profile.within_limits(quick).partition == ["short", "gpu"]


def test_the_template_explains_every_key() -> None:
    """Each stands in it, in use or commented out."""
    text = (Path(__file__).parents[2] / "cluster_configs/template.toml").read_text()
    tables = (Profile, Resource, PartitionTable, AdvanceTable, NotifyTable)
    keys = {key for table in tables for key in table.__struct_fields__} - {"name", "path", "slots"}
    written = set(re.findall(r"^(?:# )?\[?(\w+)", text, re.MULTILINE))
    assert keys - written == set()
    assert load_profile("template").alternatives("beto-cased") == ["t4", "a100"]


def test_a_job_that_was_measured_is_short_enough_for_a_short_partition() -> None:
    profile = load_profile("template")
    asked = profile.resources["t4"]
    assert profile.within_limits(asked).partition == ["gpu"]
    measured = msgspec.structs.replace(asked, max_minutes=90)
    assert profile.within_limits(measured).partition == ["short", "gpu"]

"""The rules of the house: what every file here keeps to."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import click
import pytest

from sgonz.cli.main import sgonz
from sgonz.cluster.profile import load_profile
from sgonz.plan.spec import decode
from sgonz.sweep import sweepfile

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "sgonz").rglob("*.py"))
PAGES = sorted(path for path in ROOT.glob("*.md")) + sorted((ROOT / "db").glob("*.md"))


def commands(group: click.Group, above: str = "sgonz") -> dict[str, click.Command]:
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        path = f"{above} {name}"
        found |= commands(command, path) if isinstance(command, click.Group) else {path: command}
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_short_and_says_what_it_is_for(module: Path):
    text = module.read_text()
    assert text.count("\n") <= 400
    assert not text.strip() or text.startswith('"""')


@pytest.mark.parametrize("path", sorted(commands(sgonz)))
def test_a_command_has_help_and_stands_in_the_readme(path: str):
    command = commands(sgonz)[path]
    assert command.help
    assert f"`{path}" in (ROOT / "README.md").read_text()
    for option in command.params:
        assert isinstance(option, click.Argument) or option.help, f"{path} {option.name}"  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_in_pages_lead_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), target


@pytest.mark.parametrize("job", sorted((ROOT / "jobs").glob("*.toml")), ids=lambda path: path.name)
def test_every_sweep_that_ships_can_be_read(job: Path):
    assert decode(sweepfile.load(job), str(job)).name


@pytest.mark.parametrize(
    "profile", sorted((ROOT / "cluster_configs").glob("*.toml")), ids=lambda path: path.name
)
def test_every_profile_that_ships_can_be_read(profile: Path):
    assert load_profile(str(profile)).name == profile.stem


def test_the_changelog_starts_with_what_is_unreleased():
    assert "## Unreleased" in (ROOT / "CHANGELOG.md").read_text()


def test_every_version_is_pinned():
    pins = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    asked = re.findall(
        r'^    "([A-Za-z0-9-]+)(?:\[[a-z]+\])?>=', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )
    assert {name.lower() for name in asked} <= pins


def test_no_test_hides_behind_a_mark():
    """Skips carry a reason; nothing is expected to fail."""
    marked = subprocess.run(
        ["git", "grep", "-nE", r"xfail|skip\(\)|mark\.skip$", "--", "tests"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert [line for line in marked.stdout.splitlines() if "test_house.py" not in line] == []

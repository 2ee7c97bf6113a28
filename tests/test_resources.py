"""Shipped folders are found."""

from __future__ import annotations

import pytest

from sgonz.resources import shipped


@pytest.mark.parametrize("name", ["jobs", "cluster_configs", "db"])
def test_folder_is_there(name: str) -> None:
    assert shipped(name).is_dir()


def test_folder_that_is_not_beside_the_package_is_looked_for_inside() -> None:
    assert shipped("no-such-folder").parts[-3:] == ("sgonz", "_shipped", "no-such-folder")

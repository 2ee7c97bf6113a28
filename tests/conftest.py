"""What every test shares."""

from __future__ import annotations

import signal

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

# A shell starts what it puts in the background with Ctrl-C ignored, and what the tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Machines are shared and the first call into torch takes most of a second: a slow example is not a failing one.
# The same code is tried on the same examples, so that a change fails by what it changes and never by chance;
# to look for more: pytest --hypothesis-profile=explore.
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("sgonz", settings.get_profile("explore"), derandomize=True)
settings.load_profile("sgonz")

# What takes long begins first, so that nothing long is left over for one process at the end.
LONG = ("tests/slurm/", "tests/test_", "tests/train/", "tests/coordinator/", "tests/control/", "tests/store/")


class ByFile(LoadScopeScheduling):
    """Hands out whole files, so that what their tests share is made once, and to one process all that need Slurm."""

    def _split_scope(self, nodeid: str) -> str:
        return "tests/slurm" if nodeid.startswith("tests/slurm/") else nodeid.partition("::")[0]


@pytest.hookimpl
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile:
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        return next((place for place, start in enumerate(LONG) if item.nodeid.startswith(start)), len(LONG))

    items.sort(key=rank)

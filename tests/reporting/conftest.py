"""Reports of four stores, each made once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import stores

from sgonz import reporting
from sgonz.rundir import Workdir
from sgonz.sweep.opening import named, open_existing

STORES: dict[str, Callable[[Path], Workdir]] = {
    "published": stores.published_study, "half": stores.half_done, "bites": stores.biting, "empty": stores.empty,
}  # fmt: skip


@pytest.fixture(scope="session")
def workdirs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Workdir]:
    return {name: make(tmp_path_factory.mktemp(name)) for name, make in STORES.items()}


@pytest.fixture(scope="session")
def reports(workdirs: dict[str, Workdir]) -> dict[str, dict[str, Any]]:
    return {name: report_of(workdir) for name, workdir in workdirs.items()}


def report_of(workdir: Workdir) -> dict[str, Any]:
    with open_existing(workdir, read_only=True) as store:
        return reporting.report(reporting.read(store, named(store, None, workdir)))


@pytest.fixture(scope="session")
def pages(reports: dict[str, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The HTML pages alone, in a folder of their own: nothing lies beside them."""
    from sgonz.view.report import charts, page

    folder = tmp_path_factory.mktemp("pages")
    for name, report in reports.items():
        (folder / f"{name}.html").write_text(page.page(report, charts.charts(report)), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in reports}


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's chromium; as root it runs without its sandbox, as everywhere in containers."""
    import os
    import shutil

    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    if chromium is None and "CI" not in os.environ:
        pytest.skip("chromium is not installed: tests/system_packages.sh brings it")
    with sync_playwright() as driver:
        opened = driver.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"], timeout=180_000
        )
        yield opened
        opened.close()

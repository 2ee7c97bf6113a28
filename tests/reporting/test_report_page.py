"""The page, opened in a real browser: no errors, nothing fetched, every table and figure, hover, filter, sort, choices."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sgonz.view.report.cells import shown
from sgonz.view.report.charts import charts

Reports = dict[str, dict[str, Any]]
NAMES = ("published", "half", "bites", "empty")
PATIENCE = 300_000  # milliseconds; machines are busy


class Watched:
    """A page and what went wrong on it."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.wrong: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on(
            "console",
            lambda message: self.wrong.append(message.text) if message.type in ("error", "warning") else None,
        )
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on(
            "request",
            lambda request: (
                self.wrong.append(request.url)
                if not request.url.startswith(("file:", "data:", "blob:"))
                else None
            ),
        )

    def open(self, path: Path) -> Any:
        self.page.goto(f"file://{path}")
        self.page.wait_for_selector("html[data-drawn=yes]")
        return self.page


@pytest.fixture
def watched(browser: Any) -> Iterator[Watched]:
    page = browser.new_page(viewport={"width": 1300, "height": 900})
    found = Watched(page)
    yield found
    page.close()
    assert found.wrong == []


@pytest.mark.parametrize("name", NAMES)
def test_every_table_and_figure_is_there_and_equals_the_report(
    watched: Watched, pages: dict[str, Path], reports: Reports, name: str
) -> None:
    page = watched.open(pages[name])
    for table in reports[name]["tables"]:
        section = page.query_selector(f"#{table['name']}")
        assert section is not None, table["name"]
        if not table["rows"]:
            assert table["empty"] in section.inner_text()
            continue
        texts = page.eval_on_selector_all(
            f"#{table['name']} tbody tr",
            "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))",
        )
        assert texts == [[shown(row, column) for column in table["columns"]] for row in table["rows"]]
    for chart in charts(reports[name]):
        place = page.query_selector(f"#figure-{chart.name}")
        assert place is not None, chart.name
        marks = page.eval_on_selector_all(
            f"#figure-{chart.name} svg path, #figure-{chart.name} svg rect", "found => found.length"
        )
        assert (marks > 3) is (chart.spec is not None), chart.name
    assert page.evaluate("window.bitten") is None
    assert "49" not in page.inner_text("#summary h3")


def test_a_point_that_is_hovered_over_says_what_it_is(watched: Watched, pages: dict[str, Path]) -> None:
    page = watched.open(pages["published"])
    for name, words in (
        ("score-macs", ("Model", "Stage", "Score")),
        ("differences", ("Here", "Published", "Difference")),
        ("hours", ("Hours",)),
    ):
        mark = page.locator(
            f"#figure-{name} svg .mark-symbol.role-mark path, #figure-{name} svg .mark-rect.role-mark path"
        ).first
        mark.scroll_into_view_if_needed()
        mark.hover(force=True)
        page.wait_for_selector("#vg-tooltip-element.visible")
        told = page.inner_text("#vg-tooltip-element")
        assert all(word in told for word in words), told
        page.mouse.move(0, 0)
        page.wait_for_selector("#vg-tooltip-element:not(.visible)", state="attached")


def test_names_that_bite_are_text_in_tooltips_too(watched: Watched, pages: dict[str, Path]) -> None:
    page = watched.open(pages["bites"])
    mark = page.locator("#figure-scores svg .mark-symbol.role-mark path").first
    mark.scroll_into_view_if_needed()
    mark.hover(force=True)
    page.wait_for_selector("#vg-tooltip-element.visible")
    assert "<script>" in page.inner_text("#vg-tooltip-element")
    assert page.evaluate("window.bitten") is None


def test_rows_are_filtered_by_words_and_sorted_by_numbers(watched: Watched, pages: dict[str, Path]) -> None:
    page = watched.open(pages["published"])
    page.fill("#summary input[type=search]", "distilled base")
    shown_rows = page.eval_on_selector_all(
        "#summary tbody tr:not([hidden])", "rows => rows.map(row => row.cells[1].textContent)"
    )
    assert shown_rows == [f"ALBETO base-{depth}" for depth in (2, 4, 6, 8, 10)]
    assert page.inner_text("#summary .count") == "5 of 17 rows"
    page.fill("#summary input[type=search]", "")
    page.click("#summary th[data-name=score] button")
    scores = page.eval_on_selector_all(
        "#summary tbody tr", "rows => rows.map(row => Number(row.cells[row.cells.length - 3].textContent))"
    )
    assert scores == sorted(scores, reverse=True)
    page.click("#summary th[data-name=score] button")
    page.click("#summary th[data-name=model] button")
    models = page.eval_on_selector_all(
        "#summary tbody tr", "rows => rows.map(row => row.cells[1].textContent.toLowerCase())"
    )
    assert models == sorted(models)


def test_the_weight_of_quality_changes_who_leads(watched: Watched, pages: dict[str, Path]) -> None:
    page = watched.open(pages["published"])
    leaders = []
    for weight in ("0", "1"):
        page.eval_on_selector(
            "#figure-balance input[type=range]",
            f"slider => {{ slider.value = '{weight}'; slider.dispatchEvent(new Event('input')); }}",
        )
        page.wait_for_function(f"window.views['balance'].signal('weight') === {weight}")
        page.evaluate("window.views['balance'].runAsync().then(() => null)")
        names = page.eval_on_selector_all(
            "#figure-balance svg .role-axis-label text",
            "found => found.map(one => [one.getBoundingClientRect().top, one.textContent])",
        )
        leaders.append(min(pair for pair in names if "A" in pair[1])[1])
    assert leaders[1] == "ALBETO xxlarge"
    assert leaders[0].startswith("ALBETO tiny")


def test_a_data_set_can_be_chosen(watched: Watched, pages: dict[str, Path]) -> None:
    page = watched.open(pages["published"])
    before = page.inner_html("#figure-score-macs svg")
    page.select_option("#figure-score-macs select", "NER")
    page.wait_for_function(
        "before => document.querySelector('#figure-score-macs svg').innerHTML !== before", arg=before
    )


def test_a_legend_hides_what_was_not_chosen(watched: Watched, pages: dict[str, Path]) -> None:
    page = watched.open(pages["published"])
    entry = page.locator("#figure-scores svg .role-legend-symbol path").first
    entry.scroll_into_view_if_needed()
    entry.click(force=True)
    page.wait_for_function("""[...document.querySelectorAll('#figure-scores svg .mark-symbol.role-mark path')]
        .some(mark => Number(mark.getAttribute('opacity')) < 0.1)""")


@pytest.mark.parametrize("width", [400, 800, 1600])
def test_nothing_but_tables_and_figures_is_wider_than_the_screen(
    browser: Any, pages: dict[str, Path], width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme="dark")
    Watched(page).open(pages["published"])
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_in_the_dark_and_on_paper_text_can_be_read(browser: Any, pages: dict[str, Path]) -> None:
    page = browser.new_page(color_scheme="dark")
    Watched(page).open(pages["half"])
    ink = "getComputedStyle(document.querySelector('#figure-scores svg text')).fill"
    assert page.evaluate(ink) == "rgb(227, 232, 238)"
    page.emulate_media(media="print")
    assert page.evaluate(ink) == "rgb(0, 0, 0)"
    assert len(page.pdf()) > 20_000
    page.close()

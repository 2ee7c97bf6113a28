"""Vega through vl-convert: the script that the page carries, and SVG and PNG files of the same figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sgonz.view.report.chart import Chart

INK = "#1d232b"
PNG_SCALE = 2.0
# `currentColor` is what text around it has: light or dark, on screen or on paper, without drawing again.
CONFIG: Mapping[str, Any] = {
    "font": 'system-ui, "Segoe UI", "Liberation Sans", Arial, sans-serif',
    "view": {"stroke": None},
    "axis": {"labelColor": "currentColor", "titleColor": "currentColor", "domainColor": "currentColor", "tickColor": "currentColor",
             "gridColor": "currentColor", "gridOpacity": 0.13, "domainOpacity": 0.5, "tickOpacity": 0.5, "titleFontWeight": "normal", "labelFontSize": 11, "titleFontSize": 11.5,
             "labelFlush": False},  # pushed inwards, the outermost numbers would stand on their neighbours
    "legend": {"labelFontSize": 11.5, "titleFontSize": 11.5, "labelColor": "currentColor", "titleColor": "currentColor", "titleFontWeight": "normal",
               "symbolBaseFillColor": "currentColor", "symbolBaseStrokeColor": "currentColor"},
    "header": {"labelColor": "currentColor", "titleColor": "currentColor", "labelFontSize": 12, "labelFontWeight": 600},
    "title": {"color": "currentColor"},
    "text": {"fill": "currentColor"},
}  # fmt: skip


def library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script."""
    import vl_convert

    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def files(chart: Chart) -> dict[str, bytes]:
    """Every static file of a figure, by name: SVG to put into papers, PNG to put anywhere."""
    import vl_convert

    config = json.loads(json.dumps(CONFIG).replace("currentColor", INK)) | {
        "background": "white",
        "font": "Liberation Sans, Arial, sans-serif",
    }
    found = {}
    for name, spec in chart.statics.items():
        drawn = _still(spec)
        svg = vl_convert.vegalite_to_svg(drawn, vl_version="6.4", config=config)
        found[f"{name}.svg"] = svg.encode()
        found[f"{name}.png"] = vl_convert.svg_to_png(svg, scale=PNG_SCALE)
    return found


def _still(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The same without what only a page can show."""
    drawn: dict[str, Any] = json.loads(json.dumps(spec))
    return drawn

"""The charts of a survey, as SVG that needs no network and no script."""

from typing import Any

from speedproof.analysis.survey.document import Chart
from speedproof.report.charts import CONFIG, svg
from speedproof.report.survey.values import figure
from speedproof.report.text import one_line

_STEP = 22
_WIDTH = 480
_UPRIGHT = 200
"""Height of a chart whose bars stand."""


def chart_svg(chart: Chart) -> str:
    """One chart; empty when it has no bar of which the length is known."""
    values = [
        {"label": one_line(bar.label, 40), "value": bar.figure.value, "text": figure(bar.figure)}
        for bar in chart.bars
        if isinstance(bar.figure.value, int | float)
    ]
    return svg(_lying(values) if chart.kind == "bars" else _standing(chart, values)) if values else ""


def _lying(values: list[dict[str, Any]]) -> dict[str, Any]:
    y = {"field": "label", "type": "nominal", "sort": None, "axis": {"title": None, "labelLimit": 240}}
    x = {"field": "value", "type": "quantitative", "axis": {"title": None, "tickCount": 5}}
    words = {"type": "text", "align": "left", "dx": 4, "color": "var(--soft-ink)"}
    return _whole(
        [
            {"mark": {"type": "bar", "color": "var(--bar)"}, "encoding": {"x": x, "y": y}},
            {"mark": words, "encoding": {"x": x, "y": y, "text": {"field": "text", "type": "nominal"}}},
        ],
        values,
        height=len(values) * _STEP,
    )


def _standing(chart: Chart, values: list[dict[str, Any]]) -> dict[str, Any]:
    x = {
        "field": "label",
        "type": "nominal",
        "sort": None,
        "axis": {"title": one_line(chart.axis), "labelAngle": -40, "labelOverlap": True},
    }
    y = {"field": "value", "type": "quantitative", "axis": {"title": None, "tickCount": 5}}
    return _whole(
        [{"mark": {"type": "bar", "color": "var(--bar)"}, "encoding": {"x": x, "y": y}}], values, height=_UPRIGHT
    )


def _whole(layers: list[dict[str, Any]], values: list[dict[str, Any]], *, height: int) -> dict[str, Any]:
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": _WIDTH,
        "height": height,
        "padding": 6,
        "background": None,
        "data": {"values": values},
        "layer": layers,
        "config": CONFIG,
    }

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
_LETTER = 7
"""Width of a letter of a label, at most."""
_MANY = 31
"""Bars beyond which not each has its label and its number."""


def chart_svg(chart: Chart) -> str:
    """One chart; empty when it has no bar of which the length is known."""
    values = [
        {"label": one_line(bar.label, 40), "value": bar.figure.value, "text": figure(bar.figure)}
        for bar in chart.bars
        if isinstance(bar.figure.value, int | float)
    ]
    return svg(_lying(values) if chart.kind == "bars" else _standing(chart, values)) if values else ""


def _lying(values: list[dict[str, Any]]) -> dict[str, Any]:
    room = _LETTER * max(len(value["label"]) for value in values)
    axis = {"title": None, "labelLimit": room, "minExtent": room}
    y = {"field": "label", "type": "nominal", "sort": None, "axis": axis}
    x = {"field": "value", "type": "quantitative", "axis": {"title": None, "tickCount": 5}}
    words = {"type": "text", "align": "left", "dx": 4, "color": "var(--soft-ink)"}
    return _whole(x, y, words, values, height=len(values) * _STEP)


def _standing(chart: Chart, values: list[dict[str, Any]]) -> dict[str, Any]:
    many = len(values) > _MANY
    axis = {"title": one_line(chart.axis), "labelAngle": -40, "labelOverlap": many, "labelLimit": 240}
    x = {"field": "label", "type": "nominal", "sort": None, "axis": axis}
    unit = chart.bars[0].figure.unit
    y = {"field": "value", "type": "quantitative", "axis": {"title": unit or None, "tickCount": 5}}
    words = None if many else {"type": "text", "baseline": "bottom", "dy": -3, "color": "var(--soft-ink)"}
    return _whole(x, y, words, values, height=_UPRIGHT)


def _whole(
    x: dict[str, Any], y: dict[str, Any], words: dict[str, Any] | None, values: list[dict[str, Any]], *, height: int
) -> dict[str, Any]:
    layers = [{"mark": {"type": "bar", "color": "var(--bar)"}, "encoding": {"x": x, "y": y}}]
    if words is not None:
        layers.append({"mark": words, "encoding": {"x": x, "y": y, "text": {"field": "text", "type": "nominal"}}})
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

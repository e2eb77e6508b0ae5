"""A survey as one page that works offline."""

from markupsafe import Markup

from speedproof.analysis.survey.document import Cell, Chart, Column, Survey
from speedproof.report.html import render
from speedproof.report.survey.charts import chart_svg
from speedproof.report.survey.values import cell, is_number, parts, place, shown

FOLDED = 40
"""Tables with more lines are folded."""


def to_html(survey: Survey) -> str:
    """The page. Each figure says its measure and its attempts when pointed at."""
    return render(
        "survey.html",
        survey=survey,
        plot=_plot,
        folded=FOLDED,
        parts=parts,
        cell=_cell,
        number=is_number,
        place=place,
        conditions=conditions,
        shown=shown,
    )


def conditions(where: dict[str, object]) -> str:
    """Conditions in one phrase: run = abc, patch = empty."""
    return ", ".join(f"{name} = {value}" for name, value in where.items())


def _cell(one: Cell, column: Column) -> str:
    return cell(one, column.unit)


def _plot(chart: Chart) -> Markup:
    return Markup(chart_svg(chart))

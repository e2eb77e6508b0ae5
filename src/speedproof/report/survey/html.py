"""A survey as one page that works offline."""

import re

from markupsafe import Markup, escape

from speedproof.analysis.claims.conditions import said
from speedproof.analysis.measures import Figure
from speedproof.analysis.survey.document import Cell, Chart, Column, Sentence, Survey
from speedproof.report.html import render
from speedproof.report.survey.charts import chart_svg
from speedproof.report.survey.values import cell, is_number, parts, place
from speedproof.report.text import plural

FOLDED = 60
"""Tables with more lines are folded."""
_LINKED = 12
"""Parts of a section up to which the links to them stand open."""
_CODE = re.compile("`([^`]*)`")
_SHORT = 40
"""Characters of a text in a table that stays on one line."""


def to_html(survey: Survey) -> str:
    """The page. Each figure says its measure and its attempts when pointed at."""
    return render(
        "survey.html",
        survey=survey,
        plot=_plot,
        folded=FOLDED,
        linked=_LINKED,
        parts=_parts,
        cell=_cell,
        number=is_number,
        place=place,
        conditions=said,
        plural=plural,
        unbroken=_unbroken,
    )


def _parts(one: Sentence) -> list[tuple[str, Figure | None]]:
    """The parts of a sentence, names in backticks as code."""
    return [(words if figure else _marked(words), figure) for words, figure in parts(one)]


def _marked(words: str) -> Markup:
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(words))))


def _cell(one: Cell, column: Column) -> str:
    return cell(one, column.unit)


def _unbroken(one: Cell) -> bool:
    """Whether a text is a short name or a day, which stays on one line."""
    return isinstance(one.value, str) and len(one.value) <= _SHORT and " " not in one.value


def _plot(chart: Chart) -> Markup:
    return Markup(chart_svg(chart))

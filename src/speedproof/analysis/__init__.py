"""Questions asked of the record: one row an attempt, and what many rows say together.

Here live the row (facts, status and the declared evaluation of one attempt joined), the funnel, the success
rates, costs, failures, and the run's report as one record. Everything is read from the journal; nothing is judged
anew. Not here: how a status is derived (diagnosis), how a patch is judged (evaluation), how it looks (report).
"""

from speedproof.analysis.costs import CostLine, costs
from speedproof.analysis.detail import CallPair, Detail, detail
from speedproof.analysis.failures import FailureGroup, failures
from speedproof.analysis.funnel import RUNGS, Funnel, Rung, funnel
from speedproof.analysis.interval import Interval
from speedproof.analysis.rates import Rate, success_rates
from speedproof.analysis.row import Row, row, rows
from speedproof.analysis.run_report import RunReport, TaskLine, run_report

__all__ = [
    "RUNGS",
    "CallPair",
    "CostLine",
    "Detail",
    "FailureGroup",
    "Funnel",
    "Interval",
    "Rate",
    "Row",
    "RunReport",
    "Rung",
    "TaskLine",
    "costs",
    "detail",
    "failures",
    "funnel",
    "row",
    "rows",
    "run_report",
    "success_rates",
]

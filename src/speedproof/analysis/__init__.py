"""Questions asked of the record: one row an attempt, and what many rows say together.

Here live the row (facts, status and the declared evaluation of one attempt joined), the funnel, the success
rates, costs, failures, what a run spent call by call, and the run's report as one record. Everything is read from
the journal; nothing is judged anew. Not here: how a status is derived (diagnosis), how a patch is judged
(evaluation), how it looks (report).
"""

from speedproof.analysis.costs import CostLine, costs
from speedproof.analysis.detail import CallPair, Detail, detail
from speedproof.analysis.failures import FailureGroup, failures
from speedproof.analysis.funnel import RUNGS, Funnel, Rung, funnel
from speedproof.analysis.interval import Interval
from speedproof.analysis.parameters import ParameterLine, parameter_lines
from speedproof.analysis.rates import Rate, success_rates
from speedproof.analysis.reconciled import Reconciled
from speedproof.analysis.row import Row, row, rows
from speedproof.analysis.run_report import RunReport, TaskLine, run_report
from speedproof.analysis.spending import By, PriceList, Spending, SpendingLine, Spent, spending

__all__ = [
    "RUNGS",
    "By",
    "CallPair",
    "CostLine",
    "Detail",
    "FailureGroup",
    "Funnel",
    "Interval",
    "ParameterLine",
    "PriceList",
    "Rate",
    "Reconciled",
    "Row",
    "RunReport",
    "Rung",
    "Spending",
    "SpendingLine",
    "Spent",
    "TaskLine",
    "costs",
    "detail",
    "failures",
    "funnel",
    "parameter_lines",
    "row",
    "rows",
    "run_report",
    "spending",
    "success_rates",
]

"""A run's report as one record: what `--json` prints, and all that the other forms of the report show."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from speedproof.analysis.costs import CostLine, costs
from speedproof.analysis.failures import FailureGroup, failures
from speedproof.analysis.funnel import Funnel, funnel
from speedproof.analysis.interval import Interval
from speedproof.analysis.parameters import ParameterLine, parameter_lines
from speedproof.analysis.rates import Rate, success_rates
from speedproof.analysis.row import Row, rows
from speedproof.journal import HostFacts, Method, Record, RunStore, Setting


class TaskLine(Record):
    """What judging found out about a task itself."""

    task: str
    """Name of the task."""
    attempts: tuple[str, ...]
    """Attempts on it, controls included."""
    proven: tuple[str, ...]
    """Attempts that call a model and are proven."""
    expert: Interval | None
    """Expert against base; null when never measured."""
    noop: Interval | None
    """No-op control against base; null when never measured."""
    measured_in: str | None
    """The attempt whose evaluation holds both measurements."""
    provable: bool | None
    """Whether the expert is faster than base here, without which nothing can be proven; null when not measured."""


class RunReport(Record):
    """The whole report. Every count is a list of attempts, so that each figure can be followed."""

    format: Literal["speedproof/report/1"] = "speedproof/report/1"
    """Version of this record's schema."""
    run: str
    """Id of the run."""
    created_at: datetime
    """When the run was created, UTC."""
    speedproof: str
    """Version of Speedproof that made the run."""
    suite: str
    """Name of the suite."""
    suite_digest: str
    """Digest of the suite's content."""
    host: HostFacts
    """The machine."""
    method: Method
    """The method of judging, declared before anything ran."""
    settings: dict[str, Setting]
    """Effective settings with their sources."""
    funnel: Funnel
    """How far the attempts came."""
    rates: tuple[Rate, ...]
    """The success rates, side by side."""
    tasks: tuple[TaskLine, ...]
    """The tasks, with what their expert change achieves here."""
    failures: tuple[FailureGroup, ...]
    """What went wrong, by class."""
    costs: tuple[CostLine, ...]
    """What was spent."""
    parameters: tuple[ParameterLine, ...]
    """Model parameters that were configured or pinned: configured, asked, sent."""
    rows: tuple[Row, ...]
    """Every attempt, controls and items without attempt included."""


def run_report(run: RunStore) -> RunReport:
    """Ask all questions of one run. Raises RecordError when the run's manifest cannot be read."""
    manifest = run.manifest()
    every = rows(run)
    return RunReport(
        run=manifest.id,
        created_at=manifest.created_at,
        speedproof=manifest.speedproof,
        suite=manifest.suite,
        suite_digest=manifest.suite_digest,
        host=manifest.host,
        method=manifest.method,
        settings=manifest.settings,
        funnel=funnel(every),
        rates=tuple(success_rates(every)),
        tasks=tuple(_tasks(every)),
        failures=tuple(failures(every)),
        costs=tuple(costs(every)),
        parameters=tuple(parameter_lines(every)),
        rows=tuple(every),
    )


def _tasks(rows: Iterable[Row]) -> list[TaskLine]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.task, []).append(row)
    lines = []
    for task, members in groups.items():
        measured = max((r for r in members if r.expert), key=lambda r: r.expert.blocks if r.expert else 0, default=None)
        expert = measured.expert if measured else None
        lines.append(
            TaskLine(
                task=task,
                attempts=tuple(r.name for r in members),
                proven=tuple(r.name for r in members if r.proven and r.control is None),
                expert=expert,
                noop=measured.noop if measured else None,
                measured_in=measured.name if measured else None,
                provable=expert.decision == "faster" if expert else None,
            )
        )
    return lines

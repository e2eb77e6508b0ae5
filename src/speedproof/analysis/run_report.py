"""A run's report as one record: what `--json` prints, and all that the other forms of the report show."""

from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise
from typing import Literal

from speedproof.analysis.costs import CostLine, costs
from speedproof.analysis.failures import FailureGroup, failures
from speedproof.analysis.funnel import Funnel, funnel
from speedproof.analysis.interval import Interval
from speedproof.analysis.parameters import ParameterLine, parameter_lines
from speedproof.analysis.progress import ItemLine, LaneLine, Tally, item_lines, lane_lines, tally
from speedproof.analysis.rates import Rate, success_rates
from speedproof.analysis.row import Row
from speedproof.analysis.rows import Tried, rows, tried
from speedproof.analysis.run_log import run_log
from speedproof.journal import HostFacts, Method, Record, RunStore, Setting


class TaskLine(Record):
    """What judging found out about a task itself."""

    task: str
    """Name of the task."""
    attempts: tuple[str, ...]
    """Attempts on it, controls included; of an item that has none, its name."""
    items: int
    """Items on it that call a model."""
    proven: tuple[str, ...]
    """Last attempts of items that call a model, as far as they are proven."""
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

    format: Literal["speedproof/report/2"] = "speedproof/report/2"
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
    under_way: bool
    """Whether a process works on the run now."""
    tally: Tally
    """Where its items stand, and how many attempts were made."""
    lanes: tuple[LaneLine, ...]
    """Lanes that opened, oldest first."""
    log_unreadable: str | None
    """What of the scheduler's log cannot be read; null when everything can."""
    funnel: Funnel
    """How far the items came."""
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
    items: tuple[ItemLine, ...]
    """Every item with its attempts, controls included."""
    rows: tuple[Row, ...]
    """Every attempt, controls and items without attempt included."""

    @property
    def beside_agents(self) -> tuple[str, ...]:
        """Attempts that were measured while agents may have been at work on the machine, because somebody forced it."""
        return tuple(r.name for r in self.rows if r.machine_shared)

    @property
    def made_again(self) -> dict[str, str]:
        """Attempt → the next attempt of the same item."""
        return {earlier: later for item in self.items for earlier, later in pairwise(item.attempts)}


def run_report(run: RunStore) -> RunReport:
    """Ask all questions of one run. Raises RecordError when the run's manifest cannot be read."""
    manifest = run.manifest()
    log = run_log(run)
    every = rows(run, log)
    items = tried(every)
    lines = item_lines(manifest.items, items, log)
    return RunReport(
        run=manifest.id,
        created_at=manifest.created_at,
        speedproof=manifest.speedproof,
        suite=manifest.suite,
        suite_digest=manifest.suite_digest,
        host=manifest.host,
        method=manifest.method,
        settings=manifest.settings,
        under_way=log.under_way,
        tally=tally(lines),
        lanes=tuple(lane_lines(log, lines, every)),
        log_unreadable=log.unreadable,
        funnel=funnel(every),
        rates=tuple(success_rates(every)),
        tasks=tuple(_tasks(items)),
        failures=tuple(failures(every)),
        costs=tuple(costs(every)),
        parameters=tuple(parameter_lines(every)),
        items=tuple(lines),
        rows=tuple(every),
    )


def _tasks(items: Iterable[Tried]) -> list[TaskLine]:
    groups: dict[str, list[Tried]] = {}
    for item in items:
        groups.setdefault(item.last.task, []).append(item)
    lines = []
    for task, members in groups.items():
        every = [r for item in members for r in item.rows]
        last = [item.last for item in members if item.last.control is None]
        measured = max((r for r in every if r.expert), key=lambda r: r.expert.blocks if r.expert else 0, default=None)
        expert = measured.expert if measured else None
        lines.append(
            TaskLine(
                task=task,
                attempts=tuple(r.name for r in every),
                items=len(last),
                proven=tuple(r.name for r in last if r.proven),
                expert=expert,
                noop=measured.noop if measured else None,
                measured_in=measured.name if measured else None,
                provable=expert.decision == "faster" if expert else None,
            )
        )
    return lines

"""A run's report as one record: what `--json` prints, and all that the other forms of the report show."""

from datetime import datetime
from itertools import pairwise
from typing import Literal

from speedproof.analysis.costs import CostLine, costs
from speedproof.analysis.failures import FailureGroup, failures
from speedproof.analysis.funnel import Funnel, funnel
from speedproof.analysis.parameters import ParameterLine, parameter_lines
from speedproof.analysis.probes import probes
from speedproof.analysis.progress import ItemLine, LaneLine, Tally, item_lines, lane_lines, tally
from speedproof.analysis.qualified import qualifications
from speedproof.analysis.rates import Rate, success_rates
from speedproof.analysis.row import Row
from speedproof.analysis.rows import rows, tried
from speedproof.analysis.run_log import run_log
from speedproof.analysis.scores import Scores
from speedproof.analysis.tasks import TaskLine, task_lines
from speedproof.journal import HostFacts, Method, Record, RunStore, Setting


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
    proven_by_signature: tuple[str, ...]
    """Last attempts of items that call a model whose proof rests on a person's signature: without it, not proven."""
    flagged_by_signature: tuple[str, ...]
    """Those that would be proven, had nobody signed them as flagged."""
    tasks: tuple[TaskLine, ...]
    """The tasks, with what they can prove on the machine that judged."""
    qualifications_unreadable: str | None
    """What of the tasks' qualifications cannot be read; null when everything can."""
    scores: Scores
    """What the attempts say together."""
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
    from speedproof.analysis.scores.run_scores import scores  # NumPy takes its time; who asks for a Row need not wait

    manifest = run.manifest()
    log = run_log(run)
    unread: list[str] = []
    known = qualifications(run, unread)
    every = rows(run, log, known)
    items = tried(every)
    lines = item_lines(manifest.items, items, log)
    last = [item.last for item in items if item.last.control is None]
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
        proven_by_signature=tuple(r.name for r in last if r.proven and r.proven_by_signature),
        flagged_by_signature=tuple(r.name for r in last if r.disproven_by_signature),
        tasks=tuple(task_lines(items, known)),
        qualifications_unreadable="; ".join(unread).replace(f"{run.folder}/", "") or None,
        scores=scores(run, every),
        failures=tuple(failures(every)),
        costs=tuple(costs(every, probes(run))),
        parameters=tuple(parameter_lines(every)),
        items=tuple(lines),
        rows=tuple(every),
    )

"""What was spent: tokens by kind, dollars and hours, for the whole run, by its probes, and by agent, model and task."""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from speedproof.analysis.probes import Probe
from speedproof.analysis.row import Row
from speedproof.analysis.rows import tried
from speedproof.journal import Record, Usage
from speedproof.journal.usage import total_usage


class Cost(Record):
    """What some attempts spent. A sum says how many calls are not in it."""

    attempts: tuple[str, ...]
    """The attempts."""
    calls: int
    """Model calls of the attempts whose calls are known."""
    calls_unknown_attempts: int
    """Attempts whose calls are unknown."""
    usage: Usage
    """Tokens by kind, summed over the calls whose usage is known."""
    usage_unknown_calls: int
    """Calls whose usage is unknown and not in the sum."""
    cost_usd: float | None
    """US dollars at list prices, summed over the calls that have a price; null when none has."""
    cost_unknown_calls: int
    """Calls whose cost is unknown and not in the sum."""
    wall_s: float | None
    """Seconds the agents' processes ran, summed; null when no attempt has a time."""


By = Literal["all", "probes", "agent", "model", "task"]


class CostLine(Cost):
    """What one group of attempts spent: all of them, also those that failed and were made again."""

    by: By
    """What the group is formed by. probes: an agent and model that were probed before the run, in no attempt; these
    calls are in all too, and in no other group."""
    name: str
    """Name of the agent and model, agent, model or task; all for the run."""
    again: Cost
    """The part of it spent on attempts that were made again."""


def costs(rows: Iterable[Row], probes: Sequence[Probe] = ()) -> list[CostLine]:
    """The run as a whole, then its probes, then by agent, model and task. Controls spend nothing and are left out."""
    spent = [r for r in rows if r.control is None and r.state != "not_started"]
    again = {r.name for item in tried(spent) for r in item.again}
    keys: dict[By, Callable[[Row], str]] = {
        "agent": lambda r: r.agent,
        "model": lambda r: r.model or "none",
        "task": lambda r: r.task,
    }
    lines = [_line("all", "all", spent, again, probes)]
    lines += [
        _line("probes", lane, [], again, [probe for probe in probes if probe.lane == lane])
        for lane in dict.fromkeys(probe.lane for probe in probes)
    ]
    for by, key in keys.items():
        groups: dict[str, list[Row]] = {}
        for row in spent:
            groups.setdefault(key(row), []).append(row)
        lines += [_line(by, name, members, again) for name, members in groups.items()]
    return lines


def cost(rows: Iterable[Row]) -> Cost:
    """What these attempts spent together."""
    return Cost.model_validate(_sums(list(rows)))


def _line(by: By, name: str, rows: list[Row], again: set[str], probes: Sequence[Probe] = ()) -> CostLine:
    made_again = cost(r for r in rows if r.name in again)
    return CostLine.model_validate({"by": by, "name": name, "again": made_again, **_sums(rows, probes)})


def _sums(rows: list[Row], probes: Sequence[Probe] = ()) -> dict[str, object]:
    before = [call.outcome for probe in probes for call in probe.calls]
    of_probes = [None if o is None else o.cost_usd for o in before]
    usage, usage_unknown = total_usage(None if o is None else o.usage for o in before)
    known = [c for c in (*(r.cost_usd for r in rows), *of_probes) if c is not None]
    times = [r.wall_s for r in rows if r.wall_s is not None]
    # without a derived status nothing is known of the calls but their number
    return {
        "attempts": tuple(r.name for r in rows),
        "calls": sum(r.calls or 0 for r in rows) + len(before),
        "calls_unknown_attempts": sum(r.calls is None for r in rows),
        "usage": total_usage([*(r.usage for r in rows), usage])[0],
        "usage_unknown_calls": sum(_unknown(r.usage_unknown_calls, r.calls) for r in rows) + usage_unknown,
        "cost_usd": sum(known) if known else None,
        "cost_unknown_calls": sum(_unknown(r.cost_unknown_calls, r.calls) for r in rows) + of_probes.count(None),
        "wall_s": sum(times) if times else None,
    }


def _unknown(counted: int | None, calls: int | None) -> int:
    return counted if counted is not None else calls or 0

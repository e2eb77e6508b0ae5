"""What attempts took, and whether somebody solved their problem later."""

import math
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from speedproof.analysis.collection import Collection, Entry
from speedproof.analysis.errors.records import Lost, MadeUp
from speedproof.journal.usage import total_usage

_RULES: dict[str, Callable[[Entry], bool]] = {
    "recorded": lambda e: e.recorded is True,
    "exit_and_patch": lambda e: e.attempt.exit_and_patch,
    "confirmed": lambda e: e.attempt.confirmed,
}


def lost(entries: Sequence[Entry]) -> Lost:
    """Sums over these attempts of what is known."""
    steps, steps_unknown = _sum(e.attempt.steps for e in entries)
    wall, wall_unknown = _sum(e.attempt.wall_s for e in entries)
    cost, cost_unknown = _sum(e.cost_usd for e in entries)
    usage, usage_unknown = total_usage(e.attempt.usage for e in entries)
    return Lost(
        steps=None if steps is None else int(steps),
        steps_unknown=steps_unknown,
        wall_s=wall,
        wall_unknown=wall_unknown,
        usage=usage,
        usage_unknown=usage_unknown,
        cost_usd=cost,
        cost_unknown=cost_unknown,
    )


def _sum(values: Iterable[float | None]) -> tuple[float | None, int]:
    every = list(values)
    known = [value for value in every if value is not None and (isinstance(value, int) or math.isfinite(value))]
    return sum(known) if known else None, len(every) - len(known)


class Successes:
    """When each problem was solved last, by three rules."""

    def __init__(self, collection: Collection) -> None:
        self._last: dict[str, dict[tuple[str, ...], datetime]] = {rule: {} for rule in _RULES}
        for entry in collection.entries:
            if entry.at is None:
                continue
            for rule, holds in _RULES.items():
                if holds(entry):
                    self._last[rule][problem(entry)] = entry.at  # entries are in the order of time

    def after(self, entries: Sequence[Entry]) -> MadeUp:
        """Those of the attempts after which their problem was solved."""
        return MadeUp(**{rule: tuple(e.name for e in entries if self._followed(rule, e)) for rule in _RULES})

    def _followed(self, rule: str, entry: Entry) -> bool:
        last = self._last[rule].get(problem(entry))
        return last is not None and entry.at is not None and last > entry.at


def problem(entry: Entry) -> tuple[str, ...]:
    """What an attempt was at: the expert's commit; our own attempts, and where no commit is known, the run's item."""
    attempt = entry.attempt
    return (attempt.commit,) if attempt.commit and attempt.own is None else (attempt.run, attempt.item)

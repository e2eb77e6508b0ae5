"""Failed model calls by class: each counted once, however often the logs repeat it."""

from collections.abc import Iterable

from speedproof.analysis.collection import Entry
from speedproof.analysis.errors.example import example
from speedproof.analysis.errors.records import CallGroup
from speedproof.journal.failure import FailureClass
from speedproof.journal.foreign_parts import FailedCall


def call_groups(entries: Iterable[Entry]) -> tuple[CallGroup, ...]:
    """Groups of calls, the most frequent first."""
    found: dict[FailureClass, list[tuple[Entry, list[FailedCall]]]] = {}
    for entry in entries:
        mine: dict[FailureClass, list[FailedCall]] = {}
        for call in entry.attempt.failed_calls:
            mine.setdefault(call.failure, []).append(call)
        for failure, calls in mine.items():
            found.setdefault(failure, []).append((entry, calls))
    groups = [_group(failure, some) for failure, some in found.items()]
    return tuple(sorted(groups, key=lambda g: (-g.calls, g.failure.value)))


def _group(failure: FailureClass, found: list[tuple[Entry, list[FailedCall]]]) -> CallGroup:
    every = [call for _, calls in found for call in calls]
    first, its = found[0]
    return CallGroup(
        failure=failure,
        calls=len(every),
        mentions=sum(call.mentions for call in every),
        attempts=tuple(e.name for e, _ in found),
        ended=tuple(e.name for e, _ in found if e.failure is failure and e.attempt.run_status != "completed"),
        completed=tuple(e.name for e, _ in found if e.attempt.run_status == "completed"),
        recorded_success=tuple(e.name for e, _ in found if e.recorded),
        recorded_success_calls=sum(len(calls) for e, calls in found if e.recorded),
        example=example(first, its[0].evidence.excerpt, (its[0].evidence,)),
    )

"""What went wrong, by class: how often, an example with its evidence, and what to do next."""

from collections.abc import Iterable

from speedproof.analysis.founded import best_founded, kinds
from speedproof.analysis.row import Row
from speedproof.analysis.rows import tried
from speedproof.journal import Evidence, FailureClass, Record


class FailureGroup(Record):
    """All attempts with the same class of diagnosis."""

    failure: FailureClass
    """The class."""
    fault: str
    """The party at fault: infrastructure, model, agent or task."""
    transient: bool
    """Whether the same attempt, started again later, may well succeed."""
    next: str
    """What to do."""
    attempts: tuple[str, ...]
    """Attempts it was found in."""
    items: int
    """How many items they belong to."""
    final: tuple[str, ...]
    """Those of them that are the last of their item: no later attempt made up for it."""
    kinds: dict[str, int]
    """How often by fingerprint: the message without what differs from one occurrence to the next."""
    example: str
    """The attempt that message and evidence below are taken from."""
    message: str
    """Its message."""
    evidence: tuple[Evidence, ...]
    """Its evidence; paths are relative to that attempt's folder."""


def failures(rows: Iterable[Row]) -> list[FailureGroup]:
    """Diagnoses of attempts and of their judging, most frequent first; the best-founded one is the example."""
    every = list(rows)
    last = {item.last.name for item in tried(every)}
    found: dict[FailureClass, list[Row]] = {}
    for row in every:
        for failure in dict.fromkeys(d.failure for d in (row.diagnosis, row.judging) if d):
            found.setdefault(failure, []).append(row)
    groups = []
    for failure, members in found.items():
        pairs = [(r, d) for r in members for d in (r.diagnosis, r.judging) if d and d.failure is failure]
        row, best = best_founded(pairs)
        groups.append(
            FailureGroup(
                failure=failure,
                fault=failure.fault,
                transient=failure.info.transient,
                next=failure.info.next,
                attempts=tuple(r.name for r in members),
                items=len({r.item for r in members}),
                final=tuple(r.name for r in members if r.name in last),
                kinds=kinds(d for _, d in pairs),
                example=row.name,
                message=best.message,
                evidence=best.evidence,
            )
        )
    return sorted(groups, key=lambda g: (-len(g.attempts), g.failure.value))

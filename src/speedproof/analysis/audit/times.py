"""Rules on times that cannot be, or that nobody accounts for."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from speedproof.analysis.audit.finding import Found, Place, Unseen, facts, place
from speedproof.analysis.audit.rule import rule
from speedproof.analysis.audit.subject import Subject
from speedproof.analysis.collection import Entry

_SLACK = timedelta(seconds=60)
"""What two clocks of one machine, and the closing of files, may make of difference."""
_SLACK_PART = 0.15
"""Part of its wall time that an agent may need before and after its own record: start, imports, tear-down."""
_SLACK_S = 120.0
"""Seconds that it may need in any case."""
_OVER_PART = 0.05
"""Part by which a time limit may be overdrawn: whoever ends a process gives it time to close."""


def _own_span(entry: Entry) -> float | None:
    """Seconds of the agent's own record; null where one of its ends was worked out from the other, or is unknown."""
    attempt = entry.attempt
    if attempt.began is None or attempt.ended is None or attempt.wall_s is None:
        return None
    span = (attempt.ended - attempt.began).total_seconds()
    return None if abs(span - attempt.wall_s) < 1e-3 else span


def _places(entry: Entry) -> tuple[Place, ...]:
    attempt = entry.attempt
    own = tuple(
        place(attempt.archive, f"{attempt.folder}/{file.path}", text=f"{_utc(attempt.began)} to {_utc(attempt.ended)}")
        for file in attempt.files
        if file.kind in ("trajectory", "rollout", "events", "own")
    )
    return facts(entry, "journal.json", "timestamps.written", ".duration_s", "time_budget_minutes") + own


def _utc(moment: datetime | None) -> str:
    return "?" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"


@rule(
    "times-impossible",
    "error",
    "Times that cannot be",
    why="An order of attempts, a first success and every duration rest on these times.",
    do="Do not sort by them. Look at the clock of the machine that wrote them.",
)
def impossible(subject: Subject) -> Iterator[Found | Unseen]:
    """Ended before it began, written before it ended, in the future, or longer at work than its process lived."""
    unknown = unset = 0
    for entry in subject.entries:
        attempt = entry.attempt
        wrong = []
        if attempt.began and attempt.ended and attempt.ended < attempt.began:
            wrong.append(f"ended ({_utc(attempt.ended)}) before it began ({_utc(attempt.began)})")
        now = subject.looked_at.get(attempt.archive)
        last = max((t for t in (attempt.began, attempt.ended, attempt.written) if t), default=None)
        if now is not None and last is not None and last > now + _SLACK:
            wrong.append(f"dated {_utc(last)}, after it was read ({_utc(now)})")
        span = _own_span(entry)
        zoned = attempt.clock.offset_s is not None or span is None
        if zoned and attempt.written and attempt.ended and attempt.written < attempt.ended - _SLACK:
            wrong.append(f"recorded at {_utc(attempt.written)}, before it ended ({_utc(attempt.ended)})")
        if span is not None and attempt.wall_s is not None and span > attempt.wall_s + _SLACK.total_seconds():
            wrong.append(f"its own record spans {span:,.0f} s, and its process lived for {attempt.wall_s:,.0f} s")
        if attempt.wall_s is not None and attempt.wall_s < 0:
            wrong.append(f"ran for {attempt.wall_s:,.1f} s")
        if wrong:
            yield Found("; ".join(wrong), (entry,), _places(entry))
        unset += last is None
        unknown += not zoned
    if unset:
        yield Unseen("they have no time", unset)
    if unknown:
        yield Unseen("their own times name no zone, and none fits", unknown)


@rule(
    "time-unaccounted",
    "warning",
    "The process ran on after the agent's record ends",
    why="Its own record covers only part of the time that the process lived: it hung, or waited, and the duration says "
    "nothing of the agent.",
    do="Leave its duration out. Look at the last lines of its logs.",
)
def unaccounted(subject: Subject) -> Iterator[Found | Unseen]:
    """Wall time beyond the span of the agent's own record."""
    blind = 0
    for entry in subject.foreign:
        wall, span = entry.attempt.wall_s, _own_span(entry)
        if wall is None or span is None or span < 0:
            blind += 1
        elif wall - span > max(_SLACK_S, _SLACK_PART * wall):
            said = f"its process lived for {wall:,.0f} s, and its own record spans {span:,.0f} s of them"
            yield Found(said, (entry,), _places(entry))
    if blind:
        yield Unseen("the agent's own record tells no times", blind)


@rule(
    "wall-beyond-budget",
    "warning",
    "It ran for longer than it was given",
    why="The time limit was not enforced: attempts that got more time are compared with others that did not.",
    do="Count what it had at its limit, or leave it out. Enforce limits from outside of the agent.",
)
def beyond_budget(subject: Subject) -> Iterator[Found | Unseen]:
    """Wall time well beyond the budget."""
    blind = 0
    for entry in subject.foreign:
        wall, budget = entry.attempt.wall_s, entry.attempt.budget_s
        if wall is None or budget is None:
            blind += 1
        elif wall > budget * (1 + _OVER_PART) + _SLACK.total_seconds():
            yield Found(f"ran for {wall:,.0f} s of {budget:,.0f} s", (entry,), _places(entry))
    if blind:
        yield Unseen("no file tells both its time and its limit", blind)


RULES = (impossible, unaccounted, beyond_budget)

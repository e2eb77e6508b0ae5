"""Rules on attempts that were kept twice, or made at the same time."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from speedproof.analysis.audit.finding import Found, Place, Unseen, known, patch, place
from speedproof.analysis.audit.rule import rule
from speedproof.analysis.audit.subject import Subject, commit_of, known_name
from speedproof.analysis.collection import Entry
from speedproof.journal.foreign_parts import plain_name

_WRITTEN = "journal.json:timestamps.written"
_STATUS = "journal.json:status"
_MOST = 5
_MOST_PAIRS = 1_000
"""Pairs of runs after which no more are looked for."""

Key = tuple[str, ...]


@rule(
    "attempt-twice",
    "warning",
    "The same attempt stands there twice",
    why="Counted twice, it makes every rate more certain than it is. Speedproof counts it once; other tools do not.",
    do="Remove one of the folders, or count distinct pairs of commit and time.",
)
def twice(subject: Subject) -> Iterator[Found | Unseen]:
    """Second copies, each with the attempt that it is a copy of."""
    for copy, first in _copies(subject):
        said = f"{copy.attempt.folder} holds a second copy"
        if first is not None:
            said += f" of {first.attempt.folder}"
            if first.attempt.archive != copy.attempt.archive:
                said += f" in {first.attempt.archive}"
        both = (copy,) if first is None else (copy, first)
        places = tuple(spot for one in both for spot in (known(one, _WRITTEN) or _folder(one)))
        yield Found(f"{said}: the same commit, written at the same moment", both, places)


@rule(
    "copies-differ",
    "error",
    "Two copies of one attempt differ",
    why="The same commit at the same moment, and another outcome: one of the two was changed afterwards.",
    do="Find out which one is the original before either is counted.",
)
def differ(subject: Subject) -> Iterator[Found | Unseen]:
    """Second copies with another status, exit code or patch than the attempt that they are copies of."""
    for copy, first in _copies(subject):
        if first is None:
            continue
        pairs = {
            "status": (copy.attempt.recorded.status, first.attempt.recorded.status),
            "exit code": (copy.attempt.recorded.exit_code, first.attempt.recorded.exit_code),
            "patch": tuple(one.attempt.patch and one.attempt.patch.sha256[:12] for one in (copy, first)),
        }
        wrong = [f"{name} {mine} and {theirs}" for name, (mine, theirs) in pairs.items() if mine != theirs]
        if wrong:
            places = tuple(spot for one in (copy, first) for spot in (*known(one, _STATUS), *patch(one)))
            said = f"{copy.attempt.folder} and {first.attempt.folder} are one attempt, and differ: {'; '.join(wrong)}"
            yield Found(said, (copy, first), places or _folder(copy) + _folder(first))


def _copies(subject: Subject) -> Iterator[tuple[Entry, Entry | None]]:
    """Second copies, each with the attempt that it is a copy of, where that can be told."""
    every = (*subject.entries, *subject.collection.controls)
    by_id = {entry.attempt.id: entry for entry in every}
    by_identity = {key: entry for entry in every if (key := _identity(entry)) is not None}
    for copy in subject.collection.copies:
        yield copy, by_id.get(copy.attempt.duplicate_of or "") or by_identity.get(_identity(copy) or ())


def _identity(entry: Entry) -> Key | None:
    attempt = entry.attempt
    if attempt.own:
        return (attempt.own,)
    if attempt.commit is None or attempt.recorded.written is None:
        return None
    return (attempt.commit, repr(attempt.recorded.written))


def _folder(entry: Entry) -> tuple[Place, ...]:
    return (place(entry.attempt.archive, entry.attempt.folder, text=f"attempt {entry.name}"),)


def _task(entry: Entry) -> str | None:
    """What an attempt worked on, such that two runs at it at one time do the same work."""
    return entry.attempt.item if entry.attempt.own else commit_of(entry)


def _lane(entry: Entry) -> tuple[str | None, str | None]:
    agent, model = entry.attempt.agent, entry.attempt.model
    name = known_name(model.value, model.confidence)
    return known_name(agent.value, agent.confidence), None if name is None else plain_name(name)


def _may_be_one(one: Entry, other: Entry) -> bool:
    """Whether nothing says that two attempts are by different agents or models."""
    return all(a is None or b is None or a == b for a, b in zip(_lane(one), _lane(other), strict=True))


def _spans(subject: Subject) -> list[tuple[datetime, datetime, str, list[Entry]]]:
    """Runs with the time from the beginning of their first attempt to the end of their last, the earliest first."""
    spans = []
    for run, members in subject.collection.by_run.items():
        begins = [t for e in members if (t := e.attempt.began or e.at) is not None]
        ends = [t for e in members if (t := e.attempt.ended or e.at) is not None]
        if begins:
            spans.append((min(begins), max(ends), run, list(members)))
    return sorted(spans, key=lambda span: span[:3])


@rule(
    "concurrent-runs",
    "warning",
    "Two runs at the same items at the same time",
    why="What looks like retries is one plan run twice: nothing was learnt between them, they compete for machine and "
    "rate limits, and may share a workspace.",
    do="Do not count the second as a retry. Keep one run to a plan.",
)
def concurrent(subject: Subject) -> Iterator[Found | Unseen]:
    """Runs whose times overlap and that have commits in common, by what may be one agent and model."""
    under_way: dict[str, list[tuple[datetime, str, Entry]]] = {}
    pairs = 0
    for begin, end, run, members in _spans(subject):
        mine = {task: entry for entry in members if (task := _task(entry)) is not None}
        shared: dict[tuple[str, datetime], list[tuple[Entry, Entry]]] = {}
        for task, entry in mine.items():
            others = [each for each in under_way.get(task, ()) if each[0] > begin]
            for other_end, other, theirs in others:
                if _may_be_one(entry, theirs):
                    shared.setdefault((other, other_end), []).append((entry, theirs))
            under_way[task] = [*others, (end, run, entry)]
        for (other, other_end), both in shared.items():
            yield _overlap(run, other, min(end, other_end) - begin, both)
        pairs += len(shared)
        if pairs > _MOST_PAIRS:
            yield Unseen(f"there are more than {_MOST_PAIRS:,} such pairs of runs; the later ones were left out")
            break
    untimed = sum(entry.at is None for entry in subject.entries)
    if untimed:
        yield Unseen("nothing tells their time", untimed)


def _overlap(run: str, other: str, together: timedelta, shared: list[tuple[Entry, Entry]]) -> Found:
    minutes = together.total_seconds() / 60
    what = "the same item" if len(shared) == 1 else f"the same {len(shared)} items"
    said = f"{run} and {other} worked on {what}, {minutes:,.0f} min of it at the same time"
    concerned = tuple(entry for pair in shared for entry in pair)
    places = tuple(
        spot for pair in shared[:_MOST] for entry in pair for spot in (known(entry, _WRITTEN) or _folder(entry))
    )
    return Found(said, concerned, places)


RULES = (twice, differ, concurrent)

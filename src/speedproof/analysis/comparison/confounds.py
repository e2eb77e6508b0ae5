"""What beside the compared may make two sides differ: run, time, prompt, configuration, and their like.

What is paired decides: a thing is the same when it is so in every pair of which it is known. Without such a pair the
values of both sides are set against each other.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from speedproof.analysis.collection import DIMENSIONS, Collection, Entry
from speedproof.analysis.comparison.sides import Chosen
from speedproof.analysis.comparison.skill import left_out
from speedproof.journal import Record
from speedproof.journal.foreign_parts import Told, maker_name, plain_name

_MOST = 5
State = Literal["compared", "same", "differs", "mixed", "unknown"]


class TaskPair(Record):
    """A task that both sides tried."""

    task: str
    """The expert's commit, or the name of the task."""
    a: tuple[str, ...]
    """Attempts of A, oldest first."""
    b: tuple[str, ...]
    """Attempts of B, oldest first."""
    first_a: str | None
    """The first that says something of A's skill; null when none does."""
    first_b: str | None
    """The same of B."""


class Confound(Record):
    """Something beside what is compared that may make the sides differ."""

    name: str
    """Such as run, time, model."""
    meaning: str
    """What it is."""
    weighs: bool
    """Whether a difference keeps a conclusion from being put down to what is compared; labels do not."""
    state: State
    """compared: it is what the sides are chosen by; same: one value on both sides as far as known; differs: no value
    in common; mixed: some in common; unknown: one side tells no value. Where it is known of pairs, these decide."""
    a: dict[str, int]
    """The values of A's attempts that count, the five most frequent, with how many."""
    b: dict[str, int]
    """The same of B."""
    values_a: int
    """Different values of A."""
    values_b: int
    """Different values of B."""
    unknown_a: int
    """Attempts of A of which it is not known."""
    unknown_b: int
    """Attempts of B."""
    pairs_same: tuple[str, ...]
    """Tasks at which the first attempts of both have the same value."""
    pairs_differ: tuple[str, ...]
    """Tasks at which they have another."""
    pairs_unknown: int
    """Pairs of which it is not known."""


@dataclass(frozen=True)
class _Feature:
    meaning: str
    tell: Callable[[Entry, Collection], str | None]
    key: Callable[[str], str] = str
    """Equal for values that mean the same."""
    of_task: bool = False
    """Whether it varies with the task, so that pairs alone can tell."""
    part_of: str | None = None
    """What it belongs to: compared with it."""
    weighs: bool = True
    """Whether it can make the sides differ; a mere label cannot."""
    same: Callable[[Entry, Entry], bool | None] | None = None
    """Whether two attempts have it in common, where equal values do not say so."""


def _together(one: Entry, other: Entry) -> bool | None:
    """Whether both were at work at the same time; null when the times of one are not known."""
    spans = [_span(entry) for entry in (one, other)]
    if spans[0] is None or spans[1] is None:
        return None
    return max(spans[0][0], spans[1][0]) <= min(spans[0][1], spans[1][1])


def _span(entry: Entry) -> tuple[datetime, datetime] | None:
    end, attempt = entry.at, entry.attempt
    if end is None or (attempt.began is None and attempt.wall_s is None):
        return None
    try:
        return attempt.began or end - timedelta(seconds=attempt.wall_s or 0.0), end
    except (OverflowError, ValueError):  # it says that it ran for longer than there is a calendar, or for no number
        return None


def _seconds(value: float | None) -> str | None:
    return None if value is None else f"{value:g}"


def _evidence(told: Told) -> str | None:
    return maker_name(told.value) if told.value is not None and told.confidence in ("direct", "inferred") else None


def _dimension(name: str) -> Callable[[Entry, Collection], str | None]:
    def tell(entry: Entry, pool: Collection) -> str | None:
        value = DIMENSIONS[name][1](entry, pool)
        return None if value is None else str(value)

    return tell


FEATURES: dict[str, _Feature] = {
    "run": _Feature("the run", _dimension("run")),
    "time": _Feature(
        "the day, UTC; of a pair: whether both were at work at the same time",
        _dimension("date"),
        part_of="date",
        same=_together,
    ),
    "archive": _Feature("the archive or run it was read from", _dimension("archive"), weighs=False),
    "layout": _Feature("the harness, by the layout of its files", _dimension("layout")),
    "agent": _Feature("the agent, by evidence", lambda e, _: _evidence(e.attempt.agent), plain_name),
    "agent_version": _Feature("the agent's version", lambda e, _: e.attempt.agent.version, part_of="agent"),
    "model": _Feature("the model, by evidence", lambda e, _: _evidence(e.attempt.model), plain_name),
    "prompt_template_sha256": _Feature(
        "the prompt without what is the task's, by its digest", lambda e, _: e.attempt.prompt_template_sha256
    ),
    "prompt_sha256": _Feature(
        "the prompt, by its digest",
        lambda e, _: e.attempt.prompt_sha256,
        of_task=True,
        part_of="prompt_template_sha256",
    ),
    "config_sha256": _Feature("the configuration of the agent, by its digest", lambda e, _: e.attempt.config_sha256),
    "base": _Feature("the commit the agent started from", lambda e, _: e.attempt.pre, of_task=True),
    "repository": _Feature("the repository, by its label", _dimension("repository"), of_task=True, weighs=False),
    "task": _Feature("the name of the task", _dimension("task"), of_task=True, weighs=False),
    "budget_s": _Feature("seconds given to the agent", lambda e, _: _seconds(e.attempt.budget_s)),
}
"""What may confound a comparison; those that are dimensions by the name of the dimension."""


def confounds(a: Chosen, b: Chosen, tasks: Sequence[TaskPair], pool: Collection) -> tuple[Confound, ...]:
    """Each feature: whether it is the same on both sides, over the attempts that count."""
    entries = {entry.name: entry for side in (a, b) for entry in side.entries if left_out(entry) is None}
    compared = {name for name in a.where.keys() | b.where.keys() if a.where.get(name) != b.where.get(name)}
    return tuple(
        _confound(name, feature, (a, b), tasks, entries, pool, compared=bool({name, feature.part_of} & compared))
        for name, feature in FEATURES.items()
    )


def _confound(
    name: str,
    feature: _Feature,
    sides: tuple[Chosen, Chosen],
    tasks: Sequence[TaskPair],
    entries: Mapping[str, Entry],
    pool: Collection,
    *,
    compared: bool,
) -> Confound:
    a, b = ([feature.tell(e, pool) for e in side.entries if e.name in entries] for side in sides)
    found: dict[bool | None, list[str]] = {True: [], False: [], None: []}
    for task in tasks:
        if task.first_a is None or task.first_b is None:
            continue
        found[_same(feature, entries[task.first_a], entries[task.first_b], pool)].append(task.task)
    known_a, known_b = Counter(filter(None, a)), Counter(filter(None, b))
    return Confound(
        name=name,
        meaning=feature.meaning,
        weighs=feature.weighs,
        state="compared" if compared else _state(feature, known_a, known_b, found),
        a=dict(known_a.most_common(_MOST)),
        b=dict(known_b.most_common(_MOST)),
        values_a=len(known_a),
        values_b=len(known_b),
        unknown_a=a.count(None),
        unknown_b=b.count(None),
        pairs_same=tuple(found[True]),
        pairs_differ=tuple(found[False]),
        pairs_unknown=len(found[None]),
    )


def _same(feature: _Feature, one: Entry, other: Entry, pool: Collection) -> bool | None:
    if feature.same is not None:
        return feature.same(one, other)
    values = feature.tell(one, pool), feature.tell(other, pool)
    return None if values[0] is None or values[1] is None else feature.key(values[0]) == feature.key(values[1])


def _state(
    feature: _Feature, a: Mapping[str, int], b: Mapping[str, int], pairs: Mapping[bool | None, Sequence[str]]
) -> State:
    if pairs[True] or pairs[False]:
        return "mixed" if pairs[True] and pairs[False] else "same" if pairs[True] else "differs"
    one, other = {feature.key(value) for value in a}, {feature.key(value) for value in b}
    if feature.of_task or not one or not other:
        return "unknown"
    if not one & other:
        return "differs"
    return "same" if one == other and len(one) == 1 else "mixed"

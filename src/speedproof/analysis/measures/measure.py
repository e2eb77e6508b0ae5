"""A measure: a named function from attempts to one value, and the register of all."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from inspect import cleandoc
from typing import Literal

from speedproof.analysis.collection import Collection, Entry, Where
from speedproof.errors import InputError

Unit = Literal[
    "attempts", "runs", "commits", "patches", "calls", "steps", "bytes", "s", "h", "tokens", "USD", "%", "", "text"
]
"""What a value counts; text for words, such as a day or a sequence; empty for a plain number."""

Bounds = tuple[float, float]
"""The least and the most that a value could be, were what is not known of an attempt no more than what is known of the
others: in a count each unknown one is in or out; in a sum it adds nothing or as much as the largest; in all others it
is like the smallest or like the largest."""


@dataclass(frozen=True)
class Value:
    """What a measure gives."""

    value: float | str | None
    """The value; null when it cannot be known."""
    counted: tuple[Entry, ...] = ()
    """The attempts behind it."""
    unknown: tuple[Entry, ...] = ()
    """Attempts that would count and are not in it, since what it takes is not known of them."""
    why: str | None = None
    """Why it cannot be known."""
    bounds: Bounds | None = None
    """The least and the most it could be, were the unknown attempts like the known ones; null where it has no unknown
    ones, or nothing bounds it."""


@dataclass(frozen=True)
class Measure:
    """One named quantity."""

    name: str
    """Its name."""
    unit: Unit
    """What it counts."""
    meaning: str
    """Its definition: what is counted, and out of what."""
    of: Callable[[Collection], Value]
    """How it is computed."""
    wrong: str | None = None
    """For legacy measures: what is wrong with it."""
    area: str = ""
    """The module it stands in."""


MEASURES: dict[str, Measure] = {}
"""All measures by name, in the order of their modules."""


def measure(unit: Unit, *, wrong: str | None = None) -> Callable[[Callable[[Collection], Value]], Measure]:
    """Register a function as a measure: its name is the measure's, its docstring the definition."""

    def register(function: Callable[[Collection], Value]) -> Measure:
        meaning = " ".join(cleandoc(function.__doc__ or "").split())
        area = function.__module__.rpartition(".")[2]
        made = Measure(function.__name__, unit, meaning, _once(function), wrong, area)
        MEASURES[made.name] = made
        return made

    return register


def _once(function: Callable[[Collection], Value]) -> Callable[[Collection], Value]:
    """The same function, asked once of each collection: a report shows many figures in several places."""
    name = function.__name__

    def of(collection: Collection) -> Value:
        answers: dict[str, Value] = collection.answers
        if name not in answers:
            answers[name] = function(collection)
        return answers[name]

    return of


def measured(collection: Collection, name: str, where: Where | None = None) -> Value:
    """The value of a measure over the chosen attempts. Raises InputError for an unknown measure or dimension."""
    if name not in MEASURES:
        near = get_close_matches(name, MEASURES, n=5)
        hint = f"did you mean {', '.join(near)}?" if near else "speedproof measures lists them"
        raise InputError(f"no measure is called {name!r}", hint=hint)
    return MEASURES[name].of(collection.where(where or {}))


def count(members: Iterable[Entry], unknown: Iterable[Entry] = ()) -> Value:
    """How many."""
    found, rest = tuple(members), tuple(unknown)
    return Value(len(found), found, rest, bounds=(len(found), len(found) + len(rest)) if rest else None)


def count_where(collection: Collection, shows: Callable[[Entry], bool | None]) -> Value:
    """How many attempts show it; an answer that is null is unknown, and so is the count where all are."""
    answers = [(e, shows(e)) for e in collection.entries]
    unknown = [e for e, a in answers if a is None]
    if unknown and len(unknown) == len(answers):
        return Value(None, (), tuple(unknown), why="it is known of no attempt")
    return count([e for e, a in answers if a], unknown)


def count_groups(groups: Iterable[Iterable[Entry]], unknown: Iterable[Entry] = ()) -> Value:
    """How many groups of attempts, such as runs or commits; each unknown attempt might be another one."""
    found, rest = [tuple(members) for members in groups], tuple(unknown)
    bounds = (len(found), len(found) + len(rest)) if rest else None
    return Value(len(found), tuple(e for members in found for e in members), rest, bounds=bounds)


def share(part: Value, whole: Value) -> Value:
    """`part` of `whole`, in per cent; null when there is nothing to divide by."""
    return _divided(part, whole, 100)


def each(amount: Value, whole: Value) -> Value:
    """`amount` for each of `whole`; null when there is nothing to divide by."""
    return _divided(amount, whole, 1)


def _divided(part: Value, whole: Value, times: int) -> Value:
    if not isinstance(part.value, int | float) or not isinstance(whole.value, int | float) or not whole.value:
        return Value(None, (), part.unknown, why=part.why or "there is nothing to divide by")
    by = whole.value
    bounds = None if part.bounds is None else (times * part.bounds[0] / by, times * part.bounds[1] / by)
    return Value(times * part.value / by, whole.counted, part.unknown, bounds=bounds)


def summed(collection: Collection, amount: Callable[[Entry], float | None]) -> Value:
    """The sum of what is known; null when it is known of none."""
    return over(collection, amount, _total)


def over(
    collection: Collection, amount: Callable[[Entry], float | None], fold: Callable[[list[float]], float]
) -> Value:
    """A function of all known amounts; null when none is."""
    pairs = [(e, amount(e)) for e in collection.entries]
    known = [a for _, a in pairs if a is not None]
    unknown = tuple(e for e, a in pairs if a is None)
    if not known:
        return Value(None, (), unknown, why="it is known of no attempt" if pairs else "there is no attempt")
    found, bounds = fold(known), None
    if unknown:
        ends = (min(0, *known), max(0, *known)) if fold is _total else (min(known), max(known))
        low, high = (fold(known + [end] * len(unknown)) for end in ends)
        bounds = (min(low, found), max(high, found))
    return Value(found, tuple(e for e, a in pairs if a is not None), unknown, bounds=bounds)


def _total(amounts: list[float]) -> float:
    if all(isinstance(a, int) for a in amounts):
        return sum(amounts)
    try:
        return math.fsum(amounts)
    except (OverflowError, ValueError):  # beyond what a float holds; its plain sum is infinite, or no number
        return sum(amounts)


def the_one(collection: Collection, shows: Callable[[Entry], float | str | None]) -> Value:
    """What all attempts have in common; null when they differ."""
    pairs = [(e, shows(e)) for e in collection.entries]
    values = {value for _, value in pairs if value is not None}
    known = tuple(e for e, value in pairs if value is not None)
    unknown = tuple(e for e, value in pairs if value is None)
    if not pairs:
        return Value(None, why="there is no attempt")
    if len(values) > 1:
        return Value(None, known, unknown, why=f"{len(known)} attempts have {len(values)} different ones")
    if unknown:
        return Value(None, known, unknown, why="it is not known" + (f" of {len(unknown)} attempts" if known else ""))
    return Value(values.pop(), known)

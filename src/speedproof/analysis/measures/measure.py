"""A measure: a named function from attempts to one value, and the register of all."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from inspect import cleandoc
from typing import Literal

from speedproof.analysis.collection import Collection, Entry, Where
from speedproof.errors import InputError

Unit = Literal[
    "attempts", "runs", "commits", "patches", "calls", "steps", "bytes", "s", "tokens", "USD", "%", "", "text"
]
"""What a value counts; text for words, such as a day or a sequence; empty for a plain number."""


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
        made = Measure(function.__name__, unit, meaning, function, wrong, area)
        MEASURES[made.name] = made
        return made

    return register


def measured(collection: Collection, name: str, where: Where | None = None) -> Value:
    """The value of a measure over the chosen attempts. Raises InputError for an unknown measure or dimension."""
    if name not in MEASURES:
        near = [n for n in MEASURES if n.startswith(name[:4])]
        hint = f"did you mean {', '.join(near[:5])}?" if near else "speedproof measures lists them"
        raise InputError(f"no measure is called {name!r}", hint=hint)
    return MEASURES[name].of(collection.where(where or {}))


def count(members: Iterable[Entry], unknown: Iterable[Entry] = ()) -> Value:
    """How many."""
    found = tuple(members)
    return Value(len(found), found, tuple(unknown))


def count_where(collection: Collection, shows: Callable[[Entry], bool | None]) -> Value:
    """How many attempts show it; null is unknown."""
    answers = [(e, shows(e)) for e in collection.entries]
    return count([e for e, a in answers if a], [e for e, a in answers if a is None])


def share(part: Value, whole: Value) -> Value:
    """`part` of `whole`, in per cent; null when there is nothing to divide by."""
    if not isinstance(part.value, int | float) or not isinstance(whole.value, int | float) or not whole.value:
        return Value(None, why="there is nothing to divide by")
    return Value(100 * part.value / whole.value, whole.counted, part.unknown)


def summed(collection: Collection, amount: Callable[[Entry], float | None]) -> Value:
    """The sum of what is known; null when it is known of none."""
    return over(collection, amount, _total)


def over(
    collection: Collection, amount: Callable[[Entry], float | None], fold: Callable[[list[float]], float | None]
) -> Value:
    """A function of all known amounts; null when none is."""
    pairs = [(e, amount(e)) for e in collection.entries]
    known = [a for _, a in pairs if a is not None]
    unknown = tuple(e for e, a in pairs if a is None)
    if not known:
        return Value(None, (), unknown, why="it is known of no attempt" if pairs else "there is no attempt")
    return Value(fold(known), tuple(e for e, a in pairs if a is not None), unknown)


def _total(amounts: list[float]) -> float:
    return sum(amounts) if all(isinstance(a, int) for a in amounts) else math.fsum(amounts)


def the_one(collection: Collection, shows: Callable[[Entry], float | str | None]) -> Value:
    """What all attempts have in common; null when they differ."""
    every = collection.entries
    values = {shows(e) for e in every}
    if not every:
        return Value(None, why="there is no attempt")
    if len(values) > 1:
        return Value(None, every, why=f"{len(every)} attempts have {len(values)} different ones")
    (value,) = values
    return Value(value, every, why="it is not known" if value is None else None)

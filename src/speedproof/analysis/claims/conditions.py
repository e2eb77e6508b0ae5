"""What conditions have to do with each other: one implies another, or no attempt can meet both; and which are mistakes.

Nothing is concluded that is not certain: where two conditions cannot be compared, neither implies the other, and they
may have attempts in common.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from speedproof.analysis.collection import Where
from speedproof.analysis.collection.dimensions import BOUND, BY_BEGINNING, RANGE, Plain, known
from speedproof.errors import InputError

NAMES = frozenset(
    {"attempt", "archive", "layout", "run", "item", "task", "repository", "agent", "model", "date", *BY_BEGINNING}
)
"""Dimensions whose values are names: in YAML a name of digits only must be quoted."""
NUMBERS = frozenset({"exit_code", "patch_bytes", "wall_s", "steps", "input_tokens", "run_items", "commit_attempts"})
"""Dimensions whose values are numbers."""


@dataclass(frozen=True)
class _Span:
    """What one condition allows of one dimension."""

    low: float = -math.inf
    high: float = math.inf
    without_low: bool = False
    without_high: bool = False

    def holds(self, value: float) -> bool:
        above = value > self.low if self.without_low else value >= self.low
        below = value < self.high if self.without_high else value <= self.high
        return above and below

    def covers(self, other: "_Span") -> bool:
        low = self.low < other.low or (self.low == other.low and (other.without_low or not self.without_low))
        high = self.high > other.high or (self.high == other.high and (other.without_high or not self.without_high))
        return low and high

    def meets(self, other: "_Span") -> bool:
        low, high = max(self.low, other.low), min(self.high, other.high)
        return low < high or (low == high and self.holds(low) and other.holds(low))


_OPEN = {
    "<": lambda n: _Span(high=n, without_high=True),
    "<=": lambda n: _Span(high=n),
    ">": lambda n: _Span(low=n, without_low=True),
    ">=": lambda n: _Span(low=n),
}


def mistake(where: Where) -> str | None:
    """What is wrong with the values of conditions; null when nothing is.

    Raises InputError for a dimension that does not exist.
    """
    known(where)
    for name, wanted in where.items():
        for one in wanted if isinstance(wanted, list) else [wanted]:
            if name in NAMES and isinstance(one, bool | int | float):
                return f"{name} is a name: write {str(one)!r} in quotes, with every digit"
            if name in NUMBERS and (isinstance(one, bool) or (isinstance(one, str) and _span(one) is None)):
                return f"{name} is a number, a bound such as '>= 50', a span such as '2..9', null or 'not null'"
    return None


def given(words: Iterable[str]) -> dict[str, Plain | list[Plain]]:
    """Conditions as a command line gives them: dimension=value; the same dimension twice means one or the other.

    Raises InputError for what is none.
    """
    every: dict[str, list[Plain]] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise InputError(f"{word!r} is no condition", hint="dimension=value, such as run_items='>= 2'")
        every.setdefault(name.strip(), []).append(_read(name.strip(), value.strip()))
    found: dict[str, Plain | list[Plain]] = {
        n: values[0] if len(values) == 1 else values for n, values in every.items()
    }
    if wrong := mistake(found):
        raise InputError(wrong, hint="see docs/measures.md")
    return found


def _read(name: str, value: str) -> Plain:
    if value in ("null", "true", "false"):
        return {"null": None, "true": True, "false": False}[value]
    if name in NAMES:
        return value
    try:
        return int(value)
    except ValueError:
        return float(value) if re.fullmatch(r"-?\d+\.\d+", value) else value


def holds(wanted: Plain | list[Plain], value: float) -> bool:
    """Whether a number meets a condition."""
    every = wanted if isinstance(wanted, list) else [wanted]
    spans = [_span(one) for one in every if isinstance(one, str)]
    return value in every or any(span.holds(value) for span in spans if span is not None)


def implies(narrow: Where, wide: Where) -> bool:
    """Whether every attempt that meets the one certainly meets the other."""
    return all(name in narrow and _covered(name, narrow[name], wanted) for name, wanted in wide.items())


def disjoint(one: Where, other: Where) -> bool:
    """Whether certainly no attempt meets both."""
    return any(_apart(name, one[name], other[name]) for name in one.keys() & other.keys())


def canonical(where: Where) -> tuple[tuple[str, str], ...]:
    """One spelling for equal conditions."""
    return tuple(sorted((name, _spelled(wanted)) for name, wanted in where.items()))


def said(where: Mapping[str, Plain | list[Plain]]) -> str:
    """Conditions in words."""
    if not where:
        return "all attempts"
    return ", ".join(f"{name} {_said(wanted)}" for name, wanted in where.items())


def _said(wanted: Plain | list[Plain]) -> str:
    if isinstance(wanted, list):
        return " or ".join(_said(one) for one in wanted)
    if wanted is None:
        return "unknown"
    return str(wanted).lower() if isinstance(wanted, bool) else str(wanted)


def _spelled(wanted: Plain | list[Plain]) -> str:
    every = wanted if isinstance(wanted, list) else [wanted]
    whole = (int(one) if isinstance(one, float) and one.is_integer() else one for one in every)
    return "|".join(sorted({repr(one) for one in whole}))


def _span(wanted: str) -> _Span | None:
    if wanted == "not null":
        return _Span()
    bound, ends = BOUND.fullmatch(wanted), RANGE.fullmatch(wanted)
    if bound:
        return _OPEN[bound[1]](float(bound[2])) if bound[1] in _OPEN else _Span()
    return _Span(float(ends[1]), float(ends[3]), without_high=bool(ends[2])) if ends else None


def _covered(name: str, narrow: Plain | list[Plain], wide: Plain | list[Plain]) -> bool:
    wides = wide if isinstance(wide, list) else [wide]
    return all(any(_within(name, n, w) for w in wides) for n in (narrow if isinstance(narrow, list) else [narrow]))


def _apart(name: str, one: Plain | list[Plain], other: Plain | list[Plain]) -> bool:
    others = other if isinstance(other, list) else [other]
    return all(_differ(name, a, b) for a in (one if isinstance(one, list) else [one]) for b in others)


def _same(one: Plain, other: Plain) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _within(name: str, narrow: Plain, wide: Plain) -> bool:
    if _same(narrow, wide):
        return True
    if narrow is None or wide is None:
        return False
    if wide == "not null":
        return True
    if name in BY_BEGINNING:
        return isinstance(narrow, str) and isinstance(wide, str) and narrow.startswith(wide)
    span = _span(wide) if isinstance(wide, str) and not wide.startswith("!=") else None
    if span is None or isinstance(narrow, bool):
        return False
    if isinstance(narrow, int | float):
        return span.holds(narrow)
    inner = _span(narrow) if not narrow.startswith("!=") and narrow != "not null" else None
    return inner is not None and span.covers(inner)


def _differ(name: str, one: Plain, other: Plain) -> bool:
    if _same(one, other):
        return False
    if one is None or other is None:
        return True
    if name in BY_BEGINNING and isinstance(one, str) and isinstance(other, str):
        return not one.startswith(other) and not other.startswith(one) and "not null" not in (one, other)
    spans = [_span(each) if isinstance(each, str) else None for each in (one, other)]
    if spans[0] is None and spans[1] is None:
        return True
    exact = [each if isinstance(each, int | float) else None for each in (one, other)]
    if spans[0] is not None and spans[1] is not None:
        return not spans[0].meets(spans[1])
    span, value = (spans[0], exact[1]) if spans[0] is not None else (spans[1], exact[0])
    return span is not None and value is not None and not span.holds(value)

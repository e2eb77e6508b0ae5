"""Which attempts say something of skill, by which rule they succeeded, and how many did.

An expired login is no evidence on an agent. The rule is the one of own runs (analysis/rates): it never looks at
whether the attempt succeeded.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from speedproof.analysis.collection import Entry
from speedproof.analysis.rates import RULES as MEANINGS
from speedproof.analysis.rates import wilson
from speedproof.journal import FailureClass, Record

Rule = Literal["recorded", "exit_and_patch", "strict", "confirmed", "proven"]


class Estimate(Record):
    """A figure with its 95 % interval."""

    value: float
    """The estimate."""
    low: float | None = None
    """Lower end; null when it is not bounded, or the data cannot bound it."""
    high: float | None = None
    """Upper end; null likewise."""


class Proportion(Record):
    """How many attempts satisfy a rule."""

    reached: tuple[str, ...]
    """Attempts that do."""
    known: int
    """Attempts of which it is known: the denominator."""
    unknown: int
    """Attempts of which it is not known."""
    rate: Estimate | None
    """Share, with Wilson's interval (attempts taken as independent); null when nothing is known."""


RULES: dict[Rule, Callable[[Entry], bool | None]] = {
    "recorded": lambda e: e.recorded,
    "exit_and_patch": lambda e: e.attempt.exit_and_patch,
    "strict": lambda e: e.attempt.strict,
    "confirmed": lambda e: e.attempt.confirmed,
    "proven": lambda e: e.proven,
}
"""The success rules, and how an attempt shows each: yes, no or unknown."""


def meaning(rule: Rule) -> str:
    """What an attempt must show."""
    return "the archive, or the agent itself, claims success" if rule == "recorded" else MEANINGS[rule][0]


def left_out(entry: Entry, rule: Rule | None = None) -> str | None:
    """The class of what keeps this attempt from saying something of skill; null when it does.

    An attempt that completed says something, whatever its harness made of it. A request that the provider refuses is
    one that the agent made; a judged patch counts however its process ended.
    """
    if entry.unqualified is not None:
        return "task unqualified"
    if rule == "proven" and entry.proven is not None and entry.attempt.patch_status == "present":
        return None
    failure = entry.failure
    if entry.attempt.run_status in ("cancelled", "crashed"):
        return failure.value if failure else "cut off"
    if (
        failure is None
        or entry.attempt.run_status == "completed"
        or failure.fault == "agent"
        or failure is FailureClass.BAD_REQUEST
    ):
        return None
    return failure.value


def share(reached: int, known: int) -> Estimate | None:
    """A rate with Wilson's interval; null when nothing is known."""
    if not known:
        return None
    low, high = wilson(reached, known)
    return Estimate(value=reached / known, low=low, high=high)


def proportion(entries: Sequence[Entry], rule: Rule) -> Proportion:
    """How many of these attempts satisfy a rule."""
    shown = [RULES[rule](entry) for entry in entries]
    reached = tuple(entry.name for entry, value in zip(entries, shown, strict=True) if value)
    unknown = shown.count(None)
    known = len(entries) - unknown
    return Proportion(reached=reached, known=known, unknown=unknown, rate=share(len(reached), known))

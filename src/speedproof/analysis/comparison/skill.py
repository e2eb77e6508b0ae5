"""Which attempts say something of skill, by which rule they succeeded, and at which task: what a comparison rests on.

An expired login is no evidence on an agent. The rule is the one of own runs (analysis/rates): it never looks at
whether the attempt succeeded.
"""

from collections.abc import Callable, Iterable, Sequence

from speedproof.analysis.collection import Entry
from speedproof.analysis.comparison.side_records import Estimate, Proportion, Rule
from speedproof.analysis.rates import RULES as MEANINGS
from speedproof.analysis.rates import wilson
from speedproof.journal import FailureClass

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
    if rule == "proven" and (entry.proven or entry.speedup is not None):
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


def task_of(entry: Entry) -> str | None:
    """What is paired: an own run's task by its name, else the expert's commit, else the name; null when none is known.

    A commit names one change of one repository, and labels of tasks and repositories vary at the same commit.
    """
    attempt = entry.attempt
    return attempt.task if attempt.own or attempt.commit is None else attempt.commit


def by_task(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """Task → attempts at it, in their order; those without a task are left out."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        task = task_of(entry)
        if task is not None:
            found.setdefault(task, []).append(entry)
    return found


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

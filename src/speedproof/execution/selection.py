"""Which items of a run are planned again: what is left of it, or what a few exact words choose (`--where`).

FIELD=VALUE, FIELD!=VALUE; VALUE|VALUE means either; numbers also take <, <=, >, >=. Several expressions hold together.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

from speedproof.agents.registry import agent_name
from speedproof.diagnosis import RULES
from speedproof.errors import InputError, RecordError
from speedproof.execution.history import Past, RunPast, status_of
from speedproof.execution.retrying import Retries
from speedproof.execution.schedule import State, replayed
from speedproof.journal import Evaluation, FailureClass, ItemPlan, Method
from speedproof.journal.evaluation import Correctness, Integrity
from speedproof.journal.measurement import Speed
from speedproof.journal.status import PatchStatus, RunStatus

NONE = "none"
"""The value where there is none: no attempt yet, no failure, no model, not judged."""
_EXPRESSION = re.compile(r"\s*(\w+)\s*(!=|<=|>=|=|<|>)\s*(.*?)\s*", re.DOTALL)
_ORDER: Mapping[str, Callable[[int, int], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


@dataclass(frozen=True)
class Subject:
    """One item of a run with what is known of it; the records of its last attempt are opened when they are needed."""

    item: ItemPlan
    state: State
    attempts: Sequence[Past]
    """Its attempts in this run, oldest first."""
    method: Method
    """The method that the run declared."""
    notes: list[str]
    """Where what cannot be read is told."""

    @property
    def last(self) -> Past | None:
        """The last attempt that has ended; null when there is none."""
        return next((past for past in reversed(self.attempts) if past.sealed is not None), None)

    @cached_property
    def ended(self) -> tuple[RunStatus, PatchStatus, FailureClass | None] | None:
        """How the last attempt ended, by today's rules; null when none has."""
        if self.last is None or self.last.sealed is None:
            return None
        sealed = self.last.sealed
        if sealed.rules != RULES:
            try:
                status = status_of(self.last.store)
            except (RecordError, OSError) as error:
                self.notes.append(f"{self.last.store.name}: its status is the one by {sealed.rules}: {error}")
            else:
                return status.run, status.patch, status.diagnosis.failure if status.diagnosis else None
        return sealed.run, sealed.patch, sealed.failure

    @cached_property
    def evaluation(self) -> Evaluation | None:
        """The last evaluation of the last attempt by the declared method; null when it is not judged so."""
        if self.last is None:
            return None
        try:
            found = self.last.store.evaluations()
        except (RecordError, OSError) as error:
            self.notes.append(f"{self.last.store.name}: taken as not judged: {error}")
            return None
        return next((e for e in reversed(found) if e.declared and e.method == self.method), None)

    @property
    def proven(self) -> str:
        """yes, no, or none while a patch waits for its judgement."""
        if self.evaluation is not None:
            return "yes" if self.evaluation.verdict.proven else "no"
        return NONE if self.ended is None or self.ended[1] == "applied" else "no"


def _paths() -> tuple[str, ...]:
    """Every place in the failure tree, leaves and what stands above them."""
    parts = (failure.value.split("/") for failure in FailureClass)
    return tuple(dict.fromkeys("/".join(p[:n]) for p in parts for n in range(1, len(p) + 1)))


def _above(failure: FailureClass | None) -> tuple[str, ...]:
    if failure is None:
        return (NONE,)
    parts = failure.value.split("/")
    return tuple("/".join(parts[:n]) for n in range(1, len(parts) + 1))


def _failure(subject: Subject) -> FailureClass | None:
    return None if subject.ended is None else subject.ended[2]


def _agents(item: ItemPlan) -> tuple[str, ...]:
    full = item.agent if item.control is None else f"{item.agent}:{item.control}"
    return full, item.agent, agent_name(item.agent)


_FIXED: Mapping[str, tuple[Collection[str], Callable[[Subject], tuple[str, ...]]]] = {
    "state": (get_args(State), lambda s: (s.state,)),
    "run": ((*get_args(RunStatus), NONE), lambda s: (NONE if s.ended is None else s.ended[0],)),
    "patch": ((*get_args(PatchStatus), NONE), lambda s: (NONE if s.ended is None else s.ended[1],)),
    "failure": ((*_paths(), NONE), lambda s: _above(_failure(s))),
    "fault": (("infrastructure", "model", "agent", "task", NONE), lambda s: _above(_failure(s))[:1]),
    "correctness": (
        (*get_args(Correctness), NONE),
        lambda s: (s.evaluation.verdict.correctness if s.evaluation else NONE,),
    ),
    "speed": ((*get_args(Speed), NONE), lambda s: (s.evaluation.verdict.speed if s.evaluation else NONE,)),
    "integrity": ((*get_args(Integrity), NONE), lambda s: (s.evaluation.verdict.integrity if s.evaluation else NONE,)),
    "proven": (("yes", "no", NONE), lambda s: (s.proven,)),
}
"""Fields with values of their own, and which of them an item has."""
_OWN: Mapping[str, Callable[[ItemPlan], tuple[str, ...]]] = {
    "task": lambda i: (i.task,),
    "agent": _agents,
    "model": lambda i: (i.model or NONE,),
    "lane": lambda i: (i.lane,),
}
"""Fields whose values are those of the run's items."""
_NUMBERS: Mapping[str, Callable[[Subject], int]] = {
    "sample": lambda s: s.item.sample,
    "attempts": lambda s: len(s.attempts),
}
"""Fields that are numbers."""
FIELDS = (*_FIXED, *_OWN, *_NUMBERS)

Test = Callable[[Subject], bool]


def parse_where(expression: str, items: Sequence[ItemPlan]) -> Test:
    """What an expression asks of an item of these. Raises InputError for what it does not know, naming what it does."""
    match = _EXPRESSION.fullmatch(expression)
    if match is None:
        raise _refused(expression, "it is no FIELD=VALUE", f"fields: {', '.join(FIELDS)}")
    field, operator, text = match.groups()
    values = [value.strip() for value in text.split("|")]
    if field in _NUMBERS:
        return _number_test(expression, field, operator, values)
    if field in _FIXED:
        known, read = _FIXED[field]
    elif field in _OWN:
        own = _OWN[field]
        known, read = list(dict.fromkeys(value for item in items for value in own(item))), lambda s: own(s.item)
    else:
        raise _refused(expression, f"there is no field {field!r}", f"fields: {', '.join(FIELDS)}")
    if operator not in {"=", "!="}:
        raise _refused(expression, f"{field} is no number, and takes = and != only", f"--where {field}=VALUE")
    for value in values:
        if value not in known:
            raise _refused(expression, f"{field} is never {value!r}", f"it is one of: {_listed(known)}")
    return lambda subject: any(value in values for value in read(subject)) == (operator == "=")


def _number_test(expression: str, field: str, operator: str, values: Sequence[str]) -> Test:
    if not all(value.isdecimal() and value.isascii() for value in values):
        raise _refused(expression, f"{field} is a number", f"such as {field}>=3")
    numbers, read = [int(value) for value in values], _NUMBERS[field]
    if operator in {"=", "!="}:
        return lambda subject: (read(subject) in numbers) == (operator == "=")
    if len(numbers) > 1:
        raise _refused(expression, f"{operator} takes one number", f"such as {field}{operator}{numbers[0]}")
    return lambda subject: _ORDER[operator](read(subject), numbers[0])


def _listed(values: Collection[str], most: int = 60) -> str:
    shown = list(values)[:most]
    return ", ".join(shown) + (f" … ({len(values) - most} more)" if len(values) > most else "")


def _refused(expression: str, what: str, hint: str) -> InputError:
    return InputError(f"--where {expression!r}: {what}", hint=hint)


@dataclass(frozen=True)
class Selection:
    """Items of a run that were chosen."""

    items: tuple[ItemPlan, ...]
    """As the run's manifest has them, ids unchanged, in its order."""
    notes: tuple[str, ...]
    """What could not be read of the records that had to be looked at."""


def select(past: RunPast, where: Sequence[str] = ()) -> Selection:
    """The items of a run that fit all of `where`; without any, those that are not done.

    Raises InputError for an expression that is not understood, and for items that a living process still works on;
    RecordError when the run's manifest cannot be read.
    """
    manifest = past.manifest or past.run.manifest()  # raises what was only noted
    tests = [parse_where(expression, manifest.items) for expression in where]
    alive = past.run.is_locked()
    schedule = replayed(manifest.items, Retries(), 1, past.events)  # neither number matters to where items stand
    if not alive:
        for one in schedule.items.values():
            one.running = None  # what was cut off waits
    notes: list[str] = []
    subjects = [
        Subject(one.plan, schedule.state(one), past.by_item.get(name, ()), manifest.method, notes)
        for name, one in schedule.items.items()
    ]
    chosen = [s for s in subjects if (all(test(s) for test in tests) if tests else s.state != "done")]
    busy = [s for s in chosen if s.state not in {"done", "excluded"}]
    if alive and busy:
        raise InputError(
            f"{len(busy)} of these items are still worked on: run {past.run.id} is under way",
            hint=f"`speedproof status {past.run.id}`; plan after its end, or with --where state=done",
        )
    return Selection(tuple(s.item for s in chosen), tuple(notes))

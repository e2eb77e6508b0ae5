"""The tables of what only our own attempts have: model calls as seen on the wire, and evaluations."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from speedproof.analysis.catalog.contents import Contents, Kept, Trouble
from speedproof.analysis.catalog.parts import ATTEMPT, Part
from speedproof.analysis.catalog.table import Column, SqlType, Table, fields
from speedproof.analysis.interval import Interval, interval
from speedproof.analysis.reading import attempted
from speedproof.journal import AttemptStore, Evaluation, Method, Record, Usage, Verdict
from speedproof.journal.call import CallIntent, CallOutcome
from speedproof.journal.failure import Diagnosis

T = TypeVar("T")


def _each(contents: Contents, file: str, read: Callable[[AttemptStore], T]) -> Iterator[tuple[Kept, T]]:
    """What `read` finds in the folder of each of our own attempts; what is damaged is among the troubles."""
    for kept in contents.attempts:
        if kept.store is None:
            continue
        errors: list[str] = []
        found = attempted(lambda store=kept.store: read(store), errors)  # type: ignore[misc]
        archive, folder = kept.entry.attempt.archive, kept.entry.attempt.folder
        contents.troubles += (Trouble(archive, f"{folder}/{file}", "damaged", error) for error in errors)
        if found is not None:
            yield kept, found


@dataclass(frozen=True)
class Judged:
    """One evaluation of an attempt."""

    evaluation: Evaluation
    counts: bool
    speedup: Interval | None
    expert: Interval | None


def _evaluations(contents: Contents) -> Iterator[Part[Judged]]:
    for kept, evaluations in _each(contents, "evaluations", lambda store: store.evaluations()):
        declared = [e.digest for e in evaluations if e.declared]
        for number, e in enumerate(evaluations, 1):
            speedup, expert = interval(e.measurement, e.arm), interval(e.measurement, "expert")
            counts = bool(declared) and e.digest == declared[-1]
            yield Part(kept.entry.name, number, Judged(e, counts, speedup, expert))


@dataclass(frozen=True)
class Called:
    """One model call: what was asked, and what came back, as far as it did."""

    intent: CallIntent
    outcome: CallOutcome | None


def _calls(contents: Contents) -> Iterator[Part[Called]]:
    for kept, (records, damaged) in _each(contents, "calls.jsonl", lambda store: store.calls()):
        archive, folder = kept.entry.attempt.archive, kept.entry.attempt.folder
        for bad in damaged:
            why = f"line {bad.line} is {'torn' if bad.torn else 'damaged'}"
            contents.troubles.append(Trouble(archive, f"{folder}/calls.jsonl", "damaged", why))
        outcomes = {record.call: record for _, record in records if isinstance(record, CallOutcome)}
        for _, record in records:
            if isinstance(record, CallIntent):
                yield Part(kept.entry.name, record.call, Called(record, outcomes.get(record.call)))


def _meaning(model: type[Record], name: str) -> str:
    return " ".join((model.model_fields[name].description or "").split())


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _of_call(called: Part[Called]) -> CallIntent:
    return called.of.intent


def _of_outcome(called: Part[Called]) -> CallOutcome | None:
    return called.of.outcome


CALLS = Table[Part[Called]](
    "calls",
    "Model calls of our own attempts as seen on the wire, side routes included.",
    (
        ATTEMPT,
        *fields(CallIntent, _of_call, without=("kind", "at")),
        Column("asked_at", SqlType.TIME, _meaning(CallIntent, "at"), lambda p: p.of.intent.at),
        Column("asked", SqlType.TEXT, _meaning(CallIntent, "asked"), lambda p: _json(p.of.intent.asked)),
        Column("sent", SqlType.TEXT, _meaning(CallIntent, "sent"), lambda p: _json(p.of.intent.sent)),
        Column(
            "answered_at",
            SqlType.TIME,
            _meaning(CallOutcome, "at"),
            lambda p: p.of.outcome.at if p.of.outcome else None,
        ),
        *fields(CallOutcome, _of_outcome, without=("kind", "call", "at")),
        *fields(Usage, lambda p: p.of.outcome.usage if p.of.outcome else None, "usage_"),
    ),
    _calls,
)

EVALUATIONS = Table[Part[Judged]](
    "evaluations",
    "Judgements of our own attempts' patches. What a person signed is not in it: see `attempts.proven`.",
    (
        ATTEMPT,
        Column(
            "counts", SqlType.YES_NO, "Whether it is the last by the method declared beforehand.", lambda p: p.of.counts
        ),
        *fields(Evaluation, lambda p: p.of.evaluation, without=("format",)),
        *fields(Verdict, lambda p: p.of.evaluation.verdict),
        *fields(Interval, lambda p: p.of.speedup, without=("speedup",)),
        Column(
            "speedup",
            SqlType.NUMBER,
            "Patch against base, above 1 is better; null when not measured.",
            lambda p: p.of.speedup.speedup if p.of.speedup else None,
        ),
        *fields(Interval, lambda p: p.of.expert, "expert_"),
        *fields(Method, lambda p: p.of.evaluation.method, "method_"),
        *fields(Diagnosis, lambda p: p.of.evaluation.diagnosis, "diagnosis_"),
    ),
    _evaluations,
)

"""The table of attempts: every scalar field of an attempt's record in one row."""

from collections.abc import Callable

from speedproof.analysis.catalog.contents import Kept
from speedproof.analysis.catalog.table import Column, SqlType, Table, fields
from speedproof.analysis.interval import Interval
from speedproof.journal.attempt import AgentOutcome
from speedproof.journal.failure import Diagnosis
from speedproof.journal.foreign import ForeignAttempt
from speedproof.journal.foreign_parts import Clock, ForeignPatch, Legacy, Recorded, Told
from speedproof.journal.usage import Usage

_STATUS = ("run_status", "patch_status", "fingerprint", "exit_and_patch", "strict", "confirmed")
"""What is derived from an attempt as a whole: unknown while it is under way."""


def _record(kept: Kept) -> ForeignAttempt:
    return kept.entry.attempt


def _ended(kept: Kept) -> ForeignAttempt | None:
    return None if kept.apart == "under way" else kept.entry.attempt


def diagnosis(kept: Kept) -> Diagnosis | None:
    """Why it did not complete; null while it is under way."""
    ended = _ended(kept)
    return None if ended is None else ended.diagnosis


def _told(name: str, of: Callable[[Kept], Told]) -> tuple[Column[Kept], ...]:
    value = " ".join((ForeignAttempt.model_fields[name].description or "").split())
    return (
        Column(name, SqlType.TEXT, value, lambda kept: of(kept).value),
        *fields(Told, of, f"{name}_", without=("value",)),
    )


ATTEMPTS = Table[Kept](
    "attempts",
    "Every attempt of every run and archive, one row each, whoever made it. Rates and sums are of those that are "
    "`counted`. Null is unknown.",
    (
        Column("attempt", SqlType.TEXT, "Its name: run/item, or archive/folder; unique.", lambda k: k.entry.name),
        Column(
            "counted",
            SqlType.YES_NO,
            "Whether it counts. Not: second copies, controls, attempts under way.",
            lambda k: k.apart is None,
        ),
        Column(
            "apart",
            SqlType.TEXT,
            "Why it is counted nowhere: copy, control, under way; null when it counts.",
            lambda k: k.apart,
        ),
        Column(
            "concluded",
            SqlType.TIME,
            "When it was concluded; when it began where no more is known.",
            lambda k: k.entry.at,
        ),
        *_told("agent", lambda k: _record(k).agent),
        *_told("model", lambda k: _record(k).model),
        *fields(ForeignAttempt, _record, without=("format", *_STATUS)),
        *fields(ForeignAttempt, _ended, only=_STATUS),
        *fields(Recorded, lambda k: _record(k).recorded, "recorded_"),
        *fields(Diagnosis, diagnosis, "diagnosis_"),
        *fields(AgentOutcome, lambda k: _record(k).outcome, "outcome_"),
        *fields(ForeignPatch, lambda k: _record(k).patch, "patch_"),
        *fields(Usage, lambda k: _record(k).usage, "usage_"),
        Column(
            "usage_input",
            SqlType.WHOLE,
            "Input tokens as the best source counts them: with the cached part where the provider counts so.",
            lambda k: next((each.input for each in _record(k).usages), None),
        ),
        Column(
            "usage_total",
            SqlType.WHOLE,
            "Input, cached or not, and output tokens together; null when either is unknown.",
            lambda k: _record(k).usage.total,
        ),
        Column(
            "cost_usd",
            SqlType.NUMBER,
            "US dollars at the list prices of its day; null when tokens, model, day or price are unknown, or a label "
            "alone names the model.",
            lambda k: k.entry.cost_usd,
        ),
        Column(
            "proven",
            SqlType.YES_NO,
            "Success rule: a judged patch that is correct, faster and clean; null where nobody judged it.",
            lambda k: k.entry.proven,
        ),
        Column(
            "control",
            SqlType.TEXT,
            "Which patch was applied, for attempts that call no model; null for agents.",
            lambda k: k.entry.control,
        ),
        Column(
            "unqualified",
            SqlType.TEXT,
            "Why its task can prove nothing on the machine that judged; null when it can, or nobody knows.",
            lambda k: k.entry.unqualified,
        ),
        *fields(Interval, lambda k: k.entry.speedup, "speedup_", without=("speedup",)),
        Column(
            "speedup",
            SqlType.NUMBER,
            "Patch against base, above 1 is better; null when not measured.",
            lambda k: None if k.entry.speedup is None else k.entry.speedup.speedup,
        ),
        *fields(Clock, lambda k: _record(k).clock, "clock_"),
        *fields(Legacy, lambda k: _record(k).legacy, "legacy_"),
    ),
    lambda contents: contents.attempts,
)

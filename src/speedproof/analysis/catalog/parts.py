"""The tables of what an attempt has many of: facts, tokens by source, failed calls, files, evidence, labels."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from speedproof.analysis.catalog.attempts import diagnosis
from speedproof.analysis.catalog.contents import Contents, Kept
from speedproof.analysis.catalog.table import Column, SqlType, Table, fields
from speedproof.journal.base import Evidence
from speedproof.journal.foreign_parts import FailedCall, ForeignFile, SecretSeen, ShownOfExpert, UsageSource
from speedproof.journal.usage import Usage

R = TypeVar("R")


@dataclass(frozen=True)
class Part(Generic[R]):
    """One of many things that an attempt has."""

    attempt: str
    number: int
    of: R


ATTEMPT = Column[Part[Any]]("attempt", SqlType.TEXT, "Name of the attempt.", lambda part: part.attempt)


def parts(
    name: str, meaning: str, columns: Sequence[Column[Part[R]]], of: Callable[[Kept], Iterable[R]]
) -> Table[Part[R]]:
    """A table with a row for each of the things that `of` finds in an attempt."""

    def rows(contents: Contents) -> Iterator[Part[R]]:
        for kept in contents.attempts:
            for number, each in enumerate(of(kept), 1):
                yield Part(kept.entry.name, number, each)

    return Table(name, meaning, (ATTEMPT, *columns), rows)


def _part(part: Part[R]) -> R:
    return part.of


def _with_evidence(model: type[BaseModel], *, without: Sequence[str] = ()) -> tuple[Column[Part[Any]], ...]:
    return (*fields(model, _part, without=without), *fields(Evidence, lambda part: part.of.evidence))


def _number(meaning: str) -> Column[Part[Any]]:
    return Column("number", SqlType.WHOLE, meaning, lambda part: part.number)


@dataclass(frozen=True)
class Fact:
    """One field of a journal, summary or prediction."""

    file: str | None
    path: str
    value: Any


def _facts(kept: Kept) -> Iterator[Fact]:
    files = sorted((file.path for file in kept.entry.attempt.files), key=len, reverse=True)
    for key, value in kept.entry.attempt.facts.items():
        file = next((path for path in files if key.startswith(f"{path}:")), None)
        yield Fact(file, key if file is None else key[len(file) + 1 :], value)


def _kind(value: Any) -> str:
    kinds = {bool: "yes/no", int: "number", float: "number", str: "text", list: "list", dict: "map"}
    return "null" if value is None else kinds[type(value)]


def _as_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _as_number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


@dataclass(frozen=True)
class Shown:
    """A piece of evidence, and what it shows."""

    shows: str
    evidence: Evidence


def _evidence(kept: Kept) -> Iterator[Shown]:
    why, record = diagnosis(kept), kept.entry.attempt
    told = (("agent", record.agent.evidence), ("model", record.model.evidence))
    for shows, evidence in (("diagnosis", why.evidence if why else ()), *told):
        yield from (Shown(shows, each) for each in evidence)


@dataclass(frozen=True)
class Label:
    """What a folder, journal or prediction calls the agent or the model."""

    of: str
    place: str
    label: str
    contradicted: bool


def _labels(kept: Kept) -> Iterator[Label]:
    for of, told in (("agent", kept.entry.attempt.agent), ("model", kept.entry.attempt.model)):
        for place, label in told.labels.items():
            yield Label(of, place, label, place in told.contradicted)


PARTS: tuple[Table[Any], ...] = (
    parts(
        "facts",
        "Every field of foreign journals, summaries and predictions, as it stands there.",
        (
            Column("file", SqlType.TEXT, "The file, relative to the attempt's folder.", lambda p: p.of.file),
            Column("path", SqlType.TEXT, "The field in it, such as trae.returncode.", lambda p: p.of.path),
            Column("kind", SqlType.TEXT, "text, number, yes/no, null, list or map.", lambda p: _kind(p.of.value)),
            Column(
                "value",
                SqlType.TEXT,
                "Its value: a text as it is, everything else as JSON; null for null.",
                lambda p: _as_text(p.of.value),
            ),
            Column(
                "number",
                SqlType.NUMBER,
                "The same for numbers, in double precision; null for others, and beyond its range.",
                lambda p: _as_number(p.of.value),
            ),
        ),
        _facts,
    ),
    parts(
        "usages",
        "Every source that tells tokens of an attempt: the best first.",
        (
            _number("Its rank: 1 is the best, which the attempt's own tokens are by."),
            *fields(UsageSource, _part),
            *fields(Usage, lambda p: p.of.usage),
        ),
        lambda kept: kept.entry.attempt.usages,
    ),
    parts(
        "failed_calls",
        "Model calls that failed, each once, however often a log repeats it. Those of our own attempts are in `calls`.",
        _with_evidence(FailedCall),
        lambda kept: kept.entry.attempt.failed_calls,
    ),
    parts("files", "Files of attempts.", fields(ForeignFile, _part), lambda kept: kept.entry.attempt.files),
    parts(
        "evidence",
        "Where it stands why an attempt did not finish, and who made it.",
        (
            Column("shows", SqlType.TEXT, "What it shows: diagnosis, agent or model.", lambda p: p.of.shows),
            _number("Its place among those of the attempt, from 1."),
            *fields(Evidence, lambda p: p.of.evidence),
        ),
        _evidence,
    ),
    parts(
        "labels",
        "What folders, journals and predictions call agent and model: true or not.",
        (
            Column("names", SqlType.TEXT, "What it names: agent or model.", lambda p: p.of.of),
            Column("place", SqlType.TEXT, "Where the label stands.", lambda p: p.of.place),
            Column("label", SqlType.TEXT, "What it says.", lambda p: p.of.label),
            Column(
                "contradicted",
                SqlType.YES_NO,
                "Whether the attempt's own records name another.",
                lambda p: p.of.contradicted,
            ),
        ),
        _labels,
    ),
    parts(
        "shown",
        "What of the expert's change an agent could see.",
        (
            Column("seen_in", SqlType.TEXT, "In what kind of file: prompt, log or trajectory.", lambda p: p.of.where),
            *_with_evidence(ShownOfExpert, without=("where",)),
        ),
        lambda kept: kept.entry.attempt.expert_shown,
    ),
    parts(
        "secrets",
        "Keys that stand in logs: kind and place, never the value.",
        _with_evidence(SecretSeen),
        lambda kept: kept.entry.attempt.secrets,
    ),
)
"""Tables of what an attempt has many of."""

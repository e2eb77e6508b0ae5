"""What an audit says about the record: which rule, how grave, about which attempts, and where it stands."""

from typing import Literal, NamedTuple

from speedproof.analysis.collection import Entry
from speedproof.diagnosis.facts import excerpt, sentence
from speedproof.journal.base import Evidence, Record

Severity = Literal["error", "warning", "note"]
"""error: a number built on this is wrong; warning: it may be, look; note: good to know, or not to be known."""

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""The gravest first."""

MOST_PLACES = 20
"""Places of one finding that are kept."""
_LONGEST_PATH = 1_000


class Place(Evidence):
    """A place in an archive or a run; its file is relative to the root of that."""

    archive: str
    """Id of the archive or run that the file belongs to."""
    path: str | None = None
    """JSON path in the file, such as trae.returncode; null for text, and where the line says it."""


class Finding(Record):
    """Something an audit says about the record."""

    rule: str
    """Id of the rule."""
    severity: Severity
    """How grave it is."""
    message: str
    """What was found, in a sentence or two, with figures."""
    attempts: tuple[str, ...]
    """Names of the attempts that it is about, the most concerned first; none where it is about files or settings."""
    evidence: tuple[Place, ...]
    """Where it stands, at most 20 places, the most telling first."""
    archive: str
    """Id of the archive or run that it is about."""


class Found(NamedTuple):
    """What a rule says of attempts, before it is a finding."""

    message: str
    entries: tuple[Entry, ...]
    places: tuple[Place, ...]
    archive: str = ""

    def finding(self, rule: str, severity: Severity) -> Finding:
        """The finding, made inert: no terminal codes, no keys, cut."""
        first = self.entries[0].attempt if self.entries else None
        archive = self.archive or (first.archive if first else self.places[0].archive)
        folder = () if first is None else (place(first.archive, first.folder, text=f"attempt {self.entries[0].name}"),)
        return Finding(
            rule=rule,
            severity=severity,
            message=sentence(self.message),
            attempts=tuple(entry.name for entry in self.entries),
            evidence=self.places[:MOST_PLACES] or folder,
            archive=archive,
        )


class Unseen(NamedTuple):
    """What a rule could not look at, and why."""

    why: str
    attempts: int = 0


def counted(number: float, noun: str, nouns: str | None = None) -> str:
    """A number with its noun, such as 1 call or 2 calls."""
    return f"{number:,.0f} {noun if number == 1 else nouns or noun + 's'}"


def place(archive: str, file: str, *, line: int | None = None, path: str | None = None, text: str = "") -> Place:
    """A place in an archive or run."""
    return Place(archive=archive, file=file[:_LONGEST_PATH], line=line, path=path, excerpt=excerpt(text))


def at(entry: Entry, file: str, *, line: int | None = None, path: str | None = None, text: str = "") -> Place:
    """A place in the folder of an attempt."""
    folder = entry.attempt.folder
    return place(entry.attempt.archive, f"{folder}/{file}" if folder else file, line=line, path=path, text=text)


def shown(entry: Entry, evidence: Evidence) -> Place:
    """The place of evidence that an attempt's record holds."""
    folder = f"{entry.attempt.folder}/" if entry.attempt.folder else ""
    file = f"{folder}{evidence.file}"[:_LONGEST_PATH]
    return Place(archive=entry.attempt.archive, file=file, line=evidence.line, excerpt=evidence.excerpt)


def fact(entry: Entry, key: str) -> Place:
    """The place of a fact of an attempt, such as journal.json:trae.returncode, with its value."""
    file, _, path = key.partition(":")
    return at(entry, file, path=path, text=f"{path.rpartition('.')[2]}: {entry.attempt.facts.get(key)}")


def known(entry: Entry, *keys: str) -> tuple[Place, ...]:
    """The places of those of these facts that there are."""
    return tuple(fact(entry, key) for key in keys if key in entry.attempt.facts)


def facts(entry: Entry, file: str, *ends: str) -> tuple[Place, ...]:
    """The places of those facts of a file whose path ends so."""
    found = (key for key in entry.attempt.facts if key.startswith(f"{file}:") and key.endswith(ends))
    return tuple(fact(entry, key) for key in found)


def recorded(entry: Entry, *more: str) -> tuple[Place, ...]:
    """Where the archive claims how an attempt ended, and what `more` of its journal says."""
    status = known(entry, "journal.json:status") or known(entry, "run_summary.json:agent.status")
    return status + (facts(entry, "journal.json", *more) if more else ())


def patch(entry: Entry) -> tuple[Place, ...]:
    """Where its patch is."""
    file = entry.attempt.patch
    return () if file is None else (at(entry, file.file, line=1 if file.size else None, text=f"{file.size} bytes"),)

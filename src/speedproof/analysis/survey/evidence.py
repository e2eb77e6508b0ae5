"""Failures among attempts, and the passages of files that show them."""

from collections import Counter
from collections.abc import Iterable

from speedproof.analysis.collection import Entry
from speedproof.analysis.survey.document import Quote
from speedproof.journal.base import Evidence

_PASSAGE = 400
"""Characters of a quoted passage."""
_SURE = ("direct", "inferred", "weak")


def classes(entries: Iterable[Entry]) -> list[str]:
    """Classes of the diagnoses, the most frequent first."""
    return [failure for failure, _ in Counter(e.failure.value for e in entries if e.failure).most_common()]


def quote(entry: Entry, evidence: Evidence, shows: str | None = None) -> Quote:
    """A passage of an attempt's files; `shows`: what it is quoted for."""
    folder = entry.attempt.folder.strip("/")
    file = evidence.file if folder in ("", ".") else f"{folder}/{evidence.file}"
    return Quote(attempt=entry.name, file=file, line=evidence.line, text=evidence.excerpt[:_PASSAGE], shows=shows)


def quoted(entries: Iterable[Entry], failure: str) -> tuple[Quote, ...]:
    """The best founded evidence for a failure among these attempts; nothing when none has any."""
    found = (
        (_SURE.index(d.confidence), e, d.evidence[0])
        for e in entries
        if (d := e.attempt.diagnosis) and d.evidence and d.failure.value == failure
    )
    best = min(found, key=lambda one: one[0], default=None)
    return () if best is None else (quote(*best[1:], failure),)

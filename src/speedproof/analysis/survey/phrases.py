"""Putting sentences together: words, figures, and names that come from an archive."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from speedproof.analysis.collection import Entry
from speedproof.analysis.measures import Figure
from speedproof.analysis.survey.document import Quote, Sentence

_NAME = 120
"""Characters of a name."""
_PASSAGE = 400
"""Characters of a quoted passage."""
_SURE = ("direct", "inferred", "weak")


def say(words: str, *parts: Figure | str) -> Sentence:
    """A sentence: each {} in the words is the next figure or name. A name may hold anything, braces included."""
    texts = words.split("{}")
    assert len(texts) == len(parts) + 1
    said: list[str | Figure] = [texts[0]]
    for part, text in zip(parts, texts[1:], strict=True):
        said += [name(part) if isinstance(part, str) else part, text]
    return tuple(part for part in said if part != "")


def name(text: str) -> str:
    """A name of an archive, bounded."""
    return text if len(text) <= _NAME else f"{text[: _NAME - 1]}…"


def noun(figure: Figure, one: str, several: str | None = None) -> str:
    """The word for what a figure counts, in its number."""
    return one if figure.value == 1 else several or f"{one}s"


def link(*texts: str) -> str:
    """The id of a section: lower case, with hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(texts).lower()[:_NAME]).strip("-") or "section"


def links(prefix: str, names: Iterable[str]) -> dict[str, str]:
    """Name → the id of its section, no two alike: two hyphens stand in no other."""
    taken: Counter[str] = Counter()
    found = {}
    for one in names:
        anchor = link(prefix, one)
        taken[anchor] += 1
        found[one] = anchor if taken[anchor] == 1 else f"{anchor}--{taken[anchor]}"
    return found


def joined(sentences: Sequence[Sentence], between: str = ", ") -> Sentence:
    """Several pieces as one sentence."""
    parts: list[str | Figure] = []
    for number, one in enumerate(sentences):
        parts += [between, *one] if number else one
    return tuple(parts)


def named(names: Iterable[str], most: int = 3) -> Sentence:
    """Different names, in their order; those beyond `most` only mentioned."""
    different = list(dict.fromkeys(names))
    more = (" and others",) if len(different) > most else ()
    return (*joined([say("`{}`", one) for one in different[:most]]), *more)


def classes(entries: Iterable[Entry]) -> list[str]:
    """Classes of the diagnoses, the most frequent first."""
    return [failure for failure, _ in Counter(e.failure.value for e in entries if e.failure).most_common()]


def quote(entries: Iterable[Entry], failure: str | None = None) -> Quote | None:
    """The best founded evidence for a failure among these attempts; null when none has any."""
    found = (
        e
        for e in entries
        if e.attempt.diagnosis and e.attempt.diagnosis.evidence and failure in (None, e.attempt.diagnosis.failure.value)
    )
    best = min(found, key=_founded, default=None)
    if best is None or best.attempt.diagnosis is None:
        return None
    evidence = best.attempt.diagnosis.evidence[0]
    folder = best.attempt.folder.strip("/")
    file = evidence.file if folder in ("", ".") else f"{folder}/{evidence.file}"
    return Quote(attempt=best.name, file=file, line=evidence.line, text=evidence.excerpt[:_PASSAGE])


def _founded(entry: Entry) -> int:
    diagnosis = entry.attempt.diagnosis
    return len(_SURE) if diagnosis is None else _SURE.index(diagnosis.confidence)

"""Putting sentences together: words, figures, and names that come from an archive."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from speedproof.analysis.measures import Figure
from speedproof.analysis.survey.document import Sentence

_NAME = 120
"""Characters of a name."""
_PLACES = re.compile(r"\{\}|\[([^]|]*)\|([^]|]*)\]")
"""Where a figure or a name stands, and where words agree with the figure before them."""


def say(words: str, *parts: Figure | str) -> Sentence:
    """A sentence: each {} in the words is the next figure or name; [attempt|attempts] agrees with the figure before it.

    A name may hold anything, braces and brackets included.
    """
    said: list[str | Figure] = []
    rest, one, end = iter(parts), False, 0
    for place in _PLACES.finditer(words):
        said.append(words[end : place.start()])
        end = place.end()
        if place[1] is not None:
            said.append(place[1] if one else place[2])
            continue
        part = next(rest)
        if isinstance(part, Figure):
            one = part.value == 1
        said.append(name(part) if isinstance(part, str) else part)
    said.append(words[end:])
    assert next(rest, None) is None
    return tuple(part for part in said if part != "")


def name(text: str) -> str:
    """A name of an archive, bounded."""
    return text if len(text) <= _NAME else f"{text[: _NAME - 1]}…"


def links(prefix: str, names: Iterable[str]) -> dict[str, str]:
    """Name → the id of its section, lower case with hyphens, no two alike: two hyphens stand in no other."""
    taken: Counter[str] = Counter()
    found = {}
    for one in names:
        anchor = re.sub(r"[^a-z0-9]+", "-", f"{prefix}-{one}".lower()[:_NAME]).strip("-")
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

"""Several diagnoses of one class or name: which is best founded, and how often each name is met."""

from collections import Counter
from collections.abc import Iterable
from typing import Literal, TypeVar

from speedproof.diagnosis import fingerprint
from speedproof.journal.failure import Diagnosis

Confidence = Literal["direct", "inferred", "weak"]
CONFIDENCES: tuple[Confidence, ...] = ("direct", "inferred", "weak")
"""The best first."""
_Whose = TypeVar("_Whose")


def best_founded(found: Iterable[tuple[_Whose, Diagnosis]]) -> tuple[_Whose, Diagnosis]:
    """The first of those with the greatest confidence."""
    return min(found, key=lambda pair: CONFIDENCES.index(pair[1].confidence))


def kinds(diagnoses: Iterable[Diagnosis]) -> dict[str, int]:
    """How often by fingerprint, the most frequent first."""
    return dict(Counter(fingerprint(each) for each in diagnoses).most_common())

"""What is found of a claims file: a verdict on each claim, and where claims contradict each other."""

from typing import Literal

from speedproof.analysis.collection.dimensions import Plain
from speedproof.analysis.measures.measure import Unit
from speedproof.journal import Record

Verdict = Literal["holds", "fails", "cannot be known", "not stated"]
"""not stated: the document gives no figure; ours stands beside its words."""


class Derived(Record):
    """What a measure gives over these attempts."""

    measure: str
    """Its name."""
    where: dict[str, Plain | list[Plain]]
    """Conditions that chose the attempts."""
    value: int | float | str | None
    """The value; null when it cannot be known."""
    unit: Unit
    """What it counts."""
    meaning: str
    """Its definition."""
    attempts: tuple[str, ...]
    """The attempts behind it."""
    unknown: tuple[str, ...]
    """Attempts that would count and are not in it, since what it takes is not known of them."""
    least: float | None
    """The least it could be, were the unknown attempts like the known ones; null where it has none."""
    most: float | None
    """The most."""
    why: str | None
    """Why it cannot be known."""


class Explained(Record):
    """A way to count that may have given the stated figure."""

    derived: Derived
    """What it gives."""
    wrong: str | None
    """What is wrong with it; null for a true measure of something else."""
    reproduces: bool
    """Whether that is the stated figure."""


class Checked(Record):
    """One claim with its verdict."""

    id: str
    """Its name."""
    line: int | None
    """Its line in the claims file."""
    text: str
    """What the document says."""
    stated: int | float | str | None
    """The figure or words stated."""
    tolerance: float
    """How far off it may be."""
    verdict: Verdict
    """Whether it holds."""
    why: str | None
    """Why it cannot be known."""
    derived: Derived
    """What we find."""
    explained: Explained | None
    """How the stated figure came to be, where the file names a way."""
    note: str | None
    """What the file says to it."""


class Contradiction(Record):
    """Statements of one document that cannot all be true, whatever the attempts."""

    claims: tuple[str, ...]
    """The claims."""
    sentence: str
    """Why not."""


class Checks(Record):
    """A claims file, checked."""

    format: Literal["speedproof/claims/1"] = "speedproof/claims/1"
    """Version of this record's schema."""
    speedproof: str
    """Version of Speedproof that checked it."""
    document: str
    """What makes the statements."""
    archives: tuple[str, ...]
    """Ids of the archives and runs that they were held against."""
    claims: tuple[Checked, ...]
    """The claims, in their order."""
    contradictions: tuple[Contradiction, ...]
    """Where they contradict each other."""

    def of(self, verdict: Verdict) -> tuple[Checked, ...]:
        """The claims with this verdict."""
        return tuple(c for c in self.claims if c.verdict == verdict)

    @property
    def sound(self) -> bool:
        """Whether no claim fails and none contradicts another."""
        return not self.contradictions and not self.of("fails")

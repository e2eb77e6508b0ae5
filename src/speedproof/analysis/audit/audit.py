"""An audit: every rule asked of a collection, with what each found, and what it could not look at."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from speedproof.analysis.audit.finding import SEVERITIES, Finding, Found, Severity
from speedproof.analysis.audit.rule import Rule
from speedproof.analysis.audit.rules import RULES
from speedproof.analysis.audit.subject import Subject
from speedproof.analysis.collection import Collection
from speedproof.errors import InputError
from speedproof.journal.base import Record


class Unknown(Record):
    """Something that a rule could not look at."""

    why: str
    """Why not."""
    attempts: int
    """Attempts that this holds for; 0 where it is not about attempts."""


class Audited(Record):
    """What one rule found."""

    rule: str
    """Its id."""
    severity: Severity
    """How grave its findings are."""
    title: str
    """What it finds."""
    why: str
    """Why that matters."""
    do: str
    """What to do about it."""
    count: int
    """Findings."""
    attempts: int
    """Attempts that they name, each counted once."""
    findings: tuple[Finding, ...]
    """All of them, in the order of time."""
    unknown: tuple[Unknown, ...]
    """What it could not look at: nothing is said of these."""


class Audit(Record):
    """What all rules found in a collection."""

    format: Literal["speedproof/audit/1"] = "speedproof/audit/1"
    """Version of this record's schema."""
    archives: tuple[str, ...]
    """Ids of the archives and runs that were looked at."""
    attempts: int
    """Attempts in them, each once; controls left out."""
    copies: int
    """Second copies of them."""
    rules: tuple[Audited, ...]
    """Every rule that was asked, the gravest first; those that found nothing too."""

    @property
    def found(self) -> tuple[Audited, ...]:
        """Rules that found something."""
        return tuple(each for each in self.rules if each.count)

    @property
    def silent(self) -> tuple[Audited, ...]:
        """Rules that found nothing in what they could look at."""
        return tuple(each for each in self.rules if not each.count)

    def count(self, severity: Severity) -> int:
        """Findings of this severity."""
        return sum(each.count for each in self.rules if each.severity == severity)

    def reaches(self, level: Severity) -> bool:
        """Whether there is a finding as grave as this, or graver."""
        grave = SEVERITIES[: SEVERITIES.index(level) + 1]
        return any(each.count and each.severity in grave for each in self.rules)


def audit(collection: Collection, state: Path, only: Sequence[str] = ()) -> Audit:
    """Ask every rule, or those named in `only`, of a collection that was read from this state folder.

    Raises InputError for a rule that does not exist, RecordError when an archive's record is damaged.
    """
    subject = Subject.of(collection, state)
    asked = sorted(chosen(only), key=lambda rule: SEVERITIES.index(rule.severity))
    return Audit(
        archives=collection.archives,
        attempts=len(collection.entries),
        copies=len(collection.copies),
        rules=tuple(_asked(rule, subject) for rule in asked),
    )


def chosen(only: Iterable[str]) -> tuple[Rule, ...]:
    """The rules of these ids; all when none is named. Raises InputError for one that does not exist."""
    known = {rule.id: rule for rule in RULES}
    for name in only:
        if name not in known:
            raise InputError(f"no rule is called {name!r}", hint="speedproof audit --rules lists them")
    return tuple(known[name] for name in dict.fromkeys(only)) or RULES


def _asked(rule: Rule, subject: Subject) -> Audited:
    findings: list[Finding] = []
    unknown: list[Unknown] = []
    for each in rule.look(subject):
        if isinstance(each, Found):
            findings.append(each.finding(rule.id, rule.severity))
        else:
            unknown.append(Unknown(why=each.why, attempts=each.attempts))
    return Audited(
        rule=rule.id,
        severity=rule.severity,
        title=rule.title,
        why=rule.why,
        do=rule.do,
        count=len(findings),
        attempts=len({name for finding in findings for name in finding.attempts}),
        findings=tuple(findings),
        unknown=tuple(unknown),
    )

"""A rule of the audit: what it is called, how grave it is, why it matters, what to do, and how it looks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from speedproof.analysis.audit.finding import Found, Severity, Unseen
from speedproof.analysis.audit.subject import Subject

Look = Callable[[Subject], Iterator[Found | Unseen]]


@dataclass(frozen=True)
class Rule:
    """One rule."""

    id: str
    """Its name: words with hyphens."""
    severity: Severity
    """How grave a finding is."""
    title: str
    """What it finds, in a few words."""
    why: str
    """Why that matters."""
    do: str
    """What to do about it."""
    look: Look
    """Looks at everything, and says what it found and what it could not look at."""


def rule(name: str, severity: Severity, title: str, *, why: str, do: str) -> Callable[[Look], Rule]:
    """Make a rule of the function that looks."""
    return lambda look: Rule(name, severity, title, why, do, look)

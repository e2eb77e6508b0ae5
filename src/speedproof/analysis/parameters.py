"""What became of configured and pinned model parameters: configured, asked by the agent, sent to the provider."""

from collections.abc import Iterable

from speedproof.analysis.row import Row
from speedproof.journal import Evidence, Record
from speedproof.journal.attempt import Configured
from speedproof.journal.base import canonical_json
from speedproof.journal.status import Parameter, Seen


class ParameterLine(Record):
    """One parameter over all attempts of an agent with a model."""

    agent: str
    """Name of the agent."""
    model: str | None
    """Model as the user named it."""
    name: str
    """Common name of the parameter (docs/agents.md)."""
    configured: tuple[Configured, ...]
    """The values that the agent was configured with, each once, and where the first attempt with it holds it."""
    pinned: bool
    """Whether the gateway set it."""
    asked: tuple[Seen, ...]
    """Values in the agent's requests, with the number of calls; the first call is counted within its attempt."""
    sent: tuple[Seen, ...]
    """Values as forwarded."""
    attempts: tuple[str, ...]
    """Attempts that it was configured or pinned in."""
    never_asked: tuple[str, ...]
    """A finding: attempts whose agent was configured with a value that none of its requests had."""
    evidence: tuple[Evidence, ...]
    """Where the first of these attempts holds the configured value."""


def parameter_lines(rows: Iterable[Row]) -> list[ParameterLine]:
    """Every configured or pinned parameter by agent, model and name, in the order in which they were met."""
    groups: dict[tuple[str, str | None, str], list[tuple[Row, Parameter]]] = {}
    for row in rows:
        for parameter in row.parameters:
            groups.setdefault((row.agent, row.model, parameter.name), []).append((row, parameter))
    return [_line(*key, members) for key, members in groups.items()]


def _line(agent: str, model: str | None, name: str, members: list[tuple[Row, Parameter]]) -> ParameterLine:
    configured = {canonical_json(p.configured.value): p.configured for _, p in reversed(members) if p.configured}
    never = [(row, p.configured) for row, p in members if p.never_asked and p.configured]
    evidence: tuple[Evidence, ...] = ()
    if never:
        row, first = never[0]
        excerpt = f"{name} = {canonical_json(first.value)}"
        evidence = (Evidence(file=f"{row.folder}/{first.file}", line=first.line, excerpt=excerpt),)
    return ParameterLine(
        agent=agent,
        model=model,
        name=name,
        configured=tuple(configured.values()),
        pinned=any(p.pinned for _, p in members),
        asked=_together(seen for _, p in members for seen in p.asked),
        sent=_together(seen for _, p in members for seen in p.sent),
        attempts=tuple(row.name for row, _ in members),
        never_asked=tuple(row.name for row, _ in never),
        evidence=evidence,
    )


def _together(seen: Iterable[Seen]) -> tuple[Seen, ...]:
    found: dict[str, Seen] = {}
    for one in seen:
        key = canonical_json(one.value)
        before = found.get(key)
        found[key] = one if before is None else before.model_copy(update={"calls": before.calls + one.calls})
    return tuple(sorted(found.values(), key=lambda one: -one.calls))

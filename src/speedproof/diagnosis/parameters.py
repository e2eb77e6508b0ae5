"""What became of configured and pinned parameters on the wire."""

from collections.abc import Iterable
from typing import Any

from speedproof.diagnosis.facts import Facts
from speedproof.journal.base import canonical_json
from speedproof.journal.status import Parameter, Seen


def parameters(facts: Facts) -> tuple[Parameter, ...]:
    """Each parameter that was configured or pinned, in that order, with the values that its model calls had."""
    configured = {one.name: one for one in facts.attempt.configured}
    watched = [(c.number, c.intent.watched) for c in facts.calls if c.intent is not None]
    names = dict.fromkeys((*configured, *(name for _, of_call in watched for name in of_call)))
    found = []
    for name in names:
        seen = [(number, of_call[name]) for number, of_call in sorted(watched, key=lambda w: w[0]) if name in of_call]
        found.append(
            Parameter(
                name=name,
                configured=configured.get(name),
                pinned=any(one.pinned for _, one in seen),
                asked=_values((number, one.asked) for number, one in seen),
                sent=_values((number, one.sent) for number, one in seen),
            )
        )
    return tuple(found)


def _values(values: Iterable[tuple[int, Any]]) -> tuple[Seen, ...]:
    found: dict[str, Seen] = {}
    for number, value in values:
        key = canonical_json(value)
        before = found.get(key)
        found[key] = Seen(
            value=value, calls=(before.calls if before else 0) + 1, first_call=before.first_call if before else number
        )
    return tuple(sorted(found.values(), key=lambda seen: -seen.calls))

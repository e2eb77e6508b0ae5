"""The success rates, side by side. Each says what it counts, out of what, and what it leaves out."""

import math
from collections.abc import Callable, Iterable

from speedproof.analysis.row import Row
from speedproof.journal import FailureClass, Record


class Rate(Record):
    """One success rule applied to all attempts that call a model."""

    rule: str
    """Name of the rule."""
    meaning: str
    """What an attempt must show."""
    reached: tuple[str, ...]
    """Attempts that satisfy it."""
    missed: tuple[str, ...]
    """Attempts that do not."""
    unknown: tuple[str, ...]
    """Attempts of which it is not known; they are not in the denominator."""
    left_out: dict[str, tuple[str, ...]]
    """Attempts that say nothing about the agent, by reason; they are not in the denominator."""
    rate: float | None
    """reached / (reached + missed); null when that is empty."""
    low: float | None
    """Lower end of the 95 % Wilson interval, attempts taken as independent."""
    high: float | None
    """Upper end."""


RULES: dict[str, tuple[str, Callable[[Row], bool | None]]] = {
    "recorded": ("the agent says of itself that it succeeded", lambda r: r.claims_success),
    "exit_and_patch": ("exit code 0 and patch bytes", lambda r: r.exit_and_patch),
    "strict": ("exit code 0, a patch with an effect, no error", lambda r: r.strict),
    "confirmed": ("strict, the agent's own end marker, and a call with output", lambda r: r.confirmed),
    "proven": ("judged correct, faster than base and clean by the method declared beforehand", lambda r: r.proven),
}
"""Name → what it takes, and how a row shows it: yes, no or unknown."""


def wilson(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's score interval for a proportion (Wilson 1927); `trials` must be positive."""
    p, spread = successes / trials, z * z / trials
    centre = (p + spread / 2) / (1 + spread)
    half = z * math.sqrt(p * (1 - p) / trials + spread / (4 * trials)) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)


def success_rates(rows: Iterable[Row]) -> list[Rate]:
    """Every rule over the same rows; controls are no attempts of an agent and count nowhere."""
    counted = [r for r in rows if r.control is None]
    newest = {r.item: r.name for r in counted}
    rates = []
    for rule, (meaning, shows) in RULES.items():
        found: dict[bool | None, list[str]] = {True: [], False: [], None: []}
        left_out: dict[str, list[str]] = {}
        for row in counted:
            reason = _left_out(row, newest, rule)
            (left_out.setdefault(reason, []) if reason else found[shows(row)]).append(row.name)
        yes, known = len(found[True]), len(found[True]) + len(found[False])
        low, high = wilson(yes, known) if known else (None, None)
        rates.append(
            Rate(
                rule=rule,
                meaning=meaning,
                reached=tuple(found[True]),
                missed=tuple(found[False]),
                unknown=tuple(found[None]),
                left_out={k: tuple(v) for k, v in sorted(left_out.items())},
                rate=yes / known if known else None,
                low=low,
                high=high,
            )
        )
    return rates


def _left_out(row: Row, newest: dict[str, str], rule: str) -> str | None:
    """Why this row is no evidence on the agent's skill; null when it is. Never looks at whether the rule holds."""
    if row.state == "not_started":
        return "not started"
    if newest[row.item] != row.name:
        return "tried again later"
    if rule == "proven" and row.judging is not None:
        return "task could not be judged" if row.judging.failure.fault == "task" else "judging failed"
    if rule == "proven" and row.correctness in ("pass", "fail", "flaky"):
        return None  # a judged patch counts however its process ended
    if row.state == "damaged":
        return "unreadable record"
    if row.run is None:
        return "still open" if row.state == "open" else "no status derived"
    if row.run == "cancelled":
        return "cancelled"
    failure = row.diagnosis.failure if row.diagnosis else None
    if failure is None or failure.fault == "agent" or failure is FailureClass.BAD_REQUEST:
        return None  # a request the provider refuses is one that the agent made
    return {"model": "provider failed", "task": "task at fault"}.get(failure.fault, "infrastructure failed")

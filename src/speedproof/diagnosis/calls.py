"""Causes that stand on the wire: calls that failed, and calls that were never answered."""

import re
from collections.abc import Sequence
from typing import Literal

from speedproof.diagnosis import conversation
from speedproof.diagnosis.facts import Facts, ModelCall, excerpt, sentence
from speedproof.journal import provider
from speedproof.journal.base import Evidence
from speedproof.journal.call import CUT_BY_END
from speedproof.journal.failure import Diagnosis
from speedproof.journal.failure import FailureClass as F
from speedproof.journal.reset import quoted_reset

LONG_S = 600.0
"""Seconds after which waiting for a provider is a cause in itself; half of the attempt is, too."""
ENDING_S = 10.0
"""Seconds that ending an agent may take, from its first cut connection to its last process."""
MANY = 3
"""Failed calls in a row after which an agent no longer recovers by itself."""

_LIMITS = (
    (re.compile(r"\bcosts?\b|\busd\b|\bdollars?\b", re.IGNORECASE), F.LIMIT_COST),
    (re.compile(r"\btokens?\b", re.IGNORECASE), F.LIMIT_TOKENS),
    (re.compile(r"\bsteps?\b|\bmodel calls\b", re.IGNORECASE), F.LIMIT_STEPS),
)
_USED_UP = re.compile(r"limit|budget|used up|exhausted", re.IGNORECASE)


def classify(call: ModelCall) -> F:
    """The failure class of one failed call."""
    outcome = call.outcome
    if outcome is None:
        return F.SERVER_ERROR
    if call.refused:
        words = f"{outcome.error_code or ''} {outcome.error or ''}".replace("_", " ")
        if _USED_UP.search(words):
            for pattern, failure in _LIMITS:
                if pattern.search(words):
                    return failure
        return F.CONFIG_INVALID if outcome.status in {401, 403, 404} else F.BAD_REQUEST
    return provider.classify_outcome(outcome)


def _deciding(streak: Sequence[ModelCall]) -> ModelCall:
    """Of the failed calls at the end, the one that says most: the last that got an error, else the last."""
    said = [c for c in streak if c.outcome is not None and (c.outcome.error or (c.outcome.status or 0) >= 400)]
    return (said or list(streak))[-1]


def _particulars(call: ModelCall) -> str:
    outcome = call.outcome
    if outcome is None:
        return "no answer was recorded"
    who = "the gateway refused with " if call.refused else ""
    status = "no answer" if outcome.status is None else f"HTTP {outcome.status}"
    code = f" ({outcome.error_code})" if outcome.error_code else ""  # code: words would look like a key and its value
    text = f": {excerpt(outcome.error, 240)}" if outcome.error else "" if outcome.complete else ": the answer broke off"
    return f"{who}{status}{code}{text}"


def _reset(call: ModelCall) -> str | None:
    """When a used-up limit resets: the time that the gateway understood, else the provider's own words."""
    outcome = call.outcome
    if outcome is None:
        return None
    if outcome.resets_at is not None:
        return f"{outcome.resets_at:%Y-%m-%d %H:%M} UTC"
    quoted = quoted_reset(outcome.error or "")
    return None if quoted is None else excerpt(quoted, 60)


def failed(facts: Facts, streak: Sequence[ModelCall], tail: str = "") -> Diagnosis:
    """The diagnosis of an attempt whose last calls, `streak`, all failed."""
    if (forbidden := conversation.illegal(facts, streak)) is not None:
        return forbidden
    call = _deciding(streak)
    failure = classify(call)
    count = f"the last {len(streak)} of {len(facts.calls)} model calls failed"
    message = f"{_particulars(call)} ({count}{tail})"
    if failure is F.USAGE_LIMIT and (reset := _reset(call)):
        message = f"the usage limit resets at {reset}; {message}"
    stated = call.outcome is not None and (bool(call.outcome.error) or (call.outcome.status or 0) >= 400)
    evidence = [call.evidence]
    if streak[0] is not call:
        evidence.append(streak[0].evidence)
    confidence: Literal["direct", "inferred"] = "direct" if stated and not tail else "inferred"
    return Diagnosis(
        failure=failure, message=sentence(message), stage="run", confidence=confidence, evidence=tuple(evidence)
    )


def _is_long(facts: Facts, seconds: float | None) -> bool:
    process = facts.attempt.process
    return seconds is not None and (seconds >= LONG_S or (process is not None and seconds * 2 >= process.wall_s > 0))


def _open_at_end(facts: Facts, call: ModelCall) -> bool:
    """Whether the call was under way when the agent was ended, and not broken off before."""
    outcome = call.outcome
    if outcome is None or not call.cut_off or outcome.error == CUT_BY_END:
        return call.cut_off
    left = facts.seconds_to_end(outcome.at)
    return left is None or left <= ENDING_S


def failing_when_stopped(facts: Facts) -> list[ModelCall]:
    """The failed calls that an agent ended by the harness was still repeating; empty when it may have recovered.

    The call under way when the harness ended it is no failure, and neither is the gateway's own refusal.
    """
    streak = [c for c in facts.failing if not c.refused]
    if streak and streak[-1].cut_off:
        streak.pop()
    if not streak:
        return []
    first = streak[0].outcome
    lasting = first is not None and _is_long(facts, facts.seconds_to_end(first.at))
    return streak if len(streak) >= MANY or lasting else []


def unanswered(facts: Facts, *, idle: bool) -> Diagnosis | None:
    """The diagnosis when the harness ended an agent that waited for its provider; None when it did not, or not long.

    `idle`: it was ended because nothing happened, so that a call under way had been waiting all that time.
    """
    if not facts.calls or not _open_at_end(facts, facts.calls[-1]):
        return None
    call = facts.calls[-1]
    outcome, intent = call.outcome, call.intent
    waited = None
    if outcome is not None:
        waited = outcome.duration_s
    elif intent is not None:
        waited = facts.seconds_to_end(intent.at)
    if not idle and not _is_long(facts, waited):
        return None
    end = facts.place("process", "stopped_by")
    return _waiting(call, waited, "when the harness ended the agent", end)


def given_up(facts: Facts, streak: Sequence[ModelCall]) -> Diagnosis | None:
    """The diagnosis when the agent itself broke off its last calls, `streak`, after waiting long or often.

    None when it did so once and soon: agents drop a call that they no longer need.
    """
    waited = sum(c.outcome.duration_s for c in streak if c.outcome is not None)
    if len(streak) < MANY and not _is_long(facts, waited):
        return None
    many = f"together with {len(streak) - 1} before it, " if len(streak) > 1 else ""
    return _waiting(streak[-1], waited, f"{many}before the agent gave it up", facts.place("process", "exit_code"))


def _waiting(call: ModelCall, waited: float | None, until: str, end: Evidence) -> Diagnosis:
    outcome = call.outcome
    begun = outcome is not None and (outcome.first_byte_s is not None or outcome.response_bytes > 0)
    seconds = "an unknown time" if waited is None else f"{waited:.0f} s"
    what = "began its answer and then stalled" if begun else "never answered"
    return Diagnosis(
        failure=F.STREAM_BROKEN if begun else F.SERVER_ERROR,
        message=f"the provider {what}: call {call.number} was open for {seconds}, {until}",
        stage="run",
        confidence="inferred",
        evidence=(call.evidence, end),
    )

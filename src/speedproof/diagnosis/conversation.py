"""Causes that stand in the conversation itself: what its protocol forbids, found before the provider saw it."""

from collections.abc import Sequence

from speedproof.diagnosis.facts import Facts, ModelCall, excerpt, sentence
from speedproof.journal import provider
from speedproof.journal.base import Evidence
from speedproof.journal.call import Illegal, IllegalKind
from speedproof.journal.failure import Diagnosis
from speedproof.journal.failure import FailureClass as F

_CLASSES = {
    IllegalKind.OUTPUT_MISSING: (F.TOOL_OUTPUT_MISSING, "was left without its output"),
    IllegalKind.CALL_MISSING: (F.TOOL_CALL_MISSING, "has an output, but was never made"),
    IllegalKind.EMPTY_ERROR: (F.EMPTY_TOOL_RESULT, "failed with an empty result"),
    IllegalKind.ARGUMENTS_MALFORMED: (F.TOOL_ARGS_MALFORMED, "has arguments that do not parse"),
}
_REQUEST = frozenset({400, 409, 422})
_REASONS = frozenset({F.BAD_REQUEST, *(failure for failure, _ in _CLASSES.values())})
"""What a provider's refusal may say of an illegal conversation; it often names no reason at all."""


def illegal(facts: Facts, streak: Sequence[ModelCall]) -> Diagnosis | None:
    """The diagnosis of an attempt that ended with refused requests, `streak`, whose conversation was illegal.

    It names the first request of the attempt that held the fault, and counts the repetitions as one. None when the
    last refused request was legal, or refused for another reason.
    """
    refused = [c for c in streak if c.outcome is not None and c.outcome.status in _REQUEST]
    if not refused or not _may_be_for_a_fault(refused[-1]):
        return None
    borne = [one for c in facts.calls if not c.failed for one in _open(c)]  # this provider does not mind them
    faults = [one for one in _open(refused[-1]) if one not in borne]
    if not faults:
        return None
    for call in sorted(facts.calls, key=lambda c: c.number):
        first = next((one for one in _open(call) if one in faults), None)
        if first is not None:
            return _diagnosis(facts, call, first, len(refused))
    return None


def _may_be_for_a_fault(call: ModelCall) -> bool:
    return call.refused or (call.outcome is not None and provider.classify_outcome(call.outcome) in _REASONS)


def _made_in(facts: Facts, call: ModelCall, fault: Illegal) -> int | None:
    """The last call before `call` that was answered with one of the tool; null when that cannot be told."""
    if fault.kind is IllegalKind.CALL_MISSING or fault.tool is None:
        return None
    answered = (c for c in facts.calls if c.number < call.number and c.outcome is not None and not c.failed)
    return max((c.number for c in answered if c.outcome and fault.tool in c.outcome.tool_calls), default=None)


def _open(call: ModelCall) -> list[Illegal]:
    return [] if call.intent is None else [one for one in call.intent.illegal if not one.repaired]


def _diagnosis(facts: Facts, call: ModelCall, fault: Illegal, repeated: int) -> Diagnosis:
    failure, what = _CLASSES[fault.kind]
    tool = f" of {excerpt(fault.tool, 60)}" if fault.tool else ""
    maker = _made_in(facts, call, fault)
    made = "" if maker is None else f", made in the answer to call {maker},"
    again = f"; the same request was refused {repeated} times" if repeated > 1 else ""
    message = f"tool call {excerpt(fault.call_id, 80)}{tool}{made} {what}: call {call.number} is illegal from the start"
    evidence = [
        Evidence(file="calls.jsonl", line=call.intent_line, excerpt=excerpt(fault.model_dump_json(exclude_none=True))),
        call.evidence,
    ]
    return Diagnosis(
        failure=failure, message=sentence(message + again), stage="run", confidence="direct", evidence=tuple(evidence)
    )

"""The rules that find why an attempt did not complete, in the order in which their evidence counts.

Each rule looks at the facts and gives a diagnosis or None; the first diagnosis stands. What ended the attempt is the
cause: an error that the agent got over, and a traceback printed by a command that it ran, are not.
"""

import signal
from collections.abc import Callable
from typing import Literal

from speedproof.diagnosis import bounds, calls, harness, logs
from speedproof.diagnosis.facts import STDERR, STDOUT, Facts, ModelCall, excerpt, sentence
from speedproof.journal import provider
from speedproof.journal.attempt import StopCause
from speedproof.journal.base import Evidence
from speedproof.journal.failure import Diagnosis
from speedproof.journal.failure import FailureClass as F
from speedproof.journal.reset import quoted_reset

Rule = Callable[[Facts], Diagnosis | None]
_LIMITS = {
    StopCause.WALL: (F.LIMIT_TIME, "its wall time was used up"),
    StopCause.IDLE: (F.HANG, "it made no model call, printed nothing and did not compute for the idle limit"),
    StopCause.COST: (F.LIMIT_COST, "its cost limit was used up"),
    StopCause.TOKENS: (F.LIMIT_TOKENS, "its token limit was used up"),
    StopCause.STEPS: (F.LIMIT_STEPS, "its limit of model calls was used up"),
    StopCause.PROTOCOL: (F.BAD_REQUEST, "its conversation was illegal"),
    StopCause.STARTUP: (F.HANG, "it made no model call and printed nothing since it was launched"),
    StopCause.MEMORY: (F.LIMIT_MEMORY, "its processes used up their memory"),
    StopCause.PROCESSES: (F.LIMIT_PROCESSES, "it started more processes than it may"),
    StopCause.DISK: (F.LIMIT_DISK, "it filled its workspace and home with more than it may"),
}
_METERED = {StopCause.COST, StopCause.TOKENS, StopCause.STEPS}
"""Limits that the gateway watches; it tells the agent which one, and whether it is the run's."""
_BOUNDS = {StopCause.MEMORY, StopCause.PROCESSES, StopCause.DISK}
"""Limits of its processes: no provider is to blame for them."""
_KEPT_AS = {"stdout.log": STDOUT, "stderr.log": STDERR}
_FROM_OUTSIDE = {signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGXCPU}
_OWN_FAULT = {signal.SIGILL, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV, signal.SIGPIPE}


def _diagnosis(
    failure: F,
    message: str,
    *evidence: Evidence,
    stage: str = "run",
    confidence: Literal["direct", "inferred", "weak"] = "direct",
) -> Diagnosis:
    return Diagnosis(
        failure=failure, message=sentence(message), stage=stage, confidence=confidence, evidence=tuple(evidence)
    )


def left_open(facts: Facts) -> Diagnosis | None:
    """An attempt whose own harness never sealed it: it was ended while it worked on it."""
    if facts.attempt.state == "sealed" and facts.attempt.recovered_at is None:
        return None
    left = "state" if facts.attempt.recovered_at is None else "recovered_at"
    evidence = [facts.place(left), facts.place("transitions", "stage", entry=max(0, len(facts.lived) - 1))]
    torn = "; the last line of calls.jsonl is torn" if any(b.torn for b in facts.bad_lines) else ""
    waiting = [c for c in facts.calls if c.outcome is None]
    if waiting:
        torn = f"; {len(waiting)} model call(s) were under way" + torn
        evidence.append(waiting[-1].evidence)
    message = f"the harness ended in stage {facts.stage} without sealing the attempt{torn}"
    return _diagnosis(F.INTERRUPTED, message, *evidence, stage=facts.stage, confidence="inferred")


def harness_failed(facts: Facts) -> Diagnosis | None:
    """The harness recorded an exception of its own."""
    error = facts.attempt.error
    return None if error is None else harness.diagnose(error, facts.place("error", "message"))


def nothing_launched(facts: Facts) -> Diagnosis | None:
    """A sealed attempt in which no process was started and no error recorded: a bug of ours."""
    if facts.attempt.process is not None:
        return None
    message = "the attempt was sealed without a process and without an error"
    return _diagnosis(F.DEFECT, message, facts.place("process"), stage=facts.stage, confidence="inferred")


def stopped(facts: Facts) -> Diagnosis | None:
    """The harness ended the agent: because it was told to, because the provider kept it waiting, or for a limit."""
    process = facts.attempt.process
    if process is None or process.stopped_by is None:
        return None
    cause, place = process.stopped_by, facts.place("process", "stopped_by")
    if cause is StopCause.CANCELLED:
        return _diagnosis(F.INTERRUPTED, f"the run was cancelled after {process.wall_s:.0f} s", place)
    if cause is StopCause.PROTOCOL and facts.failing:
        return calls.failed(facts, facts.failing)
    if cause not in _BOUNDS and (streak := calls.failing_when_stopped(facts)):
        return calls.failed(facts, streak, tail=f"; the agent was still trying when {_LIMITS[cause][1]}")
    if cause in {StopCause.WALL, StopCause.IDLE} and (waiting := calls.unanswered(facts, idle=cause is StopCause.IDLE)):
        return waiting
    failure, why = _LIMITS[cause]
    refused = [call.evidence for call in facts.calls if call.refused] if cause in _METERED else []
    who = "the harness ended the agent"
    if cause in _BOUNDS and facts.ended_by_itself:
        who = "the kernel ended the agent" if cause is StopCause.MEMORY else "the agent ended"
    message = f"{who} after {process.wall_s:.0f} s: {why}"
    return _diagnosis(failure, message, place, *bounds.of_limit(facts, cause), *refused[-1:])


def provider_failed(facts: Facts) -> Diagnosis | None:
    """The last model calls failed and none succeeded after them, whatever the exit code says."""
    streak = facts.failing if _signal(facts) is None else calls.failing_when_stopped(facts)
    of_provider = [c for c in streak if not c.cut_by_agent]
    if of_provider:
        return calls.failed(facts, of_provider)
    return calls.given_up(facts, streak) if streak else None


def agent_says(facts: Facts) -> Diagnosis | None:
    """The agent's own structured evidence names the error that ended it.

    On the provider the wire outranks the agent: its word on that counts only when no call was recorded.
    """
    outcome = facts.attempt.outcome
    if outcome is None or not outcome.error or (outcome.finished and _exited_with_0(facts)):
        return None
    error = outcome.error
    place = (
        Evidence(
            file=_KEPT_AS.get(outcome.error_file, outcome.error_file), line=outcome.error_line, excerpt=excerpt(error)
        )
        if outcome.error_file
        else facts.place("outcome", "error")
    )
    failure = provider.classify_text(error) if facts.attempt.model is not None else None
    if failure is not None and facts.calls and (failure.fault == "model" or failure is F.NETWORK):
        failure = None
    if failure is None and not facts.model_answered:
        failure = logs.classify_start(error)
    if failure is None:
        failure = logs.classify_own(error)
    message = f"the agent reports: {error}"
    if failure is F.USAGE_LIMIT and (reset := quoted_reset(error)):
        message = f"the usage limit resets at {reset}; {message}"
    return _diagnosis(failure or F.AGENT_CRASH, message, place)


def killed(facts: Facts) -> Diagnosis | None:
    """A signal that was not ours ended the process."""
    number = _signal(facts)
    process = facts.attempt.process
    if number is None or process is None:
        return None
    name = signal.Signals(number).name if number in signal.valid_signals() else f"signal {number}"
    place = facts.place("process", "exit_code" if process.signal is None else "signal")
    last = logs.at_end(facts)
    if last is not None and last.failure in {F.OUT_OF_MEMORY, F.DISK_FULL}:
        message = f"ended by {name}; its last line on stderr: {last.text}"
        return _diagnosis(last.failure, message, last.evidence, place)
    failure = F.AGENT_CRASH if number in _OWN_FAULT else F.KILLED
    confidence: Literal["direct", "inferred"] = "inferred" if process.signal is None else "direct"
    message = f"the agent was ended by {name} after {process.wall_s:.0f} s, which the harness did not send"
    return _diagnosis(failure, message, place, confidence=confidence)


def failed_at_start(facts: Facts) -> Diagnosis | None:
    """The agent never had an answer from its model, and its last lines say why."""
    if _exited_with_0(facts) and (facts.calls or facts.attempt.model is None):
        return None
    found = logs.at_start(facts)
    if found is None:
        return None
    message = found.text if found.stated else f"the traceback is cut off; its innermost frame: {found.text.strip()}"
    confidence: Literal["direct", "inferred"] = "direct" if found.stated else "inferred"
    return _diagnosis(
        found.failure,
        message,
        found.evidence,
        facts.place("process", "exit_code"),
        confidence=confidence,
    )


def exited(facts: Facts) -> Diagnosis | None:
    """The exit code is not 0: the last line on stderr says what happened, if anything does."""
    process = facts.attempt.process
    if process is None or process.exit_code == 0:
        return None
    place = facts.place("process", "exit_code")
    last = logs.at_end(facts)
    how = "in an unknown way" if process.exit_code is None else f"with exit code {process.exit_code}"
    if last is None:
        message = f"the agent ended {how} and printed nothing on stderr"
        return _diagnosis(F.AGENT_CRASH, message, place, confidence="inferred")
    message = f"the agent ended {how}; its last line on stderr: {last.text}"
    return _diagnosis(last.failure, message, last.evidence, place)


def never_asked(facts: Facts) -> Diagnosis | None:
    """An agent with a model that exited with 0 and, as far as the wire was recorded, never called the model."""
    if facts.attempt.model is None or facts.calls or not facts.wire_recorded:
        return None
    exit_code = facts.place("process", "exit_code")
    refused: list[ModelCall] = [c for c in facts.side_calls if c.refused]
    if refused:
        path = refused[-1].intent.path if refused[-1].intent else "a route"
        message = f"the agent asked for {path}, which the gateway does not serve, and never called the model"
        return _diagnosis(F.CONFIG_INVALID, message, refused[-1].evidence, exit_code, confidence="inferred")
    message = "the agent ended with exit code 0 and never called the model"
    return _diagnosis(F.AGENT_CRASH, message, exit_code, confidence="inferred")


def stopped_short(facts: Facts) -> Diagnosis | None:
    """Exit code 0, but the agent's own evidence says that it did not reach its end."""
    outcome = facts.attempt.outcome
    if outcome is None or outcome.finished is not False:
        return None
    said = outcome.message or ""
    failure = logs.classify_own(said) or F.GAVE_UP
    message = "the agent ended with exit code 0 before its own end mark" + (f": {said}" if said else "")
    return _diagnosis(failure, message, facts.place("outcome", "finished"), confidence="inferred")


def no_patch_computed(facts: Facts) -> Diagnosis | None:
    """The agent ended well and the harness has no patch of it, not even an empty one: a bug of ours."""
    if facts.attempt.patch is not None:
        return None
    message = "the agent ended and its patch was never computed"
    return _diagnosis(F.DEFECT, message, facts.place("patch"), stage="collect", confidence="inferred")


RULES_IN_ORDER: tuple[Rule, ...] = (
    left_open,
    harness_failed,
    nothing_launched,
    stopped,
    provider_failed,
    agent_says,
    killed,
    failed_at_start,
    exited,
    never_asked,
    stopped_short,
    no_patch_computed,
)


def find_cause(facts: Facts) -> Diagnosis | None:
    """Why the attempt did not complete; None when it did."""
    found = next((d for rule in RULES_IN_ORDER if (d := rule(facts)) is not None), None)
    return None if found is None else bounds.within_bounds(facts, found)


def _exited_with_0(facts: Facts) -> bool:
    process = facts.attempt.process
    return process is not None and process.exit_code == 0


def _signal(facts: Facts) -> int | None:
    """The signal that ended the process; a shell or sandbox reports its child's as exit code 128 + signal."""
    process = facts.attempt.process
    if process is None:
        return None
    if process.signal is not None:
        return process.signal
    hidden = (process.exit_code or 0) - 128
    return hidden if hidden in _FROM_OUTSIDE | _OWN_FAULT else None

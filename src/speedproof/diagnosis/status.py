"""The status of an attempt (DESIGN, section 5), derived from its facts by one named, versioned set of rules."""

import re
from datetime import datetime

from speedproof.diagnosis.causes import find_cause
from speedproof.diagnosis.facts import Facts, excerpt, sentence
from speedproof.diagnosis.harness import is_cancellation
from speedproof.diagnosis.parameters import parameters
from speedproof.errors import RecordError
from speedproof.journal.attempt import Attempt, StopCause
from speedproof.journal.base import now as clock
from speedproof.journal.failure import Diagnosis
from speedproof.journal.failure import FailureClass as F
from speedproof.journal.status import PatchStatus, RunStatus, Status
from speedproof.journal.store import AttemptStore
from speedproof.journal.usage import total_usage

RULES = "rules-3"
"""Name and version of these rules; a change that can change a status changes it."""

_GAVE_UP = re.compile(r"\b(?:give|gave|giving) up\b", re.IGNORECASE)


def derived(store: AttemptStore) -> Status | None:
    """The status derived last, by whichever rules; null when none was. Raises RecordError when one is damaged."""
    names = [path.name.removesuffix(".json") for path in (store.folder / "derived").glob("[!.]*.json")]
    found = [status for status in map(store.status, names) if status is not None]
    return max(found, key=lambda status: status.derived_at, default=None)


def derive(store: AttemptStore, *, alive: bool = True, now: datetime | None = None) -> Status:
    """The status of a sealed attempt, or of an open one whose harness is gone. Reads facts, writes nothing.

    `alive` says whether a harness may still work on the run (`RunStore.is_locked`); it matters to open attempts only.
    `now` is the time of derivation, default the clock's.
    Raises RecordError when attempt.json is missing or damaged, or the attempt is open and alive: it has no status yet.
    """
    facts = Facts(store)
    attempt = facts.attempt
    if attempt.state == "open" and alive:
        raise RecordError("the attempt is still under way", file=store.folder, hint="wait until its run has ended")
    cause = find_cause(facts)
    run = run_status(attempt, cause)
    patch = patch_status(attempt)
    diagnosis = cause if cause is not None else nothing_to_judge(facts, patch)
    usage, usage_unknown = total_usage(c.outcome.usage if c.outcome else None for c in facts.calls)
    costs = [c.outcome.cost_usd if c.outcome else None for c in facts.calls]
    known = [c for c in costs if c is not None]
    exit_0 = attempt.process is not None and attempt.process.exit_code == 0
    strict = exit_0 and patch == "applied" and run == "completed"
    outcome = attempt.outcome
    agreed = outcome is not None and outcome.finished is True and outcome.claims_success is not False
    spoke = any(c.outcome and c.outcome.usage and (c.outcome.usage.output or 0) > 0 for c in facts.calls)
    return Status(
        rules=RULES,
        derived_at=now or clock(),
        run=run,
        patch=patch,
        diagnosis=diagnosis,
        calls=len(facts.calls),
        failed_calls=sum(c.failed for c in facts.calls),
        usage=usage,
        usage_unknown_calls=usage_unknown,
        usage_source="wire" if facts.calls else "none",
        cost_usd=sum(known) if known else None,
        cost_unknown_calls=len(costs) - len(known),
        parameters=parameters(facts),
        exit_and_patch=exit_0 and attempt.patch is not None and attempt.patch.size > 0,
        strict=strict,
        confirmed=strict and agreed and spoke,
    )


def patch_status(attempt: Attempt) -> PatchStatus:
    """What kind of patch there is."""
    patch = attempt.patch
    if patch is None:
        return "missing"
    if patch.size == 0:
        return "empty"
    if patch.effect == "none":
        return "no_effect"
    if patch.effect == "tests_only":
        return "tests_only"
    return "applied" if patch.applies else "unapplied"


def run_status(attempt: Attempt, cause: Diagnosis | None) -> RunStatus:
    """How the process went, from the party at fault.

    A task at fault counts as infra_error: the agent never had a fair chance, so the attempt is no evidence on it.
    """
    if cause is None:
        return "completed"
    if attempt.state == "open" or attempt.recovered_at is not None:
        return "crashed"
    told = attempt.process is not None and attempt.process.stopped_by is StopCause.CANCELLED
    if cause.failure is F.INTERRUPTED and (told or (attempt.error is not None and is_cancellation(attempt.error))):
        return "cancelled"
    return status_for(cause.failure)


def status_for(failure: F) -> RunStatus:
    """How a process went that ended with this failure and was not cancelled."""
    if failure.value.startswith("agent/limit/"):
        return "limit"
    match failure.fault:
        case "model":
            return "model_error"
        case "agent":
            return "agent_error"
        case _:
            return "infra_error"


def nothing_to_judge(facts: Facts, patch: PatchStatus) -> Diagnosis | None:
    """Why a completed attempt has no patch to judge; None when it has one, or is the no-op control that must not."""
    attempt = facts.attempt
    if patch == "applied" or attempt.control == "noop":
        return None
    if patch == "unapplied":
        return Diagnosis(
            failure=F.DEFECT,
            message="the patch that the harness computed does not apply to the clean base",
            stage="collect",
            confidence="inferred",
            evidence=(facts.place("patch", "applies"),),
        )
    outcome = attempt.outcome
    said = (outcome.message or "") if outcome else ""
    what = {
        "no_effect": "changed only comments, whitespace or scratch files",
        "tests_only": "changed only protected paths such as tests",
    }.get(patch, "changed nothing")
    claim, failure = "", F.NO_PATCH
    evidence = [facts.place("patch", "size" if patch == "empty" else "effect")]
    if outcome is not None and (outcome.claims_success is False or _GAVE_UP.search(said)):
        failure, claim = F.GAVE_UP, "says that it did not succeed"
    elif outcome is not None and outcome.claims_success:
        claim = "says that it succeeded"
    if said:
        claim = f"{claim or 'closes with'}: “{excerpt(said, 240)}”"
        evidence.append(facts.place("outcome", "message"))
    return Diagnosis(
        failure=failure,
        message=sentence(f"the agent {what}" + (f" and {claim}" if claim else "")),
        stage="run",
        confidence="direct",
        evidence=tuple(evidence),
    )

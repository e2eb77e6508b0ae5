"""Why an attempt of another harness did not finish: its evidence in the order in which it counts, and the same words.

A foreign archive has no record of calls: its harness's own error, what the agent recorded last, its closing lines and
its exit code are all there is. The words that name a class are those of live attempts (logs, harness, provider).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from speedproof.diagnosis import harness, logs
from speedproof.diagnosis.facts import sentence
from speedproof.diagnosis.status import status_for
from speedproof.journal import provider
from speedproof.journal.attempt import HarnessError
from speedproof.journal.base import Evidence
from speedproof.journal.failure import Diagnosis
from speedproof.journal.failure import FailureClass as F
from speedproof.journal.foreign_parts import ForeignPatchStatus
from speedproof.journal.reset import quoted_reset
from speedproof.journal.status import RunStatus

FOREIGN_RULES = "foreign-2"
"""Name and version of these rules; a change that can change a status, or the name of a failure, changes it."""

_BY_USER = re.compile(r"interrupted by user|KeyboardInterrupt", re.IGNORECASE)
_BROKEN_PIPE = re.compile(r"\bbroken ?pipe\b", re.IGNORECASE)
"""Said before any command has run: what it wrote to was its own console, and whoever read that was gone."""
_ALMOST = 0.98
"""Part of its time budget after which a killed agent had used it up: harnesses stop the clock a little early."""


@dataclass
class ForeignEvidence:
    """What the files of one foreign attempt say of its end."""

    harness: HarnessError | None = None
    """The harness's own exception."""
    harness_place: Evidence | None = None
    """Where it stands."""
    said: list[tuple[str, Evidence]] = field(default_factory=list)
    """The agent's own errors, the one that counts most first."""
    printed: list[tuple[str, Evidence]] = field(default_factory=list)
    """Lines of its logs by which the program itself names an error, the one that counts most first."""
    repeating: tuple[str, Evidence] | None = None
    """A failed call that the agent was still repeating when its logs ended."""
    tails: list[tuple[str, Sequence[tuple[int, str]]]] = field(default_factory=list)
    """Of each log: its file and last lines (the last one first), standard error before standard output."""
    answered: bool = False
    """Whether the model answered at least once."""
    exit_code: int | None = None
    """Exit code; null when unknown or ended by a signal."""
    signal: int | None = None
    """The signal that ended it."""
    exit_place: Evidence | None = None
    """Where exit code or signal stand."""
    wall_s: float | None = None
    """Seconds it ran."""
    budget_s: float | None = None
    """Seconds it was given."""
    finished: bool | None = None
    """Whether it reached its own end mark."""
    claims_success: bool | None = None
    """Whether it says it succeeded."""
    own_end: Evidence | None = None
    """Where that stands."""
    recorded_end: bool = True
    """Whether anything was written after its end: a journal, or a record that closes itself."""
    patch: ForeignPatchStatus = "missing"
    """What kind of patch there is."""
    patch_place: Evidence | None = None
    """Where it stands."""
    recorded_success: bool | None = None
    """What its archive claims."""
    recorded_place: Evidence | None = None
    """Where it claims that."""
    commits: int | None = None
    """Commits that its harness counted."""
    silent: bool = False
    """Whether its logs are there and empty."""


_Rule = Callable[[ForeignEvidence], Diagnosis | None]


def _diagnosis(
    failure: F,
    message: str,
    *evidence: Evidence | None,
    stage: str = "run",
    confidence: Literal["direct", "inferred", "weak"] = "direct",
) -> Diagnosis:
    places = tuple(place for place in evidence if place is not None)
    return Diagnosis(failure=failure, message=sentence(message), stage=stage, confidence=confidence, evidence=places)


def _harness_failed(e: ForeignEvidence) -> Diagnosis | None:
    if e.harness is None:
        return None
    text = f"{e.harness.kind}: {e.harness.message}"
    stated = _classify_start(text)
    failure, sure = (stated, True) if stated else harness.classify(e.harness)
    return _diagnosis(
        failure, text, e.harness_place, stage=e.harness.stage, confidence="direct" if sure else "inferred"
    )


def _classify_start(text: str) -> F | None:
    return logs.classify_start(text) or (F.INTERRUPTED if _BROKEN_PIPE.search(text[:4000]) else None)


def _agent_says(e: ForeignEvidence) -> Diagnosis | None:
    if e.finished and e.exit_code == 0:
        return None
    return next((_by_its_words(e, text, place) for text, place in e.said), None)


def _printed_a_cause(e: ForeignEvidence) -> Diagnosis | None:
    if e.exit_code == 0:
        return None
    found = (_by_its_words(e, text, place) for text, place in e.printed)
    return next((one for one in found if one.failure is not F.AGENT_CRASH), None)


def _printed_an_error(e: ForeignEvidence) -> Diagnosis | None:
    if e.exit_code == 0:
        return None
    return next((_by_its_words(e, text, place) for text, place in e.printed), None)


def _by_its_words(e: ForeignEvidence, text: str, place: Evidence) -> Diagnosis:
    failure = provider.classify_text(text)
    if failure is None and not e.answered:
        failure = _classify_start(text)
    failure = failure or logs.classify_own(text) or F.AGENT_CRASH
    message = f"the agent reports: {text}"
    if failure is F.USAGE_LIMIT and (reset := quoted_reset(text)):
        message = f"the usage limit resets at {reset}; {message}"
    return _diagnosis(failure, message, place)


def _failed_at_start(e: ForeignEvidence) -> Diagnosis | None:
    if e.answered or e.exit_code == 0 or (e.finished and e.exit_code is None):
        return None
    for file, last in e.tails:
        found = logs.start_in(file, last, ask_provider=True)
        if found is None:
            continue
        stated = found.stated and not _is_torn(last)
        text = found.text if found.stated else f"the traceback is cut off; its innermost frame: {found.text.strip()}"
        return _diagnosis(
            found.failure, text, found.evidence, e.exit_place, confidence="direct" if stated else "inferred"
        )
    return None


def _is_torn(last: Sequence[tuple[int, str]]) -> bool:
    """Whether the last line is the inside of a traceback: what was said last is lost."""
    return bool(last) and last[0][1].startswith("    ")


def _still_failing(e: ForeignEvidence) -> Diagnosis | None:
    if e.signal is None or e.repeating is None:
        return None
    text, place = e.repeating
    failure = provider.classify_text(text)
    if failure is None:
        return None
    message = f"the agent was still repeating this call when signal {e.signal} ended it: {text}"
    return _diagnosis(failure, message, place, e.exit_place)


def _killed(e: ForeignEvidence) -> Diagnosis | None:
    if e.signal is None:
        return None
    ran = "an unknown time" if e.wall_s is None else f"{e.wall_s:.1f} s"
    if e.wall_s is not None and e.budget_s and e.wall_s >= _ALMOST * e.budget_s:
        message = f"ended by signal {e.signal} after {ran} of {e.budget_s:.0f} s: its time was used up"
        return _diagnosis(F.LIMIT_TIME, message, e.exit_place, confidence="inferred")
    message = f"the agent was ended by signal {e.signal} after {ran}"
    return _diagnosis(F.KILLED, message, e.exit_place, confidence="inferred")


def _exited(e: ForeignEvidence) -> Diagnosis | None:
    if e.exit_code in (None, 0):
        return None
    for file, last in e.tails:
        if last:
            number, text = last[0]
            found = logs.Found(logs.classify_own(text) or F.AGENT_CRASH, file, number, text)
            message = f"the agent ended with exit code {e.exit_code}; its last line: {text}"
            return _diagnosis(found.failure, message, found.evidence, e.exit_place, confidence="inferred")
    message = f"the agent ended with exit code {e.exit_code} and printed nothing"
    return _diagnosis(F.AGENT_CRASH, message, e.exit_place, confidence="inferred")


def _never_closed(e: ForeignEvidence) -> Diagnosis | None:
    if e.recorded_end:
        return None
    message = "nothing was written after its end: its harness, or the agent, was ended before it could"
    return _diagnosis(F.INTERRUPTED, message, e.own_end, confidence="inferred" if e.own_end else "weak")


def _stopped_short(e: ForeignEvidence) -> Diagnosis | None:
    if e.finished is not False:
        return None
    message = "the agent ended before its own end mark, and no error says why"
    return _diagnosis(F.GAVE_UP, message, e.own_end, e.exit_place, confidence="inferred")


_RULES: tuple[_Rule, ...] = (
    _harness_failed,
    _agent_says,
    _printed_a_cause,
    _failed_at_start,
    _printed_an_error,
    _still_failing,
    _killed,
    _exited,
    _never_closed,
    _stopped_short,
)


def cause_of(e: ForeignEvidence) -> Diagnosis | None:
    """Why the attempt did not complete; None when it did, as far as its files tell."""
    return next((found for rule in _RULES if (found := rule(e)) is not None), None)


def run_status_of(cause: Diagnosis | None) -> RunStatus:
    """How the process went, from its cause."""
    if cause is None:
        return "completed"
    if cause.failure is F.INTERRUPTED and _BY_USER.search(cause.message):
        return "cancelled"
    return status_for(cause.failure)


def left_to_explain(e: ForeignEvidence) -> Diagnosis | None:
    """Of an attempt that completed: why it has no patch to judge, or why its archive calls it a failure."""
    if e.patch != "present":
        return _nothing_to_judge(e)
    if e.recorded_success is not False:
        return None
    if e.commits == 0:
        message = "the agent finished and left a patch; its harness counted commits, found none and recorded an error"
        return _diagnosis(F.DEFECT, message, e.recorded_place, e.own_end, stage="collect", confidence="inferred")
    message = "recorded as a failure, though the agent ended well and left a patch: nothing says why"
    return _diagnosis(F.DEFECT, message, e.recorded_place, stage="collect", confidence="weak")


def _nothing_to_judge(e: ForeignEvidence) -> Diagnosis:
    what = {
        "missing": "left no file of a patch",
        "empty": "changed nothing",
        "no_effect": "changed only comments, blank lines or scratch files",
        "tests_only": "changed only tests",
    }[e.patch]
    if e.claims_success is False:
        return _diagnosis(F.GAVE_UP, f"the agent {what} and says that it did not succeed", e.own_end, e.patch_place)
    if e.silent:
        message = f"the agent ended with exit code 0, printed nothing and {what}"
        return _diagnosis(F.NO_PATCH, message, e.patch_place, e.exit_place, confidence="weak")
    return _diagnosis(F.NO_PATCH, f"the agent {what}", e.patch_place, e.exit_place)

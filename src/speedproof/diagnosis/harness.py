"""The harness's own failures: an exception recorded in the attempt → failure class."""

import re

from speedproof.diagnosis.facts import sentence
from speedproof.journal.attempt import HarnessError
from speedproof.journal.base import Evidence
from speedproof.journal.failure import Diagnosis
from speedproof.journal.failure import FailureClass as F

_CANCELLED = frozenset({"KeyboardInterrupt", "CancelledError", "SystemExit"})
_KINDS = {
    "SandboxError": F.SANDBOX,
    "LeakError": F.ANSWER_LEAKED,
    "AgentError": F.AGENT_NOT_FOUND,
    "EnvironmentFailed": F.SETUP_FAILED,
    "SourceError": F.CONFIG_INVALID,
    "InputError": F.CONFIG_INVALID,
    "MemoryError": F.OUT_OF_MEMORY,
    "PermissionError": F.PERMISSION_DENIED,
    **dict.fromkeys(_CANCELLED, F.INTERRUPTED),
}
_DISK = re.compile(r"no space left on device|ENOSPC|\[Errno 28\]|disk quota exceeded", re.IGNORECASE)
_MEMORY = re.compile(r"cannot allocate memory|\[Errno 12\]", re.IGNORECASE)
_DENIED = re.compile(r"permission denied|\[Errno 13\]|read-only file system", re.IGNORECASE)
_UNREACHED = re.compile(
    r"could not resolve|name resolution|name or service not known|network is unreachable|no route to host"
    r"|connection (?:refused|reset|timed out)|failed to (?:fetch|connect)|dns error",
    re.IGNORECASE,
)
_PROGRAM = re.compile(r"No such file or directory: '[^']*\bbin/", re.IGNORECASE)
_FETCHING = frozenset({"SourceError", "EnvironmentFailed", "AgentError"})
_ACTING = frozenset({"RecordError", "SandboxError", "AgentError", "EnvironmentFailed", "SourceError", "InputError"})
_TASK = (
    (re.compile(r"\bexpert\b.{0,80}\b(?:not|no) (?:\w+ )?faster", re.IGNORECASE), F.EXPERT_NOT_FASTER),
    (re.compile(r"\bworkload\b", re.IGNORECASE), F.WORKLOAD_BROKEN),
    (re.compile(r"\b(?:build|environment|set-?up|install)", re.IGNORECASE), F.SETUP_FAILED),
)


def classify(error: HarnessError) -> tuple[F, bool]:
    """The failure class of the harness's exception, and whether its kind or text states it (else it is inferred)."""
    kind, text = error.kind.rsplit(".", 1)[-1], error.message
    system = kind in _ACTING or kind == "TaskError" or kind.endswith(("Error", "Exception"))
    if system and _DISK.search(text):
        return F.DISK_FULL, True
    if system and _MEMORY.search(text):
        return F.OUT_OF_MEMORY, True
    if kind in {"RecordError", "AgentError", "OSError"} and _DENIED.search(text):
        return F.PERMISSION_DENIED, True
    if kind in _FETCHING and _UNREACHED.search(text):
        return F.NETWORK, True
    if kind in _KINDS:
        return _KINDS[kind], True
    if kind == "TaskError":
        named = next((failure for pattern, failure in _TASK if pattern.search(text)), None)
        return (named, True) if named else (F.BASE_BROKEN, False)
    if kind == "FileNotFoundError" and _PROGRAM.search(text):
        return F.AGENT_NOT_FOUND, True
    return F.DEFECT, kind != "RecordError"


def is_cancellation(error: HarnessError) -> bool:
    """Whether the exception is that of a person or a signal ending the run."""
    return error.kind.rsplit(".", 1)[-1] in _CANCELLED


def diagnose(error: HarnessError, place: Evidence) -> Diagnosis:
    """The diagnosis of what the harness could not carry out; `place`: where that is recorded."""
    failure, stated = classify(error)
    return Diagnosis(
        failure=failure,
        message=sentence(f"{error.kind}: {error.message}"),
        stage=error.stage,
        confidence="direct" if stated else "inferred",
        evidence=(place,),
    )

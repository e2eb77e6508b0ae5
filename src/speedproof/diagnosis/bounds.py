"""A failure in the light of what bounded the agent's processes: the same crash means another thing at their limit."""

from speedproof.diagnosis.facts import Facts, sentence
from speedproof.journal.attempt import BoundFacts, StopCause
from speedproof.journal.base import Evidence
from speedproof.journal.failure import Diagnosis
from speedproof.journal.failure import FailureClass as F

ROOMY_BYTES = 256 << 20
"""Space on a disk with which no write of an agent can have found it full."""
_OF_MEMORY = {F.AGENT_CRASH, F.KILLED, F.OUT_OF_MEMORY}
_OF_PROCESSES = {F.AGENT_CRASH, F.OUT_OF_MEMORY}
_KEYS = {
    StopCause.MEMORY: ("out_of_memory_kills", "memory_peak_bytes"),
    StopCause.PROCESSES: ("refused_processes", "processes_peak"),
}


def of_limit(facts: Facts, cause: StopCause) -> tuple[Evidence, ...]:
    """What shows that a bound of memory, processes or disk was reached; nothing for other limits, or where unknown."""
    bounds = facts.attempt.bounds
    if bounds is None:
        return ()
    keys = list(_KEYS.get(cause, ()))
    if cause is StopCause.DISK:
        beyond = bounds.disk_files is not None and (bounds.disk_peak_files or 0) > bounds.disk_files
        keys = ["disk_peak_files" if beyond else "disk_peak_bytes"]
    known = [key for key in keys if getattr(bounds, key)]
    return tuple(facts.place("bounds", key) for key in known[:1])


def within_bounds(facts: Facts, found: Diagnosis) -> Diagnosis:
    """`found`, or what it means for an agent whose processes ran into a bound, or did not although its words say so."""
    bounds, process = facts.attempt.bounds, facts.attempt.process
    if bounds is None or facts.attempt.error is not None or process is None or process.exit_code == 0:
        return found
    if found.failure in _OF_MEMORY and bounds.out_of_memory_kills:
        if bounds.own_memory_ran_out:
            return _seen_as(facts, found, F.LIMIT_MEMORY, _killed(bounds, "at their bound"), "out_of_memory_kills")
        why = _killed(bounds, "below their bound: the machine had none left")
        return _seen_as(facts, found, F.OUT_OF_MEMORY, why, "out_of_memory_kills")
    if found.failure in _OF_PROCESSES and bounds.refused_processes:
        why = f"{bounds.refused_processes} processes were refused at their bound of {bounds.processes}"
        return _seen_as(facts, found, F.LIMIT_PROCESSES, why, "refused_processes")
    if found.failure is F.OUT_OF_MEMORY and bounds.memory_bytes is not None and bounds.memory_peak_bytes is not None:
        if bounds.reached_memory:
            return _seen_as(facts, found, F.LIMIT_MEMORY, "its processes reached their bound", "memory_peak_bytes")
        why = "its processes had more memory to use: the request was too large, or its own program set a bound"
        return _seen_as(facts, found, F.AGENT_CRASH, why, "memory_peak_bytes")
    if found.failure is F.DISK_FULL and (bounds.disk_least_free_bytes or 0) >= ROOMY_BYTES:
        why = "the disk had room: what was full is the sandbox's own, such as /tmp"
        return _seen_as(facts, found, F.LIMIT_DISK, why, "disk_least_free_bytes")
    return found


def _killed(bounds: BoundFacts, where: str) -> str:
    return f"the kernel ended {bounds.out_of_memory_kills} of its processes for want of memory, {where}"


def _seen_as(facts: Facts, found: Diagnosis, failure: F, why: str, key: str) -> Diagnosis:
    """`found` under another class: inferred, because no evidence alone states it."""
    return Diagnosis(
        failure=failure,
        message=sentence(f"{found.message}; {why}"),
        stage=found.stage,
        confidence="inferred",
        evidence=(*found.evidence, facts.place("bounds", key)),
    )

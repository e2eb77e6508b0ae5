"""The life of an attempt in words: the stages it went through and why, what bounded it, what it used."""

from dataclasses import dataclass

from speedproof.journal import Attempt
from speedproof.journal.attempt import BoundFacts
from speedproof.report.text import count, one_line, plural, seconds, size


@dataclass(frozen=True)
class Step:
    """One stage that was reached."""

    stage: str
    after_s: float
    """Seconds since the attempt was opened."""
    cause: str
    """Why, where it is not that the stage before was done; else empty."""


def steps(attempt: Attempt) -> tuple[Step, ...]:
    """The stages that an attempt went through."""
    return tuple(Step(t.stage, (t.at - attempt.opened_at).total_seconds(), t.cause or "") for t in attempt.transitions)


def life(attempt: Attempt) -> str:
    """The same on one line, such as queued 0 ms, running 3.1 s, stopping 80.2 s (wall)."""
    told = [
        f"{s.stage} {seconds(s.after_s)}" + (f" ({one_line(s.cause, 200)})" if s.cause else "") for s in steps(attempt)
    ]
    if attempt.recovered_at is not None:
        told.append(f"taken up by another process {attempt.recovered_at:%Y-%m-%d %H:%M:%S} UTC, its own was gone")
    return ", ".join(told)


def bounded(facts: BoundFacts) -> tuple[str, ...]:
    """What held an attempt's processes, what they used of it, and what came of it."""
    by = (
        f"the kernel ({facts.enforced_by})"
        if facts.enforced_by != "watchdog"
        else "a watchdog, which looks again and again"
    )
    lines = [
        f"memory {_of(size(facts.memory_peak_bytes), size(facts.memory_bytes), facts.memory_bytes)}",
        f"processes {_of(count(facts.processes_peak), count(facts.processes), facts.processes)}",
        f"disk {_of(size(facts.disk_peak_bytes), size(facts.disk_bytes), facts.disk_bytes)}",
        f"files {_of(count(facts.disk_peak_files), count(facts.disk_files), facts.disk_files)}",
        f"bounds held by {by}",
    ]
    if facts.out_of_memory_kills:
        whose = "beyond their bound" if facts.own_memory_ran_out else "because the machine had none left"
        lines.append(f"{plural(facts.out_of_memory_kills, 'process', 'processes')} ended for want of memory, {whose}")
    if facts.refused_processes:
        lines.append(f"{plural(facts.refused_processes, 'process', 'processes')} that the kernel refused to start")
    if facts.disk_least_free_bytes is not None:
        lines.append(f"least free on their disk {size(facts.disk_least_free_bytes)}")
    if facts.left_running:
        lines.append(f"{plural(facts.left_running, 'process', 'processes')} outlived the agent and had to be ended")
    return tuple(lines)


def _of(peak: str, bound: str, given: int | None) -> str:
    return f"{peak}, no bound" if given is None else f"{peak} of {bound}"

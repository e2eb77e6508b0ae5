"""Model calls, and those that failed: counted as calls, however often a log repeats them."""

from speedproof.analysis.collection import Collection, Entry
from speedproof.analysis.measures.counts import attempts
from speedproof.analysis.measures.measure import Value, count_groups, count_where, each, measure, summed
from speedproof.journal.failure import FailureClass


@measure("calls")
def calls(chosen: Collection) -> Value:
    """Model calls that were answered or failed, summed."""
    return summed(chosen, lambda e: e.attempt.calls)


@measure("calls")
def failed_calls(chosen: Collection) -> Value:
    """Model calls that failed, as far as the files tell, summed."""
    return summed(chosen, lambda e: e.attempt.failed)


@measure("calls")
def tool_output_missing_calls(chosen: Collection) -> Value:
    """Calls that the provider refused because a tool call had been left without its output, summed."""
    return summed(chosen, _refused)


@measure("calls")
def tool_output_missing_calls_per_attempt(chosen: Collection) -> Value:
    """Calls that the provider refused because a tool call had been left without its output, for each attempt."""
    return each(tool_output_missing_calls.of(chosen), attempts.of(chosen))


@measure("attempts")
def tool_output_missing_attempts(chosen: Collection) -> Value:
    """Attempts with a call that the provider refused because a tool call had been left without its output."""
    return count_where(chosen, _hit)


@measure("runs")
def tool_output_missing_runs(chosen: Collection) -> Value:
    """Runs in which the provider refused a call because a tool call had been left without its output."""
    return count_groups(every for every in chosen.by_run.values() if any(_hit(e) for e in every))


_TELLING = ("log", "empty", "trajectory", "rollout", "events", "result")
"""Kinds of files in which a refused call would stand; an empty log says that nothing happened."""


def _hit(entry: Entry) -> bool | None:
    refused = _refused(entry)
    return None if refused is None else refused > 0


def _refused(entry: Entry) -> int | None:
    attempt = entry.attempt
    if attempt.failed and not attempt.failed_calls:
        return None  # some failed, and nothing says how
    if attempt.failed is None and not any(f.kind in _TELLING for f in attempt.files):
        return None
    return sum(call.failure is FailureClass.TOOL_OUTPUT_MISSING for call in attempt.failed_calls)

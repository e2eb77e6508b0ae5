"""Model calls, and those that failed: counted as calls, however often a log repeats them."""

from speedproof.analysis.collection import Collection, Entry
from speedproof.analysis.measures.measure import Value, count_where, measure, summed
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
    """Calls that the provider refused because a tool call had been left without its output."""
    return summed(chosen, lambda e: len(_refused(e)))


@measure("attempts")
def tool_output_missing_attempts(chosen: Collection) -> Value:
    """Attempts with such a refused call."""
    return count_where(chosen, lambda e: bool(_refused(e)))


def _refused(entry: Entry) -> list[object]:
    return [c for c in entry.attempt.failed_calls if c.failure is FailureClass.TOOL_OUTPUT_MISSING]

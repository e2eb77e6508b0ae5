"""How attempts ended: as recorded, and by each success rule."""

from collections.abc import Callable

from speedproof.analysis.collection import Collection, Entry
from speedproof.analysis.measures.counts import attempts
from speedproof.analysis.measures.measure import Value, count_where, measure, share, the_one

_LONGEST = 120
"""Characters of an error."""


@measure("attempts")
def recorded_successes(chosen: Collection) -> Value:
    """Attempts whose archive, or whose agent's own word in our runs, claims success."""
    return count_where(chosen, lambda e: e.recorded)


@measure("attempts")
def recorded_failures(chosen: Collection) -> Value:
    """Attempts whose archive, or whose agent's own word in our runs, claims anything but success."""
    return count_where(chosen, lambda e: None if e.recorded is None else not e.recorded)


@measure("%")
def recorded_rate(chosen: Collection) -> Value:
    """Recorded successes, of all attempts."""
    return share(recorded_successes.of(chosen), attempts.of(chosen))


@measure("%")
def recorded_rate_worst_run(chosen: Collection) -> Value:
    """Recorded successes, of all attempts, in the run where they are fewest of all."""
    return _of_runs(chosen, min)


@measure("%")
def recorded_rate_best_run(chosen: Collection) -> Value:
    """Recorded successes, of all attempts, in the run where they are most of all."""
    return _of_runs(chosen, max)


@measure("attempts")
def agent_successes(chosen: Collection) -> Value:
    """Attempts whose agent says of itself that it succeeded."""
    return count_where(chosen, lambda e: e.attempt.outcome.claims_success if e.attempt.outcome else None)


@measure("attempts")
def exit_and_patch(chosen: Collection) -> Value:
    """Attempts with exit code 0 and patch bytes, whatever was recorded."""
    return count_where(chosen, lambda e: e.attempt.exit_and_patch)


@measure("%")
def exit_and_patch_rate(chosen: Collection) -> Value:
    """Attempts with exit code 0 and patch bytes, of all attempts."""
    return share(exit_and_patch.of(chosen), attempts.of(chosen))


@measure("attempts")
def strict(chosen: Collection) -> Value:
    """Attempts with exit code 0, a patch with an effect and no error."""
    return count_where(chosen, lambda e: e.attempt.strict)


@measure("%")
def strict_rate(chosen: Collection) -> Value:
    """Strict successes, of all attempts."""
    return share(strict.of(chosen), attempts.of(chosen))


@measure("attempts")
def confirmed(chosen: Collection) -> Value:
    """Strict successes whose agent says so itself, with at least one answer that has output tokens."""
    return count_where(chosen, lambda e: e.attempt.confirmed)


@measure("%")
def confirmed_rate(chosen: Collection) -> Value:
    """Confirmed successes, of all attempts."""
    return share(confirmed.of(chosen), attempts.of(chosen))


@measure("attempts")
def proven(chosen: Collection) -> Value:
    """Attempts whose patch was judged correct, faster than base and clean. Nobody has judged the patch of a foreign
    attempt: it is unknown."""
    return count_where(chosen, lambda e: e.proven)


@measure("%")
def proven_rate(chosen: Collection) -> Value:
    """Proven successes, of the attempts whose patches were judged or have nothing to judge."""
    found = proven.of(chosen)
    judged = count_where(chosen, lambda e: e.proven is not None)
    return share(found, judged)


@measure("attempts")
def errors_with_text(chosen: Collection) -> Value:
    """Attempts recorded as a failure whose record holds an error text."""
    return count_where(chosen, lambda e: e.recorded is False and bool(e.attempt.recorded.error))


@measure("attempts")
def errors_without_text(chosen: Collection) -> Value:
    """Attempts recorded as a failure whose record holds no error text."""
    return count_where(chosen, _silent)


@measure("%")
def errors_without_text_rate(chosen: Collection) -> Value:
    """Attempts recorded as a failure without an error text, of all recorded as a failure."""
    return share(errors_without_text.of(chosen), recorded_failures.of(chosen))


@measure("attempts")
def errors_explained(chosen: Collection) -> Value:
    """Attempts recorded as a failure without an error text, for which a cause stands in their files all the same."""
    return count_where(chosen, lambda e: _silent(e) and _explained(e))


@measure("attempts")
def errors_unexplained(chosen: Collection) -> Value:
    """Attempts recorded as a failure without an error text, for which no cause stands in their files either."""
    return count_where(chosen, lambda e: _silent(e) and not _explained(e))


@measure("attempts")
def causes_found(chosen: Collection) -> Value:
    """Attempts for which a cause stands in their files: those that have a diagnosis with evidence."""
    return count_where(chosen, _explained)


@measure("text")
def recorded_status(chosen: Collection) -> Value:
    """The status as recorded, where all attempts have the same."""
    return the_one(chosen, lambda e: e.attempt.recorded.status)


@measure("")
def exit_code(chosen: Collection) -> Value:
    """The exit code as recorded, negative for a signal, where all attempts have the same."""
    return the_one(chosen, lambda e: e.attempt.recorded.exit_code)


@measure("text")
def run_status(chosen: Collection) -> Value:
    """How the process went by our rules, where all attempts went alike."""
    return the_one(chosen, lambda e: e.attempt.run_status)


@measure("text")
def cause(chosen: Collection) -> Value:
    """The class of the diagnosis, where all attempts have the same."""
    return the_one(chosen, lambda e: e.failure.value if e.failure else None)


@measure("text")
def problem(chosen: Collection) -> Value:
    """The error as recorded, else the class of the diagnosis, where all attempts have the same; cut to 120
    characters."""
    return the_one(chosen, _problem)


def _silent(entry: Entry) -> bool:
    return entry.recorded is False and not entry.attempt.recorded.error


def _explained(entry: Entry) -> bool:
    return entry.attempt.diagnosis is not None and bool(entry.attempt.diagnosis.evidence)


def _of_runs(chosen: Collection, pick: Callable[..., tuple[float, tuple[Entry, ...]] | None]) -> Value:
    rates = [(100 * sum(bool(e.recorded) for e in every) / len(every), every) for every in chosen.by_run.values()]
    found = pick(rates, key=lambda one: one[0], default=None)
    return Value(None, why="there is no attempt") if found is None else Value(*found)


def _problem(entry: Entry) -> str | None:
    recorded = " ".join((entry.attempt.recorded.error or "")[: 4 * _LONGEST].split())
    return recorded[:_LONGEST] or (entry.failure.value if entry.failure else None)

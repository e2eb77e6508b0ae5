"""How far attempts came: each rung holds those that reached it and every rung before."""

from speedproof.analysis.collection import Collection, Entry
from speedproof.analysis.measures.measure import Value, count, measure

_RUNGS = ("called the model", "finished", "patched", "effective", "own word", "proven")


@measure("attempts")
def called_the_model(chosen: Collection) -> Value:
    """Attempts with at least one model call, or with output tokens. One that failed before it could call has none."""
    return _rung(chosen, 0)


@measure("attempts")
def finished(chosen: Collection) -> Value:
    """Attempts that called the model and whose process ended by itself, without an error."""
    return _rung(chosen, 1)


@measure("attempts")
def finished_with_patch(chosen: Collection) -> Value:
    """Attempts that called the model, finished without an error and left patch bytes."""
    return _rung(chosen, 2)


@measure("attempts")
def finished_with_effect(chosen: Collection) -> Value:
    """Attempts that called the model, finished without an error and left a patch that changes code outside of tests,
    comments and scratch."""
    return _rung(chosen, 3)


@measure("attempts")
def finished_and_sure(chosen: Collection) -> Value:
    """Attempts that called the model, finished without an error, left a patch that changes code, and whose agent says
    of itself that it succeeded."""
    return _rung(chosen, 4)


@measure("attempts")
def finished_and_proven(chosen: Collection) -> Value:
    """Attempts that called the model, finished without an error, whose agent says that it succeeded,
    and whose patch was judged correct, faster than base and clean."""
    return _rung(chosen, 5)


def _rung(chosen: Collection, last: int) -> Value:
    reached, unknown = [], []
    for entry in chosen.entries:
        answers = [_shows(entry, rung) for rung in _RUNGS[: last + 1]]
        if all(answers):
            reached.append(entry)
        elif False not in answers:
            unknown.append(entry)
    return count(reached, unknown)


def _shows(entry: Entry, rung: str) -> bool | None:
    attempt = entry.attempt
    if rung == "called the model":
        return entry.called
    if rung == "finished":
        return attempt.run_status == "completed"
    if rung == "patched":
        return bool(entry.patched)
    if rung == "effective":
        return attempt.patch_status == "present"
    if rung == "own word":
        return attempt.outcome.claims_success if attempt.outcome else None
    return entry.proven

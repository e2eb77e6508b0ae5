"""What an attempt's files say of its end, as the rules of diagnosis take it."""

from collections.abc import Sequence

from speedproof.archives.gathered import Gathered
from speedproof.archives.log import Log
from speedproof.diagnosis.calls import MANY
from speedproof.diagnosis.facts import excerpt
from speedproof.diagnosis.foreign import ForeignEvidence
from speedproof.journal.base import Evidence
from speedproof.journal.foreign_parts import ForeignFile, ForeignPatchStatus


def evidence_of(found: Gathered, patch: ForeignPatchStatus, files: Sequence[ForeignFile]) -> ForeignEvidence:
    """What the rules of diagnosis look at."""
    code, outcome = found.recorded.exit_code, found.outcome
    errors_first = sorted(found.logs, key=lambda log: "err" not in log.file)
    printed = [log for log in reversed(errors_first) if log.error is not None and _is_its_own(log)]
    return ForeignEvidence(
        harness=found.harness,
        harness_place=found.harness_place,
        said=found.said,
        printed=[
            (log.error.text, Evidence(file=log.file, line=log.error.line, excerpt=excerpt(log.error.text)))
            for log in printed
            if log.error is not None
        ],
        repeating=_repeating(errors_first),
        tails=[(log.file, log.tail) for log in errors_first],
        answered=bool(found.answers or found.usages),
        exit_code=code if code is not None and code >= 0 else None,
        signal=-code if code is not None and code < 0 else None,
        exit_place=found.exit_place,
        wall_s=found.recorded.wall_s,
        budget_s=found.budget_s,
        finished=outcome.finished if outcome else None,
        claims_success=outcome.claims_success if outcome else None,
        own_end=found.outcome_place or _what_is_left(files),
        recorded_end=found.journal or found.closed is True,
        patch=patch,
        patch_place=None if found.patch is None else Evidence(file=found.patch.file),
        recorded_success=found.recorded.success,
        recorded_place=found.recorded_place,
        commits=found.commits,
        silent=bool(found.logs) and not any(log.size for log in found.logs),
    )


def _repeating(logs: Sequence[Log]) -> tuple[str, Evidence] | None:
    """A failed call that the agent was still repeating at its end: said many times, and no answer after the first."""
    for log in logs:
        for missed in log.missed.values():
            if missed.mentions >= MANY and (log.last_total is None or log.last_total[0] < missed.hit.line):
                where = Evidence(file=log.file, line=missed.hit.line, excerpt=excerpt(missed.hit.text))
                return missed.hit.text, where
    return None


def _what_is_left(files: Sequence[ForeignFile]) -> Evidence | None:
    """Of an attempt that left no word of its end: the file that should hold it, else one that it left."""
    ranked = sorted(files, key=lambda file: (file.problem is None, file.path != "journal.json", file.path))
    if not ranked:
        return None
    said = ranked[0].problem or f"one of {len(files)} files; none tells its end"
    return Evidence(file=ranked[0].path, excerpt=f"{ranked[0].size} bytes: {said}")


def _is_its_own(log: Log) -> bool:
    """Whether the error that a log names is the program's own: TRAE puts what commands print into boxes, others do not,
    so that only their last lines count."""
    if log.error is None:
        return False
    return log.trae is not None or any(line == log.error.line for line, _ in log.tail[:5])

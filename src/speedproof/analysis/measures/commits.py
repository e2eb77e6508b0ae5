"""Commits over all their attempts: solved or not, tried again or only twice at once, and in which sequence."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import groupby

from speedproof.analysis.collection import Collection, Entry
from speedproof.analysis.measures.counts import commits
from speedproof.analysis.measures.measure import Value, measure, share


@measure("commits")
def commits_with_several_attempts(chosen: Collection) -> Value:
    """Commits with more than one attempt."""
    return _count(chosen, lambda every: len(every) > 1)


@measure("commits")
def commits_only_concurrent(chosen: Collection) -> Value:
    """Commits with several attempts of which none is a retry: runs worked on them at the same time."""
    runs = _begins(chosen)
    return _count(chosen, lambda every: len(every) > 1 and not _retried(every, runs))


@measure("commits")
def commits_retried(chosen: Collection) -> Value:
    """Commits with a retry: an attempt whose run began after another attempt at the commit had ended, or that began
    after another one of the same run had."""
    runs = _begins(chosen)
    return _count(chosen, lambda every: _retried(every, runs))


@measure("commits")
def commits_recorded(chosen: Collection) -> Value:
    """Commits of which any attempt is recorded as a success."""
    return _count(chosen, lambda every: any(e.recorded for e in every))


@measure("%")
def commits_recorded_rate(chosen: Collection) -> Value:
    """Commits of which any attempt is recorded as a success, of all commits."""
    return share(commits_recorded.of(chosen), commits.of(chosen))


@measure("commits")
def commits_recorded_latest(chosen: Collection) -> Value:
    """Commits whose latest attempt is recorded as a success."""
    return _count(chosen, lambda every: bool(every[-1].recorded))


@measure("commits")
def commits_exit_and_patch(chosen: Collection) -> Value:
    """Commits of which any attempt has exit code 0 and patch bytes and is recorded as a success."""
    return _count(chosen, lambda every: any(e.attempt.exit_and_patch and e.recorded for e in every))


@measure("commits")
def commits_strict(chosen: Collection) -> Value:
    """Commits of which any attempt is a strict success."""
    return _count(chosen, lambda every: any(e.attempt.strict for e in every))


@measure("commits")
def commits_confirmed(chosen: Collection) -> Value:
    """Commits of which any attempt is a confirmed success."""
    return _count(chosen, lambda every: any(e.attempt.confirmed for e in every))


@measure("commits")
def commits_proven(chosen: Collection) -> Value:
    """Commits of which any attempt is proven."""
    return _count(chosen, lambda every: any(e.proven for e in every))


@measure("text")
def sequence(chosen: Collection) -> Value:
    """What is recorded of the attempts, in the order of time: 7 error, 12 success, 2 error."""
    parts = [f"{len(list(members))} {status}" for status, members in groupby(map(_status, chosen.entries))]
    return Value(", ".join(parts) or None, chosen.entries, why=None if parts else "there is no attempt")


@measure("text")
def first_success(chosen: Collection) -> Value:
    """The first attempt, by time, that is recorded as a success."""
    found = next((e for e in chosen.entries if e.recorded), None)
    return Value(None, why="none is recorded as a success") if found is None else Value(found.name, (found,))


def _status(entry: Entry) -> str:
    return entry.attempt.recorded.status or "unknown"


def _count(chosen: Collection, holds: Callable[[Sequence[Entry]], bool]) -> Value:
    found = [members for members in chosen.by_commit.values() if holds(members)]
    unknown = tuple(e for e in chosen.entries if not e.attempt.commit)
    return Value(len(found), tuple(e for members in found for e in members), unknown)


def _begins(chosen: Collection) -> dict[str, datetime]:
    """When each run began: with the first of its attempts."""
    found: dict[str, datetime] = {}
    for run, members in (chosen.whole or chosen).by_run.items():
        times = [began for e in members if (began := e.attempt.began or e.at) is not None]
        if times:
            found[run] = min(times)
    return found


def _retried(every: Sequence[Entry], runs: Mapping[str, datetime]) -> bool:
    return any(_is_retry(later, earlier, runs) for later in every for earlier in every if later is not earlier)


def _is_retry(later: Entry, earlier: Entry, runs: Mapping[str, datetime]) -> bool:
    ended = earlier.attempt.ended or earlier.at
    same = later.attempt.run == earlier.attempt.run
    began = (later.attempt.began or later.at) if same else runs.get(later.attempt.run)
    return ended is not None and began is not None and began >= ended

"""Commits over all their attempts: solved or not, tried again or only twice at once, and in which sequence."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import groupby

from speedproof.analysis.collection import Collection, Entry
from speedproof.analysis.measures.counts import commits
from speedproof.analysis.measures.history import history
from speedproof.analysis.measures.measure import Value, count_groups, measure, share, the_one


@measure("commits")
def commits_with_several_attempts(chosen: Collection) -> Value:
    """Commits with more than one attempt."""
    return _count(chosen, lambda every: len(every) > 1)


@measure("commits")
def commits_only_concurrent(chosen: Collection) -> Value:
    """Commits with several attempts of which none is a retry, as far as times tell: runs worked on them at the same
    time."""
    previous = history(chosen).previous
    return _count(chosen, lambda every: len(every) > 1 and not any(e.name in previous for e in every))


@measure("commits")
def commits_retried(chosen: Collection) -> Value:
    """Commits with a retry: an attempt whose run began after another attempt at the commit had ended, or that began
    after another one of the same run had."""
    previous = history(chosen).previous
    return _count(chosen, lambda every: any(e.name in previous for e in every))


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
    return recorded_in_order(chosen.entries)


@measure("text")
def latest_status(chosen: Collection) -> Value:
    """What is recorded of the last of the attempts, by time."""
    return the_one(replace(chosen, entries=chosen.entries[-1:]), lambda e: e.attempt.recorded.status)


@measure("text")
def first_success(chosen: Collection) -> Value:
    """The first attempt, by time, that is recorded as a success."""
    return first_recorded(chosen.entries)


@measure("")
def place_at_commit(chosen: Collection) -> Value:
    """Which attempt at its commit it is, by time: 1 for the first. Where all attempts have the same."""
    return the_one(chosen, lambda e: len(_until(chosen, e)) or None)


@measure("attempts")
def successes_at_commit_until(chosen: Collection) -> Value:
    """Recorded successes at its commit up to an attempt, itself included, by time. Where all attempts have the same."""
    return the_one(chosen, lambda e: sum(bool(one.recorded) for one in _until(chosen, e)) if e.attempt.commit else None)


def recorded_in_order(entries: Sequence[Entry]) -> Value:
    """What is recorded of attempts, in words."""
    parts = [f"{len(list(members))} {status}" for status, members in groupby(map(_status, entries))]
    return Value(", ".join(parts) or None, tuple(entries), why=None if parts else "there is no attempt")


def first_recorded(entries: Iterable[Entry]) -> Value:
    """The name of the first that is recorded as a success."""
    found = next((e for e in entries if e.recorded), None)
    return Value(None, why="none is recorded as a success") if found is None else Value(found.name, (found,))


def _until(chosen: Collection, entry: Entry) -> tuple[Entry, ...]:
    every = (chosen.whole or chosen).by_commit.get(entry.attempt.commit or "", ())
    place = next((n for n, one in enumerate(every, 1) if one.name == entry.name), 0)
    return every[:place]


def _status(entry: Entry) -> str:
    return entry.attempt.recorded.status or "unknown"


def _count(chosen: Collection, holds: Callable[[Sequence[Entry]], bool]) -> Value:
    found = (members for members in chosen.by_commit.values() if holds(members))
    return count_groups(found, (e for e in chosen.entries if not e.attempt.commit))

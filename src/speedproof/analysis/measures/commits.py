"""Commits over all their attempts: solved or not, tried again or only twice at once, and in which sequence."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import groupby

from speedproof.analysis.collection import Collection, Entry
from speedproof.analysis.collection.history import SUCCESS, Rule
from speedproof.analysis.measures.counts import commits
from speedproof.analysis.measures.measure import Value, count_groups, measure, share, the_one

_OF_NONE = "it is known of no commit"


@measure("commits")
def commits_with_several_attempts(chosen: Collection) -> Value:
    """Commits with more than one attempt."""
    return _count(chosen, lambda every: len(every) > 1)


@measure("commits")
def commits_only_concurrent(chosen: Collection) -> Value:
    """Commits of which no attempt is a retry, and of which at least one began while another was under way."""
    turns = chosen.history.turns
    return _count(
        chosen, lambda every: "concurrent" in (of := {turns.get(e.name) for e in every}) and "retry" not in of
    )


@measure("commits")
def commits_at_once(chosen: Collection) -> Value:
    """Commits that another run, under way at the same time, works on too."""
    beside = chosen.history.beside
    found = [e for e in chosen.entries if (e.attempt.run, e.attempt.commit) in beside]
    return Value(len({e.attempt.commit for e in found}), tuple(found))


@measure("commits")
def commits_retried(chosen: Collection) -> Value:
    """Commits with a retry: an attempt whose run began after another attempt at the commit had ended, or that began
    after another one of the same run had."""
    previous = chosen.history.previous
    return _count(chosen, lambda every: any(e.name in previous for e in every))


@measure("commits")
def commits_recorded(chosen: Collection) -> Value:
    """Commits of which any attempt is recorded as a success."""
    return _solved(chosen, "recorded")


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
    """Commits of which any attempt has exit code 0 and patch bytes, whatever was recorded."""
    return _solved(chosen, "exit_and_patch")


@measure("commits")
def commits_strict(chosen: Collection) -> Value:
    """Commits of which any attempt is a strict success."""
    return _solved(chosen, "strict")


@measure("commits")
def commits_confirmed(chosen: Collection) -> Value:
    """Commits of which any attempt is a confirmed success."""
    return _solved(chosen, "confirmed")


@measure("commits")
def commits_proven(chosen: Collection) -> Value:
    """Commits of which any attempt is proven."""
    return _solved(chosen, "proven")


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
    return the_first(chosen.entries, "recorded")


@measure("text")
def first_exit_and_patch(chosen: Collection) -> Value:
    """The first attempt, by time, with exit code 0 and patch bytes."""
    return the_first(chosen.entries, "exit_and_patch")


@measure("text")
def first_strict(chosen: Collection) -> Value:
    """The first attempt, by time, that is a strict success."""
    return the_first(chosen.entries, "strict")


@measure("text")
def first_confirmed(chosen: Collection) -> Value:
    """The first attempt, by time, that is a confirmed success."""
    return the_first(chosen.entries, "confirmed")


@measure("text")
def first_proven(chosen: Collection) -> Value:
    """The first attempt, by time, that is proven."""
    return the_first(chosen.entries, "proven")


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


def the_first(entries: Iterable[Entry], rule: Rule) -> Value:
    """The name of the first that succeeds by a rule."""
    found = next((e for e in entries if SUCCESS[rule](e)), None)
    return Value(None, why="there is none") if found is None else Value(found.name, (found,))


def _until(chosen: Collection, entry: Entry) -> tuple[Entry, ...]:
    every = (chosen.whole or chosen).by_commit.get(entry.attempt.commit or "", ())
    place = next((n for n, one in enumerate(every, 1) if one.name == entry.name), 0)
    return every[:place]


def _status(entry: Entry) -> str:
    return entry.attempt.recorded.status or "unknown"


def _count(chosen: Collection, holds: Callable[[Sequence[Entry]], bool]) -> Value:
    if commits.of(chosen).value is None:
        return commits.of(chosen)
    found = (members for members in chosen.by_commit.values() if holds(members))
    return count_groups(found, (e for e in chosen.entries if not e.attempt.commit))


def _solved(chosen: Collection, rule: Rule) -> Value:
    """Commits of which any attempt succeeds; where none does, and of one nobody knows, it is unknown."""
    solved: list[Sequence[Entry]] = []
    unknown = [e for e in chosen.entries if not e.attempt.commit]
    known = False
    for members in chosen.by_commit.values():
        answers = {SUCCESS[rule](e) for e in members}
        if True in answers:
            solved.append(members)
        elif None in answers:
            unknown += members
        known = known or True in answers or None not in answers
    return count_groups(solved, unknown) if known or not unknown else Value(None, (), tuple(unknown), _OF_NONE)

"""Attempts beside others: when they were made, what was there before, how a commit's attempts follow each other."""

from collections.abc import Callable
from datetime import UTC, datetime

from speedproof.analysis.collection import Collection, Entry
from speedproof.analysis.measures.history import SUCCESS, Rule, history
from speedproof.analysis.measures.measure import Value, count_where, measure, the_one
from speedproof.analysis.measures.rungs import called

_LETTERS = {True: "S", False: "E", None: "?"}
_LONGEST = 120
"""Characters of a sequence or an error."""


@measure("text")
def began(chosen: Collection) -> Value:
    """When the first of the attempts began, UTC; where only their ends are known, when the first ended."""
    return _moment(chosen, lambda e: e.attempt.began or e.at, last=False)


@measure("text")
def concluded(chosen: Collection) -> Value:
    """When the last of the attempts was concluded, UTC."""
    return _moment(chosen, lambda e: e.at, last=True)


@measure("text")
def patch_kind(chosen: Collection) -> Value:
    """What kind of patch there is by our rules, where all attempts have the same."""
    return the_one(chosen, lambda e: e.attempt.patch_status)


@measure("text")
def problem(chosen: Collection) -> Value:
    """The error as recorded, else the class of the diagnosis, where all attempts have the same; cut to 120
    characters."""
    return the_one(chosen, _problem)


@measure("attempts")
def startup_failures(chosen: Collection) -> Value:
    """Attempts that ended with a signal or an exit code other than 0, and whose logs are there and show no step and no
    model call."""
    return count_where(chosen, failed_to_start)


@measure("commits")
def commits_at_once(chosen: Collection) -> Value:
    """Commits that another run, under way at the same time, works on too."""
    beside = history(chosen).beside
    found = [e for e in chosen.entries if (e.attempt.run, e.attempt.commit) in beside]
    return Value(len({e.attempt.commit for e in found}), tuple(found))


@measure("text")
def letters(chosen: Collection) -> Value:
    """What is recorded of the attempts in the order of time: S success, E error, ? unknown; 119 of them at most."""
    return _spelled(chosen, "recorded")


@measure("text")
def letters_confirmed(chosen: Collection) -> Value:
    """Whether the attempts are confirmed, in the order of time: S confirmed, E not; 119 of them at most."""
    return _spelled(chosen, "confirmed")


@measure("text")
def first_exit_and_patch(chosen: Collection) -> Value:
    """The first attempt, by time, with exit code 0 and patch bytes."""
    return _first(chosen, "exit_and_patch")


@measure("text")
def first_strict(chosen: Collection) -> Value:
    """The first attempt, by time, that is a strict success."""
    return _first(chosen, "strict")


@measure("text")
def first_confirmed(chosen: Collection) -> Value:
    """The first attempt, by time, that is a confirmed success."""
    return _first(chosen, "confirmed")


@measure("text")
def first_proven(chosen: Collection) -> Value:
    """The first attempt, by time, that is proven."""
    return _first(chosen, "proven")


@measure("commits")
def commits_recorded_only_alone(chosen: Collection) -> Value:
    """Commits tried both alone and in batches, of which an attempt alone is recorded as a success and none in a batch
    is."""
    return _paired(chosen, "recorded", alone=True, batch=False)


@measure("commits")
def commits_recorded_only_in_batches(chosen: Collection) -> Value:
    """Commits tried both alone and in batches, of which an attempt in a batch is recorded as a success and none alone
    is."""
    return _paired(chosen, "recorded", alone=False, batch=True)


@measure("commits")
def commits_recorded_both_ways(chosen: Collection) -> Value:
    """Commits tried both alone and in batches, of which an attempt each way is recorded as a success."""
    return _paired(chosen, "recorded", alone=True, batch=True)


@measure("commits")
def commits_confirmed_only_alone(chosen: Collection) -> Value:
    """Commits tried both alone and in batches, of which an attempt alone is confirmed and none in a batch is."""
    return _paired(chosen, "confirmed", alone=True, batch=False)


@measure("commits")
def commits_confirmed_only_in_batches(chosen: Collection) -> Value:
    """Commits tried both alone and in batches, of which an attempt in a batch is confirmed and none alone is."""
    return _paired(chosen, "confirmed", alone=False, batch=True)


@measure("commits")
def commits_confirmed_both_ways(chosen: Collection) -> Value:
    """Commits tried both alone and in batches, of which an attempt each way is confirmed."""
    return _paired(chosen, "confirmed", alone=True, batch=True)


def _problem(entry: Entry) -> str | None:
    recorded = " ".join((entry.attempt.recorded.error or "")[: 4 * _LONGEST].split())
    return recorded[:_LONGEST] or (entry.failure.value if entry.failure else None)


def failed_to_start(entry: Entry) -> bool:
    """Whether an attempt ended badly, and its logs are there and show no step and no model call."""
    attempt = entry.attempt
    ended_badly = attempt.signal is not None or attempt.recorded.exit_code not in (0, None)
    logged = any(f.kind in ("log", "empty") and "std" in f.path for f in attempt.files)
    return ended_badly and logged and not attempt.steps and not called(entry) and not attempt.usage.output


def _spelled(chosen: Collection, rule: Rule) -> Value:
    text = "".join(_LETTERS[SUCCESS[rule](e)] for e in chosen.entries)
    cut = text if len(text) < _LONGEST else f"{text[: _LONGEST - 1]}…"
    return Value(cut or None, chosen.entries, why=None if cut else "there is no attempt")


def _first(chosen: Collection, rule: Rule) -> Value:
    found = next((e for e in chosen.entries if SUCCESS[rule](e)), None)
    return Value(None, why="there is none") if found is None else Value(found.name, (found,))


def _paired(chosen: Collection, rule: Rule, *, alone: bool, batch: bool) -> Value:
    sizes = (chosen.whole or chosen).by_run
    ways = history(chosen).ways
    found: list[tuple[Entry, ...]] = []
    for commit, every in chosen.by_commit.items():
        if ways[commit] == "both":
            solved = {len(sizes[e.attempt.run]) == 1 for e in every if SUCCESS[rule](e)}
            if (True in solved, False in solved) == (alone, batch):
                found.append(every)
    return Value(len(found), tuple(e for every in found for e in every))


def _moment(chosen: Collection, of: Callable[[Entry], datetime | None], *, last: bool) -> Value:
    known = [(moment, e) for e in chosen.entries if (moment := of(e)) is not None]
    unknown = tuple(e for e in chosen.entries if of(e) is None)
    if not known:
        return Value(None, (), unknown, why="no attempt has a time")
    moment, entry = (max if last else min)(known, key=lambda pair: pair[0])
    return Value(moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"), (entry,), unknown)

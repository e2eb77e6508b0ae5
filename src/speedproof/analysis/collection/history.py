"""What the attempts of a whole collection are to each other: turns at a commit, equal patches, runs at the same time.

Every attempt is looked at once, however many questions are asked.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from speedproof.analysis.collection.entry import Entry
from speedproof.journal.foreign_parts import plain_name

if TYPE_CHECKING:
    from speedproof.analysis.collection.collection import Collection

Turn = Literal["first", "retry", "concurrent"]
Rule = Literal["recorded", "exit_and_patch", "strict", "confirmed", "proven"]

SUCCESS: dict[Rule, Callable[[Entry], bool | None]] = {
    "recorded": lambda e: e.recorded,
    "exit_and_patch": lambda e: e.attempt.exit_and_patch,
    "strict": lambda e: e.attempt.strict,
    "confirmed": lambda e: e.attempt.confirmed,
    "proven": lambda e: e.proven,
}
"""The success rules, weakest evidence first; null where it is not known."""

_COMPARED = 1_000
"""Of so many attempts with the same patch a later one is looked at beside."""
_PERIODS = 24
"""Periods that a collection has at most."""
_ALIKE = 3
"""Failures of one kind in a run, after which going on is throwing attempts away."""


class History:
    """The attempts of one collection, each beside the others."""

    def __init__(self, whole: "Collection") -> None:
        self._whole = whole

    @cached_property
    def begins(self) -> Mapping[str, datetime]:
        """When each run began: with the first of its attempts; runs without a time are left out."""
        return {run: min(times) for run, every in self._whole.by_run.items() if (times := _known(map(_began, every)))}

    @cached_property
    def ends(self) -> Mapping[str, datetime]:
        """When each run ended: with the last of its attempts."""
        return {run: max(times) for run, every in self._whole.by_run.items() if (times := _known(map(_ended, every)))}

    @cached_property
    def previous(self) -> Mapping[str, Entry]:
        """Retry → the last attempt at its commit that had ended when the retry's run began; in one run: when it began
        itself."""
        found: dict[str, Entry] = {}
        for members in self._whole.by_commit.values():
            if len(members) > 1:
                found |= self._previous_at_one(members)
        return found

    def _previous_at_one(self, members: Sequence[Entry]) -> dict[str, Entry]:
        every = _Ended(members)
        of_run = {run: _Ended(each) for run, each in _by_run(members).items() if len(each) > 1}
        found = {}
        for entry in members:
            run = entry.attempt.run
            own = of_run.get(run)
            candidates = [every.before(self.begins.get(run), entry), own.before(_began(entry), entry) if own else None]
            ended = [(when, e) for e in candidates if e is not None and (when := _ended(e)) is not None]
            if ended:
                found[entry.name] = max(ended, key=lambda pair: pair[0])[1]
        return found

    @cached_property
    def turns(self) -> Mapping[str, Turn]:
        """Attempt → whether it is the first at its commit, a retry, or one made while another was under way."""
        found: dict[str, Turn] = {}
        for members in self._whole.by_commit.values():
            for number, entry in enumerate(members):
                if entry.name in self.previous:
                    found[entry.name] = "retry"
                elif number == 0:
                    found[entry.name] = "first"
                elif _began(entry) is not None:
                    found[entry.name] = "concurrent"
        return found

    @cached_property
    def _patches(self) -> Mapping[str, tuple[list[Entry], int]]:
        """Attempt → all attempts that left the same patch, byte for byte, oldest first, and its place among them."""
        groups: dict[str, list[Entry]] = {}
        found = {}
        for entry in self._whole.entries:
            if entry.attempt.patch is not None and entry.patched:
                group = groups.setdefault(entry.attempt.patch.sha256, [])
                found[entry.name] = (group, len(group))
                group.append(entry)
        return found

    def same_patch(self, entry: Entry) -> Sequence[Entry]:
        """Earlier attempts that left the same patch, byte for byte: the oldest 1,000."""
        group, place = self._patches.get(entry.name, ([], 0))
        return group[: min(place, _COMPARED)]

    @cached_property
    def states(self) -> Mapping[Rule, Mapping[str, str]]:
        """Rule → commit → always, mixed or never; commits of which nothing is known are left out."""
        found: dict[Rule, Mapping[str, str]] = {}
        for rule, succeeds in SUCCESS.items():
            outcomes = {commit: set(map(succeeds, every)) - {None} for commit, every in self._whole.by_commit.items()}
            found[rule] = {
                commit: "mixed" if len(known) > 1 else "always" if True in known else "never"
                for commit, known in outcomes.items()
                if known
            }
        return found

    @cached_property
    def ways(self) -> Mapping[str, str]:
        """Commit → in what runs it was tried: alone (runs of one attempt), batch (longer ones), or both."""
        found = {}
        for commit, every in self._whole.by_commit.items():
            alone = {len(self._whole.by_run[e.attempt.run]) == 1 for e in every}
            found[commit] = "both" if len(alone) > 1 else "alone" if True in alone else "batch"
        return found

    @cached_property
    def periods(self) -> Mapping[date, date]:
        """Day with attempts → the first day of its period. Between periods lie days without attempts: one or more,
        and where that would make more than 24 periods, twice as many, until it does not."""
        days = sorted({e.at.date() for e in self._whole.entries if e.at})
        rest = timedelta(days=1)
        while sum(day - before > rest for before, day in pairwise(days)) >= _PERIODS:
            rest *= 2
        found = {day: day for day in days[:1]}
        for before, day in pairwise(days):
            found[day] = found[before] if day - before <= rest else day
        return found

    @cached_property
    def beside(self) -> Mapping[tuple[str, str], str]:
        """Run and commit → another run that worked on the commit and was under way at the same time."""
        found: dict[tuple[str, str], str] = {}
        for commit, every in self._whole.by_commit.items():
            runs = [r for r in dict.fromkeys(e.attempt.run for e in every) if r in self.begins and r in self.ends]
            longest: str | None = None
            for run in sorted(runs, key=self.begins.__getitem__):
                if longest is not None and self.begins[run] < self.ends[longest]:
                    found.setdefault((run, commit), longest)
                    found.setdefault((longest, commit), run)
                if longest is None or self.ends[run] > self.ends[longest]:
                    longest = run
        return found

    @cached_property
    def alike(self) -> frozenset[str]:
        """Attempts that failed through infrastructure or provider, in the way of three before them in their run."""
        found: set[str] = set()
        for members in self._whole.by_run.values():
            seen: Counter[str] = Counter()
            for entry in members:
                kind = entry.attempt.fingerprint
                if kind is None or entry.failure is None or entry.failure.fault not in ("infrastructure", "model"):
                    continue
                if seen[kind] >= _ALIKE:
                    found.add(entry.name)
                seen[kind] += 1
        return frozenset(found)

    @cached_property
    def because(self) -> Mapping[str, str]:
        """Attempt recorded as a failure at a commit with recorded successes → what explains the difference."""
        found: dict[str, str] = {}
        for commit, every in self._whole.by_commit.items():
            if self.states["recorded"].get(commit) == "mixed":
                found |= _explained(every)
        return found


class _Ended:
    """Attempts by the time at which they ended."""

    def __init__(self, members: Iterable[Entry]) -> None:
        pairs = [(ended, e) for e in members if (ended := _ended(e)) is not None]
        pairs.sort(key=lambda pair: pair[0])
        self._times = [ended for ended, _ in pairs]
        self._entries = [e for _, e in pairs]

    def before(self, moment: datetime | None, entry: Entry) -> Entry | None:
        """The last that had ended by then, other than `entry`."""
        last = 0 if moment is None else bisect_right(self._times, moment)
        return next((self._entries[n] for n in range(last - 1, -1, -1) if self._entries[n] is not entry), None)


def _began(entry: Entry) -> datetime | None:
    return entry.attempt.began or entry.at


def _ended(entry: Entry) -> datetime | None:
    return entry.attempt.ended or entry.at


def _known(times: Iterable[datetime | None]) -> list[datetime]:
    return [moment for moment in times if moment is not None]


def _by_run(members: Iterable[Entry]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for entry in members:
        found.setdefault(entry.attempt.run, []).append(entry)
    return found


def _explained(every: Sequence[Entry]) -> dict[str, str]:
    """Each failure beside the success that is nearest before it; the first one where none is."""
    success = next(e for e in every if e.recorded)
    found = {}
    for entry in every:
        if entry.recorded:
            success = entry
        elif entry.recorded is False:
            found[entry.name] = _difference(entry, success)
    return found


def _difference(failed: Entry, success: Entry) -> str:
    fault = failed.failure.fault if failed.failure else None
    if fault == "infrastructure":
        return "infrastructure"
    if fault == "model":
        return "provider"
    return "configuration" if _configured_otherwise(failed, success) else "unexplained"


def _configured_otherwise(one: Entry, other: Entry) -> bool:
    a, b = one.attempt, other.attempt
    names = ((a.agent.value, b.agent.value), (a.model.value, b.model.value))
    if any(plain_name(left) != plain_name(right) for left, right in names if left and right):
        return True
    others = ((a.budget_s, b.budget_s), (a.prompt_template_sha256, b.prompt_template_sha256))
    return any(None not in pair and pair[0] != pair[1] for pair in others)

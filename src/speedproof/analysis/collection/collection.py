"""Many attempts, in the order of time: what every question about archives and runs is asked of."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from speedproof.analysis.collection.dimensions import DIMENSIONS, WHOLE_COMMIT, Plain, Where, condition, is_exact, known
from speedproof.analysis.collection.entry import Entry
from speedproof.analysis.collection.history import History
from speedproof.journal.foreign_parts import SettingSeen

_LAST = datetime.max.replace(tzinfo=UTC)
_FEW = 50
"""Attempts up to which looking at each is no slower than an index."""


@dataclass(frozen=True)
class Collection:
    """Attempts of agents, each once, oldest first; those without a time last."""

    entries: tuple[Entry, ...]
    """The attempts."""
    copies: tuple[Entry, ...] = ()
    """Second copies of attempts that are among them: shown, and counted nowhere."""
    controls: tuple[Entry, ...] = ()
    """Attempts that apply a given patch and call no model: counted nowhere."""
    under_way: tuple[Entry, ...] = ()
    """Attempts that are being made at this moment: counted nowhere."""
    unread: tuple[str, ...] = ()
    """Attempts of our own whose record cannot be read, each with why: counted nowhere."""
    archives: tuple[str, ...] = ()
    """Ids of the archives and runs that it was read from."""
    read_settings: Callable[[], tuple[SettingSeen, ...]] = field(default=tuple, repr=False)
    """Reads what the archives' files show of settings, when it is asked for."""
    whole: "Collection | None" = field(default=None, repr=False)
    """What it was chosen from; null for all there is."""

    @classmethod
    def of(
        cls,
        entries: Iterable[Entry],
        archives: Iterable[str],
        unread: Iterable[str] = (),
        read_settings: Callable[[], tuple[SettingSeen, ...]] = tuple,
    ) -> "Collection":
        """Sort what was read: second copies, controls and what is under way apart, the rest by time."""
        every = sorted(_written_out(entries), key=lambda e: (e.at or _LAST, e.name))
        seen: set[tuple[object, ...]] = set()
        main: list[Entry] = []
        copies: list[Entry] = []
        controls: list[Entry] = []
        under_way: list[Entry] = []
        for entry in every:
            key = _same(entry)
            if entry.attempt.duplicate_of is not None or key in seen:
                copies.append(entry)
                continue
            seen.add(key)
            (under_way if entry.under_way else main if entry.control is None else controls).append(entry)
        return cls(
            tuple(main),
            tuple(copies),
            tuple(controls),
            tuple(under_way),
            tuple(unread),
            tuple(archives),
            read_settings,
        )

    @cached_property
    def settings(self) -> tuple[SettingSeen, ...]:
        """What the files of all archives show of settings: claimed, configured, sent; not of chosen attempts alone."""
        return self.read_settings() if self.whole is None else self.whole.settings

    @cached_property
    def history(self) -> History:
        """What the attempts of all it was chosen from are to each other."""
        return History(self) if self.whole is None else self.whole.history

    def where(self, where: Where) -> "Collection":
        """Those of which all conditions hold. Raises InputError for a dimension that does not exist."""
        if not where:
            return self
        known(where)
        key = tuple((name, _hashable(wanted)) for name, wanted in where.items())
        if key not in self._chosen:
            self._chosen[key] = replace(self, entries=self._members(where), whole=self.whole or self)
        return self._chosen[key]

    @cached_property
    def answers(self) -> dict[str, Any]:
        """What measures gave of it so far, by name: a report asks for the same more than once."""
        return {}

    @cached_property
    def _chosen(self) -> dict[tuple[object, ...], "Collection"]:
        """What was chosen from it so far: a report asks for the same attempts many times."""
        return {}

    @cached_property
    def _indexes(self) -> dict[str, dict[tuple[bool, Plain], list[Entry]]]:
        """Dimension → value → its attempts, as far as they were asked for."""
        return {}

    def _members(self, where: Where) -> tuple[Entry, ...]:
        """Those of which all conditions hold: by index where one leaves few, the rest looked at one by one."""
        found: Sequence[Entry] = self.entries
        rest = dict(where)
        for name, wanted in where.items():
            if len(self.entries) <= _FEW or isinstance(wanted, list) or not is_exact(name, wanted):
                continue
            if name not in self._indexes:
                self._indexes[name] = self._index(name)
            members = self._indexes[name].get((isinstance(wanted, bool), wanted), [])
            if len(members) <= len(found):
                found, rest = members, {other: value for other, value in where.items() if other != name}
        whole = self.whole or self
        for name, wanted in rest.items():
            shows, holds = DIMENSIONS[name][1], condition(name, wanted)
            found = [entry for entry in found if holds(shows(entry, whole))]
        return tuple(found)

    def _index(self, name: str) -> dict[tuple[bool, Plain], list[Entry]]:
        shows, whole = DIMENSIONS[name][1], self.whole or self
        found: dict[tuple[bool, Plain], list[Entry]] = {}
        for entry in self.entries:
            value = shows(entry, whole)
            found.setdefault((isinstance(value, bool), value), []).append(entry)
        return found

    @cached_property
    def by_name(self) -> Mapping[str, tuple[Entry, ...]]:
        """Name → the attempt."""
        return {e.name: (e,) for e in self.entries}

    @cached_property
    def by_run(self) -> Mapping[str, tuple[Entry, ...]]:
        """Run → its attempts, oldest first; runs in the order of their first attempt."""
        return _grouped((e.attempt.run, e) for e in self.entries)

    @cached_property
    def by_commit(self) -> Mapping[str, tuple[Entry, ...]]:
        """The expert's commit → attempts at it, oldest first; those without a commit are left out."""
        return _grouped((e.attempt.commit, e) for e in self.entries if e.attempt.commit)


def _hashable(wanted: Plain | list[Plain]) -> object:
    """A condition as part of a key, in which true is not 1."""
    return tuple(map(_hashable, wanted)) if isinstance(wanted, list) else (type(wanted), wanted)


def _same(entry: Entry) -> tuple[object, ...]:
    """What is equal for two records of one attempt."""
    attempt = entry.attempt
    if attempt.own:
        return (attempt.own,)
    if attempt.commit and attempt.recorded.written and attempt.layout == "perf-agents-bench":
        return (attempt.commit, attempt.recorded.written)
    return (attempt.id,)


def _grouped(pairs: Iterable[tuple[str, Entry]]) -> dict[str, tuple[Entry, ...]]:
    found: dict[str, list[Entry]] = {}
    for key, entry in pairs:
        found.setdefault(key, []).append(entry)
    return {key: tuple(members) for key, members in found.items()}


def _written_out(entries: Iterable[Entry]) -> list[Entry]:
    """Abbreviated commits in full, where one commit of the others, and only one, begins so."""
    every = list(entries)
    whole = sorted({e.attempt.commit for e in every if e.attempt.commit and len(e.attempt.commit) == WHOLE_COMMIT})
    found = []
    for entry in every:
        commit = entry.attempt.commit
        fits: list[str] = []
        if commit and len(commit) < WHOLE_COMMIT:
            place = bisect_left(whole, commit)
            fits = [one for one in whole[place : place + 2] if one.startswith(commit)]
        full = entry.attempt.model_copy(update={"commit": fits[0]}) if len(fits) == 1 else entry.attempt
        found.append(entry if full is entry.attempt else replace(entry, attempt=full))
    return found

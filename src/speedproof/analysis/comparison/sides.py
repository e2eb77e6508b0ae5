"""What is compared: sides named by conditions, and the attempts that evidence puts on each.

A condition is DIMENSION=VALUE, its values apart by `|`. Agents and models go by evidence, never by a label alone; a
model's name without its date chooses all its dated names, one with a date that release only. A bare word is the name
of an agent, a model, a run or an archive, where it can be only one of them.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from speedproof.analysis.collection import DIMENSIONS, Collection, Entry
from speedproof.analysis.collection.dimensions import Plain, chooser
from speedproof.analysis.comparison.skill import left_out
from speedproof.errors import InputError
from speedproof.journal import Record
from speedproof.journal.foreign_parts import Told, maker_name, plain_name

NAMES = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_TOLD: dict[str, Callable[[Entry], Told]] = {"agent": lambda e: e.attempt.agent, "model": lambda e: e.attempt.model}
_BARE = ("agent", "model", "run", "archive")
_SHOWN = 12


class OnNoSide(Record):
    """Attempts that may belong to a side, and that no evidence puts there."""

    why: str
    """What is not known of them."""
    attempts: tuple[str, ...]
    """They."""
    would_count: tuple[str, ...]
    """Those among them that say something of skill: on a side, they could change its figures."""
    labels: dict[str, int]
    """What labels of folders and journals call them, with how many; true or not."""
    failures: dict[str, int]
    """How they failed, with how many."""


@dataclass(frozen=True)
class Chosen:
    """A side before anything is asked of it."""

    name: str
    """A, B, C …"""
    given: str
    """As it was asked for."""
    where: dict[str, tuple[str, ...]]
    """Dimension → values of which one must hold."""
    entries: tuple[Entry, ...]
    """Its attempts, oldest first."""
    task: Mapping[str, str]
    """Name of an attempt → its task; none for attempts whose files name none."""

    def by_task(self, counts: Callable[[Entry], bool] = lambda _: True) -> dict[str, list[Entry]]:
        """Task → attempts at it that count, oldest first; those without a task are left out."""
        found: dict[str, list[Entry]] = {}
        for entry in self.entries:
            if entry.name in self.task and counts(entry):
                found.setdefault(self.task[entry.name], []).append(entry)
        return found


@dataclass(frozen=True)
class _Unknown:
    """Why it is not known whether an attempt is of a side."""

    why: str
    label: str | None
    fits: bool
    """Whether a label says that it is."""


def choose(given: Sequence[str], pool: Collection) -> tuple[list[Chosen], tuple[OnNoSide, ...]]:
    """The sides, and what may belong to one without evidence that it does.

    Raises InputError for fewer than two sides, sides that overlap, unknown dimensions, and a side that nothing fits.
    """
    if not 2 <= len(given) <= len(NAMES):
        raise InputError(
            f"a comparison needs 2 to {len(NAMES)} sides, and {len(given)} were given",
            hint="speedproof compare model=gpt-4o model=gpt-5",
        )
    sides: list[Chosen] = []
    apart: dict[str, _Unknown] = {}
    taken: dict[str, Chosen] = {}
    tasks = _tasks(pool)
    for name, words in zip(NAMES, given, strict=False):
        where = _conditions(words, pool)
        found: list[Entry] = []
        labelled = False
        for entry in pool.entries:
            fits = _fits(entry, pool, where)
            if fits is True:
                found.append(entry)
            elif isinstance(fits, _Unknown):
                apart.setdefault(entry.name, fits)
                labelled = labelled or fits.fits
        side = Chosen(name, words, where, tuple(found), tasks)
        if not found and not labelled:
            raise InputError(f"no attempt fits {words!r}", hint=_there_are(where, pool))
        for entry in found:
            other = taken.setdefault(entry.name, side)
            if other is not side:
                raise InputError(
                    f"the sides {other.given!r} and {words!r} overlap: {entry.name} is on both",
                    hint="add a condition that tells them apart, such as agent=… or run=…",
                )
        sides.append(side)
    return sides, _on_no_side({k: v for k, v in apart.items() if k not in taken}, pool)


def _tasks(pool: Collection) -> dict[str, str]:
    """Name of an attempt → what is paired: the expert's commit, else the name of the task.

    A commit names one change of one repository, and labels of tasks vary at the same commit. Several tasks of our own
    may be made of one commit: theirs go by name, unless a foreign attempt can be meant by one of them only.
    """
    foreign = {e.attempt.commit for e in pool.entries if e.attempt.own is None}
    of_name: dict[str, set[str]] = {}
    of_commit: dict[str, set[str]] = {}
    for attempt in (e.attempt for e in pool.entries if e.attempt.own is not None):
        if attempt.task is not None and attempt.commit is not None:
            of_name.setdefault(attempt.task, set()).add(attempt.commit)
            of_commit.setdefault(attempt.commit, set()).add(attempt.task)
    found: dict[str, str | None] = {}
    for entry in pool.entries:
        attempt = entry.attempt
        if attempt.own is None:
            found[entry.name] = attempt.commit or attempt.task
            continue
        commits = of_name.get(attempt.task or "", set())
        same = [c for c in commits if len(commits) == len(of_commit[c]) == 1 and c in foreign]
        found[entry.name] = same[0] if same else attempt.task
    return {name: task for name, task in found.items() if task is not None}


def _conditions(words: str, pool: Collection) -> dict[str, tuple[str, ...]]:
    where: dict[str, tuple[str, ...]] = {}
    for part in words.split(","):
        dimension, equals, value = (text.strip() for text in part.partition("="))
        if not equals:
            dimension, value = _bare(dimension, pool)
        values = tuple(text.strip() for text in value.split("|"))
        if dimension not in DIMENSIONS:
            raise InputError(f"no dimension is called {dimension!r}", hint=f"there are: {', '.join(DIMENSIONS)}")
        if not all(values) or dimension in where:
            what = "is given twice" if dimension in where else "has an empty value"
            raise InputError(f"{words!r}: {dimension} {what}", hint="agent=trae,model=gpt-5|gpt-4o")
        where[dimension] = values
    return where


def _bare(word: str, pool: Collection) -> tuple[str, str]:
    """The dimension and value that a word without one means."""
    found = {d: [v for v in _values(d, pool) if _named(d, word, v)] for d in _BARE}
    if set(found["run"]) == set(found["archive"]):  # an own run is the archive of its own attempts
        found["archive"] = []
    fits = {dimension: values for dimension, values in found.items() if values}
    if len(fits) == 1:
        dimension, values = next(iter(fits.items()))
        if dimension in _TOLD:
            return dimension, word
        if len(values) == 1:
            return dimension, values[0]
    several = [f"{dimension}={value}" for dimension, values in fits.items() for value in values]
    known = several or [f"{dimension}={value}" for dimension in _TOLD for value in _values(dimension, pool)]
    raise InputError(
        f"{word!r} may mean several things" if several else f"nothing is called {word!r}",
        hint=f"name it as DIMENSION=VALUE: {', '.join(known[:_SHOWN]) or 'model=gpt-5'}",
    )


def _named(dimension: str, word: str, value: str) -> bool:
    if dimension in _TOLD:
        return bool(word) and _same_name(word, value) is True
    return bool(word) and (value == word or (value.startswith(word) and len(word) >= 4))


def _fits(entry: Entry, pool: Collection, where: dict[str, tuple[str, ...]]) -> bool | _Unknown:
    """Whether it is of a side; where that is not known, why."""
    unknown: _Unknown | None = None
    for dimension, values in where.items():
        fits = _holds(entry, pool, dimension, values)
        if fits is False:
            return False
        if isinstance(fits, _Unknown) and (unknown is None or not fits.fits):
            unknown = fits
    return True if unknown is None else unknown


def _holds(entry: Entry, pool: Collection, dimension: str, values: tuple[str, ...]) -> bool | _Unknown:
    if dimension in _TOLD and not {"null", "not null"} & set(values):
        told = _TOLD[dimension](entry)
        label = told.value if told.confidence == "label" else None
        if told.value is None:
            return _Unknown(f"nothing names the {dimension}", None, False)
        same = [_same_name(value, told.value) for value in values]
        if label is not None:
            return _Unknown(f"only a label names the {dimension}", label, True in same)
        if True in same:
            return True
        return _Unknown(f"the {dimension} is told without its release", told.value, False) if None in same else False
    wanted: list[Plain] = [each for value in values for each in _meant(value)]
    if chooser({dimension: wanted}, pool)(entry):
        return True
    if DIMENSIONS[dimension][1](entry, pool) is None:
        return _Unknown(f"{dimension} is not known", None, False)
    return False


@lru_cache(maxsize=4096)
def _same_name(wanted: str, told: str) -> bool | None:
    """Whether both name the same agent or model; null where a dated name is wanted and the date is not told."""
    if plain_name(wanted) != plain_name(told):
        return False
    releases = [_spelled(maker_name(name.casefold())) for name in (wanted, told)]
    if releases[0] == releases[1] or releases[0] == plain_name(wanted):
        return True
    return None if releases[1] == plain_name(told) else False


def _spelled(name: str) -> str:
    return "".join(each for each in name if each.isalnum())


def _meant(value: str) -> list[Plain]:
    """A value as text, and as whatever else it may stand for."""
    meant: list[Plain] = [value]
    if re.fullmatch(r"-?\d{1,15}(\.\d+)?", value):
        meant.append(float(value))
    words: dict[str, Plain] = {"true": True, "false": False, "null": None}
    if value in words:
        meant.append(words[value])
    return meant


def _values(dimension: str, pool: Collection) -> list[str]:
    """Values of a dimension, the most frequent first."""
    tell = DIMENSIONS[dimension][1]
    return [str(v) for v, _ in Counter(tell(e, pool) for e in pool.entries).most_common() if v is not None]


def _there_are(where: dict[str, tuple[str, ...]], pool: Collection) -> str:
    dimension = next(
        (d for d, v in where.items() if not any(_fits(e, pool, {d: v}) is True for e in pool.entries)), None
    )
    if dimension is None:
        return "each of its conditions fits some attempt, and no attempt fits all of them"
    known = _values(dimension, pool)
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return f"{dimension} is one of: {', '.join(known[:_SHOWN]) or 'nothing known'}{more}"


def _on_no_side(apart: dict[str, _Unknown], pool: Collection) -> tuple[OnNoSide, ...]:
    groups: dict[str, list[Entry]] = {}
    for entry in pool.entries:
        if entry.name in apart:
            groups.setdefault(apart[entry.name].why, []).append(entry)
    return tuple(
        OnNoSide(
            why=why,
            attempts=tuple(e.name for e in entries),
            would_count=tuple(e.name for e in entries if left_out(e) is None),
            labels=_counted(apart[e.name].label for e in entries),
            failures=_counted(e.failure.value if e.failure else None for e in entries),
        )
        for why, entries in sorted(groups.items(), key=lambda group: -len(group[1]))
    )


def _counted(values: Iterable[str | None]) -> dict[str, int]:
    return dict(Counter(value for value in values if value is not None).most_common())

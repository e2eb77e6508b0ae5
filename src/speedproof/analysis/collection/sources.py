"""Runs and archives by their names, read into one collection."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from speedproof.analysis.collection import garbage
from speedproof.analysis.collection.collection import Collection
from speedproof.analysis.collection.entry import Entry
from speedproof.analysis.collection.judging import JudgingFailures
from speedproof.analysis.row import Row
from speedproof.analysis.rows import rows
from speedproof.archives.own import own_attempts
from speedproof.archives.store import ArchiveStore, archives
from speedproof.errors import InputError
from speedproof.journal import RunStore, Store
from speedproof.journal.failure import Diagnosis
from speedproof.journal.foreign import ForeignAttempt
from speedproof.journal.foreign_parts import SettingSeen

_Own = tuple[Row, Diagnosis | None]
"""What is known of our own attempts alone: the row, and why judging failed."""
_NAMED = 10
"""Runs and archives that are named where one is not found."""


def collect(names: Sequence[str], state: Path) -> Collection:
    """The attempts of these runs and archives; of all that the state folder holds, when none is named.

    A name is the id of an archive, the folder it was imported from, the id of a run, the beginning of one of these, or
    `latest`. Raises InputError for a name that fits nothing or several, RecordError for a damaged record.
    """
    found = sources(names, state)
    if not found:
        raise InputError(
            "there is no run and no archive here", file=state, hint="speedproof import FOLDER, or speedproof demo"
        )
    imported = [one for one in found if isinstance(one, ArchiveStore)]
    read: list[tuple[ForeignAttempt, _Own | None]] = []
    unread: list[str] = []
    with garbage.kept():
        for one in found:
            read += ((a, None) for a in one.attempts()) if isinstance(one, ArchiveStore) else _of_run(one, unread)
        return Collection.of(_named(read), [one.id for one in found], unread, partial(_settings, imported))


def sources(names: Sequence[str], state: Path) -> list[ArchiveStore | RunStore]:
    """The archives and runs that these names mean, each once; all there are, when none is named."""
    known = archives(state)
    if not names:
        return [*known, *Store(state).runs()]
    found: dict[str, ArchiveStore | RunStore] = {}
    for name in names:
        one = _archive(name, known) or _run(name, known, Store(state))
        found.setdefault(one.id, one)
    return list(found.values())


def _settings(imported: Iterable[ArchiveStore]) -> tuple[SettingSeen, ...]:
    return tuple(seen for one in imported for seen in one.settings())


def _archive(name: str, known: Sequence[ArchiveStore]) -> ArchiveStore | None:
    named = [store for store in known if store.id.startswith(name)]
    exact = [store for store in named if store.id == name]
    if len(named) > 1 and not exact:
        hint = ", ".join(store.id for store in named[:5])
        raise InputError(f"several archives begin with {name!r}", hint=hint)
    path = Path(name)
    if named or not path.is_dir():
        return next(iter(exact or named), None)
    root = str(path.resolve())
    imported = [store for store in known if store.manifest().root == root]
    if not imported:
        raise InputError("this folder is not imported yet", file=path, hint=f"speedproof import {name}")
    return imported[0]


def _run(name: str, known: Sequence[ArchiveStore], store: Store) -> RunStore:
    runs = store.runs()
    if known and name != "latest" and not any(run.id.startswith(name) for run in runs):
        there = [*(one.id for one in known), *(run.id for run in runs)]
        more = f" and {len(there) - _NAMED} more" if len(there) > _NAMED else ""
        what = f"no run and no archive is called {name!r} in {store.root}"
        raise InputError(what, hint=f"there are: {', '.join(there[:_NAMED])}{more}")
    return store.run(name)


def _of_run(run: RunStore, unread: list[str]) -> Iterator[tuple[ForeignAttempt, _Own | None]]:
    known, failures = {row.name: row for row in rows(run)}, JudgingFailures(run)
    for attempt in own_attempts(run, unread):
        row = known.get(attempt.own or "")
        yield attempt, None if row is None else (row, failures.of(attempt, row))


def _named(read: Iterable[tuple[ForeignAttempt, _Own | None]]) -> Iterator[Entry]:
    every = list(read)
    short = [attempt.own or f"{attempt.run}/{attempt.item}" for attempt, _ in every]
    times = Counter(short)
    for (attempt, own), name in zip(every, short, strict=True):
        if times[name] > 1:
            name = f"{attempt.archive}/{attempt.folder}{'#' + attempt.part if attempt.part else ''}"
        yield Entry(attempt, name) if own is None else _own(attempt, *own)


def _own(attempt: ForeignAttempt, row: Row, judging: Diagnosis | None) -> Entry:
    return Entry(
        attempt,
        row.name,
        wire_usd=row.cost_usd if row.cost_unknown_calls == 0 else None,
        proven=row.proven,
        speedup=row.speedup,
        control=row.control,
        under_way=row.state == "open" and row.run is None,
        unqualified=row.unqualified.message if row.unqualified else None,
        judging=judging,
        unread=row.error,
    )

"""What a catalog is made of: every run and archive of a state folder, and a fingerprint of the files of each."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from speedproof.analysis.collection import Entry, collect
from speedproof.analysis.collection.sources import sources
from speedproof.archives.store import PARTS, ArchiveStore
from speedproof.errors import InputError
from speedproof.journal import AttemptStore, RunStore
from speedproof.journal.base import now
from speedproof.journal.run import RunManifest

_OF_ARCHIVES = ("archive.json", *PARTS)


@dataclass(frozen=True)
class Kept:
    """One attempt, and whether it counts."""

    entry: Entry
    apart: str | None
    """Why it is counted nowhere: copy, control, under way; null when it counts."""
    store: AttemptStore | None
    """Its own folder, when we made it."""


@dataclass(frozen=True)
class Source:
    """One run or archive that the catalog was built from."""

    store: ArchiveStore | RunStore
    kind: str
    path: str
    fingerprint: str
    attempts: int


@dataclass(frozen=True)
class Trouble:
    """Something that could not be read, or not be stored."""

    source: str | None
    path: str
    what: str
    why: str
    files: int = 1


@dataclass
class Contents:
    """All of it, read once."""

    attempts: list[Kept]
    sources: list[Source]
    manifests: dict[str, RunManifest]
    """Those of our own runs, by id."""
    read_at: datetime
    troubles: list[Trouble] = field(default_factory=list)
    """What went wrong on the way, also while the rows were made."""


def read(state: Path, reader: str) -> Contents:
    """Read every run and archive. Raises InputError when there is none, RecordError for a record that is damaged.

    `reader` names whatever else the catalog depends on: it is part of the fingerprints.
    """
    at, stores = now(), found(state)
    prints = {store.id: fingerprint(store, reader) for store in stores}  # first: what changes meanwhile shows later
    collection = collect([], state)
    runs = {store.id: store for store in stores if isinstance(store, RunStore)}
    apart = {"copy": collection.copies, "control": collection.controls, "under way": collection.under_way}
    kept = [Kept(entry, why, _own(entry, runs)) for why, entries in apart.items() for entry in entries]
    kept += [Kept(entry, None, _own(entry, runs)) for entry in collection.entries]
    kept.sort(key=lambda one: (one.entry.attempt.archive, one.entry.attempt.folder, one.entry.attempt.part or ""))
    counts = Counter(one.entry.attempt.archive for one in kept)
    listed = [
        Source(
            store,
            "run" if isinstance(store, RunStore) else "archive",
            str(store.folder.resolve()) if isinstance(store, RunStore) else store.manifest().root,
            prints[store.id],
            counts[store.id],
        )
        for store in stores
    ]
    troubles = [Trouble(None, "attempt.json", "damaged", why) for why in collection.unread]
    return Contents(kept, listed, {run.id: run.manifest() for run in runs.values()}, at, troubles)


def found(state: Path) -> list[ArchiveStore | RunStore]:
    """Every run and archive of the state folder. Raises InputError when there is none."""
    stores = sources([], state)
    if not stores:
        hint = "speedproof import FOLDER, or speedproof demo"
        raise InputError("there is no run and no archive here", file=state, hint=hint)
    return stores


def fingerprint(store: ArchiveStore | RunStore, reader: str) -> str:
    """A digest of the names, sizes and times of its files, of whether a process works on it, and of its reader."""
    working = isinstance(store, RunStore) and store.is_locked()
    digest = hashlib.sha256(f"{reader}\n{working}\n".encode())
    for path, size, time in sorted(_files(store)):
        digest.update(os.fsencode(f"{path}\0{size}\0{time}\n"))
    return digest.hexdigest()


def _files(store: ArchiveStore | RunStore) -> Iterator[tuple[str, int, int]]:
    if isinstance(store, ArchiveStore):
        for name in _OF_ARCHIVES:
            path = store.folder / name
            if path.exists():
                facts = path.stat()
                yield name, facts.st_size, facts.st_mtime_ns
        return
    folders, above = [str(store.folder)], len(str(store.folder))
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif not entry.name.startswith("."):
                        facts = entry.stat(follow_symlinks=False)
                        yield entry.path[above:], facts.st_size, facts.st_mtime_ns
        except FileNotFoundError:  # it went away meanwhile: the next look sees another folder
            continue


def _own(entry: Entry, runs: dict[str, RunStore]) -> AttemptStore | None:
    run = runs.get(entry.attempt.archive)
    return None if run is None else AttemptStore(run.folder / entry.attempt.folder)

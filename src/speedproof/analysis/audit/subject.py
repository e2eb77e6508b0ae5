"""What an audit looks at: a collection, and beside it what archives and runs say of themselves."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

from speedproof.analysis.collection import Collection, Entry
from speedproof.analysis.row import Row
from speedproof.analysis.rows import rows
from speedproof.archives.store import ArchiveStore
from speedproof.journal import RunStore
from speedproof.journal.base import now
from speedproof.journal.foreign_parts import SettingSeen


@dataclass(frozen=True)
class Subject:
    """A collection with the archives and runs that it was read from."""

    collection: Collection
    """The attempts."""
    archives: tuple[ArchiveStore, ...]
    """Its archives."""
    runs: tuple[RunStore, ...]
    """Its own runs."""

    @classmethod
    def of(cls, collection: Collection, state: Path) -> "Subject":
        """The collection with its archives and runs, which stand in this state folder."""
        archives = [ArchiveStore(state / "archives" / name) for name in collection.archives]
        known = tuple(store for store in archives if (store.folder / "archive.json").is_file())
        names = {store.id for store in known}
        runs = tuple(RunStore(state / "runs" / name) for name in collection.archives if name not in names)
        return cls(collection, known, runs)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Its attempts, oldest first; second copies and controls are not among them."""
        return self.collection.entries

    @cached_property
    def foreign(self) -> tuple[Entry, ...]:
        """Those that another harness made."""
        return tuple(entry for entry in self.entries if entry.attempt.own is None)

    @cached_property
    def looked_at(self) -> Mapping[str, datetime]:
        """Archive or run → when what was read of it was there, UTC."""
        imported = {store.id: store.manifest().imported_at for store in self.archives}
        return imported | {run.id: now() for run in self.runs}

    @cached_property
    def rows(self) -> tuple[tuple[str, Row], ...]:
        """The rows of its own runs, each with the run's id."""
        return tuple((run.id, row) for run in self.runs for row in rows(run))

    @cached_property
    def settings(self) -> Mapping[str, tuple[SettingSeen, ...]]:
        """Archive → the settings that its files show."""
        return {store.id: tuple(store.settings()) for store in self.archives}

    @cached_property
    def _by_folder(self) -> Mapping[tuple[str, str], Entry]:
        every = (*self.entries, *self.collection.copies, *self.collection.controls)
        return {(entry.attempt.archive, entry.attempt.folder): entry for entry in every}

    def owner(self, archive: str, file: str) -> Entry | None:
        """The attempt to whose folder a file belongs; null when it belongs to none."""
        folder = file
        while folder:
            folder = folder.rpartition("/")[0]
            if (archive, folder) in self._by_folder:
                return self._by_folder[archive, folder]
        return None

    def by(self, key: str) -> Iterator[tuple[str, tuple[Entry, ...]]]:
        """Attempts by one of their fields, in the order of time; those of which it is unknown are left out."""
        groups: dict[str, list[Entry]] = {}
        for entry in self.entries:
            value = getattr(entry.attempt, key)
            if value is not None:
                groups.setdefault(value, []).append(entry)
        return ((value, tuple(members)) for value, members in groups.items())


_SHORT = 8
"""Digits by which commits are compared: archives shorten them to so many."""


def commit_of(entry: Entry) -> str | None:
    """The expert's commit, shortened so that all spellings of one are equal; null when unknown."""
    commit = entry.attempt.commit
    return commit[:_SHORT] if commit else None


def worked(entry: Entry) -> bool | None:
    """Whether a model answered in this attempt, as far as its files tell; null when they do not.

    An attempt that broke before any step, answer or token is known to have done nothing.
    """
    attempt = entry.attempt
    if attempt.usage.output or any(each.total for each in attempt.usages):
        return True
    if attempt.calls is not None and attempt.failed is not None:
        return attempt.calls > attempt.failed
    if attempt.steps == 0 or attempt.usage.output == 0:
        return False
    if attempt.steps or (attempt.outcome and attempt.outcome.message):
        return True
    broke = attempt.run_status in ("infra_error", "agent_error", "model_error")
    return False if broke and attempt.outcome is None else None


def known_name(value: str | None, confidence: str) -> str | None:
    """The name of an agent or model where evidence tells it; null where only a label does."""
    return value if confidence in ("direct", "inferred") else None

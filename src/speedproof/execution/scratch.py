"""The folder that an attempt works in, outside its record: it survives a kill, until the attempt is sealed.

A note in it says whose it is. The note is no record: what it names are places on this machine, of no use elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from speedproof.journal import AttemptStore
from speedproof.workspace.cache import NOTE, Cache
from speedproof.workspace.tree import remove


@dataclass(frozen=True)
class _Note:
    attempt: str
    """The attempt's folder."""
    protected: tuple[str, ...]
    """Patterns of the task's protected paths: what a patch's effect is told by."""
    boot: str
    """Which start of the machine it was made in."""


_NOTES = TypeAdapter(_Note)


class Scratch:
    """The folder of one attempt's work."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        """The agent's home."""
        self.tree = folder / "tree"
        """Where its workspace is."""

    @classmethod
    def new(cls, store: AttemptStore, cache: Cache, protected: Sequence[str]) -> Scratch:
        """The new folder of an attempt that begins. Raises RecordError when the disk refuses."""
        note = _Note(str(store.folder.resolve()), tuple(protected), _boot())
        return cls(cache.attempt(_name(store), json.dumps(asdict(note))))

    def remove(self) -> None:
        """Remove it with everything in it. Nothing may run or be mounted there. Raises RecordError when it stays."""
        remove(self.folder)

    @property
    def protected(self) -> tuple[str, ...]:
        """The task's protected paths."""
        note = self._note()
        return () if note is None else note.protected

    @property
    def attempt(self) -> AttemptStore | None:
        """Its attempt; null when the note cannot be read."""
        note = self._note()
        return None if note is None else AttemptStore(Path(note.attempt))

    @property
    def is_of_this_boot(self) -> bool:
        """Whether the machine has not been started anew since: what was written last may not have reached the disk."""
        note = self._note()
        return note is not None and note.boot == _boot()

    def _note(self) -> _Note | None:
        try:
            return _NOTES.validate_json((self.folder / NOTE).read_bytes())
        except (FileNotFoundError, ValidationError):  # a machine that stopped at once may leave it empty
            return None


def scratch_of(store: AttemptStore, cache: Cache) -> Scratch | None:
    """What an attempt left of its work; null when there is nothing."""
    folder = cache.attempts / _name(store)
    return Scratch(folder) if folder.is_dir() else None


def all_scratch(cache: Cache, run: str | None = None) -> Iterator[Scratch]:
    """What all attempts left, those under way included; those of one run where one is named."""
    for folder in sorted(cache.attempts.glob("*/")):
        if run is None or folder.name.startswith(f"{run}."):
            yield Scratch(folder)


def _name(store: AttemptStore) -> str:
    return store.name.replace("/", ".")


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()

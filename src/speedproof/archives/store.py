"""What was imported, in files: state/archives/<id>/{archive.json, attempts,settings,problems,files}.jsonl."""

import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import ValidationError

from speedproof.errors import InputError, RecordError
from speedproof.journal.base import Record
from speedproof.journal.files import write_atomically
from speedproof.journal.foreign import ForeignAttempt
from speedproof.journal.foreign_parts import SettingSeen
from speedproof.journal.record_file import read_record, write_record

PARTS = ("attempts.jsonl", "problems.jsonl", "settings.jsonl")
"""The files of an archive's records, each folder's lines in the order of folders."""
MOST_PROBLEMS = 100
"""Files of one folder that are listed one by one because of one kind of problem; there may be a million."""
What = Literal["skipped", "broken", "damaged"]
"""Kinds of problems."""


_Kind = TypeVar("_Kind", bound=Record)


class Problem(Record):
    """One file that was not read whole, or belongs to nothing."""

    path: str
    """Relative to the archive's root."""
    what: What
    """skipped: nothing was taken from it; broken: it could not be read; damaged: it was read as far as it goes."""
    why: str
    """Why, and where."""
    files: int = 1
    """How many files it stands for: of very many in one folder, the last one stands for the rest."""


class ArchiveManifest(Record):
    """archive.json: what an archive is, and what was found at the last import that changed something."""

    format: Literal["speedproof/archive/1"] = "speedproof/archive/1"
    """Version of this record's schema."""
    id: str
    """Its id: the folder's name and a digest of its path."""
    root: str
    """The folder."""
    reader: str
    """Name and version of the readers."""
    imported_at: datetime
    """When, UTC."""
    attempts: int
    """Attempts found, second copies included."""
    duplicates: int
    """Those that are second copies."""
    without_journal: int
    """Those of the earlier harness that have no valid journal."""
    layouts: dict[str, int]
    """Attempts by layout."""
    files: int
    """Files read."""
    bytes: int
    """Bytes in them."""
    skipped: int
    """Files and links that nothing was taken from."""
    broken: int
    """Files that could not be read."""
    damaged: int
    """Files that were read as far as they go."""
    settings: int = 0
    """Places at which a file shows a setting."""
    attempts_sha256: str
    """SHA-256 of attempts.jsonl: what the index of files stands for."""


class ArchiveStore:
    """The folder of one imported archive."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.id = folder.name

    def manifest(self) -> ArchiveManifest:
        """archive.json. Raises RecordError when missing or damaged."""
        return read_record(self.folder / "archive.json", ArchiveManifest)

    def lines(self, name: str = "attempts.jsonl") -> list[bytes]:
        """The lines of attempts.jsonl, or of another file of the archive; none when there is none."""
        path = self.folder / name
        return path.read_bytes().splitlines() if path.exists() else []

    def attempts(self) -> Iterator[ForeignAttempt]:
        """Every attempt, in the order of folders. Raises RecordError for a damaged line."""
        return self._read("attempts.jsonl", ForeignAttempt)

    def problems(self) -> list[Problem]:
        """What was wrong with files. Raises RecordError for a damaged line."""
        return list(self._read("problems.jsonl", Problem))

    def settings(self) -> list[SettingSeen]:
        """Every place at which a file shows a setting: of configurations and records first, what reports claim last.

        Raises RecordError for a damaged line.
        """
        return list(self._read("settings.jsonl", SettingSeen))

    def _read(self, name: str, kind: type[_Kind]) -> Iterator[_Kind]:
        for number, line in enumerate(self.lines(name), 1):
            try:
                yield kind.model_validate_json(line)
            except ValidationError as error:
                what = f"damaged record: {error.errors()[0]['msg']}"
                hint = "import the folder again"
                raise RecordError(what, file=self.folder / name, line=number, hint=hint) from error

    def index(self) -> list[bytes] | None:
        """The rows of files.jsonl; null when they do not stand for the records that are there."""
        try:
            manifest = self.manifest()
            digests = [_sha256((self.folder / name).read_bytes()) for name in PARTS]
            rows = (self.folder / "files.jsonl").read_bytes().splitlines()
        except (RecordError, OSError):
            return None
        stand = digests[0] == manifest.attempts_sha256 and rows and rows[0] == " ".join(digests).encode()
        return rows[1:] if stand else None

    def write(self, manifest: ArchiveManifest, data: Mapping[str, bytes], index: Iterable[bytes]) -> None:
        """Write all of it, `data` by the names of PARTS. Killed in between, the next import reads the folder anew."""
        for name in PARTS:
            write_atomically(self.folder / name, data[name])
        digests = " ".join(_sha256(data[name]) for name in PARTS)
        write_atomically(self.folder / "files.jsonl", b"".join(row + b"\n" for row in [digests.encode(), *index]))
        write_record(self.folder / "archive.json", manifest)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the archive meanwhile. Raises InputError when another process imports it, or a file is in its place."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except (NotADirectoryError, FileExistsError) as error:
            raise InputError("a file stands where the folder of records should", file=self.folder) from error
        descriptor = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"another process imports archive {self.id}", hint="wait for it") from error
        else:
            yield
        finally:
            os.close(descriptor)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def archive_id(root: Path) -> str:
    """The id of an archive: the name of its folder and a digest of its path."""
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in root.name)[:40] or "archive"
    return f"{name}-{hashlib.sha256(os.fsencode(root)).hexdigest()[:8]}"


def archives(state: Path) -> list[ArchiveStore]:
    """All imported archives of a state folder, by name."""
    return [ArchiveStore(path.parent) for path in sorted((state / "archives").glob("*/archive.json"))]

"""The files of a folder: as the walk saw them, and as the record of an attempt lists them."""

from collections.abc import Sequence
from dataclasses import dataclass

from speedproof.journal.foreign_parts import ForeignFile

MOST_FILES = 5_000
"""Files of one folder that are listed one by one."""
File = tuple[str, int, str, str | None]
"""Name, bytes, kind and problem of a file."""


def records_of(files: Sequence[File]) -> tuple[ForeignFile, ...]:
    """Their records; of very many the last one stands for the rest."""
    listed = [ForeignFile(path=n, size=size, kind=kind, problem=wrong) for n, size, kind, wrong in files[:MOST_FILES]]
    if len(files) > MOST_FILES:
        rest = sum(size for _, size, _, _ in files[MOST_FILES:])
        listed.append(ForeignFile(path="…", size=rest, kind="other", problem=f"{len(files) - MOST_FILES} more files"))
    return tuple(listed)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as the walk saw it."""

    name: str
    """Path relative to the folder."""
    size: int
    """Bytes."""
    mtime_ns: int
    """When it was changed."""


@dataclass
class Folder:
    """A folder whose files belong together."""

    path: str
    """Relative to the archive's root; "" for the root."""
    files: list[Entry]
    """Its files."""

"""What somebody asked for at a place of their choice: a file or a folder, there whole or not at all."""

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from speedproof.errors import RecordError
from speedproof.journal.files import replace, unfinished


def write_output(path: Path, data: bytes | str, hint: str) -> None:
    """Write a file, making its folder; what stood there is replaced at once, or stays. A link is followed.

    What is no regular file, as a pipe, or is where this process prints, as /dev/stdout, is written to as it stands.
    Raises RecordError, with the hint, when it is refused.
    """
    raw = data.encode() if isinstance(data, str) else data
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if _replaceable(path):
            replace(Path(os.path.realpath(path)), raw)
        else:
            path.write_bytes(raw)
    except OSError as error:
        raise RecordError(f"cannot be written: {error.strerror}", file=path, hint=hint) from error


@contextlib.contextmanager
def whole_folder(path: Path, hint: str) -> Iterator[Path]:
    """A folder to fill, which becomes `path` when the block ends, and is gone when it fails.

    Raises RecordError, with the hint, when the disk refuses, and for any other OSError of the block.
    """
    beside = unfinished(path)
    try:
        beside.mkdir(parents=True)
        yield beside
        beside.rename(path)
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        reason = error.strerror or str(error)[:300]  # shutil.Error has a list of errors instead
        raise RecordError(f"cannot be written: {where}{reason}", file=path, hint=hint) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _replaceable(path: Path) -> bool:
    try:
        about = path.stat()
    except FileNotFoundError:
        return True
    return stat.S_ISREG(about.st_mode) and not _printed_to(about)


def _printed_to(about: os.stat_result) -> bool:
    """Whether this process's output goes to this file: what it prints later would go to the one that was replaced."""
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):  # it is closed
            if os.path.samestat(about, os.fstat(descriptor)):
                return True
    return False

"""Reading a file that a hostile process may have made: no link is followed, no device opened, no size trusted."""

import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_untrusted(path: Path) -> BinaryIO | None:
    """A regular file, opened for reading; null when there is none under this very name."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    return os.fdopen(descriptor, "rb")


def read_untrusted(path: Path, limit: int) -> bytes | None:
    """Up to `limit` bytes of a regular file; null when there is none under this very name."""
    file = open_untrusted(path)
    if file is None:
        return None
    with file:
        return file.read(limit)

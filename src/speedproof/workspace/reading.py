"""Reading a file that a hostile process may have made: no link is followed, no device opened, no size trusted."""

import os
import stat
from pathlib import Path


def read_untrusted(path: Path, limit: int) -> bytes | None:
    """Up to `limit` bytes of a regular file; null when there is none under this very name."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return None
        return file.read(limit)

"""Reading what an agent left behind. All of it is hostile: links, pipes, huge files, broken text, wrong types.

Nothing here raises on content. What cannot be read safely is None, as if it were not there.
"""

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

KEPT_BYTES = 200_000_000
"""A larger trajectory is not kept."""
PARSED_BYTES = 64_000_000
"""A larger file is not parsed: hostile JSON takes some twenty times its size in memory."""
_FOLDER_ENTRIES = 1_000


def plain_file(home: Path, relative: str, limit: int = KEPT_BYTES) -> Path | None:
    """home/relative when it is a regular file of at most `limit` bytes reached through no link; else None."""
    descriptor = _open(home, relative)
    if descriptor is None:
        return None
    try:
        return home / relative if os.fstat(descriptor).st_size <= limit else None
    finally:
        os.close(descriptor)


def read_file(home: Path, relative: str, limit: int = PARSED_BYTES) -> bytes | None:
    """Bytes of a regular file under home, reached through no link; None when absent, unsafe or over `limit` bytes."""
    descriptor = _open(home, relative)
    if descriptor is None:
        return None
    with os.fdopen(descriptor, "rb") as file:
        try:
            data = file.read(limit + 1)
        except OSError:
            return None
    return data if len(data) <= limit else None


def files_below(home: Path, relative: str, depth: int) -> list[str]:
    """Paths, relative to home, of the entries `depth` folders below home/relative, through no link, sorted."""
    found = [relative]
    for _ in range(depth + 1):
        found = [f"{folder}/{name}" for folder in found for name in _names(home, folder)]
        if len(found) > _FOLDER_ENTRIES:
            return []
    return sorted(found)


def parse(data: str | bytes | None) -> Any:
    """The JSON value of `data`; None when it is none."""
    if data is None:
        return None
    try:
        return json.loads(data.decode(errors="replace") if isinstance(data, bytes) else data)
    except (ValueError, RecursionError, MemoryError):
        return None


def json_lines(lines: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number (from 1) and object of each line that is a JSON object."""
    for number, line in enumerate(lines, 1):
        if line.lstrip().startswith("{"):
            value = parse(line)
            if isinstance(value, dict):
                yield number, value


def mapping(value: Any) -> dict[str, Any]:
    """`value` when it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> list[Any]:
    """`value` when it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def text(value: Any, limit: int = 2_000) -> str | None:
    """`value` when it is a string with something in it, valid Unicode, cut to `limit` characters; else None."""
    if not isinstance(value, str):
        return None
    stripped = value.strip()[:limit]
    return stripped.encode(errors="replace").decode() or None


def last_line_with(data: bytes | None, start: bytes) -> int | None:
    """Number (from 1) of the last line that begins, after spaces, with `start`; None when there is none."""
    found = None
    for number, line in enumerate((data or b"").split(b"\n"), 1):
        if line.lstrip().startswith(start):
            found = number
    return found


def _open(home: Path, relative: str) -> int | None:
    """A descriptor of the regular file home/relative, following no link in any part below home."""
    *folders, name = relative.split("/")
    folder = _folder(home, folders)
    if folder is None:
        return None
    try:
        # O_NONBLOCK: a pipe would wait for its writer for ever
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except (OSError, ValueError):
        return None
    finally:
        os.close(folder)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None


def _folder(home: Path, parts: list[str]) -> int | None:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    try:
        current = os.open(home, flags)
    except OSError:
        return None
    for part in parts:
        try:
            deeper = os.open(part, flags | os.O_NOFOLLOW, dir_fd=current)
        except (OSError, ValueError):
            return None
        finally:
            os.close(current)
        current = deeper
    return current


def _names(home: Path, relative: str) -> list[str]:
    folder = _folder(home, relative.split("/"))
    if folder is None:
        return []
    try:
        with os.scandir(folder) as entries:
            return [entry.name for _, entry in zip(range(_FOLDER_ENTRIES), entries, strict=False)]
    except OSError:
        return []
    finally:
        os.close(folder)

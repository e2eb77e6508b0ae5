"""Files that survive a kill: atomic replacement, and append-only JSON lines whose torn tail is reported."""

import json
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speedproof.errors import RecordError


def write_atomically(path: Path, data: bytes | str) -> None:
    """Replace `path` with `data`, as `replace` does. Raises RecordError when the disk refuses it."""
    try:
        replace(path, data)
    except OSError as error:
        raise RecordError(
            f"cannot write the record: {error.strerror}", file=path, hint="free space or mend the permissions"
        ) from error


def replace(path: Path, data: bytes | str) -> None:
    """Replace `path` with `data`: temporary file, fsync, rename, fsync of the folder. Its mode stays.

    Raises OSError when the disk refuses it; the old content then stands.
    """
    raw = data.encode() if isinstance(data, str) else data
    temporary = unfinished(path)
    try:
        with temporary.open("wb") as file:
            if path.exists():
                os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def unfinished(path: Path) -> Path:
    """Where this process writes what is to stand at `path` when it is whole."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed process was writing, anywhere below `folder`, to replace something with it."""
    for left in list(folder.rglob(".*.tmp")):
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        else:
            left.unlink(missing_ok=True)  # it may have been in such a folder


class JsonLines:
    """An append-only file of JSON objects with one writer; each line is one write call.

    A line torn by a kill or a full disk is ended before the next one, so that it spoils no other.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        size = os.fstat(self._file).st_size
        self._torn = size > 0 and os.pread(self._file, 1, size - 1) != b"\n"

    def append(self, value: dict[str, Any] | str) -> None:
        """Add one object (or its JSON text) as a line. Raises RecordError when the disk refuses it."""
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        line = b"\n" * self._torn + text.encode() + b"\n"
        try:
            written = os.write(self._file, line)
            self._torn = written < len(line)
            if written != len(line):
                raise OSError(28, "short write: no space left on device")
        except OSError as error:
            raise RecordError(
                f"cannot append to the record: {error.strerror}", file=self.path, hint="free disk space"
            ) from error

    def close(self) -> None:
        """Flush to disk and close."""
        os.fsync(self._file)
        os.close(self._file)


@dataclass(frozen=True)
class BadLine:
    """A line that is no JSON object: torn by a kill when last, damaged otherwise."""

    line: int
    torn: bool
    excerpt: str


def read_lines(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    """Yield (number, line, whether it is torn: the last, and not ended) for each line."""
    if not path.exists():
        return
    lines = path.read_bytes().split(b"\n")
    ended = lines[-1] == b""
    if ended:
        lines.pop()
    for number, line in enumerate(lines, 1):
        yield number, line, number == len(lines) and not ended


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]] | BadLine]:
    """Yield (line number, object) for each whole line and a BadLine for each that is not; nothing is dropped unsaid."""
    for number, line, torn in read_lines(path):
        try:
            value = json.loads(line)
        except ValueError:  # JSON and UTF-8 errors both
            value = None
        if isinstance(value, dict):
            yield number, value
        else:
            yield BadLine(number, torn, line[:200].decode(errors="replace"))

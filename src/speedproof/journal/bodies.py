"""Request and answer bodies of one attempt, in one append-only file: bodies.zst.

A conversation is sent again with every call, a little longer each time. So a body is written as what is new in it,
between a beginning and an end that it shares with an earlier body. On disk a record is a skippable zstandard frame
that holds its header as JSON, then a frame with the new bytes: a reader finds all records without unpacking any, and
`zstdcat` prints what was new, body after body.
"""

import errno
import hashlib
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import zstandard
from pydantic import Field, ValidationError

from speedproof.errors import RecordError
from speedproof.journal.base import Record

LONGEST_BODY = 128 << 20
"""Bytes of one body: twice what the gateway takes, since replaced secrets may make it longer."""
_MAGIC = 0x184D2A5B
_FRONT = struct.Struct("<II")
_LONGEST_HEADER = 1 << 12
_LEVEL = 1
_KEPT = 8
_KEPT_BYTES = 64 << 20
_DEEPEST = 256
"""So many bodies may stand one upon another: whoever reads the last one reads them all."""
_WORTH = 128
"""A shared part shorter than this does not pay for the dependence."""


class BodyHeader(Record):
    """The header of one body in bodies.zst."""

    name: str
    """SHA-256 of the body as it was on the wire: `sent_sha256` or `response_sha256` of its call."""
    sha256: str
    """SHA-256 of the body as stored, secrets replaced; equal to the name when it held none."""
    size: int = Field(ge=0, le=LONGEST_BODY)
    """Bytes of the body as stored."""
    base: int | None = Field(default=None, ge=0)
    """The body in this file, counted from 0, that it shares its beginning and end with; null when it stands alone."""
    prefix: int = Field(default=0, ge=0)
    """Bytes that it shares with the beginning of its base."""
    suffix: int = Field(default=0, ge=0)
    """Bytes that it shares with the end of its base; none of them is in `prefix`."""
    packed: int = Field(ge=0)
    """Bytes of the frame that follows; it holds what lies between prefix and suffix."""

    @property
    def middle(self) -> int:
        """Bytes of its own."""
        return self.size - self.prefix - self.suffix


class _Recent:
    """The last few bodies by their number in the file: few, and no more bytes than a process can spare."""

    def __init__(self) -> None:
        self.bodies: dict[int, bytes] = {}
        self._size = 0

    def keep(self, number: int, body: bytes) -> None:
        if len(body) > _KEPT_BYTES:
            return
        self.bodies[number] = body
        self._size += len(body)
        while len(self.bodies) > _KEPT or self._size > _KEPT_BYTES:
            self._size -= len(self.bodies.pop(next(iter(self.bodies))))


class BodyWriter:
    """The only writer of an attempt's bodies.zst. Each body is one write call, so that a kill tears the last at most.

    Not for several threads at once.
    """

    def __init__(self, path: Path) -> None:
        """Begin a new file. Raises RecordError when it exists, or cannot be made."""
        self.path = path
        self.size = 0
        """Bytes written so far."""
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise self._refused(error) from error
        self._names: set[str] = set()
        self._depths: list[int] = []
        self._recent = _Recent()
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL)

    def add(self, name: str, raw: bytes, sha256: str | None = None) -> None:
        """Store a body under `name`, the SHA-256 of its original bytes; one whose name is stored already is left out.

        `raw` is what is stored: the body with its secrets replaced, LONGEST_BODY at most. Raises RecordError when it is
        longer, or the disk refuses it; the bodies before it stand, and another try may follow. `sha256`: of `raw`,
        where the caller knows it.
        """
        if name in self._names:
            return
        if len(raw) > LONGEST_BODY:
            raise RecordError(f"a body of {len(raw):,} bytes is too long for the record", file=self.path)
        base, prefix, suffix = self._shared(raw)
        packed = self._compressor.compress(raw[prefix : len(raw) - suffix])
        header = BodyHeader(
            name=name,
            sha256=sha256 or hashlib.sha256(raw).hexdigest(),
            size=len(raw),
            base=base,
            prefix=prefix,
            suffix=suffix,
            packed=len(packed),
        )
        text = header.model_dump_json(exclude_defaults=True).encode()
        self._write(_FRONT.pack(_MAGIC, len(text)) + text + packed)
        self._recent.keep(len(self._depths), raw)
        self._depths.append(0 if base is None else self._depths[base] + 1)
        self._names.add(name)

    def close(self) -> None:
        """Flush to disk and close. Raises RecordError when the disk refuses it."""
        try:
            os.fsync(self._file)
        except OSError as error:
            raise self._refused(error) from error
        finally:
            os.close(self._file)

    def _shared(self, raw: bytes) -> tuple[int | None, int, int]:
        """The recent body that saves most, with the lengths of the shared beginning and end."""
        best: tuple[int | None, int, int] = (None, 0, 0)
        saved = _WORTH
        for number, body in reversed(self._recent.bodies.items()):
            half = saved // 2  # whichever saves more shares more than this with one end
            alike = raw.startswith(body[:half]) or raw.endswith(body[-half:])
            if alike and min(len(raw), len(body)) > saved and self._depths[number] < _DEEPEST:
                prefix = _common_beginning(raw, body)
                suffix = _common_end(raw, body, min(len(raw), len(body)) - prefix)
                if prefix + suffix > saved:
                    saved, best = prefix + suffix, (number, prefix, suffix)
            if saved > len(raw) - len(raw) // 16:
                break  # hardly anything is left to save
        return best

    def _write(self, record: bytes) -> None:
        try:
            if os.pwrite(self._file, record, self.size) != len(record):
                raise OSError(errno.ENOSPC, "short write: no space left on device")
        except OSError as error:
            try:
                os.ftruncate(self._file, self.size)
            finally:
                raise self._refused(error) from error
        self.size += len(record)

    def _refused(self, error: OSError) -> RecordError:
        return RecordError(
            f"cannot write the bodies: {error.strerror}", file=self.path, hint="free space or mend the permissions"
        )


@dataclass(frozen=True)
class BadTail:
    """The end of a bodies.zst that holds no whole record: torn by a kill, or damaged."""

    offset: int
    """Where it begins."""
    size: int
    """Its bytes."""


class Bodies:
    """The bodies of one attempt, read when they are asked for."""

    def __init__(self, path: Path, records: list[tuple[BodyHeader, int]], torn: BadTail | None) -> None:
        self.path = path
        self.torn = torn
        """What was dropped at the end of the file; null when nothing was."""
        self._records = records
        self._numbers = {header.name: number for number, (header, _) in enumerate(records)}
        self._recent = _Recent()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all bodies, in the order in which they were written."""
        return tuple(self._numbers)

    def header(self, name: str) -> BodyHeader | None:
        """What the file says of a body; null when it is not there."""
        number = self._numbers.get(name)
        return None if number is None else self._records[number][0]

    def get(self, name: str) -> bytes | None:
        """The body as stored; null when it is not there. Raises RecordError when it is damaged."""
        number = self._numbers.get(name)
        if number is None:
            return None
        chain: list[int] = []
        body = b""
        at: int | None = number
        while at is not None:
            if at in self._recent.bodies:
                body = self._recent.bodies[at]
                break
            chain.append(at)
            at = self._records[at][0].base
        if not chain:
            return body
        try:
            with self.path.open("rb") as file:
                for link in reversed(chain):
                    body = self._built(file, link, body)
        except OSError as error:
            raise RecordError(f"cannot read the bodies: {error.strerror}", file=self.path) from error
        if hashlib.sha256(body).hexdigest() != self._records[number][0].sha256:
            raise self._damaged(number)
        self._recent.keep(number, body)
        return body

    def _built(self, file: BinaryIO, number: int, base: bytes) -> bytes:
        header, offset = self._records[number]
        file.seek(offset)
        packed = file.read(header.packed)
        try:
            if zstandard.frame_content_size(packed) != header.middle:  # before a bomb is unpacked
                raise self._damaged(number)
            middle = zstandard.ZstdDecompressor().decompress(packed)
        except zstandard.ZstdError as error:
            raise self._damaged(number) from error
        return base[: header.prefix] + middle + base[len(base) - header.suffix :]

    def _damaged(self, number: int) -> RecordError:
        header, offset = self._records[number]
        return RecordError(f"the body {header.name} at byte {offset} is damaged", file=self.path)


def read_bodies(path: Path) -> Bodies:
    """Find every whole body in a bodies.zst; one without the file has none. Raises RecordError when it is unreadable.

    Headers are read, bodies are not: what a record holds is checked when it is asked for.
    """
    records: list[tuple[BodyHeader, int]] = []
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            end = os.fstat(descriptor).st_size
            at = 0
            while (header := _header(file, records)) is not None and file.tell() + header.packed <= end:
                records.append((header, file.tell()))
                at = file.seek(header.packed, os.SEEK_CUR)
    except FileNotFoundError:
        return Bodies(path, [], None)
    except OSError as error:
        raise RecordError(f"cannot read the bodies: {error.strerror}", file=path) from error
    return Bodies(path, records, None if at == end else BadTail(at, end - at))


def _header(file: BinaryIO, before: list[tuple[BodyHeader, int]]) -> BodyHeader | None:
    """The header that begins here; null when there is none that holds."""
    front = file.read(_FRONT.size)
    if len(front) < _FRONT.size:
        return None
    magic, length = _FRONT.unpack(front)
    if magic != _MAGIC or length > _LONGEST_HEADER:
        return None
    try:
        header = BodyHeader.model_validate_json(file.read(length))
    except ValidationError:
        return None
    if header.base is not None and header.base >= len(before):
        return None
    shared = before[header.base][0].size if header.base is not None else 0
    return header if header.prefix + header.suffix <= min(shared, header.size) else None


def _common_beginning(a: bytes, b: bytes) -> int:
    """Bytes from the first that two bodies share."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if a[low:middle] == b[low:middle] else (low, middle - 1)
    return low


def _common_end(a: bytes, b: bytes, limit: int) -> int:
    """Bytes up to the last that two bodies share, `limit` at most."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        same = a[len(a) - middle : len(a) - low] == b[len(b) - middle : len(b) - low]
        low, high = (middle, high) if same else (low, middle - 1)
    return low

"""Server-sent events, read while they pass: whatever way the bytes are torn, the same events come out."""

import re
from dataclasses import dataclass

LONGEST_EVENT = 16 << 20
"""Bytes of an event that are held while it is not whole."""
_END = re.compile(rb"(?>\r\n|\r|\n){2}")
_LINE = re.compile(rb"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Event:
    """One event: its name, its data (lines joined), and the bytes it came as, blank line included."""

    name: str
    data: str
    raw: bytes


def _event(raw: bytes) -> Event:
    name, data = "message", []
    for line in _LINE.split(raw.removeprefix(_BOM)):
        field, _, value = line.partition(b":")
        text = value.removeprefix(b" ").decode(errors="replace")
        if field == b"event":
            name = text
        elif field == b"data":
            data.append(text)
    return Event(name, "\n".join(data), raw)


class EventParser:
    """Feed it bytes as they arrive; it gives back the events that have become whole."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0

    def feed(self, chunk: bytes) -> list[Event]:
        """The events completed by `chunk`, comments (events without data) included."""
        self._buffer += chunk
        events: list[Event] = []
        start = 0
        while found := _END.search(self._buffer, max(start, self._searched)):
            if found.end() == len(self._buffer) and self._buffer.endswith(b"\r"):
                break  # the line feed of a CRLF may still come
            events.append(_event(bytes(self._buffer[start : found.end()])))
            start = self._searched = found.end()
        del self._buffer[:start]
        self._searched = max(0, len(self._buffer) - 3)
        if len(self._buffer) > LONGEST_EVENT:  # no event is as long: it is passed on unread
            events.append(Event("", "", bytes(self._buffer)))
            self._buffer.clear()
            self._searched = 0
        return events

    def finish(self) -> Event | None:
        """What is left when the stream ends: an event without its blank line, or null."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._searched = 0
        return _event(rest) if rest else None

"""The scheduler's log as a file: events.jsonl, written line by line and read back."""

import threading
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from speedproof.journal.events import Event
from speedproof.journal.files import BadLine, JsonLines, read_lines

_EVENT: TypeAdapter[Event] = TypeAdapter(Event)


class EventLog:
    """The scheduler's log of one run, open for appending: a thread may write while another does."""

    def __init__(self, path: Path) -> None:
        self._file = JsonLines(path)
        self._writing = threading.Lock()

    def append(self, event: Event) -> None:
        """Add a line. Raises RecordError when the disk refuses it."""
        with self._writing:
            self._file.append(event.model_dump_json())

    def close(self) -> None:
        """Flush to disk and close."""
        self._file.close()


def read_events(path: Path) -> tuple[list[Event], list[BadLine]]:
    """The events, and the lines that are torn or damaged."""
    good: list[Event] = []
    bad: list[BadLine] = []
    for number, line, torn in read_lines(path):
        try:
            good.append(_EVENT.validate_json(line))
        except ValidationError:
            bad.append(BadLine(number, torn, line[:200].decode(errors="replace")))
    return good, bad

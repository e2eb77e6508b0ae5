"""Asking the catalog in SQL: one statement that reads, nothing that writes, attaches, loads, or opens another file."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

from speedproof.analysis.catalog.build import SAFE, opened
from speedproof.errors import InputError, RecordError

_BATCH = 1_000
"""Rows that are fetched at once."""
_READS = {"SELECT", "MULTI"}
"""Kinds of statements that read: FROM, WITH, VALUES, DESCRIBE, SHOW and SUMMARIZE are selections too, PIVOT is many."""
_ZONED = "TIMESTAMP WITH TIME ZONE"
_Gift = TypeVar("_Gift")


class Answer:
    """What a query gave: its columns, and its rows, fetched as they are taken."""

    def __init__(self, connection: Any, query: Any) -> None:
        self._connection = connection
        result = _stoppable(connection, lambda: connection.execute(query))
        self.columns: tuple[tuple[str, str], ...] = tuple((name, str(kind)) for name, kind, *_ in result.description)
        """Name and type of each column."""

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """The rows, once. Raises InputError for what fails only now, such as a text that is no number."""
        while True:
            batch = _stoppable(self._connection, lambda: self._connection.fetchmany(_BATCH))
            if not batch:
                return
            yield from batch


@contextmanager
def asked(catalog: Path, query: str) -> Iterator[Answer]:
    """The answer to one statement that reads, as long as the block lasts.

    Raises InputError, with the database's message and the place, for a statement that is wrong or does anything but
    read the catalog; RecordError when there is no catalog.
    """
    if not catalog.is_file():
        raise RecordError("there is no catalog", file=catalog, hint="speedproof catalog")
    with opened(catalog) as connection:
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        with _refusals():
            statements = connection.extract_statements(query)
        if len(statements) != 1:
            raise InputError(f"{len(statements)} statements instead of one", hint="one query at a time")
        kind = statements[0].type.name
        if kind not in _READS:
            raise InputError(
                f"{kind} does not read the catalog", hint="SELECT, FROM, WITH, DESCRIBE, SHOW or SUMMARIZE"
            )
        answer = Answer(connection, statements[0])
        for name, held in answer.columns:
            if _ZONED in held:
                raise InputError(f"column {name} has a zone", hint=f"({name})::TIMESTAMP: times of the catalog are UTC")
        yield answer


def _stoppable(connection: Any, work: Callable[[], _Gift]) -> _Gift:
    """What `work` gives, done in a thread of its own: the database itself does not always heed Ctrl-C. That may come at
    any moment, even before the work has begun."""
    at_work, left = Event(), Event()

    def run() -> _Gift:
        at_work.set()
        try:
            if left.is_set():
                raise CancelledError
            return work()
        finally:
            at_work.clear()

    worker = ThreadPoolExecutor(1)
    try:
        with _refusals():
            return worker.submit(run).result()
    finally:
        left.set()
        while at_work.is_set():
            connection.interrupt()
            time.sleep(0.01)
        worker.shutdown(wait=False)


@contextmanager
def _refusals() -> Iterator[None]:
    import duckdb

    try:
        yield
    except duckdb.OutOfMemoryException as error:
        said = f"Out of Memory: the query takes more than {SAFE['memory_limit']}"
        raise InputError(said, hint="ask for fewer rows or columns, or group them") from error
    except duckdb.Error as error:
        raise InputError(str(error), hint="docs/catalog.md lists tables and columns, and so does DESCRIBE") from error

"""Making the catalog: beside the old one, then in its place; and telling whether it is still true."""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

from speedproof import __version__
from speedproof.analysis.catalog.contents import Contents, Trouble, fingerprint, found, read
from speedproof.analysis.catalog.declared import TABLES, literal, statements
from speedproof.analysis.catalog.table import Table
from speedproof.analysis.collection.sources import sources
from speedproof.errors import RecordError

NAME = "catalog.duckdb"
"""The file in the state folder."""
SAFE: dict[str, Any] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,
    "temp_directory": "",
    "memory_limit": "800MB",
}
"""How every database is opened: nothing is downloaded, no variable of ours is a table, nothing is written beside it."""
_BATCH = 20_000
"""Rows that are handed over at once."""


def build_catalog(state: Path) -> Path:
    """Build state/catalog.duckdb anew from the files of all runs and archives, and put it in place of the old one.

    Readers of the old one keep it. Killed half-way, the old one stands. Waits while another process builds one. Raises
    InputError when there is no run and no archive, RecordError for a damaged record and when the disk refuses.
    """
    found(state)
    with _held(state):
        return _built(state)


def current_catalog(state: Path) -> Path:
    """state/catalog.duckdb, built anew if it is not made of the files as they are now. Raises as `build_catalog`."""
    found(state)
    if is_current(state):
        return state / NAME
    with _held(state):
        return state / NAME if is_current(state) else _built(state)


def is_current(state: Path) -> bool:
    """Whether the catalog is there and made of all runs and archives as they are now."""
    reader = _reader()
    return _known(state / NAME) == {store.id: fingerprint(store, reader) for store in sources([], state)}


def _known(path: Path) -> dict[str, str] | None:
    """Fingerprints of what a catalog was built from; null when there is none, or it cannot be read."""
    import duckdb

    if not path.is_file():
        return None
    try:
        with opened(path) as connection:
            return dict(connection.execute("SELECT id, fingerprint FROM sources").fetchall())
    except duckdb.Error:  # not a database, or of another version: whatever it is, it is rebuilt
        return None


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A connection that reads this catalog as it is now, whatever is renamed in its place, and that writes nothing."""
    import duckdb

    # Attached to an empty database: connections to one path share what the first of them has opened.
    connection = duckdb.connect(":memory:", config=SAFE)
    try:
        connection.execute(f"ATTACH {literal(str(path))} AS catalog (READ_ONLY)")
        connection.execute("USE catalog")
        yield connection
    finally:
        connection.close()


def _reader() -> str:
    """Whatever a catalog depends on besides files: declarations, program and price list."""
    declared = hashlib.sha256("\n".join(statements()).encode()).hexdigest()
    return f"speedproof {__version__}, genai-prices {version('genai-prices')}, {declared}"


@contextmanager
def _held(state: Path) -> Iterator[None]:
    """Be the only one to build meanwhile: wait for whoever does."""
    descriptor = os.open(state / ".catalog.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _built(state: Path) -> Path:
    import duckdb

    path = state / NAME
    for left in state.glob(f".{NAME}.*"):  # by a process that was killed: nobody else builds now
        left.unlink()
    temporary = state / f".{NAME}.{os.getpid()}.tmp"
    contents = read(state, _reader())
    try:
        _write(temporary, contents)
        _put(temporary, path)
    except (duckdb.Error, OSError) as error:
        reason = str(error.strerror if isinstance(error, OSError) else error).splitlines()[0]
        raise RecordError(f"cannot write the catalog: {reason}", file=path, hint="free space or memory") from error
    finally:
        for left in state.glob(f"{temporary.name}*"):
            left.unlink()
    return path


def _write(path: Path, contents: Contents) -> None:
    import duckdb

    with contextlib.closing(duckdb.connect(str(path), config=SAFE)) as connection:
        # Closing writes what is left in the log to the file, and tells nobody when the disk is full.
        connection.execute("PRAGMA disable_checkpoint_on_shutdown")
        connection.execute("BEGIN")
        for statement in statements():
            connection.execute(statement)
        for table in TABLES:
            _fill(connection, table, contents)
        connection.execute("COMMIT")
        connection.execute("CHECKPOINT")


def _fill(connection: Any, table: Table[Any], contents: Contents) -> None:
    appender = connection.appender(table.name)
    rows = (_row(table, row, contents) for row in table.rows(contents))
    while batch := list(islice(rows, _BATCH)):
        appender.append_rows(batch)
        appender.flush()


def _row(table: Table[Any], row: Any, contents: Contents) -> list[Any]:
    values: list[Any] = []
    for column in table.columns:
        try:
            values.append(column.stored(row))
        except OverflowError as error:
            values.append(None)
            place = f"{values[0]}: {table.name}.{column.name}"
            contents.troubles.append(Trouble(None, place, "unfit", str(error)))
    return values


def _put(temporary: Path, path: Path) -> None:
    """Rename a whole file into its place, so that it is there after a crash too."""
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

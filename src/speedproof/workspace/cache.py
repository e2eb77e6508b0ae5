"""The cache: entries, which can all be rebuilt, and work in progress.

Entries are made beside and renamed in, so a kill leaves none half-made. Work in progress lies in a folder of each
process, swept away once that process is gone; only what an attempt works in is kept until the attempt is sealed.
"""

import atexit
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from speedproof.errors import InputError, RecordError
from speedproof.workspace.leftovers import clear_folder
from speedproof.workspace.tree import remove

_FULL = 64 << 10
"""Bytes free under which whatever failed failed for lack of space."""
_FOLDERS: dict[Path, Path] = {}
"""This process's folder for work in progress, by cache."""
_USED: set[Path] = set()
"""Entries that this process has noted as used."""
_WORK, _ATTEMPTS, _NOTES = "work", "attempts", ".used"
NOTE = "attempt.json"
"""The file in the folder of an attempt's work that says whose it is."""
_NO_ENTRIES = {_WORK, _ATTEMPTS, "machine"}

Progress = Callable[[str], None]
"""Told in one line what long work is doing."""


def silent(_: str) -> None:
    """A Progress that tells nobody."""


def _users() -> Path:
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError as error:
        raise InputError(
            "there is no place for the cache: HOME is not set, and this user has no home folder",
            hint="set SPEEDPROOF_CACHE to a folder",
        ) from error


@dataclass(frozen=True)
class Entry:
    """A finished entry of the cache."""

    kind: str
    name: str
    path: Path
    used_at: datetime
    """When a process last asked for it, or made it."""


class Cache:
    """A folder of entries named by kind and digest."""

    def __init__(self, root: Path | None = None) -> None:
        """At `root`, else where SPEEDPROOF_CACHE says, else among the user's caches. Raises InputError without one."""
        chosen = root or os.environ.get("SPEEDPROOF_CACHE")
        if chosen is None:
            chosen = _users() / "speedproof"
        self.root = Path(chosen).resolve()

    def entry(self, kind: str, digest: str, make: Callable[[Path], None]) -> Path:
        """The folder kind/digest, made by `make(folder)` when it is not there yet; safe between processes.

        Raises whatever `make` raises, leaving no entry, and RecordError when the disk refuses.
        """
        target = self.root / kind / digest
        self._use(target)
        if target.is_dir():
            return target
        with self.lock(kind, digest):
            if target.is_dir():
                return target
            beside = self.scratch("make")
            try:
                make(beside)
                beside.chmod(0o755)
                beside.rename(target)
            except BaseException as error:
                full = shutil.disk_usage(self.root).free < _FULL
                shutil.rmtree(beside, ignore_errors=True)
                if full and isinstance(error, Exception):  # programs that ran into it give any reason
                    raise RecordError(
                        "no space left on device",
                        file=self.root,
                        hint="free disk space, or set SPEEDPROOF_CACHE to another folder",
                    ) from error
                raise
        return target

    @contextmanager
    def lock(self, kind: str, digest: str) -> Iterator[None]:
        """Hold the right to make or change kind/digest."""
        folder = self.root / kind
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(folder / f".{digest}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise RecordError(
                f"cannot write the cache: {error.strerror}",
                file=folder,
                hint="set SPEEDPROOF_CACHE to another folder",
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def scratch(self, prefix: str) -> Path:
        """A new empty folder for work in progress; who asks for it removes it.

        What a killed process left is swept away by the next one. Raises RecordError when the disk refuses.
        """
        try:
            with self.lock(_WORK, "sweep"):
                folder = self._own_folder()
            return Path(tempfile.mkdtemp(prefix=f"{prefix}-", dir=folder))
        except OSError as error:
            raise self._refused(error) from error

    def attempt(self, name: str, note: str) -> Path:
        """The new folder of one attempt's work, outside any process's own: it survives a kill.

        It is empty but for the file NOTE, which says whose it is from the first moment on. Whoever seals the attempt
        removes it. Raises RecordError when the disk refuses, or when it is there already.
        """
        beside = self.scratch("attempt")
        folder = self.attempts / name
        try:
            (beside / NOTE).write_text(note)
            self.attempts.mkdir(exist_ok=True)
            beside.rename(folder)
        except OSError as error:
            shutil.rmtree(beside, ignore_errors=True)
            raise self._refused(error) from error
        return folder

    @property
    def attempts(self) -> Path:
        """The folder in which those of attempts lie."""
        return self.root / _ATTEMPTS

    def work(self) -> dict[Path, bool]:
        """The folders of processes, and whether their process lives; not those that we may not look into."""
        found = {}
        for folder in sorted((self.root / _WORK).glob("*/")):
            with _held(folder) as held:
                if held is not None:
                    found[folder] = not held
        return found

    def sweep(self) -> None:
        """Remove what processes that are gone left of their work in progress, and end what still works in it.

        Another user's is left to them, where it cannot be removed. Raises RecordError when the disk refuses.
        """
        with self.lock(_WORK, "sweep"):
            self._sweep()

    def entries(self) -> list[Entry]:
        """The finished entries, by kind and name."""
        found = []
        for kind in sorted(self.root.glob("*/")):
            if kind.name in _NO_ENTRIES:
                continue
            for path in sorted(kind.glob("[!.]*")):
                used = [_seconds(path), _seconds(path.with_name(f".{path.name}.lock"))]
                found.append(Entry(kind.name, path.name, path, datetime.fromtimestamp(max(used), UTC)))
        return found

    def in_use(self) -> set[Path]:
        """The entries that a living process has asked for."""
        found: set[Path] = set()
        for folder in (self.root / _WORK).glob("*/"):
            with _held(folder) as held, suppress(OSError):  # it ended just now, or is another user's
                if held is False:
                    found |= {self.root / line for line in folder.with_suffix(_NOTES).read_text().splitlines()}
        return found

    def drop(self, entries: list[Entry]) -> list[Entry]:
        """Free these entries, but for those that a living process has asked for; returns what was freed.

        Raises RecordError when the disk refuses.
        """
        beside = self.scratch("drop")
        with self.lock(_WORK, "sweep"):  # nobody begins to use one meanwhile
            used = self.in_use()
            freed = [entry for entry in entries if entry.path not in used]
            for number, entry in enumerate(freed):
                with suppress(FileNotFoundError):  # another process frees the same
                    entry.path.rename(beside / str(number))
        remove(beside)
        return freed

    def _use(self, target: Path) -> None:
        """Note that this process uses an entry, now and as long as it lives."""
        if target in _USED:
            return
        try:
            with self.lock(_WORK, "sweep"):
                with self._own_folder().with_suffix(_NOTES).open("a") as notes:
                    notes.write(f"{target.relative_to(self.root)}\n")
                target.parent.mkdir(exist_ok=True)
                target.with_name(f".{target.name}.lock").touch()
        except OSError as error:
            raise self._refused(error) from error
        _USED.add(target)

    def _own_folder(self) -> Path:
        """This process's folder below work/, locked for as long as it lives; what others left is swept away first."""
        if self.root in _FOLDERS:
            return _FOLDERS[self.root]
        self._sweep()
        folder = Path(tempfile.mkdtemp(dir=self.root / _WORK))
        held = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(held, fcntl.LOCK_EX)
        _FOLDERS[self.root] = folder
        atexit.register(_leave, folder)
        return folder

    def _sweep(self) -> None:
        for left in (self.root / _WORK).glob("*/"):
            with _held(left) as held:
                if not held:
                    continue
                try:
                    clear_folder(left)
                except RecordError:
                    if _is_ours(left):
                        raise
        for notes in (self.root / _WORK).glob(f"*{_NOTES}"):
            if not notes.with_suffix("").exists():
                with suppress(OSError):  # another user's
                    notes.unlink()

    def _refused(self, error: OSError) -> RecordError:
        return RecordError(
            f"cannot write the cache: {error.strerror}", file=error.filename or self.root, hint="free disk space"
        )


@contextmanager
def _held(folder: Path) -> Iterator[bool | None]:
    """Take a process's folder: True when nobody else has it, False when its process lives, None when we may not.

    Raises PermissionError where it is ours all the same.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # its process ended just now, and took it along
        yield None
        return
    except PermissionError:
        if _is_ours(folder):
            raise
        yield None
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)


def _seconds(path: Path) -> float:
    """When a file was last changed, in seconds of the epoch; 0 where there is none."""
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return 0.0


def _leave(folder: Path) -> None:
    """Take this process's folder along."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.with_suffix(_NOTES).unlink(missing_ok=True)


def _is_ours(folder: Path) -> bool:
    return folder.stat().st_uid == os.geteuid()

"""The cache: all in it can be rebuilt. Entries are made beside and renamed in, so a kill leaves none half-made."""

import atexit
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from speedproof.errors import InputError, RecordError
from speedproof.workspace.mounts import end_sandboxes_of, unmount_below
from speedproof.workspace.tree import remove

_FULL = 64 << 10
"""Bytes free under which whatever failed failed for lack of space."""
_FOLDERS: dict[Path, Path] = {}
"""This process's folder for work in progress, by cache."""

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
            with self.lock("work", "sweep"):
                folder = _FOLDERS.get(self.root) or self._own_folder()
            return Path(tempfile.mkdtemp(prefix=f"{prefix}-", dir=folder))
        except OSError as error:
            raise RecordError(
                f"cannot write the cache: {error.strerror}", file=self.root, hint="free disk space"
            ) from error

    def _own_folder(self) -> Path:
        """This process's folder below work/, locked for as long as it lives; folders nobody holds are removed.

        Another user's are left to them, where they cannot be removed.
        """
        for left in (self.root / "work").glob("*/"):
            try:
                descriptor = os.open(left, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # its process ended just now, and took it along
            except PermissionError:
                if _is_ours(left):
                    raise
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                end_sandboxes_of(left)
                unmount_below(left)
                remove(left)
            except BlockingIOError:
                continue  # its process lives
            except RecordError:
                if _is_ours(left):
                    raise
            finally:
                os.close(descriptor)
        folder = Path(tempfile.mkdtemp(dir=self.root / "work"))
        held = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(held, fcntl.LOCK_EX)
        _FOLDERS[self.root] = folder
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return folder


def _is_ours(folder: Path) -> bool:
    return folder.stat().st_uid == os.geteuid()

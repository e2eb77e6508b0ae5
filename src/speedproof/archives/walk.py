"""The walk over an archive: every folder with files, through no link, each special thing reported."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from speedproof.archives.folder import is_attempt_folder
from speedproof.archives.listing import Entry, Folder
from speedproof.archives.store import MOST_PROBLEMS, Problem

_DEEPEST = 60
_SKIPPED_FOLDERS = {".git"}


def walk(root: Path, problems: list[Problem], besides: Path | None = None) -> Iterator[Folder]:
    """The folders whose files belong together, in order of their paths. What lies below an attempt's folder is its.

    `besides`: a folder that is left out, since what was imported stands there.
    """
    waiting = [("", 0)]
    while waiting:
        path, depth = waiting.pop()
        if besides is not None and root / path == besides:
            continue
        folder, below = _list(root, path, problems)
        if depth >= _DEEPEST and below:
            problems.append(Problem(path=path, what="skipped", why=f"deeper than {_DEEPEST} folders"))
            below = []
        if folder.files and below and is_attempt_folder(root, folder):
            folder.files += _files_below(root, path, below, problems)
            below = []
        if folder.files:
            yield folder
        waiting.extend((each, depth + 1) for each in reversed(below))


def _files_below(root: Path, base: str, below: list[str], problems: list[Problem]) -> list[Entry]:
    found: list[Entry] = []
    waiting = [(path, 1) for path in reversed(below)]
    while waiting:
        path, depth = waiting.pop()
        folder, deeper = _list(root, path, problems)
        inside = path[len(base) + 1 :] if base else path
        found += [Entry(f"{inside}/{e.name}", e.size, e.mtime_ns) for e in folder.files]
        if depth >= _DEEPEST and deeper:
            problems.append(Problem(path=path, what="skipped", why=f"deeper than {_DEEPEST} folders"))
            continue
        waiting.extend((each, depth + 1) for each in reversed(deeper))
    return found


def _list(root: Path, path: str, problems: list[Problem]) -> tuple[Folder, list[str]]:
    """The files of one folder, and the folders in it."""
    files: list[Entry] = []
    below: list[str] = []
    prefix = f"{path}/" if path else ""
    skipped = 0

    def skip(name: str, why: str) -> None:
        nonlocal skipped
        skipped += 1
        if skipped <= MOST_PROBLEMS:
            problems.append(Problem(path=name, what="skipped", why=why))

    try:
        with os.scandir(root / path if path else root) as entries:
            for entry in entries:
                name = prefix + entry.name
                if not _is_text(entry.name):
                    skip(_shown(name), "its name is no UTF-8 text")
                    continue
                about = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(about.st_mode):
                    files.append(Entry(entry.name, about.st_size, about.st_mtime_ns))
                elif stat.S_ISDIR(about.st_mode):
                    if entry.name in _SKIPPED_FOLDERS:
                        skip(name, "a repository's own files")
                    else:
                        below.append(name)
                else:
                    kind = "a link; links are not followed" if stat.S_ISLNK(about.st_mode) else "no regular file"
                    skip(name, kind)
    except OSError as error:
        problems.append(Problem(path=_shown(path) or ".", what="broken", why=f"cannot be listed: {error.strerror}"))
    if skipped > MOST_PROBLEMS:
        left = skipped - MOST_PROBLEMS
        why = f"{left} more things of this folder that are no regular files or have no text as a name"
        problems.append(Problem(path=path or ".", what="skipped", why=why, files=left))
    files.sort(key=lambda e: e.name)
    return Folder(path, files), sorted(below)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(name: str) -> str:
    return name.encode(errors="replace").decode()

"""What stands in the workspace of an attempt, in git's terms.

The tree is hostile. Its repository, configuration, attributes, hooks and ignore files are never read: files are
walked by us and compared with the stamps taken before the start. Of an overlay we walk what its upper layer names:
nothing else can have changed.
"""

import errno
import hashlib
import os
import stat
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from pathspec import GitIgnoreSpec

from speedproof.workspace.checkout import Workspace, is_merged, stamp_of
from speedproof.workspace.tree import GITLINK, SYMLINK, Entry, list_tree, read_blobs

EXCLUDES = (
    "__pycache__/",
    "*.pyc",
    "*.pyo",
    ".pytest_cache/",
    ".mypy_cache/",
    ".ruff_cache/",
    ".hypothesis/",
    ".tox/",
    ".venv/",
    "*.egg-info/",
    ".aider*",
    ".coverage",
    "*.swp",
    "*~",
)
"""New paths that are never part of a patch, beside those that the base commit itself ignores."""
MAX_FILE = 64 << 20
"""Bytes; a larger new or changed file is refused: no source file is that large, and diffs of it help nobody."""
MAX_CHANGED = 128 << 20
"""Bytes of all new and changed files together; what comes beyond is refused."""
_FILES = {"100644", "100755"}
TREES = 8
"""Trees of which what was read is kept in memory."""


@dataclass(frozen=True)
class Known:
    """What the base's tree holds, and what follows from it."""

    entries: dict[bytes, Entry]
    order: list[bytes]
    """Its paths, sorted."""
    folders: frozenset[bytes]
    links: frozenset[bytes]
    """Submodules."""
    ignored: Callable[[bytes], bool]
    """Whether a new path is left out."""

    def below(self, folder: bytes) -> list[bytes]:
        """The paths in a folder, named without a slash at its end; b"" is the whole tree."""
        if not folder:
            return self.order
        return self.order[bisect_left(self.order, folder + b"/") : bisect_left(self.order, folder + b"0")]


@dataclass
class Walk:
    """What stands in the workspace, in git's terms."""

    workspace: Workspace
    known: Known
    found: dict[bytes, Entry] = field(default_factory=dict)
    """The paths that a commit of the workspace would hold."""
    contents: dict[str, bytes] = field(default_factory=dict)
    """Blobs that the base does not hold under the same path."""
    size: int = 0
    """Bytes of these."""
    left_out: list[bytes] = field(default_factory=list)
    refused: list[bytes] = field(default_factory=list)

    def keep(self, path: bytes) -> None:
        """What cannot be read or held counts as unchanged, and is named."""
        self.refused.append(path)
        if path.endswith(b"/"):
            self.found |= {known: self.known.entries[known] for known in self.known.below(path[:-1])}
        elif path in self.known.entries:
            self.found[path] = self.known.entries[path]

    def forget(self, path: bytes) -> None:
        """Nothing is known of `path` and what is below it, but for submodules, whose files are none of ours."""
        for known in (path, *(self.known.below(path) if path in self.known.folders else ())):
            if known not in self.known.links:
                self.found.pop(known, None)


def walk_workspace(workspace: Workspace, repository: Path) -> Walk:
    """What stands in a workspace; `repository` holds its base. Raises GitError, and OSError when the disk fails."""
    walk = Walk(workspace, _known(repository, workspace.base.tree))
    if (upper := workspace.upper) is None:
        walk.found = {path: walk.known.entries[path] for path in walk.known.links}
        _walk(walk, b"")
    else:
        walk.found = dict(walk.known.entries)
        _walk_upper(walk, upper)
    return walk


@lru_cache(maxsize=TREES)
def _known(repository: Path, tree: str) -> Known:
    entries = list_tree(repository, tree)
    return Known(
        entries=entries,
        order=sorted(entries),
        folders=frozenset(b"/".join(p[:i]) for p in (path.split(b"/") for path in entries) for i in range(1, len(p))),
        links=frozenset(path for path, entry in entries.items() if entry.mode == GITLINK),
        ignored=_ignored_by(repository, entries),
    )


def _ignored_by(repository: Path, entries: dict[bytes, Entry]) -> Callable[[bytes], bool]:
    """Whether a new path is ignored by our excludes or by the base commit's own ignore files."""
    own = GitIgnoreSpec.from_lines(EXCLUDES)
    ignores = [(p, e) for p, e in entries.items() if p.split(b"/")[-1] == b".gitignore" and e.mode in _FILES]
    contents = read_blobs(repository, [e.blob for _, e in ignores])
    specs = [
        (os.fsdecode(path[: -len(b".gitignore")]), _spec(text))
        for (path, _), text in zip(ignores, contents, strict=True)
    ]
    specs.sort(key=lambda found: -found[0].count("/"))  # the innermost that says anything decides

    def ignored(path: bytes) -> bool:
        text = os.fsdecode(path)
        if own.match_file(text):
            return True
        said = (spec.check_file(text[len(folder) :]).include for folder, spec in specs if text.startswith(folder))
        return next((answer for answer in said if answer is not None), False)

    return ignored


def _spec(text: bytes) -> GitIgnoreSpec:
    lines: list[str] = []
    for line in text.decode(errors="replace").splitlines():
        try:
            GitIgnoreSpec.from_lines([line])
        except ValueError:
            continue  # git, too, takes a broken pattern for one that matches nothing
        lines.append(line)
    return GitIgnoreSpec.from_lines(lines)


def _walk(walk: Walk, top: bytes) -> None:
    """Take what stands in the folder `top`."""
    root = os.fsencode(walk.workspace.path)
    pending = [top]
    while pending:
        folder = pending.pop()
        try:
            _make_ours(root + b"/" + folder, stat.S_IRWXU)
            scanned = list(os.scandir(root + b"/" + folder))
        except OSError:
            walk.keep(folder + b"/")
            continue
        for found in scanned:
            path = folder + b"/" + found.name if folder else found.name
            if _is_to_be_walked(walk, path, found.is_dir(follow_symlinks=False)):
                pending.append(path)


def _walk_upper(walk: Walk, upper: bytes) -> None:
    """Take what an overlay's upper layer names, as it stands in the overlay."""
    root = os.fsencode(walk.workspace.path)
    pending = [b""]
    while pending:
        folder = pending.pop()
        for named in list(os.scandir(upper + b"/" + folder)):
            path = folder + b"/" + named.name if folder else named.name
            if path == b".git":
                continue
            if path in walk.known.folders and named.is_dir(follow_symlinks=False) and is_merged(upper + b"/" + path):
                pending.append(path)
                continue
            walk.forget(path)
            try:
                is_folder = stat.S_ISDIR(os.lstat(root + b"/" + path).st_mode)
            except FileNotFoundError:
                continue  # what is named is that it was removed
            if _is_to_be_walked(walk, path, is_folder):
                _walk(walk, path)


def _is_to_be_walked(walk: Walk, path: bytes, is_folder: bool) -> bool:
    """Whether a path is a folder that counts; a file is taken."""
    if path == b".git" or path in walk.known.links:  # a submodule's files are no part of this repository
        return False
    if path.rpartition(b"/")[2].lower() == b".git":
        walk.refused.append(path)
        return False
    if is_folder:
        if path in walk.known.folders or not walk.known.ignored(path + b"/"):
            return True
        walk.left_out.append(path + b"/")
        return False
    _take(walk, path, os.fsencode(walk.workspace.path) + b"/" + path)
    return False


def _take(walk: Walk, path: bytes, full: bytes) -> None:
    known = walk.known.entries.get(path)
    try:
        info = os.lstat(full)
        if known is not None and walk.workspace.was(path) == stamp_of(info):
            walk.found[path] = known
            return
        if known is None and walk.known.ignored(path):
            walk.left_out.append(path)
            return
        if stat.S_ISLNK(info.st_mode):
            mode, content = SYMLINK, os.readlink(full)  # noqa: PTH115 - paths are bytes
        elif stat.S_ISREG(info.st_mode) and info.st_size <= min(MAX_FILE, MAX_CHANGED - walk.size):
            _make_ours(full, stat.S_IRUSR)
            mode, content = "100755" if info.st_mode & stat.S_IXUSR else "100644", _read(full)
        else:
            walk.keep(path)
            return
    except OSError as error:
        if error.errno not in {errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENOENT}:
            raise
        walk.keep(path)
        return
    entry = Entry(mode, hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest())
    if known is None or known.blob != entry.blob:
        if walk.size + len(content) > MAX_CHANGED:
            walk.keep(path)
            return
        walk.size += len(content)
        walk.contents[entry.blob] = content
    walk.found[path] = entry


def _make_ours(path: bytes, needed: int) -> None:
    """Give ourselves back the rights to what is ours; no link is followed, and nobody else is at work here."""
    info = os.lstat(path)
    if info.st_uid == os.geteuid() and info.st_mode & needed != needed:
        os.chmod(path, stat.S_IMODE(info.st_mode) | needed)  # noqa: PTH101 - paths are bytes


def _read(path: bytes) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        return file.read(MAX_FILE)

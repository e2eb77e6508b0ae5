"""The patch of an attempt, computed from the files alone.

The tree is hostile. Its repository, configuration, attributes, hooks and ignore files are never read: files are
walked by us, compared with the stamps taken before the start, and what changed is written into a repository of
ours as plain bytes. Only then does git make the diff.
"""

import errno
import hashlib
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pathspec import GitIgnoreSpec

from speedproof.errors import SpeedproofError
from speedproof.workspace.checkout import Workspace, stamp_of
from speedproof.workspace.git import GitError, git
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
_NAMED = 100
_MACHINE = re.compile("No space left|Disk quota|Permission denied|Read-only file system|Input/output error")


class PatchError(SpeedproofError):
    """git does not take a patch on the clean base."""


@dataclass(frozen=True)
class Extracted:
    """What the attempt changed."""

    diff: bytes
    tree: str
    files: tuple[str, ...]
    added_lines: int
    removed_lines: int
    left_out: tuple[str, ...]
    left_out_count: int
    refused: tuple[str, ...]


@dataclass
class _Walk:
    """What stands in the workspace, in git's terms."""

    workspace: Workspace
    entries: dict[bytes, Entry]
    ignored: Callable[[bytes], bool]
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
        if not path.endswith(b"/"):
            kept = [path] if path in self.entries else []
        else:
            kept = [known for known in self.entries if path == b"/" or known.startswith(path)]
        self.found |= {known: self.entries[known] for known in kept}


def extract_patch(workspace: Workspace, repository: Path, own: Path) -> Extracted:
    """The difference between the workspace and its base, using `own`, a new folder, as git directory.

    The base's objects are borrowed from `repository`. Raises GitError when git fails.
    """
    entries = list_tree(repository, workspace.base.tree)
    walk = _Walk(workspace, entries, _ignored_by(repository, entries))
    _walk(walk)
    borrow(repository, own)
    tree = _write(walk, own)
    return Extracted(
        diff=diff_trees(own, workspace.base.tree, tree),
        tree=tree,
        **_numbers(own, workspace.base.tree, tree),  # type: ignore[arg-type]
        left_out=tuple(p.decode(errors="replace") for p in sorted(walk.left_out)[:_NAMED]),
        left_out_count=len(walk.left_out),
        refused=tuple(p.decode(errors="replace") for p in sorted(walk.refused)[:_NAMED]),
    )


def borrow(repository: Path, own: Path) -> None:
    """Make `own` a bare repository that sees the objects of `repository` and has no refs."""
    git("init", "--quiet", "--bare", "--initial-branch=none", str(own))
    (own / "objects/info").mkdir(exist_ok=True)
    (own / "objects/info/alternates").write_text(f"{repository / 'objects'}\n")


def diff_trees(repository: Path, before: str, after: str) -> bytes:
    """The binary-safe diff between two trees or commits, no renames."""
    arguments = ("--binary", "--full-index", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color")
    return git("diff-tree", "-p", *arguments, before, after, repository=repository)


def changed_paths(repository: Path, before: str, after: str) -> tuple[list[str], list[str]]:
    """The added paths, and all changed ones, between two trees."""
    raw = git("diff-tree", "-r", "-z", "--name-status", "--no-renames", before, after, repository=repository)
    words = [w.decode(errors="replace") for w in raw.split(b"\0") if w]
    pairs = list(zip(words[::2], words[1::2], strict=True))
    return [path for kind, path in pairs if kind == "A"], [path for _, path in pairs]


def apply_patch(repository: Path, tree: str, patch: bytes, index: Path) -> str:
    """The tree id of `tree` with `patch` applied, written to `repository`; `index` is a scratch file.

    Raises PatchError with git's own words when it does not apply.
    """
    env = {"GIT_INDEX_FILE": str(index)}
    git("read-tree", tree, repository=repository, env=env)
    if patch.strip():
        try:
            git(
                "apply", "--cached", "--binary", "--whitespace=nowarn", "-", repository=repository, env=env, input=patch
            )
        except GitError as error:
            if _MACHINE.search(error.stderr):
                raise  # the disk's fault, not the patch's
            raise PatchError(error.stderr) from error
    return git("write-tree", repository=repository, env=env).decode().strip()


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


def _walk(walk: _Walk) -> None:
    top = os.fsencode(walk.workspace.path)
    links = {path for path, entry in walk.entries.items() if entry.mode == GITLINK}
    folders = {b"/".join(parts[:i]) for parts in (p.split(b"/") for p in walk.entries) for i in range(1, len(parts))}
    pending = [b""]
    while pending:
        folder = pending.pop()
        try:
            _make_ours(top + b"/" + folder, stat.S_IRWXU)
            scanned = list(os.scandir(top + b"/" + folder))
        except OSError:
            walk.keep(folder + b"/")
            continue
        for found in scanned:
            path = folder + b"/" + found.name if folder else found.name
            if path == b".git":
                continue
            if path in links:
                walk.found[path] = walk.entries[path]  # a submodule's files are no part of this repository
            elif found.name.lower() == b".git":
                walk.refused.append(path)
            elif found.is_dir(follow_symlinks=False):
                if path not in folders and walk.ignored(path + b"/"):
                    walk.left_out.append(path + b"/")
                else:
                    pending.append(path)
            else:
                _take(walk, path, top + b"/" + path)
    for path in links:
        walk.found.setdefault(path, walk.entries[path])


def _take(walk: _Walk, path: bytes, full: bytes) -> None:
    known = walk.entries.get(path)
    try:
        info = os.lstat(full)
        if known is not None and walk.workspace.before.get(path) == stamp_of(info):
            walk.found[path] = known
            return
        if known is None and walk.ignored(path):
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


def _write(walk: _Walk, own: Path) -> str:
    """Write what was found to `own`; returns the tree. What git's index does not take counts as unchanged."""
    blobs = [b"blob\ndata %d\n%s\n" % (len(content), content) for content in walk.contents.values()]
    git("fast-import", "--quiet", "--done", repository=own, input=b"".join(blobs) + b"done\n")
    gone = Entry("0", "0" * 40)
    changed = {p: gone for p in walk.entries if p not in walk.found}  # first: a file may give way to a folder
    changed |= {p: e for p, e in walk.found.items() if walk.entries.get(p) != e}
    lines = [b"%s %s\t%s\0" % (e.mode.encode(), e.blob.encode(), path) for path, e in changed.items()]
    env = {"GIT_INDEX_FILE": str(own / "attempt.index")}
    git("read-tree", walk.workspace.base.tree, repository=own, env=env)
    git("update-index", "-z", "--index-info", repository=own, env=env, input=b"".join(lines))
    tree = git("write-tree", repository=own, env=env).decode().strip()
    taken = list_tree(own, tree)
    walk.refused += [path for path in changed if taken.get(path) != walk.found.get(path)]
    return tree


def _numbers(repository: Path, before: str, after: str) -> dict[str, object]:
    files: list[str] = []
    added = removed = 0
    raw = git("diff-tree", "-r", "-z", "--numstat", "--no-renames", before, after, repository=repository)
    for line in filter(None, raw.split(b"\0")):
        plus, minus, path = line.split(b"\t", 2)
        files.append(path.decode(errors="replace"))
        added += int(plus) if plus != b"-" else 0
        removed += int(minus) if minus != b"-" else 0
    return {"files": tuple(files), "added_lines": added, "removed_lines": removed}

"""The patch of an attempt, computed from the files alone.

The tree is hostile. Its repository, configuration, attributes, hooks and ignore files are never read: files are
walked by us, compared with the stamps taken before the start, and what changed is written into a repository of
ours with git fast-import. Only then does git make the diff.
"""

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

from speedproof.errors import SpeedproofError
from speedproof.workspace.checkout import Workspace
from speedproof.workspace.git import git
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
_NAMED = 100


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
    files: dict[bytes, tuple[str, bytes | None]]
    """Path → mode and content; null content: unchanged since the start."""
    left_out: list[bytes]
    refused: list[bytes]


def extract_patch(workspace: Workspace, repository: Path, own: Path) -> Extracted:
    """The difference between the workspace and its base, using `own`, a new folder, as git directory.

    The base's objects are borrowed from `repository`. Raises GitError when git fails.
    """
    entries = list_tree(repository, workspace.base.tree)
    walk = _walk(workspace, entries, _ignored_by(repository, entries))
    borrow(repository, own)
    commit = _import(walk, entries, workspace.base.commit, own)
    return Extracted(
        diff=diff_trees(own, workspace.base.commit, commit),
        tree=git("rev-parse", f"{commit}^{{tree}}", repository=own).decode().strip(),
        **_numbers(own, workspace.base.commit, commit),  # type: ignore[arg-type]
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
        except SpeedproofError as error:
            raise PatchError(getattr(error, "stderr", str(error))) from error
    return git("write-tree", repository=repository, env=env).decode().strip()


def _ignored_by(repository: Path, entries: dict[bytes, Entry]) -> Callable[[bytes], bool]:
    """Whether a new path is ignored by our excludes or by the base commit's own ignore files."""
    own = GitIgnoreSpec.from_lines(EXCLUDES)
    ignores = [(p, e) for p, e in entries.items() if p.split(b"/")[-1] == b".gitignore" and e.mode != SYMLINK]
    contents = read_blobs(repository, [e.blob for _, e in ignores])
    specs = [
        (os.fsdecode(path[: -len(b".gitignore")]), GitIgnoreSpec.from_lines(text.decode(errors="replace").splitlines()))
        for (path, _), text in zip(ignores, contents, strict=True)
    ]

    def ignored(path: bytes) -> bool:
        text = os.fsdecode(path)
        return own.match_file(text) or any(
            text.startswith(folder) and spec.match_file(text[len(folder) :]) for folder, spec in specs
        )

    return ignored


def _walk(workspace: Workspace, entries: dict[bytes, Entry], ignored: Callable[[bytes], bool]) -> _Walk:
    walk = _Walk({}, [], [])
    top = os.fsencode(workspace.path)
    links = {path for path, entry in entries.items() if entry.mode == GITLINK}
    pending = [b""]
    while pending:
        folder = pending.pop()
        try:
            scanned = list(os.scandir(top + b"/" + folder))
        except OSError:
            walk.refused.append(folder + b"/")
            continue
        for found in scanned:
            path = folder + b"/" + found.name if folder else found.name
            if path == b".git" or path in links:
                continue
            if found.name.lower() in {b".git", b"git~1"}:
                walk.refused.append(path)
            elif found.is_dir(follow_symlinks=False):
                if path + b"/" not in entries and ignored(path + b"/"):
                    pending_known = any(known.startswith(path + b"/") for known in entries)
                    if not pending_known:
                        walk.left_out.append(path + b"/")
                        continue
                pending.append(path)
            else:
                _take(walk, workspace, entries, ignored, path, top)
    return walk


def _take(
    walk: _Walk,
    workspace: Workspace,
    entries: dict[bytes, Entry],
    ignored: Callable[[bytes], bool],
    path: bytes,
    top: bytes,
) -> None:
    full = top + b"/" + path
    try:
        info = os.lstat(full)
        stamp = (info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_mode)
        known = entries.get(path)
        if known is not None and workspace.before.get(path) == stamp:
            walk.files[path] = (known.mode, None)
        elif known is None and ignored(path):
            walk.left_out.append(path)
        elif stat.S_ISLNK(info.st_mode):
            walk.files[path] = (SYMLINK, os.readlink(full))  # noqa: PTH115
        elif stat.S_ISREG(info.st_mode) and info.st_size <= MAX_FILE:
            walk.files[path] = ("100755" if info.st_mode & stat.S_IXUSR else "100644", _read(full))
        else:
            walk.refused.append(path)
            if known is not None:  # a base file replaced by what git cannot hold counts as unchanged
                walk.files[path] = (known.mode, None)
    except OSError as error:
        if error.errno not in {errno.ENAMETOOLONG, errno.EACCES, errno.ELOOP, errno.ENOENT}:
            raise
        walk.refused.append(path)


def _read(path: bytes) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        return file.read(MAX_FILE)


def _import(walk: _Walk, entries: dict[bytes, Entry], base: str, own: Path) -> str:
    """Write the walked tree as a child of `base`; returns the commit."""
    stream = [b"commit refs/heads/attempt\ncommitter attempt <attempt@localhost> 946684800 +0000\ndata 0\n"]
    stream.append(f"from {base}\n".encode())
    stream += [
        b"D " + _quoted(path) + b"\n"
        for path, entry in entries.items()
        if path not in walk.files and entry.mode != GITLINK
    ]
    for path, (mode, content) in walk.files.items():
        if content is not None:
            stream.append(b"M %s inline %s\ndata %d\n" % (mode.encode(), _quoted(path), len(content)))
            stream += [content, b"\n"]
    stream.append(b"done\n")
    git("fast-import", "--quiet", "--done", repository=own, input=b"".join(stream))
    return git("rev-parse", "refs/heads/attempt", repository=own).decode().strip()


def _quoted(path: bytes) -> bytes:
    escaped = path.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return b'"' + escaped + b'"'


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

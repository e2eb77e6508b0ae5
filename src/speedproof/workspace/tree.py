"""Trees of git written out and read back byte for byte: no filter, attribute, hook or ignore file has a say."""

import os
import shutil
import subprocess
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from speedproof.errors import RecordError, SourceError
from speedproof.workspace.git import git, git_environment
from speedproof.workspace.mounts import unmount_below

GITLINK = "160000"
SYMLINK = "120000"


@dataclass(frozen=True)
class Entry:
    """One path of a git tree."""

    mode: str
    blob: str


GONE = Entry("000000", "0" * 40)
"""What git writes for a path that is not there."""


def list_tree(repository: Path, tree: str) -> dict[bytes, Entry]:
    """Every file of a tree: path → mode and blob id."""
    entries: dict[bytes, Entry] = {}
    for line in git("ls-tree", "-r", "-z", "--full-tree", tree, repository=repository).split(b"\0"):
        if line:
            head, _, path = line.partition(b"\t")
            mode, _, blob = head.decode().split()
            entries[path] = Entry(mode, blob)
    return entries


NO_RENAMES = ("-r", "-z", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color")
"""How two trees are compared: path by path, with nothing of the repository's settings."""


def changed_entries(words: Sequence[bytes]) -> dict[bytes, tuple[Entry | None, Entry | None]]:
    """Path → entries before and after, from the words of `git diff-tree --raw -z`, as far as these go."""
    found: dict[bytes, tuple[Entry | None, Entry | None]] = {}
    for head, path in zip(words[::2], words[1::2], strict=False):
        if not head.startswith(b":"):
            break
        old_mode, mode, old_blob, blob, _ = head[1:].decode().split()
        before, after = Entry(old_mode, old_blob), Entry(mode, blob)
        found[path] = (None if before == GONE else before, None if after == GONE else after)
    return found


def tree_changes(repository: Path, before: str, after: str) -> dict[bytes, tuple[Entry | None, Entry | None]]:
    """Path → entries before and after, of what differs between two trees."""
    if before == after:
        return {}
    raw = git("diff-tree", *NO_RENAMES, "--raw", "--full-index", before, after, repository=repository)
    return changed_entries(raw.split(b"\0"))


def read_blobs(repository: Path, blobs: list[str]) -> Generator[bytes, None, None]:
    """The content of each blob, in order, from one git process."""
    process = subprocess.Popen(
        ["git", f"--git-dir={repository}", "cat-file", "--batch"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=git_environment(),
        cwd="/",
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        for blob in blobs:
            process.stdin.write(blob.encode() + b"\n")
            process.stdin.flush()
            head = process.stdout.readline().split()
            if len(head) != 3:
                raise SourceError(f"object {blob} is missing from {repository}", hint="remove the cache entry")
            yield process.stdout.read(int(head[2]))
            process.stdout.read(1)
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait()


def write_tree(repository: Path, tree: str, folder: Path) -> None:
    """Write a tree's files under `folder`. Raises RecordError when the disk refuses."""
    entries = list_tree(repository, tree)
    files = [(path, e) for path, e in entries.items() if e.mode != GITLINK]
    root = os.fsencode(folder)
    made: set[bytes] = set()
    try:
        for (path, entry), content in zip(files, read_blobs(repository, [e.blob for _, e in files]), strict=True):
            target = os.path.join(root, path)  # noqa: PTH118 - paths are bytes
            parent = os.path.dirname(target)  # noqa: PTH120
            if parent not in made:
                os.makedirs(parent, exist_ok=True)  # noqa: PTH103
                made.add(parent)
            if entry.mode == SYMLINK:
                os.symlink(content, target)  # noqa: PTH211
            else:
                descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                    os.fchmod(file.fileno(), 0o755 if entry.mode == "100755" else 0o644)
        for path, entry in entries.items():
            if entry.mode == GITLINK:
                os.makedirs(os.path.join(root, path), exist_ok=True)  # noqa: PTH103, PTH118
    except OSError as error:
        raise RecordError(f"cannot write the tree: {error.strerror}", file=folder, hint="free disk space") from error


def give_to(folder: Path, uid: int) -> None:
    """Make `uid` the owner of everything under `folder`, where that is another user and we may."""
    if uid == os.geteuid():
        return
    os.chown(folder, uid, uid, follow_symlinks=False)
    for parent, folders, files in os.walk(os.fsencode(folder), onerror=_raised):
        for name in (*folders, *files):
            os.chown(os.path.join(parent, name), uid, uid, follow_symlinks=False)  # noqa: PTH118 - paths are bytes


def _raised(error: OSError) -> None:
    raise error


def remove(folder: Path) -> None:
    """Remove a folder whatever an agent did to it: any depth, any mode. Raises RecordError when it stays."""
    if not folder.exists():
        return
    done = _quietly("rm", "-rf", "--one-file-system", "--", str(folder))
    if done.returncode:
        unmount_below(folder)  # an interruption can come between a mount and the note of it
        if shutil.which("chattr"):  # without a sandbox root's agents can make files immutable
            _quietly("chattr", "-R", "-f", "-i", "-a", "--", str(folder))
        _quietly("chmod", "-R", "u+rwX", "--", str(folder))
        done = _quietly("rm", "-rf", "--", str(folder))
    if done.returncode:
        raise RecordError(f"cannot remove a workspace: {done.stderr.strip()[:300]}", file=folder)


def _quietly(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, capture_output=True, text=True, errors="replace", check=False, start_new_session=True
    )

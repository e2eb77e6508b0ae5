"""The base an agent starts from, prepared once, and the fresh workspace of each attempt.

The base holds its commit as the only one: a repository packed anew with nothing but that commit's objects. A
workspace is an overlay of it where we may mount one, else a copy.
"""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from speedproof.errors import RecordError
from speedproof.journal.base import digest_of
from speedproof.workspace.cache import Cache
from speedproof.workspace.git import git
from speedproof.workspace.tree import give_to, remove, write_tree

_IDENTITY = {
    "GIT_AUTHOR_NAME": "base",
    "GIT_AUTHOR_EMAIL": "base@localhost",
    "GIT_AUTHOR_DATE": "2000-01-01T00:00:00Z",
    "GIT_COMMITTER_NAME": "base",
    "GIT_COMMITTER_EMAIL": "base@localhost",
    "GIT_COMMITTER_DATE": "2000-01-01T00:00:00Z",
}

Stamp = tuple[int, ...]
"""What changes with a file: see stamp_of."""


@dataclass(frozen=True)
class Base:
    """A prepared base: a working tree with a repository of one commit."""

    folder: Path
    tree: str
    commit: str


def root_commit(repository: Path, tree: str) -> str:
    """A commit without parents that holds `tree`: the same id for the same tree everywhere."""
    return git("commit-tree", tree, "-m", "Base", repository=repository, env=_IDENTITY).decode().strip()


def prepare_base(repository: Path, tree: str, uid: int, cache: Cache) -> Base:
    """The prepared base of `tree`, owned by `uid`, made once."""
    commit = root_commit(repository, tree)

    def make(folder: Path) -> None:
        work = folder / "tree"
        work.mkdir()
        write_tree(repository, tree, work)
        own = work / ".git"
        git("init", "--quiet", "--initial-branch=main", str(work))
        objects = git("rev-list", "--objects", commit, repository=repository)
        git("pack-objects", "--quiet", str(own / "objects/pack/pack"), repository=repository, input=objects)
        git("update-ref", "--create-reflog", "refs/heads/main", commit, repository=own)
        remove(own / "logs")
        git("read-tree", "HEAD", repository=own)
        git("update-index", "-q", "--refresh", repository=own, env={"GIT_WORK_TREE": str(work)}, cwd=work)
        give_to(work, uid)

    entry = cache.entry("bases", digest_of(["base/1", commit, uid], 32), make)
    return Base(entry / "tree", tree, commit)


class Workspace:
    """A fresh working tree of one attempt."""

    def __init__(self, base: Base, folder: Path) -> None:
        """Make it under `folder` (which must be new). Raises RecordError when the disk refuses."""
        self.base = base
        self.folder = folder
        self.path = folder / "workspace"
        self.path.mkdir(parents=True)
        self.overlay = os.geteuid() == 0 and self._mount()
        try:
            if not self.overlay:
                self._copy()
            self.before = stamps(self.path)
        except BaseException:
            self.remove()
            raise

    def _copy(self) -> None:
        done = subprocess.run(
            ["cp", "-a", "--reflink=auto", f"{self.base.folder}/.", str(self.path)],
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
        )
        if done.returncode:
            raise RecordError(f"cannot copy the base: {done.stderr.strip()[:300]}", file=self.path)

    def _mount(self) -> bool:
        upper, work = self.folder / "upper", self.folder / "overlay"
        if any(c in f"{self.base.folder}{self.folder}" for c in ":,\\"):
            return False  # these separate overlay options
        upper.mkdir()
        work.mkdir()
        owner = self.base.folder.stat()
        os.chown(upper, owner.st_uid, owner.st_gid)
        upper.chmod(0o755)
        options = f"lowerdir={self.base.folder},upperdir={upper},workdir={work}"
        # redirect_dir: folders can be renamed as on any other disk; without it the kernel says EXDEV
        for more in (",volatile,metacopy=off,redirect_dir=on", ",redirect_dir=on"):
            done = subprocess.run(
                ["mount", "-t", "overlay", "overlay", "-o", options + more, str(self.path)],
                capture_output=True,
                check=False,
                start_new_session=True,
            )
            if done.returncode == 0:
                return True
        return False

    def remove(self) -> None:
        """Unmount and remove everything. Raises RecordError when something stays."""
        if self.overlay:
            done = subprocess.run(["umount", str(self.path)], capture_output=True, check=False, start_new_session=True)
            if done.returncode:
                subprocess.run(
                    ["umount", "--lazy", str(self.path)], capture_output=True, check=False, start_new_session=True
                )
        remove(self.folder)


def stamps(root: Path) -> dict[bytes, Stamp]:
    """The stamp of every file below `root`, the repository's own folder left out; no link is followed."""
    found: dict[bytes, Stamp] = {}
    top = os.fsencode(root)
    pending = [b""]
    while pending:
        folder = pending.pop()
        with os.scandir(top + b"/" + folder) as entries:
            for entry in entries:
                if not folder and entry.name == b".git":
                    continue
                path = folder + b"/" + entry.name if folder else entry.name
                if entry.is_dir(follow_symlinks=False):
                    pending.append(path)
                else:
                    found[path] = stamp_of(entry.stat(follow_symlinks=False))
    return found


def stamp_of(info: os.stat_result) -> Stamp:
    """Size, mode, times (ns) and inode. Nobody without privileges sets the time of change back; the inode tells apart
    files of one size that were made in the same moment, when folders that hold them change places."""
    return (info.st_size, info.st_mode, info.st_mtime_ns, info.st_ctime_ns, info.st_ino)

"""The base an agent starts from, prepared once, and the fresh workspace of each attempt.

The base holds its commit as the only one: a repository packed anew with nothing but that commit's objects. A
workspace is an overlay of it where we may mount one, else a copy.
"""

import hashlib
import json
import os
import subprocess
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from speedproof.errors import RecordError, SourceError
from speedproof.journal.base import digest_of
from speedproof.workspace.cache import Cache
from speedproof.workspace.git import git
from speedproof.workspace.mounts import mount_overlay, unmount, unmount_below
from speedproof.workspace.tree import give_to, remove, write_tree

_SIGNED = "base <base@localhost> 946684800 +0000"
"""Who made the base's commit, and when: the same for all, at the beginning of 2000."""

Stamp = tuple[int, ...]
"""What changes with a file: see stamp_of."""
_NOTE = "workspace.json"
_UNMOUNTS_S = 5.0
"""Seconds that the kernel has to let go of an overlay whose processes were killed."""
_OF_A_MERGED_FOLDER = {"trusted.overlay.impure", "trusted.overlay.origin", "trusted.overlay.uuid"}
"""Marks of a folder in an overlay's upper layer that do not hide, replace or move the base's folder of that name."""


@dataclass(frozen=True)
class Base:
    """A prepared base: a working tree with a repository of one commit."""

    folder: Path
    tree: str
    commit: str


def prepare_base(repository: Path, tree: str, uid: int, cache: Cache) -> Base:
    """The prepared base of `tree`, owned by `uid`, made once: its commit has no parents, and for the same tree the same
    id everywhere."""
    content = f"tree {tree}\nauthor {_SIGNED}\ncommitter {_SIGNED}\n\nBase\n".encode()
    commit = hashlib.sha1(b"commit %d\0%s" % (len(content), content), usedforsecurity=False).hexdigest()

    def make(folder: Path) -> None:
        work = folder / "tree"
        work.mkdir()
        write_tree(repository, tree, work)
        own = work / ".git"
        git("init", "--quiet", "--initial-branch=main", str(work))
        git("hash-object", "-t", "commit", "-w", "--stdin", repository=repository, input=content)
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
        self._upper = folder / "upper"
        self.path.mkdir(parents=True)
        self.overlay = os.geteuid() == 0 and self._mount()
        try:
            if not self.overlay:
                self._copy()
                self.before = stamps(self.path)
            self._device = self.path.stat().st_dev
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
        work = self.folder / "overlay"
        if any(c in f"{self.base.folder}{self.folder}" for c in ":,\\"):
            return False  # these separate overlay options
        self._upper.mkdir()
        work.mkdir()
        owner = self.base.folder.stat()
        os.chown(self._upper, owner.st_uid, owner.st_gid)
        self._upper.chmod(0o755)
        return mount_overlay(self.base.folder, self._upper, work, self.path)

    @cached_property
    def before(self) -> dict[bytes, Stamp]:
        """The stamp of every file as the attempt found it."""
        return stamps(self.base.folder)  # an overlay shows the base's own files, and nobody writes to these

    def was(self, path: bytes) -> Stamp | None:
        """The stamp of one file as the attempt found it; null when there was none."""
        if not self.overlay:
            return self.before.get(path)
        try:
            return stamp_of(os.lstat(os.fsencode(self.base.folder) + b"/" + path))
        except OSError:
            return None

    @property
    def upper(self) -> bytes | None:
        """The folder that holds whatever was written, moved or removed in this workspace: an overlay's upper layer.

        Null when there is none, or when something else has been mounted in the overlay's place or taken it away.
        """
        whole = self.overlay and self.path.is_dir() and self.path.stat().st_dev == self._device
        return os.fsencode(self._upper) if whole else None

    def keep(self) -> None:
        """Note beside it what `taken_up` needs, should this process be killed."""
        note = {"base": str(self.base.folder), "tree": self.base.tree, "commit": self.base.commit}
        beside = self.folder / f".{_NOTE}"
        beside.write_text(json.dumps({**note, "overlay": self.overlay}))
        beside.rename(self.folder / _NOTE)

    @classmethod
    def taken_up(cls, folder: Path) -> "Workspace | None":
        """The workspace that a killed process left in `folder`, mounted again; null when it was never whole.

        Nothing of that process may still run, and nothing of it be mounted there. Raises SourceError when its base is
        gone, RecordError when it cannot be mounted.
        """
        try:
            note = json.loads((folder / _NOTE).read_text())
        except (FileNotFoundError, ValueError):  # a machine that stopped at once may leave it empty
            return None
        left = cls.__new__(cls)
        left.base = Base(Path(note["base"]), note["tree"], note["commit"])
        left.folder, left.path, left._upper = folder, folder / "workspace", folder / "upper"
        left.overlay = note["overlay"]
        if not left.base.folder.is_dir():
            raise SourceError("the base of its workspace is gone from the cache")
        if left.overlay:
            left._mount_again()
        else:
            left.before = {}  # nobody knows how its files were: all are read
        left._device = left.path.stat().st_dev
        return left

    def _mount_again(self) -> None:
        unmount_below(self.folder)
        work = self.folder / "overlay"
        remove(work / "work/incompat")  # the kernel's word that a volatile overlay was not unmounted: it would refuse
        deadline = time.monotonic() + _UNMOUNTS_S
        while not mount_overlay(self.base.folder, self._upper, work, self.path):
            if time.monotonic() > deadline:
                raise RecordError(
                    "cannot mount a workspace again that a killed process left",
                    file=self.folder,
                    hint="start it as the user who ran the attempt; to give up what it left, remove that folder",
                )
            time.sleep(0.05)

    def let_go(self) -> None:
        """Leave what it holds on disk for `taken_up`, and nothing mounted."""
        if self.overlay:
            unmount(self.path)

    def remove(self) -> None:
        """Unmount and remove everything. Raises RecordError when something stays."""
        self.let_go()
        remove(self.folder)


def base_of(folder: Path) -> Path | None:
    """The cache's entry from which the workspace in `folder` began; null when it was never whole."""
    try:
        return Path(json.loads((folder / _NOTE).read_text())["base"]).parent
    except (FileNotFoundError, ValueError):
        return None


def is_merged(folder: bytes) -> bool:
    """Whether a folder of an overlay's upper layer shows the base's folder of that name below what it holds itself.

    One with a mark we do not know is not called so. Raises OSError.
    """
    marks = {mark for mark in os.listxattr(folder, follow_symlinks=False) if mark.startswith("trusted.overlay.")}
    return marks <= _OF_A_MERGED_FOLDER


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

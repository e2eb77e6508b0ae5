"""Workspaces to be mishandled, and the check that a patch says exactly what was done to them."""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from speedproof.workspace.cache import Cache
from speedproof.workspace.checkout import Base, Workspace, prepare_base
from speedproof.workspace.git import git
from speedproof.workspace.patch import Extracted, apply_patch, extract_patch
from speedproof.workspace.tree import SYMLINK, list_tree, read_blobs

Content = tuple[str, bytes]
"""Mode and bytes of a file; for a link, what it points to."""
SECRET = b"outside-secret-5512\n"


def plain(text: str | bytes) -> Content:
    return "100644", text.encode() if isinstance(text, str) else text


def program(text: str | bytes) -> Content:
    return "100755", text.encode() if isinstance(text, str) else text


def link(target: str) -> Content:
    return SYMLINK, target.encode()


BASE: dict[bytes, Content] = {
    b"a.py": plain("print('a')\n"),
    b"b.txt": plain("b\n"),
    b"data.bin": plain(bytes(range(256)) * 8),
    b"crlf.txt": plain("one\r\ntwo\r\n"),
    b"noeol.txt": plain("no end"),
    b"run.sh": program("#!/bin/sh\necho run\n"),
    b"sub/c.py": plain("print('c')\n"),
    b"sub/deep/d.py": plain("print('d')\n"),
    b"pkg/one.py": plain("1\n"),
    b"pkg/two.py": plain("2\n"),
    b"twin1/x.py": plain("1\n"),
    b"twin2/x.py": plain("2\n"),
    b"link": link("a.py"),
    b".gitignore": plain("build/\n*.log\n!keep.log\n!\n"),
    b"sub/.gitignore": plain("*.tmp\n!build.log\n"),
    b"kept/always.log": plain("tracked though ignored\n"),
    b".gitattributes": plain("*.txt text eol=lf\n"),
}


def write_repository(folder: Path, files: dict[bytes, Content]) -> tuple[Path, str]:
    """A bare repository that holds `files` as a tree, byte for byte; returns it and the tree."""
    git("init", "--quiet", "--bare", str(folder))
    lines = []
    for path, (mode, content) in files.items():
        if mode == "160000":
            blob = content
        else:
            blob = git("hash-object", "-w", "--stdin", repository=folder, input=content).strip()
        lines.append(b"%s %s\t%s\0" % (mode.encode(), blob, path))
    env = {"GIT_INDEX_FILE": str(folder / "scratch.index")}
    git("update-index", "-z", "--index-info", repository=folder, env=env, input=b"".join(lines))
    return folder, git("write-tree", repository=folder, env=env).decode().strip()


def read_repository(repository: Path, tree: str) -> dict[bytes, Content]:
    """Every file of a tree with its content; a submodule's commit for its content."""
    entries = list_tree(repository, tree)
    held = [(p, e) for p, e in entries.items() if e.mode != "160000"]
    blobs = read_blobs(repository, [e.blob for _, e in held])
    found = {path: (entry.mode, content) for (path, entry), content in zip(held, blobs, strict=True)}
    return found | {p: (e.mode, e.blob.encode()) for p, e in entries.items() if e.mode == "160000"}


@dataclass
class Handled:
    """A workspace, its base, and a folder outside that nobody may touch."""

    workspace: Workspace
    repository: Path
    scratch: Path
    files: dict[bytes, Content]

    @property
    def path(self) -> Path:
        return self.workspace.path

    @property
    def outside(self) -> Path:
        return self.scratch / "outside"

    @property
    def canary(self) -> Path:
        """A file that appears when something of the agent's was executed."""
        return self.scratch / "canary"

    @property
    def command(self) -> str:
        """A shell command that makes it appear, and passes on what it reads."""
        return f"touch {self.canary}; cat"

    def git(self, *arguments: str) -> bytes:
        """git in the workspace, as the agent runs it."""
        who = {f"GIT_{r}_{w}": "agent" for r in ("AUTHOR", "COMMITTER") for w in ("NAME", "EMAIL")}
        return git(*arguments, cwd=self.path, env=who)

    def write(self, name: str | bytes, content: str | bytes) -> None:
        """Write a file whatever its name."""
        path = os.path.join(os.fsencode(self.path), name.encode() if isinstance(name, str) else name)  # noqa: PTH118
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
        with open(path, "wb") as file:  # noqa: PTH123
            file.write(content.encode() if isinstance(content, str) else content)

    def extract(self) -> Extracted:
        """The patch, applied to a clean base to see that it gives the very tree that was found."""
        own = self.scratch / "own.git"
        extracted = extract_patch(self.workspace, self.repository, own)
        tree = apply_patch(own, self.workspace.base.tree, extracted.diff, self.scratch / "index")
        assert tree == extracted.tree, "the patch does not give the tree it was made from"
        return extracted

    def changes(self, extracted: Extracted) -> dict[bytes, Content | None]:
        """Path → what the patch makes of it; null: removed."""
        after = read_repository(self.scratch / "own.git", extracted.tree)
        return {p: after.get(p) for p in {*self.files, *after} if self.files.get(p) != after.get(p)}


@contextmanager
def handled(cache: Cache, kind: str, folder: Path, files: dict[bytes, Content] | None = None) -> Iterator[Handled]:
    """A fresh workspace, as `overlay` or `copy`, removed afterwards; nothing of it may be left."""
    files = BASE if files is None else files
    folder.mkdir(parents=True, exist_ok=True)
    repository, tree = write_repository(folder / "repository.git", files)
    base = prepare_base(repository, tree, os.geteuid(), cache)
    with workspace_of(base, folder / "tree", kind) as workspace:
        outside = folder / "outside"
        outside.mkdir()
        (outside / "secret.txt").write_bytes(SECRET)
        yield Handled(workspace, repository, folder, files)
        assert sorted(p.name for p in outside.iterdir()) == ["secret.txt"]
        assert (outside / "secret.txt").read_bytes() == SECRET
        assert not (folder / "canary").exists(), "something of the agent's was executed"


@contextmanager
def workspace_of(base: Base, folder: Path, kind: str) -> Iterator[Workspace]:
    """A fresh workspace of `base`."""
    if kind == "overlay" and os.geteuid() != 0:
        pytest.skip("only root can mount an overlay")
    with pytest.MonkeyPatch.context() as monkeypatch:
        if kind == "copy":
            monkeypatch.setattr(Workspace, "_mount", lambda _: False)
        workspace = Workspace(base, folder)
    try:
        if kind == "overlay" and not workspace.overlay:
            pytest.skip("this machine cannot mount an overlay here")
        assert workspace.overlay == (kind == "overlay")
        yield workspace
    finally:
        workspace.remove()
    assert not folder.exists()
    assert str(folder) not in Path("/proc/self/mountinfo").read_text()


def socket_at(path: Path) -> None:
    """Leave a Unix socket behind."""
    here = Path.cwd()
    os.chdir(path.parent)  # addresses are short
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


def nest(path: Path, levels: int) -> None:
    """Folders within folders, far beyond what one path can name."""
    here = Path.cwd()
    os.chdir(path)
    try:
        for _ in range(levels):
            os.mkdir("n" * 100)  # noqa: PTH102
            os.chdir("n" * 100)
        Path("lost.py").write_text("lost\n")
    finally:
        os.chdir(here)


def forget(path: Path) -> None:
    """Remove a file or folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()

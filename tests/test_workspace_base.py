"""The base an attempt starts from: one commit and nothing else, the same everywhere, and never changed."""

import os
import subprocess
from pathlib import Path

import pytest

from probe_agent import make_source, prepare
from speedproof.errors import RecordError
from speedproof.workspace.cache import Cache
from speedproof.workspace.checkout import Workspace, prepare_base
from speedproof.workspace.git import git
from workspace_support import BASE, read_repository, workspace_of, write_repository

KINDS = ["overlay", "copy"]


def inventory(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file and folder below, the repository's own included: mode and content or target."""
    found = {}
    for path in sorted(folder.rglob("*")):
        content = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(folder))] = (path.lstat().st_mode, content)
    return found


def test_its_repository_holds_one_commit_and_no_other_object_ref_or_reflog(cache: Cache, tmp_path: Path) -> None:
    source = make_source(tmp_path / "source")
    commits = prepare(source, cache).commits
    base = prepare_base(commits.repository, commits.base_tree, os.geteuid(), cache)
    own = base.folder / ".git"
    assert git("rev-list", "--all", "--reflog", repository=own).decode().split() == [base.commit]
    assert git("for-each-ref", repository=own).decode().split() == [base.commit, "commit", "refs/heads/main"]
    objects = git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)", repository=own).split()
    reachable = git("rev-list", "--objects", "--no-object-names", base.commit, repository=own).split()
    assert sorted(objects) == sorted(reachable)
    assert git("fsck", "--full", "--strict", "--unreachable", repository=own) == b""
    assert git("remote", repository=own) == b""
    assert git("log", "--format=%an %ae %ad %s", "--date=iso", repository=own).decode() == (
        "base base@localhost 2000-01-01 00:00:00 +0000 Base\n"
    )
    left = {str(p.relative_to(own)) for p in own.rglob("*") if p.is_file()}
    packs = {name for name in left if name.startswith("objects/pack/pack-")}
    assert left - packs == {"HEAD", "config", "index", "refs/heads/main"}
    assert len({Path(name).stem for name in packs}) == 1
    everything = b"".join(p.read_bytes() for p in own.rglob("*") if p.is_file())
    assert not [s for s in source.secrets if s.encode() in everything or bytes.fromhex(source.expert) in everything]
    assert git("status", "--porcelain", cwd=base.folder) == b""


def test_the_same_tree_is_the_same_commit_in_every_cache(tmp_path: Path) -> None:
    repository, tree = write_repository(tmp_path / "one.git", BASE)
    other, _ = write_repository(tmp_path / "two.git", BASE)
    bases = [
        prepare_base(repository, tree, os.geteuid(), Cache(tmp_path / "cache1")),
        prepare_base(other, tree, os.geteuid(), Cache(tmp_path / "cache2")),
    ]
    assert bases[0].commit == bases[1].commit == "968d1d6b542548dfcc48ba36eb584307771d9134"
    assert bases[0].folder != bases[1].folder


def test_files_are_written_byte_for_byte_whatever_attributes_say(cache: Cache, tmp_path: Path) -> None:
    repository, tree = write_repository(
        tmp_path / "r.git",
        {**BASE, b".gitattributes": ("100644", b"* text eol=crlf ident working-tree-encoding=UTF-16\n")},
    )
    base = prepare_base(repository, tree, os.geteuid(), cache)
    files = read_repository(repository, tree)
    for name, (mode, content) in files.items():
        path = base.folder / os.fsdecode(name)
        assert (os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()) == content
        assert path.is_symlink() or bool(path.stat().st_mode & 0o100) == (mode == "100755")


@pytest.mark.parametrize("kind", KINDS)
def test_an_attempt_cannot_change_the_base_and_two_attempts_do_not_meet(
    kind: str, cache: Cache, tmp_path: Path
) -> None:
    repository, tree = write_repository(tmp_path / "r.git", BASE)
    base = prepare_base(repository, tree, os.geteuid(), cache)
    before = inventory(base.folder)
    with workspace_of(base, tmp_path / "one", kind) as one, workspace_of(base, tmp_path / "two", kind) as two:
        (one.path / "a.py").write_text("changed\n")
        (one.path / "b.txt").chmod(0o777)
        (one.path / "sub/c.py").unlink()
        (one.path / "new.py").write_text("new\n")
        (one.path / "pkg").rename(one.path / "package")
        subprocess.run(["rm", "-rf", str(one.path / ".git")], check=True)
        assert inventory(two.path) == before
        (two.path / "a.py").write_text("changed otherwise\n")
        assert (one.path / "a.py").read_text() == "changed\n"
    assert inventory(base.folder) == before
    with workspace_of(base, tmp_path / "three", kind) as three:
        assert inventory(three.path) == before


@pytest.mark.parametrize("kind", KINDS)
def test_a_workspace_behaves_like_any_other_folder(kind: str, cache: Cache, tmp_path: Path) -> None:
    repository, tree = write_repository(tmp_path / "r.git", {p: c for p, c in BASE.items() if p != b".gitattributes"})
    base = prepare_base(repository, tree, os.geteuid(), cache)
    with workspace_of(base, tmp_path / "one", kind) as one:
        assert git("status", "--porcelain", cwd=one.path) == b""
        (one.path / "pkg").rename(one.path / "package")
        os.link(one.path / "a.py", one.path / "b.py")
        (one.path / "run.sh").replace(one.path / "b.txt")
        status = git("status", "--porcelain", "--untracked-files=all", cwd=one.path).decode().split("\n")
        assert {" D pkg/one.py", "?? package/one.py", "?? b.py", " D run.sh", " M b.txt"} <= set(status)


def test_a_full_disk_is_told_and_nothing_is_left(cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository, tree = write_repository(tmp_path / "r.git", BASE)
    base = prepare_base(repository, tree, os.geteuid(), cache)
    monkeypatch.setattr(Workspace, "_mount", lambda _: False)
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "cp").write_text("#!/bin/sh\necho 'cp: error writing: No space left on device' >&2; exit 1\n")
    (tools / "cp").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    with pytest.raises(RecordError, match="No space left on device"):
        Workspace(base, tmp_path / "workspace")
    assert not (tmp_path / "workspace").exists()

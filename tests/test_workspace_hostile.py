"""Patches taken from trees whose maker wants them wrong: exactly what changed, nothing executed, nothing followed."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from speedproof.workspace import walk as walk_module
from speedproof.workspace.cache import Cache
from speedproof.workspace.mounts import unmount
from workspace_support import BASE, SECRET, Content, Handled, forget, handled, link, nest, plain, program, socket_at

Changes = dict[bytes, Content | None]
Case = Callable[[Handled], Changes]
CASES: list[Case] = []


def case(function: Case) -> Case:
    """A way to mishandle a workspace; it returns what the patch must say."""
    CASES.append(function)
    return function


@pytest.fixture(params=["overlay", "copy"])
def tree(request: pytest.FixtureRequest, cache: Cache, tmp_path: Path) -> Iterator[Handled]:
    with handled(cache, request.param, tmp_path) as handled_tree:
        yield handled_tree


@pytest.mark.parametrize("mishandle", CASES, ids=lambda c: c.__name__.replace("_", " "))
def test_the_patch_is_exactly_what_was_changed(mishandle: Case, tree: Handled) -> None:
    expected = mishandle(tree)
    extracted = tree.extract()
    assert tree.changes(extracted) == expected
    assert SECRET.strip() not in extracted.diff
    assert len(extracted.files) == len(expected)


# --- the agent's own repository ------------------------------------------------------------------------------------


@case
def nothing(tree: Handled) -> Changes:
    return {}


@case
def git_folder_deleted(tree: Handled) -> Changes:
    shutil.rmtree(tree.path / ".git")
    tree.write("new.py", "new\n")
    return {b"new.py": plain("new\n")}


@case
def git_folder_replaced_by_a_link(tree: Handled) -> Changes:
    shutil.rmtree(tree.path / ".git")
    (tree.path / ".git").symlink_to(tree.outside)
    tree.write("a.py", "changed\n")
    return {b"a.py": plain("changed\n")}


@case
def git_folder_replaced_by_a_file(tree: Handled) -> Changes:
    shutil.rmtree(tree.path / ".git")
    tree.write(".git", f"gitdir: {tree.outside}\n")
    tree.write("a.py", "changed\n")
    return {b"a.py": plain("changed\n")}


@case
def configuration_that_runs_commands(tree: Handled) -> Changes:
    hook = tree.path / "hook"
    tree.write("hook", f"#!/bin/sh\n{tree.command}\n")
    hook.chmod(0o755)
    evil = tree.path / ".git/evil"
    evil.write_text(f'[core]\n\tfsmonitor = "{tree.command}"\n')
    (tree.path / ".git/config").write_text(
        f'[core]\n\trepositoryformatversion = 0\n\tfsmonitor = "{tree.command}"\n\thooksPath = {tree.path}\n'
        f'\tworktree = {tree.outside}\n\tpager = "{tree.command}"\n\tsshCommand = "{tree.command}"\n'
        f'[filter "evil"]\n\tclean = "{tree.command}"\n\tsmudge = "{tree.command}"\n\tprocess = "{tree.command}"\n'
        f'[diff "evil"]\n\ttextconv = "{tree.command}"\n\tcommand = "{tree.command}"\n'
        f'[include]\n\tpath = evil\n[includeIf "gitdir:/"]\n\tpath = evil\n'
        f'[diff]\n\texternal = "{tree.command}"\n[core]\n\tbare = true\n'
    )
    tree.write(".gitattributes", "* filter=evil diff=evil\n")
    tree.write("a.py", "changed\n")
    return {
        b"hook": program(f"#!/bin/sh\n{tree.command}\n"),
        b".gitattributes": plain("* filter=evil diff=evil\n"),
        b"a.py": plain("changed\n"),
    }


@case
def hooks(tree: Handled) -> Changes:
    folder = tree.path / ".git/hooks"
    folder.mkdir(exist_ok=True)
    for name in ("post-index-change", "pre-commit", "reference-transaction", "fsmonitor-watchman", "post-checkout"):
        (folder / name).write_text(f"#!/bin/sh\n{tree.command}\n")
        (folder / name).chmod(0o755)
    tree.write("a.py", "changed\n")
    return {b"a.py": plain("changed\n")}


@case
def alternates_and_excludes(tree: Handled) -> Changes:
    info = tree.path / ".git/info"
    info.mkdir(exist_ok=True)
    (info / "exclude").write_text("*\n")
    (info / "attributes").write_text("* -diff\n")
    (info / "grafts").write_text("nonsense\n")
    (tree.path / ".git/objects/info").mkdir(exist_ok=True)
    (tree.path / ".git/objects/info/alternates").write_text(f"{tree.outside}\n")
    tree.write("hidden.py", "here\n")
    return {b"hidden.py": plain("here\n")}


@case
def index_that_claims_nothing_changed(tree: Handled) -> Changes:
    tree.git("update-index", "--assume-unchanged", "a.py")
    tree.git("update-index", "--skip-worktree", "b.txt")
    tree.git("update-index", "--force-remove", "sub/c.py")
    tree.write("a.py", "changed\n")
    tree.write("b.txt", "changed\n")
    tree.write("sub/c.py", "changed\n")
    return {b"a.py": plain("changed\n"), b"b.txt": plain("changed\n"), b"sub/c.py": plain("changed\n")}


@case
def index_of_garbage(tree: Handled) -> Changes:
    (tree.path / ".git/index").write_bytes(b"DIRC" + b"\xff" * 500)
    (tree.path / ".git/HEAD").write_text("ref: /etc/passwd\n")
    tree.write("a.py", "changed\n")
    return {b"a.py": plain("changed\n")}


@case
def commits_of_the_agent(tree: Handled) -> Changes:
    tree.write("a.py", "committed\n")
    tree.git("add", "--all")
    tree.git("commit", "--quiet", "-m", "mine")
    tree.git("checkout", "--quiet", "-b", "elsewhere")
    tree.write("b.txt", "staged\n")
    tree.git("add", "--all")
    tree.write("new.py", "neither\n")
    return {b"a.py": plain("committed\n"), b"b.txt": plain("staged\n"), b"new.py": plain("neither\n")}


@case
def stash_that_takes_the_work_away(tree: Handled) -> Changes:
    tree.write("a.py", "stashed\n")
    tree.git("stash", "--quiet")
    tree.write("b.txt", "stays\n")
    return {b"b.txt": plain("stays\n")}


# --- ignore files and attributes -----------------------------------------------------------------------------------


@case
def ignore_files_that_hide_the_work(tree: Handled) -> Changes:
    tree.write(".gitignore", "*\n")
    tree.write("new/.gitignore", "*\n")
    tree.write("new/code.py", "code\n")
    return {
        b".gitignore": plain("*\n"),
        b"new/.gitignore": plain("*\n"),
        b"new/code.py": plain("code\n"),
    }


@case
def attributes_of_every_kind(tree: Handled) -> Changes:
    attributes = "* -diff -merge -text ident export-ignore working-tree-encoding=UTF-16 eol=crlf linguist-generated\n"
    tree.write(".gitattributes", attributes)
    tree.write("sub/.gitattributes", "* binary\n")
    tree.write("a.py", "$Id$\r\nprint()\n")
    tree.write("sub/c.py", "\xff\xfe".encode("latin-1") + "x\n".encode("utf-16-le"))
    return {
        b".gitattributes": plain(attributes),
        b"sub/.gitattributes": plain("* binary\n"),
        b"a.py": plain("$Id$\r\nprint()\n"),
        b"sub/c.py": plain(b"\xff\xfex\0\n\0"),
    }


def test_what_base_ignores_is_left_out_and_named_whatever_the_agent_makes_of_the_ignore_file(tree: Handled) -> None:
    (tree.path / ".gitignore").unlink()
    tree.write("build/out.py", "built\n")
    tree.write("x.log", "log\n")
    tree.write("keep.log", "kept by a negated pattern\n")
    tree.write("sub/y.tmp", "ignored by the inner file\n")
    tree.write("sub/build.log", "kept by the inner file, ignored by the outer one\n")
    tree.write("y.tmp", "not ignored up here\n")
    tree.write("kept/always.log", "tracked files are never ignored\n")
    tree.write("sub/__pycache__/c.cpython-311.pyc", b"\0")
    extracted = tree.extract()
    assert tree.changes(extracted) == {
        b".gitignore": None,
        b"keep.log": plain("kept by a negated pattern\n"),
        b"sub/build.log": plain("kept by the inner file, ignored by the outer one\n"),
        b"y.tmp": plain("not ignored up here\n"),
        b"kept/always.log": plain("tracked files are never ignored\n"),
    }
    assert extracted.left_out == ("build/", "sub/__pycache__/", "sub/y.tmp", "x.log")
    assert extracted.left_out_count == 4


# --- repositories within, submodules -------------------------------------------------------------------------------


def test_a_repository_within_is_refused_its_files_are_not(tree: Handled) -> None:
    shutil.copytree(tree.path / ".git", tree.path / "inner/.git", symlinks=True)
    tree.write("inner/code.py", "code\n")
    tree.write("inner2/.git", "gitdir: ../.git\n")
    tree.write("inner2/code.py", "code\n")
    tree.write(".gitmodules", '[submodule "inner"]\n\tpath = inner\n\turl = https://example.org\n')
    extracted = tree.extract()
    assert set(tree.changes(extracted)) == {b"inner/code.py", b"inner2/code.py", b".gitmodules"}
    assert extracted.refused == ("inner/.git", "inner2/.git")


def test_names_that_git_refuses_are_named_and_spoil_nothing_else(tree: Handled) -> None:
    for name in (".GIT/config", "sub/.Git/hooks/x", "git~1/x", ".git /x", ".git::$INDEX_ALLOCATION/x", "z/.gIt"):
        tree.write(name, "x\n")
    (tree.path / ".gitmodules").symlink_to("a.py")
    tree.write("good.py", "good\n")
    extracted = tree.extract()
    assert tree.changes(extracted) == {b"good.py": plain("good\n")}
    assert {".GIT", "sub/.Git", "z/.gIt", ".gitmodules", "git~1/x"} <= set(extracted.refused)


def test_a_submodule_of_the_base_stays_what_it_is(cache: Cache, tmp_path: Path) -> None:
    files = {**BASE, b"third/party": ("160000", b"1" * 40)}
    with handled(cache, "copy", tmp_path, files) as tree:
        assert list((tree.path / "third/party").iterdir()) == []
        assert tree.changes(tree.extract()) == {}
        shutil.rmtree(tree.scratch / "own.git")
        tree.write("third/party/code.py", "not ours\n")
        tree.write("third/own.py", "ours\n")
        assert tree.changes(tree.extract()) == {b"third/own.py": plain("ours\n")}
        shutil.rmtree(tree.scratch / "own.git")
        shutil.rmtree(tree.path / "third/party")
        (tree.path / "third/party").symlink_to(tree.outside)
        assert tree.changes(tree.extract()) == {b"third/own.py": plain("ours\n")}


# --- links, special files, rights ----------------------------------------------------------------------------------


@case
def links_that_lead_out(tree: Handled) -> Changes:
    (tree.path / "passwd").symlink_to("/etc/passwd")
    (tree.path / "secret").symlink_to(tree.outside / "secret.txt")
    (tree.path / "up").symlink_to("../../../outside")
    (tree.path / "loop").symlink_to("loop")
    forget(tree.path / "a.py")
    (tree.path / "a.py").symlink_to(tree.outside / "secret.txt")
    return {
        b"passwd": link("/etc/passwd"),
        b"secret": link(f"{tree.outside}/secret.txt"),
        b"up": link("../../../outside"),
        b"loop": link("loop"),
        b"a.py": link(f"{tree.outside}/secret.txt"),
    }


@case
def folder_replaced_by_a_link(tree: Handled) -> Changes:
    shutil.rmtree(tree.path / "sub")
    (tree.path / "sub").symlink_to(tree.outside)
    return {b"sub": link(str(tree.outside)), b"sub/c.py": None, b"sub/deep/d.py": None, b"sub/.gitignore": None}


@case
def inner_folder_replaced_by_a_link_to_its_own_parent(tree: Handled) -> Changes:
    shutil.rmtree(tree.path / "sub/deep")
    (tree.path / "sub/deep").symlink_to("..")
    return {b"sub/deep": link(".."), b"sub/deep/d.py": None}


@case
def link_replaced_by_a_file(tree: Handled) -> Changes:
    forget(tree.path / "link")
    tree.write("link", "a.py")
    return {b"link": plain("a.py")}


@case
def files_and_folders_that_change_places(tree: Handled) -> Changes:
    shutil.rmtree(tree.path / "pkg")
    tree.write("pkg", "now a file\n")
    forget(tree.path / "a.py")
    tree.write("a.py/inner.py", "now a folder\n")
    return {
        b"pkg": plain("now a file\n"),
        b"pkg/one.py": None,
        b"pkg/two.py": None,
        b"a.py": None,
        b"a.py/inner.py": plain("now a folder\n"),
    }


@pytest.mark.timeout(30)
def test_pipes_sockets_and_devices_neither_block_nor_get_in(tree: Handled) -> None:
    os.mkfifo(tree.path / "pipe")
    socket_at(tree.path / "socket")
    forget(tree.path / "b.txt")
    os.mkfifo(tree.path / "b.txt")
    expected = {"pipe", "socket", "b.txt"}
    if os.geteuid() == 0:
        os.mknod(tree.path / "zero", 0o20666, os.makedev(1, 5))
        expected.add("zero")
    tree.write("a.py", "changed\n")
    extracted = tree.extract()
    assert tree.changes(extracted) == {b"a.py": plain("changed\n")}, "what git cannot hold counts as unchanged"
    assert set(extracted.refused) == expected


@case
def rights_taken_away(tree: Handled) -> Changes:
    tree.write("a.py", "changed\n")
    tree.write("locked/inner.py", "inner\n")
    (tree.path / "a.py").chmod(0)
    (tree.path / "b.txt").chmod(0)
    (tree.path / "locked/inner.py").chmod(0)
    (tree.path / "locked").chmod(0)
    (tree.path / "sub").chmod(0o500)
    return {b"a.py": plain("changed\n"), b"locked/inner.py": plain("inner\n")}


@case
def mode_changes(tree: Handled) -> Changes:
    (tree.path / "run.sh").chmod(0o644)
    (tree.path / "a.py").chmod(0o4777)
    (tree.path / "b.txt").chmod(0o666)
    return {b"run.sh": plain(BASE[b"run.sh"][1]), b"a.py": program(BASE[b"a.py"][1])}


@case
def hard_links(tree: Handled) -> Changes:
    forget(tree.path / "b.txt")
    os.link(tree.path / "a.py", tree.path / "b.txt")
    os.link(tree.path / "a.py", tree.path / "third.py")
    tree.write("third.py", "all three\n")
    return {name: plain("all three\n") for name in (b"a.py", b"b.txt", b"third.py")}


# --- names -----------------------------------------------------------------------------------------------------------

NAMES = [
    b"new\nline.py", b'"quoted".py', b"'quoted'.py", b"tab\t.py", b"back\\slash.py", b"back\\nslash.py", b"\\", b'"',
    b"\xff\xfe invalid.py", b"\xc3\xa9.py", b"e\xcc\x81.py", b"--force", b"-", b"...", b".. ", b" lead", b"trail ",
    b"*", b"[x]", b"?", b"!important", b"#comment", b":(glob)**", b"a b c", b"\x01\x1b[31m\x7f", b"a => b", b"{x => y}",
    b"/dev/null".replace(b"/", b"\xe2\x88\x95"), b"dev/null", b"a/dev/null", b"b/b/b", b"x" * 255, b"new\r.py",
    b".gitignored", b".gitkeep", b"\xf0\x9f\x9a\x80", b"COM1", b"nul.txt", b"a:b", b"end.",
]  # fmt: skip


@case
def names_of_every_kind(tree: Handled) -> Changes:
    for name in NAMES:
        tree.write(name, name + b"\n")
    return {name: plain(name + b"\n") for name in NAMES}


@case
def folders_too_deep_to_be_named(tree: Handled) -> Changes:
    nest(tree.path, 60)
    tree.write("a.py", "changed\n")
    return {b"a.py": plain("changed\n")}


@case
def a_path_of_nearly_the_longest_kind(tree: Handled) -> Changes:
    name = "/".join(["d" * 100] * 30) + "/leaf.py"
    tree.write(name, "leaf\n")
    return {name.encode(): plain("leaf\n")}


# --- contents --------------------------------------------------------------------------------------------------------


@case
def contents_of_every_kind(tree: Handled) -> Changes:
    contents = {
        b"a.py": b"print('a')",
        b"b.txt": b"",
        b"data.bin": bytes(range(255, -1, -1)) * 9,
        b"crlf.txt": b"one\r\ntwo\nthree\r\n",
        b"noeol.txt": b"no end\nat all",
        b"sub/c.py": b"\xff\xfe\0x",
        b"zero.bin": b"\0" * 5000,
        b"empty.py": b"",
        b"diff.txt": b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-x\n+y\ndiff --git a/a.py b/a.py\ndeleted file mode 100644\n",
        b"cr.txt": b"a\rb\rc",
        b"long.txt": b"x" * 3_000_000 + b"\n",
        b"mail.txt": b"From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001\n-- \n2.39\n",
    }
    for name, content in contents.items():
        tree.write(name, content)
    return {name: plain(content) for name, content in contents.items()}


@case
def everything_deleted(tree: Handled) -> Changes:
    for entry in list(tree.path.iterdir()):
        forget(entry)
    return dict.fromkeys(BASE)


@case
def a_folder_renamed(tree: Handled) -> Changes:
    (tree.path / "pkg").rename(tree.path / "package")
    return {
        b"pkg/one.py": None,
        b"pkg/two.py": None,
        b"package/one.py": BASE[b"pkg/one.py"],
        b"package/two.py": BASE[b"pkg/two.py"],
    }


@case
def folders_of_equal_files_that_change_places(tree: Handled) -> Changes:
    for name in ("twin1", "twin2"):
        assert (tree.path / name / "x.py").stat().st_size == 2
    (tree.path / "twin1").rename(tree.path / "third")
    (tree.path / "twin2").rename(tree.path / "twin1")
    (tree.path / "third").rename(tree.path / "twin2")
    return {b"twin1/x.py": plain("2\n"), b"twin2/x.py": plain("1\n")}


@case
def many_new_files(tree: Handled) -> Changes:
    files = {f"many/{number // 50}/{number}.py".encode(): plain(f"{number}\n") for number in range(150)}
    for name, (_, content) in files.items():
        tree.write(name, content)
    return dict(files)


@case
def folders_made_anew(tree: Handled) -> Changes:
    for name in ("pkg", "sub/deep", "twin1"):
        shutil.rmtree(tree.path / name)
        (tree.path / name).mkdir()
    tree.write("pkg/one.py", "1\n")
    tree.write("twin1/x.py", "3\n")
    return {b"pkg/two.py": None, b"sub/deep/d.py": None, b"twin1/x.py": plain("3\n")}


@case
def a_change_that_hides_behind_the_old_times(tree: Handled) -> Changes:
    for name, new in (("a.py", "print('b')\n"), ("sub/c.py", "print('x')\n")):
        old = (tree.path / name).stat()
        assert old.st_size == len(new)
        tree.write(name, new)
        os.utime(tree.path / name, ns=(old.st_atime_ns, old.st_mtime_ns))
    source = tree.path / "pkg/one.py"
    times = source.stat()
    tree.write("pkg/other", "3\n")
    os.utime(tree.path / "pkg/other", ns=(times.st_atime_ns, times.st_mtime_ns))
    (tree.path / "pkg/other").rename(source)
    return {b"a.py": plain("print('b')\n"), b"sub/c.py": plain("print('x')\n"), b"pkg/one.py": plain("3\n")}


@case
def files_touched_and_rewritten_as_they_were(tree: Handled) -> Changes:
    for name in ("a.py", "data.bin", "run.sh"):
        file = tree.path / name
        content = file.read_bytes()
        file.write_bytes(b"something else")
        file.write_bytes(content)
    os.utime(tree.path / "b.txt")
    (tree.path / "crlf.txt").rename(tree.path / "moved")
    (tree.path / "moved").rename(tree.path / "crlf.txt")
    (tree.path / "empty/folders/only").mkdir(parents=True)
    return {}


@case
def twenty_thousand_new_files(tree: Handled) -> Changes:
    for folder in range(20):
        (tree.path / f"many{folder}").mkdir()
        for number in range(1000):
            (tree.path / f"many{folder}/{number}.py").write_bytes(b"%d\n" % number)
    return {f"many{f}/{n}.py".encode(): plain(f"{n}\n") for f in range(20) for n in range(1000)}


def test_a_huge_file_is_refused_and_named(tree: Handled) -> None:
    tree.write("huge.bin", "")
    os.truncate(tree.path / "huge.bin", 10 << 30)
    os.truncate(tree.path / "b.txt", 10 << 30)
    tree.write("a.py", "changed\n")
    extracted = tree.extract()
    assert tree.changes(extracted) == {b"a.py": plain("changed\n")}
    assert extracted.refused == ("b.txt", "huge.bin")


def test_huge_sparse_files_beyond_all_measure_are_not_even_read(tree: Handled, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    monkeypatch.setattr(walk_module, "MAX_CHANGED", 4 << 20)
    original = walk_module._read

    def counted(path: bytes) -> bytes:
        content = original(path)
        read.append(len(content))
        return content

    monkeypatch.setattr(walk_module, "_read", counted)
    for number in range(50):
        tree.write(f"sparse{number}.bin", "")
        os.truncate(tree.path / f"sparse{number}.bin", 3 << 20)
    extracted = tree.extract()
    assert (len(tree.changes(extracted)), len(extracted.refused)) == (1, 49)
    assert sum(read) <= 4 << 20


def test_changes_beyond_all_measure_are_refused_and_named(tree: Handled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk_module, "MAX_CHANGED", 10_000)
    for number in range(30):
        tree.write(f"new{number}.txt", str(number) * 1000)
    extracted = tree.extract()
    assert 0 < len(tree.changes(extracted)) < 30
    assert len(tree.changes(extracted)) + len(extracted.refused) == 30
    assert len(extracted.diff) < 30_000


def test_the_numbers_are_those_of_the_patch(tree: Handled) -> None:
    tree.write("a.py", "one\ntwo\nthree\n")
    tree.write("data.bin", b"\0\1")
    forget(tree.path / "pkg/one.py")
    extracted = tree.extract()
    assert extracted.files == ("a.py", "data.bin", "pkg/one.py")
    assert (extracted.added_lines, extracted.removed_lines) == (3, 2)


def test_an_overlay_with_marks_that_nobody_knows_or_mounted_no_more_is_read_whole(tmp_path: Path, cache: Cache) -> None:
    with handled(cache, "overlay", tmp_path / "marked") as tree:
        tree.write("pkg/two.py", "3\n")
        os.setxattr(tree.workspace.folder / "upper/pkg", "trusted.overlay.unheard-of", b"y")
        assert tree.changes(tree.extract()) == {b"pkg/two.py": plain("3\n")}
    with handled(cache, "overlay", tmp_path / "unmounted") as tree:
        unmount(tree.path)
        tree.write("sub/c.py", "print('c')\n")
        changes = tree.changes(tree.extract())
        assert b"sub/c.py" not in changes and all(changes[path] is None for path in tree.files if path in changes)
        assert len(changes) == len(tree.files) - 1

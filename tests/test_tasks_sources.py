"""Sources: a task's two commits, from a git repository or from two sdists, the same on every machine."""

import hashlib
import io
import os
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speedproof.errors import SourceError
from speedproof.tasks.models import GitSource, PypiPair, PypiRelease, PypiSource, Task
from speedproof.tasks.sdist import read_sdist
from speedproof.tasks.source import Commits, fetch
from speedproof.workspace.cache import Cache, silent
from speedproof.workspace.git import git, git_environment

WHO = {f"GIT_{w}_{k}": v for w in ("AUTHOR", "COMMITTER") for k, v in (("NAME", "A"), ("EMAIL", "a@b"))}


def task(source: GitSource | PypiSource) -> Task:
    return Task(name="t", source=source, instructions="Make it faster.")


def get(source: GitSource | PypiSource, folder: Path) -> Commits:
    return fetch(task(source), folder, Cache(folder / "cache"), silent)


def listing(commits: Commits, commit: str) -> list[str]:
    return (
        git("ls-tree", "-r", "--format=%(objectmode) %(path)", commit, repository=commits.repository)
        .decode()
        .split("\n")[:-1]
    )


# --- git ---------------------------------------------------------------------------------------------------------


class Repository:
    """A git repository of a few commits."""

    def __init__(self, path: Path) -> None:
        self.path = path
        git("init", "--quiet", str(path))

    def commit(self, content: str, name: str = "a.py") -> str:
        (self.path / name).write_text(content)
        git("add", "-A", cwd=self.path)
        git("commit", "--quiet", "-m", "secret message", cwd=self.path, env=WHO)
        return git("rev-parse", "HEAD", cwd=self.path).decode().strip()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "project")


def test_base_defaults_to_the_expert_s_first_parent(repository: Repository, tmp_path: Path) -> None:
    repository.commit("0")
    base, expert = repository.commit("1"), repository.commit("2")
    repository.commit("3")
    commits = get(GitSource(git="project", expert=expert), tmp_path)
    assert (commits.base, commits.expert) == (base, expert)
    assert git("cat-file", "-p", f"{commits.expert_tree}:a.py", repository=commits.repository) == b"2"
    assert git("cat-file", "-p", f"{commits.base_tree}:a.py", repository=commits.repository) == b"1"


def test_abbreviations_tags_and_branches_name_commits_too(repository: Repository, tmp_path: Path) -> None:
    base = repository.commit("1")
    expert = repository.commit("2")
    git("tag", "-a", "-m", "x", "v2", cwd=repository.path, env=WHO)
    for name in (expert[:9], "v2", "main"):
        assert get(GitSource(git="project", expert=name, base=base[:9]), tmp_path).expert == expert


def test_commits_made_after_the_first_fetch_are_found(repository: Repository, tmp_path: Path) -> None:
    repository.commit("1")
    repository.commit("2")
    assert get(GitSource(git="project", expert="main"), tmp_path)
    later = repository.commit("3")
    assert get(GitSource(git="project", expert=later), tmp_path).expert == later
    newest = repository.commit("4")
    assert get(GitSource(git="project", expert="main"), tmp_path).expert == newest


def test_a_commit_that_no_branch_holds_is_found_by_its_full_id(repository: Repository, tmp_path: Path) -> None:
    base, expert = repository.commit("1"), repository.commit("2")
    git("reset", "--quiet", "--hard", base, cwd=repository.path)
    assert get(GitSource(git="project", expert=expert), tmp_path).base == base


def test_an_unknown_commit_is_named_with_its_repository(repository: Repository, tmp_path: Path) -> None:
    repository.commit("1")
    for name in ("0123456789" * 4, "0123456", "no-such-tag"):
        with pytest.raises(SourceError, match=f"commit '{name}' is not in the repository project"):
            get(GitSource(git="project", expert=name), tmp_path)


def test_a_commit_without_a_parent_needs_a_base(repository: Repository, tmp_path: Path) -> None:
    first = repository.commit("1")
    with pytest.raises(SourceError, match="has no parent"):
        get(GitSource(git="project", expert=first), tmp_path)


def test_base_and_expert_with_the_same_files_are_refused(repository: Repository, tmp_path: Path) -> None:
    first = repository.commit("1")
    repository.commit("2")
    again = repository.commit("1")
    with pytest.raises(SourceError, match="hold the same files"):
        get(GitSource(git="project", expert=again, base=first), tmp_path)


def test_a_repository_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="'nowhere' does not exist"):
        get(GitSource(git="nowhere", expert="abcdef0"), tmp_path)
    (tmp_path / "plain").mkdir()
    with pytest.raises(SourceError, match="repository plain cannot be read"):
        get(GitSource(git="plain", expert="abcdef0"), tmp_path)
    assert not list((tmp_path / "cache" / "repositories").glob("[!.]*"))


def test_an_address_that_does_not_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(SourceError, match=r"http://127\.0\.0\.1:1/x\.git cannot be read"):
        get(GitSource(git="http://127.0.0.1:1/x.git", expert="abcdef0"), tmp_path)


def test_a_password_in_the_address_is_neither_shown_nor_kept(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    repository.commit("1")
    expert = repository.commit("2")
    git("update-server-info", cwd=repository.path)
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=str(repository.path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    told: list[str] = []
    try:
        address = f"http://somebody:s3cr%40t@127.0.0.1:{server.server_port}"
        wanted = task(GitSource(git=f"{address}/.git", expert=expert))
        commits = fetch(wanted, tmp_path, Cache(tmp_path / "cache"), told.append)
        for source in (
            GitSource(git=f"{address}/.git", expert="no-such-branch"),
            GitSource(git=f"{address}/nothing", expert=expert),
        ):
            with pytest.raises(SourceError) as caught:
                fetch(task(source), tmp_path, Cache(tmp_path / "cache"), told.append)
            cause = caught.value.__cause__
            told += [str(caught.value), str(cause), str(cause.__cause__ if cause else "")]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert any("cloning http://127.0.0.1" in line for line in told)
    assert "s3cr" not in "".join(told)
    assert "somebody" not in "".join(told)
    kept = [f for f in commits.repository.rglob("*") if f.is_file()]
    assert (commits.repository / "config") in kept
    assert not [f for f in kept if b"s3cr" in f.read_bytes()]


def test_a_repository_with_sha256_is_refused(tmp_path: Path) -> None:
    git("init", "--quiet", "--object-format=sha256", str(tmp_path / "project"))
    git("commit", "--quiet", "--allow-empty", "-m", "x", cwd=tmp_path / "project", env=WHO)
    with pytest.raises(SourceError, match="project names its objects by sha256"):
        get(GitSource(git="project", expert="abcdef0"), tmp_path)
    assert not list((tmp_path / "cache" / "repositories").glob("[!.]*"))


def test_the_home_of_nobody_is_no_place_for_a_repository(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="'~no-such-user/x' cannot be found"):
        get(GitSource(git="~no-such-user/x", expert="abcdef0"), tmp_path)


def test_git_has_nothing_to_warn_of(tmp_path: Path) -> None:
    made = subprocess.run(
        ["git", "init", str(tmp_path / "x")], env=git_environment(), capture_output=True, text=True, check=True
    )
    assert made.stderr == ""
    assert not (tmp_path / "x/.git/hooks").exists()


def test_neither_hooks_nor_settings_of_the_repository_or_the_user_are_run(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit("1")
    expert = repository.commit("2")
    trap = tmp_path / "trap.sh"
    trap.write_text(f'#!/bin/sh\ntouch {tmp_path}/ran\nexec "$@"\n')
    trap.chmod(0o755)
    hooks = repository.path / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for hook in ("post-checkout", "reference-transaction", "pre-receive", "post-update", "pre-auto-gc"):
        (hooks / hook).symlink_to(trap)
    for setting in ("core.fsmonitor", "uploadpack.packObjectsHook", "core.pager", "core.sshCommand"):
        git("config", setting, str(trap), cwd=repository.path)
    (tmp_path / ".gitconfig").write_text(f"[uploadpack]\n\tpackObjectsHook = {trap}\n[core]\n\thooksPath = {hooks}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(hooks.parent))
    assert get(GitSource(git="project", expert=expert), tmp_path).expert == expert
    assert not (tmp_path / "ran").exists()


def test_git_keeps_proxies_and_certificates_but_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "https_proxy",
        "SSL_CERT_FILE",
        "GIT_SSL_CAINFO",
        "GIT_DIR",
        "GIT_INDEX_FILE",
        "GIT_EXEC_PATH",
        "API_KEY",
    ):
        monkeypatch.setenv(name, "x")
    environment = git_environment({"GIT_WORK_TREE": "/w"})
    assert {"https_proxy", "SSL_CERT_FILE", "GIT_SSL_CAINFO", "GIT_WORK_TREE"} <= environment.keys()
    assert not {"GIT_DIR", "GIT_INDEX_FILE", "GIT_EXEC_PATH", "API_KEY"} & environment.keys()


# --- sdists ------------------------------------------------------------------------------------------------------


def tar(file: Path, *members: tuple[str, bytes | None, int], link: str = "", kind: bytes = tarfile.REGTYPE) -> Path:
    with tarfile.open(file, "w:gz") as archive:
        for name, content, mode in members:
            info = tarfile.TarInfo(name)
            info.mode = mode
            info.uid, info.mtime = 1234, 987654321
            if content is None:
                info.type, info.linkname = kind, link
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return file


def sdist(folder: Path, version: str, files: dict[str, bytes], kind: str = "tar.gz") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    top = f"thing-{version}"
    if kind == "tar.gz":
        members = [
            (f"{top}/{name}", content, 0o775 if name.endswith(".sh") else 0o600) for name, content in files.items()
        ]
        return tar(folder / f"{top}.tar.gz", *members)
    with zipfile.ZipFile(folder / f"{top}.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(f"{top}/{name}", content)
    return folder / f"{top}.zip"


OLD = {
    "PKG-INFO": b"1.0\n",
    "thing.py": b"slow\r\n",
    "run.sh": b"#!/bin/sh\n",
    "tests/test_thing.py": b"ok\n",
    ".gitignore": b"*\n",
}
NEW = {"PKG-INFO": b"1.1\n", "src/thing.py": b"fast\r\n", "src/__init__.py": b"", "run.sh": b"#!/bin/sh\n"}
PINNED = ("7ef8a1dcd456a6628cf87735fc17a5491bd2fb9f", "1b1d1e74d8969a3c14eb610ecef5c95835e30fdd")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """A package index on loopback; call it with the files to offer."""
    root = tmp_path / "index"
    pages = root / "simple" / "thing"
    pages.mkdir(parents=True)
    handler = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    for name in ("UV_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{server.server_address[1]}/simple/")

    def offer(*files: Path) -> None:
        for file in files:
            (root / file.name).write_bytes(file.read_bytes())
        links = (f'<a href="/{f.name}#sha256={hashlib.sha256(f.read_bytes()).hexdigest()}">{f.name}</a>' for f in files)
        (pages / "index.html").write_text("<!DOCTYPE html><html><body>" + "".join(links) + "</body></html>")

    yield offer
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def both(index: Callable[..., None], tmp_path: Path) -> None:
    """An index with both releases of `thing`."""
    index(sdist(tmp_path / "made", "1.0", OLD), sdist(tmp_path / "made", "1.1", NEW))


def pair(files: tuple[str, ...] | dict[str, str] = (), base: str = "1.0", sha256: str | None = None) -> PypiSource:
    return PypiSource(
        pypi=PypiPair(
            package="thing",
            base=PypiRelease(version=base, sha256=sha256),
            expert=PypiRelease(version="1.1"),
            files=files,
        )
    )


def test_two_sdists_become_two_commits(both: None, tmp_path: Path) -> None:
    commits = get(pair(), tmp_path)
    assert listing(commits, commits.base) == [
        "100644 .gitignore",
        "100644 PKG-INFO",
        "100755 run.sh",
        "100644 tests/test_thing.py",
        "100644 thing.py",
    ]
    assert listing(commits, commits.expert) == [
        "100644 PKG-INFO",
        "100755 run.sh",
        "100644 src/__init__.py",
        "100644 src/thing.py",
    ]
    assert git("cat-file", "-p", f"{commits.base}:thing.py", repository=commits.repository) == b"slow\r\n"
    assert git("rev-parse", f"{commits.expert}^", repository=commits.repository).decode().strip() == commits.base


def test_the_expert_commit_can_be_limited_to_files_even_if_they_moved(both: None, tmp_path: Path) -> None:
    commits = get(pair(files={"thing.py": "src/thing.py"}), tmp_path)
    changed = git("diff", "--name-status", commits.base, commits.expert, repository=commits.repository)
    assert changed == b"M\tthing.py\n"
    assert git("cat-file", "-p", f"{commits.expert}:thing.py", repository=commits.repository) == b"fast\r\n"


def test_the_ids_are_the_same_on_every_machine(both: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = get(pair(), tmp_path)
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        "[user]\n\tname = Somebody\n[core]\n\tautocrlf = input\n\tfileMode = false\n\tattributesFile = ~/attributes\n"
        "[commit]\n\tgpgSign = true\n[init]\n\tdefaultObjectFormat = sha256\n[i18n]\n\tcommitEncoding = latin1\n"
    )
    (home / "attributes").write_text("* text eol=lf\n")
    for name, value in {
        "HOME": str(home),
        "TZ": "Pacific/Auckland",
        "LANG": "tr_TR.UTF-8",
        "GIT_AUTHOR_DATE": "2020-01-01T00:00:00",
        "GIT_COMMITTER_NAME": "Somebody",
        "GIT_DEFAULT_HASH": "sha256",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.autocrlf",
        "GIT_CONFIG_VALUE_0": "true",
    }.items():
        monkeypatch.setenv(name, value)
    before = os.umask(0o077)
    try:
        there = fetch(task(pair()), tmp_path, Cache(tmp_path / "other"), silent)
    finally:
        os.umask(before)
    assert (there.base, there.expert) == (here.base, here.expert)
    assert (here.base, here.expert) == PINNED


def test_the_ids_of_an_example_are_pinned(tmp_path: Path) -> None:
    """Downloads 100 KB from the package index."""
    release = PypiRelease(version="3.0.0")
    newer = PypiRelease(version="4.0.0", sha256="fc41de0c63e687ebffde81187a948221294896f6bdc0ae2312708df339430095")
    files = {"hpack/table.py": "src/hpack/table.py", "hpack/hpack.py": "src/hpack/hpack.py"}
    commits = get(PypiSource(pypi=PypiPair(package="hpack", base=release, expert=newer, files=files)), tmp_path)
    assert commits.base == "c9815b073ea63c76428ff12dbce6a9559e6d1ae8"
    assert commits.expert == "72765cb4b2be863a902da4dc6537489ae4ff2f1c"


def test_what_was_fetched_once_needs_no_network(both: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = get(pair(), tmp_path)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:1/simple/")
    assert get(pair(), tmp_path) == first
    assert get(pair(files={"thing.py": "src/thing.py"}), tmp_path).base == first.base


def test_no_network_is_said_so_without_the_index_s_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://me:secret@127.0.0.1:1/simple/")
    with pytest.raises(SourceError, match=r"thing 1\.0 cannot be downloaded: no network") as caught:
        get(pair(), tmp_path)
    assert "secret" not in str(caught.value)
    assert not list((tmp_path / "cache" / "sdists").glob("[!.]*"))


def test_an_index_that_refuses_is_said_so_without_its_password(
    both: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", os.environ["UV_DEFAULT_INDEX"].replace("//", "//me:secret@"))
    monkeypatch.setattr(SimpleHTTPRequestHandler, "do_GET", lambda self: self.send_error(403))
    with pytest.raises(SourceError, match=r"thing 1\.0 cannot be downloaded: 403") as caught:
        get(pair(), tmp_path)
    assert "secret" not in str(caught.value)


def test_an_unknown_version_is_named_with_those_there_are(both: None, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no sdist of thing 0\.9") as caught:
        get(pair(base="0.9"), tmp_path)
    assert "1.0, 1.1" in caught.value.hint


def test_an_unknown_package_is_named(both: None, tmp_path: Path) -> None:
    releases = {"base": PypiRelease(version="1"), "expert": PypiRelease(version="2")}
    with pytest.raises(SourceError, match="no package 'other'"):
        get(PypiSource(pypi=PypiPair(package="other", **releases)), tmp_path)


def test_a_file_that_the_newer_sdist_lacks_is_named(both: None, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"thing 1\.1 has no file 'gone\.py'"):
        get(pair(files=("gone.py",)), tmp_path)


def test_another_file_than_the_suite_names_is_refused(both: None, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=f"the suite says {'0' * 64}"):
        get(pair(sha256="0" * 64), tmp_path)


def test_an_sdist_damaged_on_its_way_is_refused(both: None, tmp_path: Path) -> None:
    (tmp_path / "index" / "thing-1.0.tar.gz").write_bytes(b"another")
    with pytest.raises(SourceError, match=r"thing 1\.0 cannot be downloaded"):
        get(pair(), tmp_path)


def test_a_zip_will_do(index: Callable[..., None], tmp_path: Path) -> None:
    index(sdist(tmp_path / "made", "1.0", OLD, "zip"), sdist(tmp_path / "made", "1.1", NEW))
    commits = get(pair(), tmp_path)
    assert "100644 thing.py" in listing(commits, commits.base)


def test_names_of_any_bytes_are_kept(index: Callable[..., None], tmp_path: Path) -> None:
    odd = b'"q\\uote" \n\tn\xc3\xa4me \xff'.decode(errors="surrogateescape")
    index(sdist(tmp_path / "made", "1.0", {odd: b"1"}), sdist(tmp_path / "made", "1.1", {odd: b"2"}))
    commits = get(pair(), tmp_path)
    names = git("ls-tree", "-r", "-z", "--name-only", commits.base, repository=commits.repository)
    assert names == odd.encode(errors="surrogateescape") + b"\0"


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/evil", "thing-1.0/../../evil", "thing-1.0/.git/hooks/evil", "thing-1.0/a/.GIT/x"]
)
def test_paths_out_of_the_sdist_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match="no path an sdist may hold"):
        read_sdist(tar(tmp_path / "x.tar.gz", (name, b"x", 0o644)))


@pytest.mark.parametrize("target", ["/etc/passwd", "../../etc/passwd", ".."])
def test_links_out_of_the_sdist_are_refused(tmp_path: Path, target: str) -> None:
    with pytest.raises(SourceError, match="leads out of the sdist"):
        read_sdist(tar(tmp_path / "x.tar.gz", ("thing-1.0/link", None, 0o777), link=target, kind=tarfile.SYMTYPE))


def test_links_within_the_sdist_are_kept(tmp_path: Path) -> None:
    file = tar(tmp_path / "x.tar.gz", ("t/a/link", None, 0o777), link="../b", kind=tarfile.SYMTYPE)
    assert read_sdist(file)["a/link"].mode == "120000"


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_devices_and_pipes_are_refused(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(SourceError, match="device or a pipe"):
        read_sdist(tar(tmp_path / "x.tar.gz", ("thing-1.0/x", None, 0o644), kind=kind))


def test_files_beside_the_top_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="one top folder"):
        read_sdist(tar(tmp_path / "x.tar.gz", ("a/x", b"x", 0o644), ("b/x", b"x", 0o644)))


def test_a_huge_sdist_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speedproof.tasks.sdist.MAX_BYTES", 1 << 20)
    big = [(f"t/{n}", bytes(300_000), 0o644) for n in range(5)]
    with pytest.raises(SourceError, match="more than 1 MiB unpacked"):
        read_sdist(tar(tmp_path / "x.tar.gz", *big))


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=600), cut=st.integers(0, 400))
def test_a_damaged_archive_is_refused_and_never_anything_else(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, cut: int
) -> None:
    file = tmp_path_factory.getbasetemp() / "damaged.tar.gz"
    whole = tar(file, ("t/a", content, 0o644)).read_bytes()
    for damaged in (content, whole[:cut], whole[:cut] + content + whole[cut + len(content) :]):
        file.write_bytes(damaged)
        try:
            read_sdist(file)
        except SourceError as error:
            assert str(file) in str(error)

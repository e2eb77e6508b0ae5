"""The scan for leaked answers: the expert's commit ids and added lines, wherever an agent could find them.

A line counts when it is distinctive: long enough, and found neither in the base tree nor in Python's own library.
One such line in the prompt or the environment is a leak; in a mounted file, several must stand together, because
common idioms stand anywhere. A commit id counts in names and texts from seven digits on, in contents from twelve.
"""

import json
import lzma
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from speedproof.errors import RecordError
from speedproof.journal.base import digest_of
from speedproof.journal.files import write_atomically
from speedproof.sandbox.bubblewrap import HIDDEN, interpreter_paths
from speedproof.workspace.cache import Cache, Progress, silent
from speedproof.workspace.git import git
from speedproof.workspace.tree import list_tree, read_blobs

MIN_LENGTH = 20
"""Characters; shorter lines say too little to be anybody's answer."""
TOGETHER = 3
"""Distinctive lines that make a mounted file a leak (all of them, where the expert added fewer)."""
_ARCHIVES = {".bz2", ".egg", ".gz", ".tar", ".tgz", ".whl", ".xz", ".zip"}
_UNREADABLE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
)
_ENOUGH = 12
_HEXADECIMAL = re.compile(r"[0-9a-fA-F]{7,}")
_LARGEST = 64 << 20


@dataclass(frozen=True)
class Answer:
    """What must not be found."""

    commits: tuple[str, ...]
    lines: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Digest of the answer: the key under which clean scans are remembered."""
        return digest_of(["leak/2", self.commits, self.lines], 32)


@dataclass(frozen=True)
class Root:
    """A host folder or file that will be mounted."""

    path: Path
    version: str
    """Changes whenever its content does; a clean scan of the same version is not repeated."""
    masked: tuple[str, ...] = ()
    """Names of folders in it that stay hidden inside."""


@dataclass(frozen=True)
class Leak:
    """A place where the answer stands."""

    place: str
    what: str


def answer_of(repository: Path, base_tree: str, expert_tree: str, commits: Iterable[str]) -> Answer:
    """The expert's distinctive added lines and commit ids (ids of 40 digits, named as secret by the caller)."""
    diff = git("diff-tree", "-p", "-r", "--no-renames", "--no-color", base_tree, expert_tree, repository=repository)
    added = {
        line[1:].strip()
        for line in diff.decode(errors="replace").splitlines()
        if line.startswith("+") and not line.startswith("+++")
    }
    lines = {a for a in added if len(a) >= MIN_LENGTH and sum(c.isalpha() for c in a) >= MIN_LENGTH // 2}
    if lines:
        entries = list_tree(repository, base_tree)
        for content in read_blobs(repository, [e.blob for e in entries.values() if e.mode != "160000"]):
            if b"\0" not in content[:8000]:
                lines -= {text.strip() for text in content.decode(errors="replace").splitlines()}
    if lines:
        lines -= set(_grep(sorted(lines), Path(sysconfig.get_path("stdlib")), "-rho", ("site-packages", "_bundled")))
    return Answer(tuple(sorted(commits)), tuple(sorted(lines)))


def scan_text(answer: Answer, place: str, text: str) -> list[Leak]:
    """Leaks in something the agent is told: a prompt, a name, an environment variable."""
    found = [line for line in answer.lines if line in text][:3]
    return _ids(answer, place, text) + [Leak(place, f"a line of the expert's change: {line[:80]!r}") for line in found]


def scan_environment(answer: Answer, variables: Mapping[str, str]) -> list[Leak]:
    """Leaks in environment variables."""
    return [leak for name, value in variables.items() for leak in scan_text(answer, f"environment {name}", value)]


def scan_roots(answer: Answer, roots: Sequence[Root], cache: Cache, progress: Progress = silent) -> list[Leak]:
    """Leaks in everything that will be mounted; clean results are remembered in the cache by content."""
    memory = cache.root / "leaks" / f"{answer.digest}.json"
    clean: list[str] = json.loads(memory.read_text()) if memory.is_file() else []
    leaks: list[Leak] = []
    fresh: list[str] = []
    for root in dict.fromkeys(roots):
        key = digest_of([str(root.path), root.version, root.masked], 32)
        if key in clean:
            continue
        if not leaks and not fresh:
            progress("looking for the answer in everything the agent will see")
        found = list(_scan_root(answer, root))
        leaks += found
        if not found:
            fresh.append(key)
    if fresh:
        try:
            memory.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RecordError(f"cannot write the cache: {error.strerror}", file=memory) from error
        write_atomically(memory, json.dumps(sorted({*clean, *fresh})))
    return leaks


def _scan_root(answer: Answer, root: Root) -> Iterator[Leak]:
    for path in _grep([c[:_ENOUGH] for c in answer.commits], root.path, "-rla", root.masked):
        yield Leak(path, "the expert's commit id")
    for path in _grep(answer.lines, root.path, "-rla", root.masked):
        with Path(path).open(errors="replace") as text:
            yield from _together(answer, path, text)
    for file in _files(root):
        yield from _ids(answer, str(file), str(file.relative_to(root.path.parent)))
        if file.is_symlink():
            yield from _ids(answer, str(file), str(file.readlink()))
        elif file.suffix in _ARCHIVES and file.is_file():  # a pipe would wait for its writer for ever
            yield from _scan_archive(answer, file)


def _ids(answer: Answer, place: str, text: str) -> list[Leak]:
    """Leaks of the expert's commit ids, whole or cut short."""
    words = [w.lower() for w in _HEXADECIMAL.findall(text)]
    return [
        Leak(place, f"the expert's commit id {commit[:8]}…")
        for commit in answer.commits
        if any(commit.startswith(word) or word.startswith(commit) for word in words)
    ]


def _together(answer: Answer, place: str, lines: Iterable[str]) -> Iterator[Leak]:
    wanted = set(answer.lines)
    found = sorted(wanted & {text.strip() for text in lines})
    if found and len(found) >= min(TOGETHER, len(wanted)):
        yield Leak(place, f"{len(found)} of {len(wanted)} lines of the expert's change, such as {found[0][:80]!r}")


def _files(root: Root) -> Iterator[Path]:
    """Every file and folder below a root, no link followed; the root itself when it is a file."""
    if not root.path.is_dir():
        yield root.path
        return
    for folder, names, files in os.walk(root.path):
        names[:] = [n for n in names if n not in root.masked]
        yield from (Path(folder) / name for name in (*names, *files))


def _scan_archive(answer: Answer, archive: Path) -> Iterator[Leak]:
    try:
        for name, content in _members(archive):
            place = f"{archive}!{name}"
            yield from _ids(answer, place, name)
            text = content.decode(errors="replace")
            if any(commit[:_ENOUGH] in text for commit in answer.commits):
                yield Leak(place, "the expert's commit id")
            yield from _together(answer, place, text.splitlines())
    except _UNREADABLE:
        return  # named like an archive, but none that Python could open: its bytes were searched above


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for member in packed.infolist():
                if member.file_size <= _LARGEST and not member.is_dir():
                    yield member.filename, packed.read(member)
        return
    with tarfile.open(archive) as tar:
        for entry in tar:
            content = tar.extractfile(entry) if entry.isfile() and entry.size <= _LARGEST else None
            if content is not None:
                yield entry.name, content.read()


def _grep(patterns: Sequence[str], path: Path, mode: str, masked: Sequence[str]) -> list[str]:
    """Lines that GNU grep prints for fixed `patterns` below `path`: megabytes a second Python cannot match.

    Raises RecordError when it cannot search: what was not searched is not clean.
    """
    if not patterns:
        return []
    with tempfile.NamedTemporaryFile("w", suffix=".patterns") as file:
        file.write("".join(f"{p}\n" for p in patterns))
        file.flush()
        hidden = [f"--exclude-dir={name}" for name in masked]
        done = subprocess.run(
            ["grep", mode, "-F", "-D", "skip", *hidden, "-f", file.name, "--", str(path)],
            capture_output=True,
            env={"LC_ALL": "C", "PATH": os.environ.get("PATH", "/usr/bin:/bin")},
            check=False,
            start_new_session=True,
        )
    words = done.stderr.decode(errors="replace").splitlines()
    failed = [w for w in words if not w.endswith((": Permission denied", ": No such file or directory"))]
    if done.returncode > 1 and (failed or not words):  # what we may not read, the agent may not either
        raise RecordError(f"grep cannot search: {failed[0] if failed else done.returncode}", file=path)
    return done.stdout.decode(errors="surrogateescape").splitlines()


def stamp_of(path: Path) -> str:
    """A version for a folder or file that anybody may change: from the times of change of all that is in it."""
    seen = []
    for file in (path, *_files(Root(path, ""))):
        try:
            found = file.lstat()
        except OSError:
            continue  # gone meanwhile
        seen.append((ascii(str(file)), found.st_size, found.st_ctime_ns))  # a name may be no text
    return digest_of(sorted(seen), 32)


def interpreter_roots(prefixes: Iterable[Path]) -> list[Root]:
    """The roots of Python interpreters as sandboxes mount them: without the packages installed beside them."""
    hidden = tuple(Path(name).name for name in HIDDEN)
    paths = [path for prefix in prefixes for path in interpreter_paths(prefix)]
    return [Root(p, f"{p.stat().st_mtime_ns}-{sys.platform}", hidden) for p in paths]

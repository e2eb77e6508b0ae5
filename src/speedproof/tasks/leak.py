"""The scan for leaked answers: the expert's commit ids and added lines, wherever an agent could find them.

A line counts when it is distinctive: long enough, and found neither in the base tree nor in Python's own library.
One such line in the prompt or the environment is a leak; in a mounted file, several must stand together, because
common idioms stand anywhere.
"""

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from speedproof.errors import RecordError
from speedproof.journal.base import digest_of
from speedproof.journal.files import write_atomically
from speedproof.workspace.cache import Cache, Progress, silent
from speedproof.workspace.git import git
from speedproof.workspace.tree import list_tree, read_blobs

MIN_LENGTH = 20
"""Characters; shorter lines say too little to be anybody's answer."""
TOGETHER = 3
"""Distinctive lines that make a mounted file a leak (all of them, where the expert added fewer)."""
_ARCHIVES = {".whl", ".zip", ".egg"}
_LARGEST = 64 << 20


@dataclass(frozen=True)
class Answer:
    """What must not be found."""

    commits: tuple[str, ...]
    lines: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Digest of the answer: the key under which clean scans are remembered."""
        return digest_of(["leak/1", self.commits, self.lines], 32)


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
    leaks = [Leak(place, f"the expert's commit id {c[:8]}…") for c in answer.commits if c[:10] in text]
    found = [line for line in answer.lines if line in text]
    return leaks + [Leak(place, f"a line of the expert's change: {line[:80]!r}") for line in found[:3]]


def scan_environment(answer: Answer, variables: Mapping[str, str]) -> list[Leak]:
    """Leaks in environment variables."""
    return [leak for name, value in variables.items() for leak in scan_text(answer, f"environment {name}", value)]


def scan_roots(answer: Answer, roots: Sequence[Root], cache: Cache, progress: Progress = silent) -> list[Leak]:
    """Leaks in everything that will be mounted; clean results are remembered in the cache by content."""
    memory = cache.root / "leaks" / f"{answer.digest}.json"
    clean: list[str] = json.loads(memory.read_text()) if memory.is_file() else []
    leaks: list[Leak] = []
    fresh: list[str] = []
    for root in roots:
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
    patterns = [*answer.commits, *answer.lines]
    if not patterns:
        return
    for path in _grep(patterns, root.path, "-rlI", root.masked):
        file = Path(path)
        if file.is_file() and file.stat().st_size <= _LARGEST:
            content = file.read_text(errors="replace")
            yield from (Leak(path, f"the expert's commit id {c[:8]}…") for c in answer.commits if c in content)
            yield from _together(answer, path, content)
    for archive in _archives(root):
        yield from _scan_archive(answer, archive)


def _together(answer: Answer, place: str, content: str) -> Iterator[Leak]:
    present = {text.strip() for text in content.splitlines()}
    found = [line for line in answer.lines if line in present]
    if found and len(found) >= min(TOGETHER, len(answer.lines)):
        yield Leak(
            place, f"{len(found)} of {len(answer.lines)} lines of the expert's change, such as {found[0][:80]!r}"
        )


def _archives(root: Root) -> Iterator[Path]:
    if root.path.is_dir():
        for folder, names, files in os.walk(root.path):
            names[:] = [n for n in names if n not in root.masked]
            found = (Path(folder) / f for f in files if Path(f).suffix in _ARCHIVES)
            yield from (f for f in found if f.is_file())


def _scan_archive(answer: Answer, archive: Path) -> Iterator[Leak]:
    try:
        with zipfile.ZipFile(archive) as packed:
            for member in packed.infolist():
                if member.file_size <= _LARGEST and not member.is_dir():
                    text = packed.read(member).decode(errors="replace")
                    yield from _together(answer, f"{archive}!{member.filename}", text)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return  # named like an archive, but none that Python could open: its bytes were searched above


def _grep(patterns: Sequence[str], path: Path, mode: str, masked: Sequence[str]) -> list[str]:
    """Lines that GNU grep prints for fixed `patterns` below `path`: megabytes a second Python cannot match."""
    with tempfile.NamedTemporaryFile("w", suffix=".patterns") as file:
        file.write("".join(f"{p}\n" for p in patterns))
        file.flush()
        hidden = [f"--exclude-dir={name}" for name in masked]
        done = subprocess.run(
            ["grep", mode, "-F", "-s", "-D", "skip", *hidden, "-f", file.name, "--", str(path)],
            capture_output=True,
            env={"LC_ALL": "C", "PATH": os.environ.get("PATH", "/usr/bin:/bin")},
            check=False,
        )
    return done.stdout.decode(errors="surrogateescape").splitlines()


def interpreter_roots(prefixes: Iterable[Path]) -> list[Root]:
    """The roots of Python interpreters as sandboxes mount them: without the packages installed beside them.

    The system's own Python is not among them: it is part of the system's files, which every sandbox shows.
    """
    hidden = ("site-packages", "dist-packages", "_bundled")
    own = [p for p in prefixes if p != Path("/usr")]
    return [Root(p, f"{p.stat().st_mtime_ns}-{sys.platform}", hidden) for p in own]

"""One folder of an archive read: which attempts its files are, and what is wrong with them."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from speedproof.archives import claimed, claude, codex, configuration, harness, mini, prediction, trae
from speedproof.archives.attempt import build
from speedproof.archives.content import Unreadable, pieces
from speedproof.archives.gathered import Gathered
from speedproof.archives.kind import Content, predictions, read
from speedproof.archives.listing import File, Folder, records_of
from speedproof.archives.log import read_log
from speedproof.archives.own import read_own, settings_of
from speedproof.archives.patch import is_experts, patch_of
from speedproof.archives.prompt import better, of_file
from speedproof.archives.settings import as_records
from speedproof.archives.shown import added_lines, is_prompt, look_for_expert, secrets_in
from speedproof.archives.store import MOST_PROBLEMS, Problem, What
from speedproof.errors import RecordError
from speedproof.journal import AttemptStore
from speedproof.journal.foreign import ForeignAttempt
from speedproof.journal.foreign_parts import ForeignFile, Layout, SettingSeen

SMALL_BYTES = 1 << 20
"""The files that make a folder an attempt of the earlier harness are smaller."""
_HARNESS: dict[str, Callable[[Gathered, Content], None]] = {
    "journal": harness.read_journal,
    "prompt": harness.read_prompt,
    "summary": harness.read_summary,
    "targets": harness.read_targets,
}
_RECORDS: dict[str, tuple[Layout, Callable[[Gathered, Content], None]]] = {
    "trajectory": ("trae", trae.read_trajectory),
    "mini": ("mini-swe-agent", mini.read_trajectory),
    "events": ("codex", codex.read_events),
    "rollout": ("codex", codex.read_rollout),
    "result": ("claude", claude.read_result),
}
_HARNESS_NAMES = {"journal.json", "model_patch.diff", "prompt.json", "run_summary.json", "diff_targets.json"}
"""Names by which an empty or broken file of the earlier harness is known."""


@dataclass
class Read:
    """What a folder gave."""

    attempts: list[ForeignAttempt] = field(default_factory=list)
    """Its attempts."""
    problems: list[Problem] = field(default_factory=list)
    """What is wrong with its files."""
    settings: list[SettingSeen] = field(default_factory=list)
    """Settings that its configurations and records show, and what its reports claim of names that may be settings."""
    bytes: int = 0
    """Bytes read."""


def is_attempt_folder(root: Path, folder: Folder) -> bool:
    """Whether its own files make the folder, with all below it, one attempt."""
    for entry in folder.files:
        if entry.name.endswith(".json") and entry.size <= SMALL_BYTES:
            content = read(entry.name, str(root / folder.path / entry.name), entry.size)
            if content.kind in _HARNESS or content.kind == "own" or entry.name == "journal.json":
                return True
    return False


class _Reader:
    """Reads the files of one folder, one after the other: only what was found is kept."""

    def __init__(self, archive: str, root: Path, folder: Folder) -> None:
        self.archive, self.root, self.folder = archive, root, folder
        self.base = f"{root}/{folder.path}" if folder.path else str(root)
        self.read = Read()
        self.found = Gathered()
        self.records: list[tuple[Layout, str, Gathered]] = []
        self.entries: list[tuple[Content, str, Gathered]] = []
        self.files: list[File] = []
        self.is_harness = self.is_own = False
        self.digests: dict[tuple[int, bytes], str] = {}
        self.sizes: dict[int, int] = {}
        self.told: Counter[What] = Counter()

    def run(self) -> Read:
        """Read them all."""
        for entry in self.folder.files:
            self.sizes[entry.size] = self.sizes.get(entry.size, 0) + 1
        small = [e for e in self.folder.files if e.size <= SMALL_BYTES and e.name.endswith((".json", ".jsonl"))]
        early = {e.name for e in small}
        contents = [read(e.name, f"{self.base}/{e.name}", e.size) for e in small[:100]]
        early = {content.name for content in contents}
        direct = [c for c in contents if "/" not in c.name]
        self.is_own = any(c.kind == "own" for c in direct)
        self.is_harness = any(c.kind in _HARNESS or c.name in _HARNESS_NAMES for c in direct)
        order = list(_HARNESS)
        contents.sort(key=lambda c: (order.index(c.kind) if c.kind in order else len(order), c.name))
        for content in contents:
            self._take(content)
            content.data = content.value = None
        del contents
        # The earlier harness stores its logs twice; the copy is the one with the name of another agent.
        for entry in sorted(self.folder.files, key=lambda e: (e.name.startswith("openhands_"), e.name)):
            if entry.name not in early:
                self._take(read(entry.name, f"{self.base}/{entry.name}", entry.size))
        self._conclude()
        for what, times in self.told.items():
            if left := max(0, times - MOST_PROBLEMS):
                why = f"{left:,} more files of this folder, for reasons as those before"
                self.read.problems.append(self._problem_of("", what, why, left))
        return self.read

    def _take(self, content: Content) -> None:
        self.read.bytes += content.size
        kind = content.kind
        if self._is_copy(content):
            self.files.append((content.name, content.size, "copy", None))
            return
        try:
            if kind in _HARNESS:
                _HARNESS[kind](self.found, content)
            elif kind in _RECORDS:
                self._take_record(content)
            elif kind == "prediction":
                self._take_prediction(content)
            elif kind == "log":
                self._take_log(content)
            elif kind == "patch":
                self._take_patch(content)
            elif kind == "config":
                self._take_config(content)
            if content.data is not None and claimed.is_report(content.name, kind):
                self._take_report(content, content.data)
            if content.data and kind != "other":
                self.found.secrets += secrets_in(content.name, content.data)
            if content.data and is_prompt(content):
                self.found.prompt = better(self.found.prompt, of_file(content.name, content.data))
            if self.is_harness:
                look_for_expert(self.found, content)
        except Unreadable as error:
            content.problem = str(error)
        if content.problem:
            what: What = "broken" if kind in {"broken", "unreadable", "empty"} else "damaged"
            self._problem(content.name, what, content.problem)
        self.files.append((content.name, content.size, content.kind, content.problem))

    def _take_config(self, content: Content) -> None:
        if content.value is not None:
            self.found.settings += configuration.read_json(content.name, content.data, content.value)
        else:
            data = content.data if content.data is not None else next(pieces(content.path))
            found, content.problem = configuration.read_yaml(content.name, data)
            self.found.settings += found

    def _take_report(self, content: Content, data: bytes) -> None:
        found = claimed.claims(content.name, data)
        if found:
            self.found.settings += found
            content.kind = "report" if content.kind == "text" else content.kind

    def _take_record(self, content: Content) -> None:
        layout, reader = _RECORDS[content.kind]
        found = self.found if self.is_harness else Gathered()
        reader(found, content)
        if not self.is_harness:
            self.records.append((layout, content.name, found))

    def _take_prediction(self, content: Content) -> None:
        if self.is_harness:
            harness.read_prediction(self.found, content)
            return
        for at, entry in predictions(content):
            found = Gathered()
            prediction.read_entry(found, content, at, entry)
            self.read.attempts.append(
                build(
                    found,
                    archive=self.archive,
                    folder=self.folder.path,
                    layout="swe-bench-predictions",
                    files=[ForeignFile(path=content.name, size=content.size, kind="prediction")],
                    part=f"{content.name}{at}",
                )
            )

    def _take_log(self, content: Content) -> None:
        log = read_log(content.name, self._searched(content) if content.data is None else [content.data])
        self.found.logs.append(log)
        if content.data is None and log.lines * 4096 < log.size:
            content.problem = "some of its lines are longer than are read at once: what stands across a cut is not seen"

    def _searched(self, content: Content) -> Iterator[bytes]:
        """The pieces of a log, on their way looked through for secrets."""
        before = 0
        for piece in pieces(content.path):
            self.found.secrets += secrets_in(content.name, piece, before)
            before += piece.count(b"\n")
            yield piece

    def _take_patch(self, content: Content) -> None:
        if content.data is None and content.size:
            content.problem = "too large for a patch: only its beginning is read"
        data = content.data if content.data is not None else next(pieces(content.path), b"")
        if is_experts(content.name):
            self.found.expert_lines |= set(added_lines(data))
            return
        if self.found.patch is None or content.name.endswith("model_patch.diff"):
            self.found.patch = patch_of(content.name, data)
            self.found.patch_lines = list(added_lines(data))

    def _is_copy(self, content: Content) -> bool:
        """Whether the same bytes stood in another log of the folder: the earlier harness stores its logs twice."""
        if content.kind != "log" or not content.size or content.data is None or self.sizes.get(content.size, 0) < 2:
            return False
        key = (content.size, hashlib.sha256(content.data).digest())
        return self.digests.setdefault(key, content.name) != content.name

    def _conclude(self) -> None:
        if self.is_own:
            self._conclude_own()
            return
        console = next((log for log in self.found.logs if log.trae or log.codex), None)
        for log in self.found.logs:
            alone = self.found if self.is_harness or not self.records else self.records[0][2]
            if len(self.records) < 2:
                trae.read_console(alone, log)
                codex.read_console(alone, log)
        if len(self.records) < 2:
            codex.read_answer(
                self.found if self.is_harness or not self.records else self.records[0][2], self.found.logs
            )
        if self.is_harness:
            self._add(self.found, "perf-agents-bench", None, self.files)
        elif len(self.records) == 1 and not self.read.attempts:
            layout, name, found = self.records[0]
            mine = self.found
            found.logs, found.expert_lines, found.secrets = mine.logs, mine.expert_lines, mine.secrets
            if mine.patch is not None:
                found.patch, found.patch_lines = mine.patch, mine.patch_lines
            found.settings += mine.settings
            found.prompt = better(found.prompt, mine.prompt)
            mine.settings = []
            self._add(found, layout, name, self.files)
        elif self.records:
            for layout, name, found in self.records:
                found.secrets = [seen for seen in self.found.secrets if seen.evidence.file == name]
                self._add(found, layout, name, [file for file in self.files if file[0] == name])
        elif console is not None and not self.read.attempts:
            self._add(self.found, "trae" if console.trae else "codex", None, self.files)
        known = bool(self.read.attempts)
        of_settings = {each.where.file for each in self.found.settings}
        self.read.settings += as_records(self.found.settings, self.folder.path, None)
        self._report_skipped(of_settings, known=known)

    def _conclude_own(self) -> None:
        try:
            own = read_own(self.archive, self.root, self.folder.path, records_of(self.files))
            self.read.attempts.append(own)
            self.read.settings += as_records(settings_of(AttemptStore(Path(self.base))), self.folder.path, own.id)
        except RecordError as error:
            self._problem("attempt.json", "broken", error.what)

    def _add(self, found: Gathered, layout: Layout, part: str | None, files: Sequence[File]) -> None:
        listed = records_of(files)
        attempt = build(found, archive=self.archive, folder=self.folder.path, layout=layout, files=listed, part=part)
        self.read.attempts.append(attempt)
        self.read.settings += as_records(found.settings, self.folder.path, attempt.id)
        found.settings = []

    def _report_skipped(self, of_settings: set[str], *, known: bool) -> None:
        if self.is_harness:
            return
        used = of_settings | {file.path for attempt in self.read.attempts for file in attempt.files}
        why = "read; belongs to no attempt" if known else "read; nothing in it that is known to be of an attempt"
        for name, _, _, problem in self.files:
            if name not in used and problem is None:
                self._problem(name, "skipped", why)

    def _problem(self, name: str, what: What, why: str) -> None:
        self.told[what] += 1
        if self.told[what] <= MOST_PROBLEMS:
            self.read.problems.append(self._problem_of(name, what, why))

    def _problem_of(self, name: str, what: What, why: str, files: int = 1) -> Problem:
        path = "/".join(part for part in (self.folder.path, name) if part) or "."
        return Problem(path=path, what=what, why=why, files=files)


def read_folder(archive: str, root: Path, folder: Folder) -> Read:
    """Read one folder. Never raises on content."""
    return _Reader(archive, root, folder).run()

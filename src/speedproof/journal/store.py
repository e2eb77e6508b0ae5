"""Where records stand (DESIGN, section 5) and the only code that writes there: one writer a file."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from speedproof.errors import InputError, RecordError
from speedproof.journal.attempt import Attempt
from speedproof.journal.base import now
from speedproof.journal.call import Call, CallIntent, CallOutcome
from speedproof.journal.evaluation import Evaluation
from speedproof.journal.event_log import EventLog, read_events
from speedproof.journal.events import Event
from speedproof.journal.files import BadLine, read_jsonl, write_atomically
from speedproof.journal.logs import read_log
from speedproof.journal.qualification import Qualification
from speedproof.journal.record_file import add_record, read_record, read_records, write_record
from speedproof.journal.review import Opinion, Review
from speedproof.journal.run import RunManifest
from speedproof.journal.status import Status

_CALL: TypeAdapter[CallIntent | CallOutcome] = TypeAdapter(Call)


CONFIG = "config"
"""Folder of an attempt that holds the files which its agent was configured with."""


class AttemptStore:
    """The folder of one attempt."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def name(self) -> str:
        """run/item/number: how a person names this attempt."""
        return f"{self.folder.parents[2].name}/{self.folder.parent.name}/{self.folder.name}"

    def write(self, attempt: Attempt) -> None:
        """Write attempt.json. Raises RecordError when it is sealed already: facts are never overwritten."""
        path = self.folder / "attempt.json"
        if path.exists() and self.read().state == "sealed":
            raise RecordError("the attempt is sealed", file=path)
        write_record(path, attempt)

    def read(self) -> Attempt:
        """The facts. Raises RecordError when missing or damaged."""
        return read_record(self.folder / "attempt.json", Attempt)

    def write_text(self, name: str, text: str) -> None:
        """Write a file such as prompt.md or patch.diff once."""
        write_atomically(self.folder / name, text.encode(errors="surrogateescape"))

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write a file such as patch.diff once."""
        write_atomically(self.folder / name, data)

    def write_config(self, name: str, text: str) -> None:
        """Write config/<name>: a file that the agent was configured with, its key replaced."""
        path = self.folder / CONFIG / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.encode(errors="surrogateescape"))

    def write_status(self, status: Status) -> None:
        """Write derived/<rules>.json."""
        folder = self.folder / "derived"
        folder.mkdir(exist_ok=True)
        write_record(folder / f"{status.rules}.json", status)

    def status(self, rules: str) -> Status | None:
        """The status derived by `rules`; null when not derived yet."""
        path = self.folder / "derived" / f"{rules}.json"
        return read_record(path, Status) if path.exists() else None

    def add_evaluation(self, evaluation: Evaluation) -> Path:
        """Add evaluations/<digest>.json; refuses to replace one."""
        return add_record(self.folder / "evaluations", evaluation.digest, evaluation)

    def evaluations(self) -> list[Evaluation]:
        """All evaluations, oldest first."""
        return sorted(read_records(self.folder / "evaluations", Evaluation), key=lambda e: e.evaluated_at)

    def add_review(self, review: Review) -> Path:
        """Add reviews/<digest>.json: a person's signature; refuses to replace one."""
        return add_record(self.folder / "reviews", review.digest, review)

    def reviews(self) -> list[Review]:
        """All signatures, oldest first."""
        return sorted(read_records(self.folder / "reviews", Review), key=lambda r: r.at)

    def add_opinion(self, opinion: Opinion) -> Path:
        """Add opinions/<digest>.json: what a model said; refuses to replace one."""
        return add_record(self.folder / "opinions", opinion.digest, opinion)

    def opinions(self) -> list[Opinion]:
        """All opinions, oldest first."""
        return sorted(read_records(self.folder / "opinions", Opinion), key=lambda o: o.at)

    def calls(self) -> tuple[list[tuple[int, CallIntent | CallOutcome]], list[BadLine]]:
        """calls.jsonl as (line, record), and the lines that are torn or damaged."""
        return _read_calls(self.folder / "calls.jsonl")

    def log_lines(self, name: str) -> list[str]:
        """Lines of stdout.log.zst or stderr.log.zst, as `read_log` gives them."""
        return read_log(self.folder / name)


class RunStore:
    """The folder of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.id = folder.name

    def manifest(self) -> RunManifest:
        """run.json. Raises RecordError when missing or damaged."""
        return read_record(self.folder / "run.json", RunManifest)

    def open_events(self) -> EventLog:
        """The scheduler's log, opened for appending."""
        return EventLog(self.folder / "events.jsonl")

    def events(self) -> tuple[list[Event], list[BadLine]]:
        """The scheduler's log, and its lines that are torn or damaged."""
        return read_events(self.folder / "events.jsonl")

    def add_probe(self, calls: str) -> str:
        """Write the calls of a probe as probes/<number>.jsonl; the name of that file within the run's folder."""
        folder = self.folder / "probes"
        folder.mkdir(exist_ok=True)
        file = folder / f"{len(list(folder.glob('[0-9]*.jsonl'))) + 1:03d}.jsonl"
        write_atomically(file, calls)
        return f"{folder.name}/{file.name}"

    def probes(self) -> list[str]:
        """The names that `add_probe` gave, oldest first."""
        return [f"probes/{path.name}" for path in sorted((self.folder / "probes").glob("[0-9]*.jsonl"))]

    def probe_calls(self, name: str) -> tuple[list[tuple[int, CallIntent | CallOutcome]], list[BadLine]]:
        """The calls of a probe as (line, record), and the lines that are torn or damaged."""
        return _read_calls(self.folder / name)

    def add_qualification(self, qualification: Qualification) -> Path:
        """Add qualifications/<digest>.json: whether a task can prove something on the machine that judges this run."""
        return add_record(self.folder / "qualifications", qualification.digest, qualification)

    def qualifications(self) -> list[Qualification]:
        """All of them, oldest first."""
        return sorted(read_records(self.folder / "qualifications", Qualification), key=lambda q: q.made_at)

    def new_attempt(self, item: str) -> AttemptStore:
        """Create the folder of the item's next attempt; never one that exists."""
        parent = self.folder / "items" / item
        parent.mkdir(parents=True, exist_ok=True)
        number = max((int(p.name) for p in parent.iterdir() if p.name.isdigit()), default=0) + 1
        folder = parent / f"{number:02d}"
        folder.mkdir()
        return AttemptStore(folder)

    def attempts(self) -> Iterator[AttemptStore]:
        """Every attempt folder, in the order of the manifest's items, then by number."""
        order = [item.id for item in self.manifest().items]
        for item in order:
            parent = self.folder / "items" / item
            if parent.is_dir():
                for folder in sorted((p for p in parent.iterdir() if p.name.isdigit()), key=lambda p: int(p.name)):
                    yield AttemptStore(folder)

    def lock(self) -> int:
        """Take the run for this process until it ends; the descriptor holds it.

        Raises InputError when another process works on it.
        """
        descriptor = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise InputError(
                f"another process works on run {self.id}", hint="wait for it, or start a new run"
            ) from error
        return descriptor

    def unlock(self, descriptor: int) -> None:
        """Let go of the run."""
        os.close(descriptor)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock meanwhile. Raises InputError when another process works on the run."""
        lock = self.lock()
        try:
            yield
        finally:
            self.unlock(lock)

    def is_locked(self) -> bool:
        """Whether a living process works on this run."""
        try:
            descriptor = os.open(self.folder / ".lock", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False


class Store:
    """The state folder: all runs."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def create_run(self, manifest: RunManifest) -> RunStore:
        """Make the run's folder and write its manifest. Raises RecordError when the disk refuses it."""
        folder = self.root / "runs" / manifest.id
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise RecordError(
                f"cannot create the run: {error.strerror}", file=folder, hint="choose another --state folder"
            ) from error
        write_record(folder / "run.json", manifest)
        return RunStore(folder)

    def runs(self) -> list[RunStore]:
        """All runs that have a manifest, oldest first."""
        return [RunStore(p.parent) for p in sorted((self.root / "runs").glob("*/run.json"))]

    def run(self, name: str) -> RunStore:
        """The run with this id or unambiguous beginning; 'latest' names the newest. Raises InputError."""
        runs = self.runs()
        if name == "latest" and runs:
            return runs[-1]
        found = [r for r in runs if r.id == name] or [r for r in runs if r.id.startswith(name)]
        if len(found) == 1:
            return found[0]
        known = ", ".join(r.id for r in (found or runs)[-5:]) or "none"
        what = "no run is called" if not found else "several runs begin with"
        raise InputError(f"{what} {name!r} in {self.root}; there are: {known}", hint="give --state or another id")

    def attempt(self, name: str) -> AttemptStore:
        """The attempt named run/item[/number] (each may be cut short) or by an item's beginning in the latest run.

        Raises InputError when there is none or more than one.
        """
        parts = name.strip("/").split("/")
        run = self.run(parts[0] if len(parts) > 1 else "latest")
        item = parts[1] if len(parts) > 1 else parts[0]
        found = [a for a in run.attempts() if a.folder.parent.name.startswith(item)]
        if len(parts) > 2:
            found = [a for a in found if int(a.folder.name) == int(parts[2] if parts[2].isdigit() else -1)]
        items = {a.folder.parent.name for a in found}
        if len(items) != 1:
            what = "no attempt" if not items else "more than one item"
            raise InputError(f"{what} matches {name!r} in run {run.id}", hint=f"speedproof report {run.id}")
        return found[-1]


def _read_calls(path: Path) -> tuple[list[tuple[int, CallIntent | CallOutcome]], list[BadLine]]:
    good: list[tuple[int, CallIntent | CallOutcome]] = []
    bad: list[BadLine] = []
    for entry in read_jsonl(path):
        if isinstance(entry, BadLine):
            bad.append(entry)
            continue
        line, value = entry
        try:
            good.append((line, _CALL.validate_python(value)))
        except ValidationError:
            bad.append(BadLine(line, torn=False, excerpt=str(value)[:200]))
    return good, bad


def new_run_id() -> str:
    """Start time (UTC) to the millisecond and a random suffix: sorts by time, never collides."""
    at = now()
    return f"{at:%Y%m%d-%H%M%S}-{at.microsecond // 1000:03d}{secrets.token_hex(2)}"

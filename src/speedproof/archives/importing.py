"""Importing a folder: what changed since the last time is read, the rest is kept."""

import hashlib
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic_core import from_json, to_json

from speedproof.archives.attempt import READER
from speedproof.archives.listing import Entry, Folder
from speedproof.archives.many import Progress, read_folders
from speedproof.archives.settings import KNOWN
from speedproof.archives.store import PARTS, ArchiveManifest, ArchiveStore, Problem, archive_id
from speedproof.archives.walk import walk
from speedproof.errors import InputError
from speedproof.journal.base import now
from speedproof.journal.files import remove_unfinished
from speedproof.journal.foreign_parts import SettingSeen


@dataclass
class Imported:
    """What an import did."""

    store: ArchiveStore
    """Where the records are."""
    manifest: ArchiveManifest
    """What was found."""
    folders: int
    """Folders with files."""
    read: int
    """Those that were read now: new, changed, or never imported."""
    seconds: float
    """Wall seconds."""


@dataclass
class _Row:
    """What is kept of a folder: what its files were, and its records as lines."""

    folder: str
    files: int
    signature: str
    size: int
    attempts: list[bytes] = field(default_factory=list)
    problems: list[bytes] = field(default_factory=list)
    settings: list[bytes] = field(default_factory=list)
    claims: list[SettingSeen] = field(default_factory=list)


def import_archive(path: Path, state: Path, progress: Progress | None = None) -> Imported:
    """Import one folder, or one file, into the state folder. Nothing in it is changed, nothing outside it is read.

    Raises InputError when it is not there, or another process imports it.
    """
    begin = time.monotonic()
    root = path.resolve()
    if not root.exists():
        raise InputError("there is no such folder or file to import", file=path)
    if (state / "archives").resolve() in (root, *root.parents):
        raise InputError("this folder holds imported records, not attempts", file=path)
    store = ArchiveStore(state / "archives" / archive_id(root))
    with store.held():
        remove_unfinished(store.folder)
        walked: list[Problem] = []
        folders = walk(root, walked, state.resolve() / "archives") if root.is_dir() else iter([_alone(root)])
        root = root if root.is_dir() else root.parent
        before, walked_before = _known(store)
        rows: list[_Row] = []
        changed: list[tuple[int, Folder]] = []
        for folder in folders:  # of what is unchanged nothing is held: there may be a million files
            signature = _signature(folder)
            row = before.get(folder.path)
            if row is None or row.signature != signature:
                row = _Row(folder.path, len(folder.files), signature, 0)
                changed.append((len(rows), folder))
            rows.append(row)
        of_walk = [problem.model_dump_json().encode() for problem in walked]
        if not changed and before and len(before) == len(rows) and of_walk == walked_before:
            return Imported(store, store.manifest(), len(rows), 0, time.monotonic() - begin)
        new = read_folders(store.id, root, [folder for _, folder in changed], progress)
        for (number, _), lines in zip(changed, new, strict=True):
            row = rows[number]
            row.size, row.attempts, row.problems = lines.size, lines.attempts, lines.problems
            row.settings, row.claims = lines.settings, lines.claims
        manifest = _write(store, root, rows, of_walk)
    return Imported(store, manifest, len(rows), len(changed), time.monotonic() - begin)


def _alone(file: Path) -> Folder:
    """A single file as a folder of its own."""
    about = file.stat()
    return Folder("", [Entry(file.name, about.st_size, about.st_mtime_ns)])


def _signature(folder: Folder) -> str:
    """Digest of the names, sizes and times of a folder's files."""
    digest = hashlib.blake2b(digest_size=16)
    for entry in folder.files:
        digest.update(f"{entry.name}\0{entry.size}\0{entry.mtime_ns}\0".encode())
    return digest.hexdigest()


def _known(store: ArchiveStore) -> tuple[dict[str, _Row], list[bytes]]:
    """What the last import kept, by folder, and the problems of its walk; nothing when it was made by other readers, or
    is not whole."""
    rows = store.index()
    if rows is None or store.manifest().reader != READER:
        return {}, []
    attempts, problems, settings = (iter(store.lines(name)) for name in PARTS)
    found = {}
    for line in rows:
        folder, files, signature, size, of_attempts, of_problems, of_settings, claims = from_json(line)
        found[folder] = _Row(
            folder,
            files,
            signature,
            size,
            list(islice(attempts, of_attempts)),
            list(islice(problems, of_problems)),
            list(islice(settings, of_settings)),
            [SettingSeen.model_validate(each) for each in claims],
        )
    return found, list(problems)


def _write(store: ArchiveStore, root: Path, rows: list[_Row], walked: list[bytes]) -> ArchiveManifest:
    values: list[dict[str, Any]] = [from_json(line) for row in rows for line in row.attempts]
    originals = _originals(values)
    lines: list[bytes] = []
    at = 0
    for row in rows:
        for number, line in enumerate(row.attempts):
            value = values[at]
            at += 1
            if value["duplicate_of"] != originals.get(value["id"]):
                value["duplicate_of"] = originals.get(value["id"])
                row.attempts[number] = line = to_json(value)
            lines.append(line)
    settings = _settings(rows)
    problems = [problem for row in rows for problem in row.problems] + walked
    kinds: Counter[str] = Counter()
    for problem in problems:
        value = from_json(problem)
        kinds[value["what"]] += value["files"]
    data = {name: _joined(each) for name, each in zip(PARTS, (lines, problems, settings), strict=True)}
    manifest = ArchiveManifest(
        id=store.id,
        root=str(root),
        reader=READER,
        imported_at=now(),
        attempts=len(values),
        duplicates=len(originals),
        without_journal=sum(not v["journal"] and v["layout"] == "perf-agents-bench" for v in values),
        layouts=dict(sorted(Counter(value["layout"] for value in values).items())),
        files=sum(row.files for row in rows),
        bytes=sum(row.size for row in rows),
        skipped=kinds["skipped"],
        broken=kinds["broken"],
        damaged=kinds["damaged"],
        settings=len(settings),
        attempts_sha256=hashlib.sha256(data["attempts.jsonl"]).hexdigest(),
    )
    index = [
        to_json(
            [
                r.folder,
                r.files,
                r.signature,
                r.size,
                len(r.attempts),
                len(r.problems),
                len(r.settings),
                [each.model_dump() for each in r.claims],
            ]
        )
        for r in rows
    ]
    store.write(manifest, data, index)
    return manifest


def _joined(lines: Iterable[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def _settings(rows: list[_Row]) -> list[bytes]:
    """The lines of settings.jsonl: claims last, and of those only of names that are known as settings."""
    lines = [line for row in rows for line in row.settings]
    claims = [claim for row in rows for claim in row.claims]
    names = set(KNOWN)
    if any(claim.key not in KNOWN for claim in claims):
        names |= {from_json(line)["key"] for line in lines}
    return lines + [claim.model_dump_json().encode() for claim in claims if claim.key in names]


def _originals(values: list[dict[str, Any]]) -> dict[str, str]:
    """Of each second copy: the id of the attempt that it is a copy of, the one with most files, then the first."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for value in values:
        written = value["recorded"]["written"]
        if value["layout"] == "perf-agents-bench" and value["commit"] and written:
            groups.setdefault((value["commit"], written), []).append(value)
        elif value["own"]:
            groups.setdefault((value["own"],), []).append(value)
    found = _predicted(values)
    for group in groups.values():
        if len(group) > 1:
            group.sort(key=lambda value: (-len(value["files"]), value["folder"]))
            found.update({value["id"]: group[0]["id"] for value in group[1:]})
    return found


def _predicted(values: list[dict[str, Any]]) -> dict[str, str]:
    """Of each prediction whose trajectory stands in the archive, with the same patch byte by byte: that trajectory."""
    trajectories: dict[tuple[str, str], str] = {}
    for value in values:
        if value["layout"] == "mini-swe-agent" and value["patch"]:
            trajectories.setdefault((value["item"], value["patch"]["sha256"]), value["id"])
    return {
        value["id"]: trajectories[value["item"], value["patch"]["sha256"]]
        for value in values
        if value["layout"] == "swe-bench-predictions"
        and value["patch"]
        and (value["item"], value["patch"]["sha256"]) in trajectories
    }

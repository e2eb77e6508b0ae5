"""Attempts written in the earlier harness's layout: state/runs/<run>/<item>/{journal.json, model_patch.diff, …}.

The files of an archive are copied as they are. An attempt without a journal of that harness gets one made from its
record; one of Speedproof carries its record in a block of its own, so that importing gives the same again.
"""

import json
from pathlib import Path
from typing import Any

from speedproof.archives.content import Unreadable, pieces
from speedproof.archives.exported import BLOCK, block_of
from speedproof.archives.own import read_own
from speedproof.archives.store import ArchiveStore
from speedproof.errors import InputError
from speedproof.journal import AttemptStore, RunStore
from speedproof.journal.foreign import ForeignAttempt
from speedproof.journal.output import whole_folder

_OWN_FILES = {"prompt.md": "task.txt", "patch.diff": "model_patch.diff"}
_OWN_LOGS = {"stdout.log.zst": "stdout.txt", "stderr.log.zst": "stderr.txt"}
_HINT = "free space, or name another folder"


def export_archive(store: ArchiveStore, target: Path) -> int:
    """Write the attempts of an imported archive; how many. All of them, or nothing.

    Raises InputError when the archive's folder is gone, and RecordError when the disk refuses.
    """
    root = Path(store.manifest().root)
    if not root.exists():
        raise InputError("the folder of the archive is gone", file=root, hint="its records stand, its files do not")
    root = root if root.is_dir() else root.parent
    written = 0
    with whole_folder(target / "state", _HINT) as state:
        for attempt in store.attempts():
            if attempt.layout == "speedproof":
                _write_own(AttemptStore(root / attempt.folder), attempt, state)
            else:
                _write_foreign(root / attempt.folder, attempt, state)
            written += 1
    return written


def export_run(run: RunStore, target: Path) -> int:
    """Write the attempts of a run of Speedproof; how many. All of them, or nothing.

    Raises RecordError for a damaged record, and when the disk refuses.
    """
    written = 0
    with whole_folder(target / "state", _HINT) as state:
        for store in run.attempts():
            folder = store.folder.relative_to(run.folder).as_posix()
            _write_own(store, read_own(run.id, run.folder, folder, ()), state)
            written += 1
    return written


def _place(state: Path, run: str, name: str) -> Path:
    """A new folder below the state folder, whatever the names are."""
    parts = [part for part in run.split("/") if part not in ("", ".", "..")]
    base = state.joinpath("runs", *parts)
    name = name if name not in ("", ".", "..") else "attempt"
    place, number = base / name, 1
    while place.exists():
        number += 1
        place = base / f"{name}-{number}"
    place.mkdir(parents=True)
    return place


def _write_foreign(source: Path, attempt: ForeignAttempt, state: Path) -> None:
    place = _place(state, attempt.run, attempt.folder.rpartition("/")[2] or attempt.item)
    for file in attempt.files:
        _copy(source / file.path, place / file.path)
    if attempt.layout != "perf-agents-bench" and not (place / "journal.json").exists():
        _write_json(place / "journal.json", _journal(attempt))


def _write_own(store: AttemptStore, attempt: ForeignAttempt, state: Path) -> None:
    place = _place(state, attempt.run, f"{attempt.item}-{store.folder.name}")
    for name, exported in _OWN_FILES.items():
        _copy(store.folder / name, place / exported)
    for name, exported in _OWN_LOGS.items():
        if (store.folder / name).exists():
            lines = store.log_lines(name)
            text = "".join(line + "\n" for line in lines)
            (place / f"{attempt.agent.value or 'agent'}_{exported}").write_text(
                text, encoding="utf-8", errors="replace"
            )
    kept = store.read().trajectory
    if kept is not None:
        _copy(store.folder / kept, place / kept)
    _write_json(place / "journal.json", _journal(attempt) | {BLOCK: block_of(attempt)})


def _copy(source: Path, target: Path) -> None:
    """Copy a regular file, through no link; what cannot be read is left out, as it was when it was imported."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        parts = pieces(str(source))
        first = next(parts, b"")
    except Unreadable:
        return
    with target.open("wb") as file:
        file.write(first)
        for part in parts:
            file.write(part)


def _journal(attempt: ForeignAttempt) -> dict[str, Any]:
    """A journal as the earlier harness wrote them, from the record."""
    exit_code = attempt.exit_code if attempt.signal is None else -attempt.signal
    completed = attempt.run_status == "completed"
    error = None if attempt.diagnosis is None or completed else attempt.diagnosis.message
    status = attempt.recorded.status or ("success" if attempt.strict else "error")
    written = attempt.recorded.written
    if written is None and attempt.written is not None:
        written = attempt.written.timestamp()
    return {
        "task_id": attempt.task or attempt.item,
        "commits": {"pre": attempt.pre, "human": attempt.commit},
        "status": status,
        **({} if error is None else {"error": error, "error_type": "Diagnosed"}),
        attempt.agent.value or "agent": {
            "time_budget_minutes": None if attempt.budget_s is None else attempt.budget_s / 60,
            "returncode": exit_code,
            "duration_s": attempt.wall_s,
        },
        "timestamps": {"written": written},
    }


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")

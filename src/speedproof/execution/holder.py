"""The process that holds a run's lock, as the kernel shows it: no record is believed on whom to signal."""

import os
from pathlib import Path

from speedproof.journal import RunStore


def holder_of(run: RunStore, recorded: int | None) -> int | None:
    """Id, as seen from here, of the process that holds the run's lock; null when nobody does, or we may not see whom.

    `recorded`, the id that the run's events name, is looked at first; inside a container it is another than here.
    """
    try:
        lock = (run.folder / ".lock").stat()
    except FileNotFoundError:
        return None
    if recorded is not None and _holds(Path(f"/proc/{recorded}"), lock):
        return recorded
    return next((int(process.name) for process in Path("/proc").glob("[0-9]*") if _holds(process, lock)), None)


def is_known_as(pid: int, recorded: int) -> bool:
    """Whether the process is the one whose id, where it runs, is `recorded`."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False  # it has ended
    names = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
    return str(recorded) in names or pid == recorded


def _holds(process: Path, lock: os.stat_result) -> bool:
    """Whether one of the process's open files carries an exclusive lock on this file."""
    try:
        for info in (process / "fdinfo").iterdir():
            held = [line for line in info.read_text().splitlines() if "FLOCK" in line and "WRITE" in line]
            if any(f":{lock.st_ino} " in line for line in held):
                # the number may be another file system's
                return os.path.samestat((process / "fd" / info.name).stat(), lock)
    except OSError:
        return False  # it has ended, or is another user's
    return False

"""Processes that outlive the harness that started them: marked when they are started, found and ended later.

Without a sandbox there may be any number. Bubblewrap's namespace of processes ends with its parent; killed in the
instant in which it splits in two, it leaves a child that waits for ever to be told to begin. The mark names the harness
by its process, and nothing of what it runs; a process that clears its environment carries none.
"""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

MARK = "SPEEDPROOF_HARNESS"
_ENDS_S = 5.0


def own_mark() -> str:
    """What marks the processes that this one starts: its PID namespace, process id and starting time."""
    return f"{_namespace('self')}.{os.getpid()}.{_started('self')}"


def is_orphaned(mark: str) -> bool:
    """Whether the harness that a mark names was one of this PID namespace, and is gone. Raises ValueError, OSError."""
    namespace, harness, started = mark.split(".")
    return namespace == _namespace("self") and _started(str(int(harness))) != started


def orphans() -> list[int]:
    """Processes, of those we may look into, that a harness of this PID namespace started, and that outlived it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):  # it ended, or is another user's, or wears a mark that is none
            mark = _mark(process)
            if mark is not None and _started(process.name) is not None and is_orphaned(mark):
                found.append(int(process.name))
    return found


def end_orphans() -> int:
    """End them all, with what they start meanwhile; how many there were."""
    ended: set[int] = set()
    deadline = time.monotonic() + _ENDS_S
    while (left := orphans()) and time.monotonic() < deadline:
        for process in left:
            with suppress(OSError):  # it ended, or is another user's
                os.kill(process, signal.SIGKILL)
                ended.add(process)
        time.sleep(0.01)
    return len(ended)


def _mark(process: Path) -> str | None:
    for word in (process / "environ").read_bytes().split(b"\0"):
        name, _, value = word.partition(b"=")
        if name == MARK.encode():
            return value.decode(errors="replace")
    return None


def _namespace(process: str) -> str:
    """The PID namespace of a process, as a number."""
    return Path(f"/proc/{process}/ns/pid").readlink().name.strip("pid:[]")


def _started(process: str) -> str | None:
    """When a process was started, in ticks since the machine was; null when it has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in {"Z", "X"} else fields[19]

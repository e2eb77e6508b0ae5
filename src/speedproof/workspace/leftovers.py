"""What a killed process leaves of its work in a folder: programs that still run, mounts, files. They are found here."""

import contextlib
import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from speedproof.workspace.mounts import mounts_below, unmount_below
from speedproof.workspace.tree import remove

_ENDS_S = 5.0
"""Seconds that a killed program has to be gone."""


def clear_folder(folder: Path) -> None:
    """Remove a folder that a killed process worked in, with what still works or is mounted there.

    Raises RecordError when it stays.
    """
    end_work_in(folder)
    remove(folder)


def end_work_in(folder: Path) -> int:
    """End the programs that a killed process had started to work in `folder`, and take away what it had mounted there;
    how many programs there were."""
    ended: set[int] = set()
    deadline = time.monotonic() + _ENDS_S
    while (left := left_processes(folder)) and time.monotonic() < deadline:
        for process in left:
            with contextlib.suppress(OSError):  # it ended, or is another user's
                os.kill(process, signal.SIGKILL)
        ended.update(left)
        time.sleep(0.01)
    for mount in mounted_below(folder):
        mount.unmount()
    unmount_below(folder)
    return len(ended)


@dataclass(frozen=True)
class Mounted:
    """A mount as the processes of one mount namespace see it."""

    point: Path
    process: int
    """One of them."""

    def unmount(self) -> None:
        """Take it away there; nothing happens where it is gone already, or we may not."""
        subprocess.run(
            ["nsenter", f"--mount=/proc/{self.process}/ns/mnt", "umount", "--lazy", str(self.point)],
            capture_output=True,
            check=False,
            start_new_session=True,
        )


def mounted_below(folder: Path) -> list[Mounted]:
    """Mounts under `folder` in every mount namespace that we may look into, the innermost first.

    A killed process leaves some where it shared its namespace, or where something that it started lives on in it.
    """
    namespaces: dict[str, int] = {}
    for process in ("self", *(path.name for path in Path("/proc").glob("[0-9]*"))):
        with contextlib.suppress(OSError):  # it ended, or is another user's
            seen_by = os.getpid() if process == "self" else int(process)
            namespaces.setdefault(str(Path(f"/proc/{process}/ns/mnt").readlink()), seen_by)
    found = []
    for process_id in namespaces.values():
        with contextlib.suppress(OSError):
            found += [Mounted(point, process_id) for point in mounts_below(folder, process_id)]
    return found


def left_processes(folder: Path) -> list[int]:
    """The programs that a killed process of ours had started to work in `folder`, and that still run.

    A sandbox ends with its parent, but for one whose parent was killed in the instant in which it splits in two: its
    child then waits for ever to be told to begin, holding nothing but itself. Others, such as cp and git, end when
    they are done. All are started in a session of their own without a terminal; what a person runs is not.
    """
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            if not any(_names(word, os.fsencode(folder)) for word in words):
                continue
            name, _, rest = (process / "stat").read_text(errors="replace").rpartition(")")
            state, _, _, session, terminal = rest.split()[:5]
        except (OSError, ValueError):
            continue  # it ended
        detached = session == process.name and terminal == "0"
        if state not in {"Z", "X"} and (detached or name.endswith("(bwrap")):
            found.append(int(process.name))
    return found


def _names(word: bytes, folder: bytes) -> bool:
    """Whether a word of a command line holds the path `folder`, or one below it."""
    return re.search(rb"(?<![^=:,])" + re.escape(folder) + rb"(?![^/:,])", word) is not None

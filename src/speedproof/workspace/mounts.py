"""Mounts and sandboxes that end with us: a process killed at any moment must leave none behind."""

import ctypes
import os
import re
import signal
import subprocess
from pathlib import Path

_NEW_MOUNT_NAMESPACE = 0x00020000  # CLONE_NEWNS, unshare(2)
_RECURSIVE, _SLAVE = 0x4000, 0x80000  # MS_REC, MS_SLAVE, mount(2)


def keep_mounts_to_ourselves() -> bool:
    """Give this process a mount namespace of its own, which vanishes with it; call it before any thread is started.

    Mounts made outside still appear. Returns false where that is not allowed: we may not mount anything then either.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0 or libc.unshare(_NEW_MOUNT_NAMESPACE):
        return False
    return bool(libc.mount(None, b"/", None, _RECURSIVE | _SLAVE, None) == 0)


def mounts_below(folder: Path) -> list[Path]:
    """Mount points under `folder`, the innermost first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), line.split()[4]) for line in lines]
    return sorted((Path(p) for p in points if p.startswith(f"{folder}/")), key=lambda p: -len(p.parts))


def unmount_below(folder: Path) -> None:
    """Take away what is mounted under `folder`."""
    for point in mounts_below(folder):
        subprocess.run(["umount", "--lazy", str(point)], capture_output=True, check=False, start_new_session=True)


def end_sandboxes_of(folder: Path) -> None:
    """End the bubblewrap processes that a killed process started on `folder`.

    They end with their parent, but for one killed in the instant in which it splits in two: its child then waits for
    ever to be told to begin, holding nothing but itself.
    """
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "comm").read_text() == "bwrap\n" and str(folder) in (process / "cmdline").read_text():
                os.kill(int(process.name), signal.SIGKILL)
        except (OSError, UnicodeDecodeError):
            continue  # it ended, or is another user's

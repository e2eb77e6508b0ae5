"""Mounts that end with us: a process killed at any moment must leave none behind."""

import ctypes
import os
import re
from pathlib import Path

_NEW_MOUNT_NAMESPACE = 0x00020000  # CLONE_NEWNS, unshare(2)
_RECURSIVE, _SLAVE = 0x4000, 0x80000  # MS_REC, MS_SLAVE, mount(2)
_LAZY, _NO_LINK = 0x2, 0x8  # MNT_DETACH, UMOUNT_NOFOLLOW, umount2(2)


def keep_mounts_to_ourselves() -> bool:
    """Give this process a mount namespace of its own, which vanishes with it; call it before any thread is started.

    Mounts made outside still appear. Returns false where that is not allowed: we may not mount anything then either.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0 or libc.unshare(_NEW_MOUNT_NAMESPACE):
        return False
    return bool(libc.mount(None, b"/", None, _RECURSIVE | _SLAVE, None) == 0)


def mount_overlay(lower: Path, upper: Path, work: Path, target: Path) -> bool:
    """Mount an overlay at `target`. Returns false where the kernel, the disk or our rights do not allow it, and where
    we could not read the marks that the kernel leaves in `upper`.
    """
    try:
        os.setxattr(upper, "trusted.speedproof", b"1")
    except OSError:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    # redirect_dir: folders can be renamed as on any other disk; without it the kernel says EXDEV
    for more in (",volatile,metacopy=off,redirect_dir=on", ",redirect_dir=on"):
        if libc.mount(b"overlay", os.fsencode(target), b"overlay", 0, os.fsencode(options + more)) == 0:
            return True
    return False


def unmount(point: Path) -> None:
    """Take away the mount at `point`, at the latest when nothing uses it any more."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.umount2(os.fsencode(point), _NO_LINK):
        libc.umount2(os.fsencode(point), _NO_LINK | _LAZY)


def mounts_below(folder: Path, process: int | None = None) -> list[Path]:
    """Mount points under `folder`, the innermost first, as `process` sees them, by default ours.

    Raises OSError when that process is gone, or another user's.
    """
    lines = Path(f"/proc/{process or 'self'}/mountinfo").read_text().splitlines()
    points = [re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), line.split()[4]) for line in lines]
    return sorted((Path(p) for p in points if p.startswith(f"{folder}/")), key=lambda p: -len(p.parts))


def unmount_below(folder: Path) -> None:
    """Take away what is mounted under `folder`."""
    for point in mounts_below(folder):
        unmount(point)

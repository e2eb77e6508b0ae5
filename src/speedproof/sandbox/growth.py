"""What processes write to the host's disk: by how much their folders have grown, and the room left there."""

import os
import stat
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from speedproof.errors import RecordError

LOOK_S = 1.0
"""Seconds between two looks, at least."""
LOOKING_PART = 10
"""A look may take one part in so many of the time: after a long one the next comes later."""
LOW_BYTES = 256 << 20
"""Free space below which a disk counts as full; on a small one a twentieth of it."""
_LOW_PART = 20
_STEP = 1 << 16


@dataclass(frozen=True)
class Grown:
    """What stands in the folders, less what stood there at first."""

    bytes: int
    """Bytes of the disk that it takes, removed files included that a process still holds open."""
    files: int
    """Files and folders."""
    free_bytes: int
    """Free space on their disk."""
    full: bool
    """Whether so little of it is free that nothing else should be written."""

    @property
    def failure(self) -> RecordError | None:
        """Why nothing can go on here; null while there is room."""
        if not self.full:
            return None
        left = f"{self.free_bytes >> 20:,} MiB are free where workspaces stand"
        return RecordError(
            f"no space left on device: {left}, after {self.bytes >> 20:,} MiB were written to one of them",
            hint="free disk space, or lower limits.disk_mb, then `speedproof resume`",
        )


class Growth:
    """The folders that processes write to, looked at from time to time.

    `find` counts: it walks a million files in about a second, outside this process, and gets over whatever anybody does
    to a tree: any depth, loops, folders that vanish meanwhile. It stays on the file system and follows no link.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        """Note what stands in them already; there is at least one. Raises OSError."""
        self.folders = tuple(folders)
        self._at_first = (0, 0)
        self._find: subprocess.Popen[bytes] | None = None
        self._at_first = self._count(None, None)

    def look(self, most_bytes: int | None, most_files: int | None, pids: Iterable[int] = ()) -> Grown:
        """By how much they have grown; no longer counted than until one limit is passed. `pids`: who writes to them."""
        size, files = self._count(most_bytes, most_files)
        place = self.folders[0]
        while not place.exists():  # without a sandbox an agent can remove even that
            place = place.parent
        disk = os.statvfs(place)
        free, whole = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
        low = min(LOW_BYTES, whole // _LOW_PART)
        size += _removed(pids, disk)
        return Grown(max(0, size - self._at_first[0]), max(0, files - self._at_first[1]), free, full=free < low)

    def give_up(self) -> None:
        """Let a look that is under way end with what it has counted so far."""
        find = self._find
        if find is not None:
            find.kill()

    def _count(self, most_bytes: int | None, most_files: int | None) -> tuple[int, int]:
        """Bytes and files, of which overlayfs's marks of removed files are none."""
        first_bytes, first_files = self._at_first
        command = ["find", *map(str, self.folders), "-mindepth", "1", "-xdev", "!", "-type", "c", "-printf", "%b\n"]
        size = files = 0
        rest = b""
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={"LC_ALL": "C"}, start_new_session=True
        ) as find:
            self._find = find
            assert find.stdout is not None
            while chunk := os.read(find.stdout.fileno(), _STEP):
                *lines, rest = (rest + chunk).split(b"\n")
                size += sum(map(int, lines)) * 512
                files += len(lines)
                beyond = most_bytes is not None and size - first_bytes > most_bytes
                if beyond or (most_files is not None and files - first_files > most_files):
                    break
            find.kill()
            self._find = None
        return size, files


def _removed(pids: Iterable[int], disk: os.statvfs_result) -> int:
    """Bytes of removed files on this disk that the processes hold open or mapped: no folder shows them.

    The size of its file system tells a disk, since a file in an overlay bears the overlay's device. What may not be
    looked at, or has ended meanwhile, counts as nothing.
    """
    found: dict[tuple[int, int], int] = {}
    for pid in pids:
        for held in (f"/proc/{pid}/fd", f"/proc/{pid}/map_files"):
            try:
                names = os.listdir(held)  # noqa: PTH208 - names only
            except OSError:
                continue
            for name in names:
                try:
                    info = os.stat(f"{held}/{name}")  # noqa: PTH116 - the kernel's own link, which no path resolves
                    if info.st_nlink or not stat.S_ISREG(info.st_mode):
                        continue
                    where = os.statvfs(f"{held}/{name}")
                except OSError:
                    continue
                if (where.f_blocks, where.f_frsize) == (disk.f_blocks, disk.f_frsize):
                    found[info.st_dev, info.st_ino] = info.st_blocks * 512
    return sum(found.values())

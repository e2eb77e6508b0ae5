"""What an attempt writes: by how much its workspace and home have grown, and the room left on their disk."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LOW_BYTES = 256 << 20
"""Free space below which a disk counts as full; on a small one a twentieth of it."""
_LOW_PART = 20
_STEP = 1 << 16


@dataclass(frozen=True)
class Grown:
    """What stands in the folders, less what stood there at first."""

    bytes: int
    """Bytes of the disk that it takes."""
    files: int
    """Files and folders."""
    free_bytes: int
    """Free space on their disk."""
    full: bool
    """Whether so little of it is free that nothing else should be written."""


class Growth:
    """The folders that an attempt writes to, looked at from time to time.

    `find` counts: it walks a million files in about a second, outside this process, and gets over whatever an agent
    does to a tree: any depth, loops, folders that vanish meanwhile. It stays on the file system and follows no link.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        """Note what stands in them already. Raises OSError."""
        self.folders = tuple(folders)
        self._at_first = (0, 0)
        self._find: subprocess.Popen[bytes] | None = None
        self._at_first = self._count(None, None)

    def look(self, most_bytes: int | None, most_files: int | None) -> Grown:
        """By how much they have grown; no longer counted than until one limit is passed."""
        size, files = self._count(most_bytes, most_files)
        place = self.folders[0]
        while not place.exists():  # without a sandbox an agent can remove even that
            place = place.parent
        disk = os.statvfs(place)
        free, whole = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
        low = min(LOW_BYTES, whole // _LOW_PART)
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

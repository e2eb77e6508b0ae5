"""What a command writes to this machine's disk while a patch is built, tested or warmed up, and its bound.

Whatever a box may write to is watched, as an agent's workspace is, and bounded by the task's limits. A measured run
writes to memory alone, of which it has so much, and is not looked at.
"""

import time

from speedproof.sandbox import Box, Confined
from speedproof.sandbox.growth import LOOK_S, LOOKING_PART, Growth
from speedproof.tasks.models import Limits


class DiskWatch:
    """The folders that one command writes to. `beyond` says, as a sentence's predicate, which bound was passed."""

    def __init__(self, box: Box, limits: Limits) -> None:
        """Note what stands in them. Raises OSError."""
        self.beyond: str | None = None
        self._limits = limits
        self._growth = Growth(box.written) if box.written else None
        self._look_at = time.monotonic() + LOOK_S

    def wait(self, seconds: float) -> float:
        """How much of `seconds` may be waited before the next look."""
        return seconds if self._growth is None else min(seconds, max(0.0, self._look_at - time.monotonic()))

    def look(self, process: Confined) -> bool:
        """Look, if it is time; whether it must end. Raises RecordError when the disk is full."""
        if self._growth is None or (began := time.monotonic()) < self._look_at:
            return False
        grown = self._growth.look(self._bytes, self._limits.files, process.tree())
        self._take(grown.bytes, grown.files)
        if self.beyond is None and grown.failure is not None:
            raise grown.failure
        took = time.monotonic() - began
        self._look_at = time.monotonic() + max(LOOK_S, LOOKING_PART * took)
        return self.beyond is not None

    def ended(self) -> None:
        """Look for the last time, at what stands there now that it has ended."""
        if self._growth is not None and self.beyond is None:
            grown = self._growth.look(self._bytes, self._limits.files)
            self._take(grown.bytes, grown.files)

    @property
    def _bytes(self) -> int | None:
        return None if self._limits.disk_mb is None else self._limits.disk_mb << 20

    def _take(self, size: int, files: int) -> None:
        limits = self._limits
        if self._bytes is not None and size > self._bytes:
            self.beyond = f"wrote more than its {limits.disk_mb:,} MiB to the disk (limits.disk_mb)"
        elif limits.files is not None and files > limits.files:
            self.beyond = f"made more than its {limits.files:,} files (limits.files)"

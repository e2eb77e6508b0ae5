"""What bounds the processes of one launch: a control group, or a watchdog where none can be had, and looks at the disk.

The kernel refuses what goes beyond a group's bounds. A watchdog looks about every second, so that what is used up
within one is seen too late; the record says which of the two there was.
"""

import os
import signal
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from speedproof.errors import RecordError, SandboxError
from speedproof.journal import StopCause
from speedproof.journal.attempt import BoundFacts
from speedproof.sandbox import Confined, Finished, Group, Sandbox, Use, bounds_in_force, new_group
from speedproof.sandbox.growth import Grown, Growth
from speedproof.tasks.models import Limits

BUSY = 0.05
"""Part of one processor above which an agent counts as active: computing takes much more, a process that only wakes
up now and then much less."""
REFUSED_LOOKS = 10
"""Looks in a row, each of which finds that processes were refused, after which the agent does nothing but try."""


@dataclass(frozen=True)
class Seen:
    """What a look found."""

    cause: StopCause | None = None
    """The limit that was passed."""
    failure: RecordError | None = None
    """What keeps the machine from going on."""
    active: bool = False
    """Whether the agent computed since the last look."""
    at: float = 0.0
    """When it looked, as time.monotonic() says."""
    took_s: float = 0.0
    """Seconds that it took."""


@dataclass(frozen=True)
class Closed:
    """What is known when everything has ended."""

    facts: BoundFacts
    cause: StopCause | None
    """The limit that the processes passed without being ended for it by the harness."""
    cpu_s: float | None
    """Processor seconds of all processes, as the group counted; null without one."""


class Bounds:
    """The bounds of one launch. Its blocking methods belong in a thread, one at a time."""

    def __init__(self, sandbox: Sandbox, limits: Limits, name: str, written: Sequence[Path]) -> None:
        """`name` is found in the group's; `written` are the folders that the agent writes to."""
        self.limits = limits
        self._own = 1 if sandbox.kind == "none" else 2  # the sandbox's processes: supervisor; bwrap and its init
        self._memory = None if limits.memory_mb is None else limits.memory_mb << 20
        self._disk = None if limits.disk_mb is None else limits.disk_mb << 20
        self._growth = Growth(written)
        self._grown: list[Grown] = []
        self._memory_peak = self._processes_peak = 0
        self._cpu_s, self._looked_at = 0.0, time.monotonic()
        self._refused_before = self._refused_looks = 0
        self.group = self._new_group(name)

    def _new_group(self, name: str) -> Group | None:
        if bounds_in_force().startswith("watchdog"):
            return None
        processes = None if self.limits.processes is None else self.limits.processes + self._own
        try:
            return new_group(name, self._memory, processes)
        except SandboxError:
            return None  # the record says that a watchdog bounds it

    def look(self, process: Confined) -> Seen:
        """See what the processes use and have written."""
        now = time.monotonic()
        if self.group is not None:
            used = self.group.use()
            cause, cpu_s = self._refused(used.refused_processes or 0), used.cpu_s
        else:
            tree = process.use()
            cause, cpu_s = self._beyond(tree, process), tree.cpu_s
        if cpu_s is None:
            cpu_s = process.cpu_s()
        active = cpu_s - self._cpu_s > BUSY * (now - self._looked_at)
        self._cpu_s, self._looked_at = cpu_s, now
        disk, failure = self._look_at_disk(process.tree())
        return Seen(cause or disk, failure, active, at=now, took_s=time.monotonic() - now)

    def _refused(self, refused: int) -> StopCause | None:
        self._refused_looks = self._refused_looks + 1 if refused > self._refused_before else 0
        self._refused_before = refused
        return StopCause.PROCESSES if self._refused_looks >= REFUSED_LOOKS else None

    def _beyond(self, use: Use, process: Confined) -> StopCause | None:
        memory, processes = use.memory_bytes, max(0, use.processes - self._own)
        if self._memory is not None and memory > self._memory:
            memory = process.exact_memory()
        self._memory_peak = max(self._memory_peak, memory)
        self._processes_peak = max(self._processes_peak, processes)
        if self._memory is not None and memory > self._memory:
            return StopCause.MEMORY
        if self.limits.processes is not None and processes > self.limits.processes:
            return StopCause.PROCESSES
        return None

    def _look_at_disk(self, pids: Iterable[int] = ()) -> tuple[StopCause | None, RecordError | None]:
        grown = self._growth.look(self._disk, self.limits.files, pids)
        self._grown.append(grown)
        beyond = self._disk is not None and grown.bytes > self._disk
        if self.limits.files is not None and grown.files > self.limits.files:
            beyond = True
        return StopCause.DISK if beyond else None, grown.failure

    def give_up(self) -> None:
        """Let a look that is under way end soon."""
        self._growth.give_up()

    def kill(self) -> None:
        """End all processes in the group. Raises SandboxError when one does not end."""
        if self.group is not None:
            self.group.kill()

    def abandon(self) -> None:
        """Remove the group that nothing was started in. Raises SandboxError when it stays."""
        if self.group is not None:
            self.group.remove()

    def close(self, finished: Finished) -> Closed:
        """End whatever is left, look for the last time, and remove the group; the process itself must be reaped.

        Raises SandboxError when a process or the group stays, OSError when the disk cannot be looked at.
        """
        group = None if self.group is None else self.group.use()
        outlived = finished.outlived
        if self.group is not None:
            ended = self.group.kill()
            _reap(ended)
            self.group.remove()
            if outlived is not None:
                outlived += len(ended)
        disk, _ = self._look_at_disk()
        kills = None if group is None else group.out_of_memory_kills
        peak = self._memory_peak or None if group is None else group.memory_peak_bytes
        processes = self._processes_peak or None if group is None else group.processes_peak
        if group is not None and processes is not None:
            processes = max(0, processes - self._own)
        facts = BoundFacts(
            enforced_by=self.enforced_by,
            memory_bytes=self._memory,
            processes=self.limits.processes,
            disk_bytes=self._disk,
            disk_files=self.limits.files,
            memory_peak_bytes=peak,
            processes_peak=processes,
            disk_peak_bytes=max((g.bytes for g in self._grown), default=None),
            disk_peak_files=max((g.files for g in self._grown), default=None),
            disk_least_free_bytes=min((g.free_bytes for g in self._grown), default=None),
            out_of_memory_kills=kills,
            refused_processes=None if group is None else group.refused_processes,
            left_running=outlived,
        )
        killed = finished.signal == signal.SIGKILL or finished.exit_code == 128 + signal.SIGKILL
        cause = StopCause.MEMORY if killed and facts.own_memory_ran_out else disk
        return Closed(facts, cause, None if group is None else group.cpu_s)

    @property
    def enforced_by(self) -> Literal["cgroup v1", "cgroup v2", "watchdog"]:
        """What holds the processes to their bounds."""
        if self.group is None:
            return "watchdog"
        return "cgroup v1" if self.group.version == 1 else "cgroup v2"


def _reap(pids: Iterable[int]) -> None:
    """Reap those of our children that lost their own parent."""
    for pid in pids:
        with suppress(ChildProcessError):  # it was another's
            os.waitpid(pid, 0)

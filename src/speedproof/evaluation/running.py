"""Running one command of a task to its end, or to its bounds, in a sandbox, keeping the end of what it printed."""

import contextlib
import os
import selectors
import time
from dataclasses import dataclass

from speedproof.evaluation.disk import DiskWatch
from speedproof.evaluation.parallel import no_longer_than
from speedproof.sandbox import Box, Confined, Finished, Sandbox
from speedproof.tasks.models import Limits

KEPT = 16 << 10
"""Bytes of output kept: the end, where errors stand."""


@dataclass(frozen=True)
class Done:
    """How a command ended and the end of what it printed (both streams)."""

    finished: Finished
    timed_out: bool
    output: str
    beyond: str | None = None
    """Which bound on what it writes to the disk was passed, as the predicate of a sentence; null: none."""

    @property
    def ok(self) -> bool:
        """Whether it exited with code 0 in time, within its bounds."""
        return self.finished.exit_code == 0 and not self.timed_out and self.beyond is None

    @property
    def how(self) -> str:
        """How it ended, as the predicate of a sentence."""
        if self.beyond is not None:
            return self.beyond
        if self.timed_out:
            return f"ran past its limit of {self.finished.wall_s:.0f} s"
        if self.finished.signal is not None:
            return f"was ended by signal {self.finished.signal}"
        return f"exited with code {self.finished.exit_code}"

    def tail(self, lines: int) -> str:
        """The last lines of its output."""
        return "\n".join(self.output.splitlines()[-lines:])


def run_command(sandbox: Sandbox, box: Box, timeout_s: float, limits: Limits) -> Done:
    """Run a box to its end, until `timeout_s` seconds have passed, or until it has written more than `limits` allow.

    Raises SandboxError when it cannot start, RecordError when the disk is full.
    """
    disk = DiskWatch(box, limits)
    read, write = os.pipe()
    kept = bytearray()
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, read)
        try:
            process = Confined(sandbox, box, stdout=write, stderr=write)
        finally:
            os.close(write)
        ended = False
        try:
            ended = _follow(process, read, kept, time.monotonic() + timeout_s, disk)
        finally:
            if not ended:
                process.kill()
            finished = process.wait()
        drain(read, kept)
    disk.ended()
    return Done(finished, not ended and disk.beyond is None, kept.decode(errors="replace"), disk.beyond)


def _follow(process: Confined, read: int, kept: bytearray, deadline: float, disk: DiskWatch) -> bool:
    """Read what it prints until it ends; false when the deadline, or a bound on what it writes, came first."""
    with contextlib.ExitStack() as stack:
        end = os.pidfd_open(process.process.pid)
        stack.callback(os.close, end)
        selector = stack.enter_context(selectors.DefaultSelector())
        selector.register(end, selectors.EVENT_READ)
        selector.register(read, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0:
            ready = {key.fd for key, _ in selector.select(no_longer_than(disk.wait(left)))}
            if end in ready:
                return True
            if read in ready and not take(read, kept):
                selector.unregister(read)  # it closed its output and goes on
            if disk.look(process):
                return False
    return False


def take(descriptor: int, kept: bytearray) -> bool:
    """Read once and keep the end; false at the end of the pipe. Raises BlockingIOError as os.read does."""
    chunk = os.read(descriptor, 1 << 20)
    kept += chunk
    del kept[:-KEPT]
    return bool(chunk)


def drain(descriptor: int, kept: bytearray) -> None:
    """Take what was printed last, without waiting for more."""
    os.set_blocking(descriptor, False)
    try:
        while take(descriptor, kept):
            pass
    except BlockingIOError:
        return  # somebody outside the sandbox's reach holds the other end

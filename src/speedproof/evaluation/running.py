"""Running one command of a task to its end in a sandbox, keeping the end of what it printed."""

import os
import selectors
import time
from dataclasses import dataclass

from speedproof.sandbox import Box, Confined, Finished, Sandbox

KEPT = 64 << 10
"""Bytes of output kept: the end, where errors stand."""


@dataclass(frozen=True)
class Done:
    """How a command ended and the end of what it printed (both streams)."""

    finished: Finished
    timed_out: bool
    output: str

    @property
    def ok(self) -> bool:
        """Whether it exited with code 0 in time."""
        return self.finished.exit_code == 0 and not self.timed_out

    @property
    def how(self) -> str:
        """How it ended, as the predicate of a sentence."""
        if self.timed_out:
            return f"ran past its limit of {self.finished.wall_s:.0f} s"
        if self.finished.signal is not None:
            return f"was ended by signal {self.finished.signal}"
        return f"exited with code {self.finished.exit_code}"

    def tail(self, lines: int) -> str:
        """The last lines of its output."""
        return "\n".join(self.output.splitlines()[-lines:])


def run_command(sandbox: Sandbox, box: Box, timeout_s: float) -> Done:
    """Run a box to its end or until `timeout_s` seconds have passed. Raises SandboxError when it cannot start."""
    read, write = os.pipe()
    process = Confined(sandbox, box, stdout=write, stderr=write)
    os.close(write)
    deadline = time.monotonic() + timeout_s
    kept = bytearray()
    timed_out = False
    with selectors.DefaultSelector() as selector:
        selector.register(read, selectors.EVENT_READ)
        while True:
            left = deadline - time.monotonic()
            if left <= 0 and not timed_out:
                timed_out = True
                process.kill()
            if selector.select(max(left, 0) if not timed_out else None):
                chunk = os.read(read, 1 << 16)
                if not chunk:
                    break
                kept += chunk
                del kept[:-KEPT]
    os.close(read)
    return Done(process.wait(), timed_out, kept.decode(errors="replace"))

"""The agent's process: launched in its box, joined to the gateway, watched, and ended at its limits."""

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from speedproof.errors import RecordError, SandboxError, SpeedproofError
from speedproof.execution.bounds import Bounds, Closed, Seen
from speedproof.execution.logs import LogWriter
from speedproof.execution.stop import Stop
from speedproof.gateway import Gateway, Session
from speedproof.journal import StopCause
from speedproof.journal.attempt import ENDED, BoundFacts
from speedproof.sandbox import Box, Confined, Finished, Sandbox
from speedproof.sandbox.growth import LOOK_S, LOOKING_PART
from speedproof.tasks.models import Limits

GRACE_S = 5.0
"""Seconds an agent has to end after it was asked to."""
ATTACH_S = 60.0
"""Seconds the sandbox has to come up and hand out its socket."""
_TICK_S = 0.1


@dataclass(frozen=True)
class Ran:
    """How a launch went."""

    finished: Finished
    stopped: StopCause | None
    """The limit that ended it; null when none did."""
    bounds: BoundFacts | None
    """What bounded it; null when that cannot be told, because of `failure`."""
    failure: SpeedproofError | OSError | None
    """What kept calls, logs or the machine from going on; it ended the agent, or was found at its end."""


class Launched:
    """One launch of an agent."""

    def __init__(
        self,
        sandbox: Sandbox,
        gateway: Gateway,
        session: Session | None,
        limits: Limits,
        stop: Stop,
        *,
        name: str,
        written: Sequence[Path],
        stopping: Callable[[str], None] | None = None,
    ) -> None:
        """`name` tells its control group from others'; `written` are the folders that it writes to; `stopping` is told
        once that it ends, and why, in the moment in which it is asked to or has ended: it may raise RecordError."""
        self.sandbox, self.gateway, self.session = sandbox, gateway, session
        self.limits, self.stop, self.name, self.written = limits, stop, name, written
        self._stopping = stopping
        self._failure: SpeedproofError | OSError | None = None
        self._active_at = self._launched_at = self._look_at = 0.0
        self._shortest_rest_s = LOOK_S if limits.idle_s is None else min(LOOK_S, limits.idle_s / 4)
        self._look: asyncio.Task[Seen] | None = None
        self._seen = Seen()

    async def run(self, box: Box, stdin: Path, folder: Path) -> Ran:
        """Run the box to its end, or to a limit; `folder` gets its logs.

        Raises SandboxError when it cannot start, OSError when logs cannot be opened; nothing is left running then.
        """
        hand_out = self.session is not None and self.sandbox.kind != "none"
        ours, theirs = socket.socketpair()
        async with AsyncExitStack() as stack:
            stack.callback(ours.close)
            stack.callback(theirs.close)
            logs: list[LogWriter] = []
            for name in ("stdout.log.zst", "stderr.log.zst"):
                logs.append(LogWriter(folder / name))
                stack.push_async_callback(self._finish, logs[-1])
            bounds = await asyncio.to_thread(Bounds, self.sandbox, self.limits, self.name, self.written)
            process = self._start(replace(box, listen=theirs.fileno()) if hand_out else box, stdin, logs, bounds)
            theirs.close()
            self._launched_at = self._active_at = time.monotonic()
            self._look_at = self._launched_at + self._shortest_rest_s
            ended = asyncio.create_task(asyncio.to_thread(process.wait))
            try:
                if hand_out:
                    await self._attach(ours)
                stopped = await self._watch(process, ended, logs, bounds)
            finally:
                if not ended.done():
                    await asyncio.to_thread(_kill, process, bounds)
                finished = await ended
                closed = await self._close(bounds, finished)
        if closed is None:
            return Ran(finished, stopped, None, self._failure)
        finished = replace(finished, cpu_s=max(finished.cpu_s, closed.cpu_s or 0.0))
        return Ran(finished, stopped or closed.cause, closed.facts, self._failure)

    def _start(self, box: Box, stdin: Path, logs: list[LogWriter], bounds: Bounds) -> Confined:
        try:
            with stdin.open("rb") as file:
                return Confined(
                    self.sandbox,
                    box,
                    stdin=file,
                    stdout=logs[0].descriptor,
                    stderr=logs[1].descriptor,
                    group=bounds.group,
                    supervised=True,
                )
        except BaseException:
            bounds.abandon()
            raise
        finally:
            for log in logs:
                log.start()

    async def _attach(self, channel: socket.socket) -> None:
        """Receive the sandbox's listening socket and serve the gateway on it."""
        channel.settimeout(ATTACH_S)
        try:
            message, descriptors, _, _ = await asyncio.to_thread(socket.recv_fds, channel, 16, 1)
        except TimeoutError as error:
            raise SandboxError("the sandbox did not come up in time", hint="speedproof doctor") from error
        if not message or not descriptors or self.session is None:
            return  # it ended before it could listen; how it ended is in the record
        await self.gateway.attach(self.session, socket.socket(fileno=descriptors[0]))
        channel.sendall(b"k")

    async def _watch(
        self, process: Confined, ended: "asyncio.Task[Finished]", logs: list[LogWriter], bounds: Bounds
    ) -> StopCause | None:
        """Wait for the end, or bring it about when a limit is reached; returns the limit."""
        while not ended.done():
            await asyncio.wait([ended], timeout=_TICK_S)
            self._have_looked(process, bounds)
            cause = self._cause(logs)
            if ended.done() or cause is None:
                continue
            why = cause.value if isinstance(cause, StopCause) else str(cause)
            self._tell(why)
            await asyncio.to_thread(process.terminate)
            at_once = asyncio.create_task(self.stop.at_once.wait())
            await asyncio.wait([ended, at_once], timeout=GRACE_S, return_when=asyncio.FIRST_COMPLETED)
            at_once.cancel()
            if not ended.done():
                await asyncio.to_thread(_kill, process, bounds)
                await asyncio.wait([ended])
            return cause if isinstance(cause, StopCause) else None
        return None

    def _have_looked(self, process: Confined, bounds: Bounds) -> None:
        """Take in what a look has found, and begin the next when it is time."""
        now = time.monotonic()
        if self._look is not None:
            if not self._look.done():
                return
            self._seen, self._look = self._look.result(), None
            self._active_at = now if self._seen.active else self._active_at
            self._look_at = now + max(self._shortest_rest_s, LOOKING_PART * self._seen.took_s)
        if now >= self._look_at:
            self._look = asyncio.create_task(asyncio.to_thread(bounds.look, process))

    def _cause(self, logs: list[LogWriter]) -> StopCause | SpeedproofError | OSError | None:
        """What the agent must be ended for: a limit, a person's wish, a failure of ours."""
        session, limits, now = self.session, self.limits, time.monotonic()
        if self.stop.asked.is_set():
            return StopCause.CANCELLED
        if session is not None and session.stop_event.is_set():
            if session.failure is not None:
                return self._fail(session.failure)
            return session.stopped
        if self._failure is not None:
            return self._failure
        if (unwritten := next((log.failure for log in logs if log.failure is not None), None)) is not None:
            return self._fail(unwritten)
        if self._seen.failure is not None:
            return self._fail(self._seen.failure)
        if self._seen.cause is not None:
            return self._seen.cause
        if limits.wall_s is not None and now - self._launched_at > limits.wall_s:
            return StopCause.WALL
        asked_at = session.last_activity if session else self._launched_at
        silent = all(log.silent for log in logs) and asked_at <= self._launched_at
        held = session is not None and session.held > 0
        if limits.startup_s is not None and silent and not held and now - self._launched_at > limits.startup_s:
            return StopCause.STARTUP
        moved = max(self._active_at, asked_at, *(log.last_output for log in logs))
        if limits.idle_s is None or held or now - moved <= limits.idle_s:
            return None
        if self._seen.at - moved > limits.idle_s:  # until then, whether it computed
            return StopCause.IDLE
        self._look_at = now
        return None

    async def _close(self, bounds: Bounds, finished: Finished) -> Closed | None:
        """End what is left, and close the accounts; null when that fails."""
        self._tell(ENDED)
        bounds.give_up()
        if self._look is not None:
            await asyncio.wait([self._look])
        try:
            return await asyncio.to_thread(bounds.close, finished)
        except (SandboxError, OSError) as error:
            self._fail(error)
            return None

    async def _finish(self, log: LogWriter) -> None:
        try:
            await asyncio.to_thread(log.finish)
        except OSError as error:
            self._fail(error)

    def _tell(self, why: str) -> None:
        """Say that it ends, unless that was said before."""
        stopping, self._stopping = self._stopping, None
        try:
            if stopping is not None:
                stopping(why)
        except RecordError as error:
            self._fail(error)

    def _fail(self, error: SpeedproofError | OSError) -> SpeedproofError | OSError:
        """Keep the first failure."""
        self._failure = self._failure or error
        return self._failure


def _kill(process: Confined, bounds: Bounds) -> None:
    process.kill()
    bounds.kill()

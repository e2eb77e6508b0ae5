"""The agent's process: launched in its box, joined to the gateway, watched, and ended at its limits."""

import asyncio
import socket
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from speedproof.errors import SandboxError
from speedproof.execution.logs import LogWriter
from speedproof.gateway import Gateway, Session
from speedproof.journal import StopCause
from speedproof.sandbox import Box, Confined, Finished, Sandbox
from speedproof.tasks.models import Limits

GRACE_S = 5.0
"""Seconds an agent has to end after it was asked to."""
ATTACH_S = 60.0
"""Seconds the sandbox has to come up and hand out its socket."""
_TICK_S = 0.1


class Launched:
    """One launch of an agent; `folder` gets its logs."""

    def __init__(
        self, sandbox: Sandbox, gateway: Gateway, session: Session | None, limits: Limits, cancelled: asyncio.Event
    ) -> None:
        self.sandbox, self.gateway, self.session = sandbox, gateway, session
        self.limits, self.cancelled = limits, cancelled

    async def run(self, box: Box, stdin: Path, folder: Path) -> tuple[Finished, StopCause | None]:
        """Run the box to its end, or to the limit that is returned.

        Raises SandboxError when it cannot start, RecordError or OSError when calls or logs cannot be written; nothing
        is left running then.
        """
        hand_out = self.session is not None and self.sandbox.kind != "none"
        ours, theirs = socket.socketpair()
        async with AsyncExitStack() as stack:
            stack.callback(ours.close)
            logs = [LogWriter(folder / "stdout.log.zst"), LogWriter(folder / "stderr.log.zst")]
            for log in logs:
                stack.push_async_callback(asyncio.to_thread, log.finish)
            box = replace(box, listen=theirs.fileno()) if hand_out else box
            try:
                with stdin.open("rb") as file:
                    process = Confined(
                        self.sandbox, box, stdin=file, stdout=logs[0].descriptor, stderr=logs[1].descriptor
                    )
            finally:
                theirs.close()
                for log in logs:
                    log.start()
            ended = asyncio.create_task(asyncio.to_thread(process.wait))
            try:
                if hand_out:
                    await self._attach(ours)
                stopped = await self._watch(process, ended, logs)
            finally:
                if not ended.done():
                    process.kill()
                finished = await ended
        return finished, stopped

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
        self, process: Confined, ended: "asyncio.Task[Finished]", logs: list[LogWriter]
    ) -> StopCause | None:
        """Wait for the end, or bring it about when a limit is reached; returns the limit."""
        began = time.monotonic()
        while not ended.done():
            await asyncio.wait([ended], timeout=_TICK_S)
            cause = self._cause(time.monotonic() - began, logs)
            if ended.done() or cause is None:
                continue
            process.terminate()
            await asyncio.wait([ended], timeout=GRACE_S)
            if not ended.done():
                process.kill()
                await asyncio.wait([ended])
            return cause
        return None

    def _cause(self, elapsed: float, logs: list[LogWriter]) -> StopCause | None:
        session, limits = self.session, self.limits
        if self.cancelled.is_set():
            return StopCause.CANCELLED
        if session is not None and session.stop_event.is_set():
            if session.failure is not None:
                raise session.failure
            return session.stopped
        if limits.wall_s is not None and elapsed > limits.wall_s:
            return StopCause.WALL
        moved = max([log.last_output for log in logs] + ([session.last_activity] if session else []))
        held = session is not None and session.held > 0
        if limits.idle_s is not None and not held and time.monotonic() - moved > limits.idle_s:
            return StopCause.IDLE
        return None

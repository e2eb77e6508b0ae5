"""The stopwatch: one execution of a workload, its start and stop stamped from outside.

The workload tells start, metrics, outputs and stop on an inherited descriptor (docs/writing-a-task.md). At the stop
signal everything inside is killed: nothing can go on working, and what still used the processor is charged.
"""

import contextlib
import hashlib
import json
import math
import os
import re
import selectors
import time
from dataclasses import dataclass, field

from speedproof.evaluation.arms import ArmTree
from speedproof.evaluation.prepared import PreparedTask
from speedproof.evaluation.running import drain, take
from speedproof.sandbox import Box, Confined, Mount, Sandbox
from speedproof.sandbox.box import WORKSPACE
from speedproof.tasks.models import Workload

TEARDOWN_S = 0.005
"""Processor seconds after the stop signal that ending a process itself may take; what exceeds it is charged."""
RESOLUTION_S = 1e-4
"""Wall seconds that can be told from outside: when start and stop are read together, the work took at most this."""
MAX_OUTPUT = 64 << 20
"""Bytes of outputs one execution may hand over."""
MAX_METRICS = 100
"""Metrics one execution may report."""
_MAX_LINE = 64 << 10
_METRIC_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")


class WorkloadFailed(Exception):
    """An execution gave no measurement; the text says why, in a sentence's predicate."""


@dataclass(frozen=True)
class Execution:
    """One stamped execution."""

    setup_s: float
    seconds: float
    after_stop_s: float
    cpu_s: float
    max_rss_bytes: int | None
    outputs: bytes
    output_sha256: str
    reported: dict[str, float]


@dataclass
class _Protocol:
    """What has arrived on the descriptor so far."""

    pending: bytearray = field(default_factory=bytearray)
    outputs: list[bytes] = field(default_factory=list)
    size: int = 0
    missing: int = 0
    reported: dict[str, float] = field(default_factory=dict)
    started: float | None = None
    stopped: float | None = None

    def feed(self, data: bytes, now: float) -> None:
        """Take what was read at time `now`. Raises WorkloadFailed on anything but the protocol."""
        self.pending += data
        while self.pending and self.stopped is None:
            if self.missing:
                part = bytes(self.pending[: self.missing])
                del self.pending[: len(part)]
                self.outputs.append(part)
                self.missing -= len(part)
                continue
            end = self.pending.find(b"\n")
            if max(end, len(self.pending) if end < 0 else 0) > _MAX_LINE:
                raise WorkloadFailed("wrote no line of the protocol")
            if end < 0:
                return
            line = bytes(self.pending[:end])
            del self.pending[: end + 1]
            self._line(line, now)

    def _line(self, line: bytes, now: float) -> None:
        word, _, rest = line.partition(b" ")
        if line == b"start" and self.started is None:
            self.started = now
        elif line == b"stop" and self.started is not None:
            self.stopped = now
        elif word == b"output" and self.started is not None and rest.isdigit() and len(rest) < 12:
            self.size += int(rest) + len(line)
            if self.size > MAX_OUTPUT:
                raise WorkloadFailed(f"handed over more than {MAX_OUTPUT} bytes of outputs")
            self.missing = int(rest)
            self.outputs.append(b"%d:" % self.missing)  # so that two outputs are not one
        elif word == b"metric":
            self._metric(rest)
        else:
            raise WorkloadFailed(f"broke the protocol with the line {line[:80]!r}")

    def _metric(self, text: bytes) -> None:
        try:
            value = json.loads(text)
            name, number = str(value["name"]), float(value["value"])
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise WorkloadFailed(f"reported a metric that cannot be read: {text[:80]!r}") from error
        if not _METRIC_NAME.fullmatch(name):
            raise WorkloadFailed(f"reported a metric by a name that none can have: {name[:80]!r}")
        if not math.isfinite(number):
            raise WorkloadFailed(f"reported {name} = {number}")
        self.reported[name] = number
        if len(self.reported) > MAX_METRICS:
            raise WorkloadFailed(f"reported more than {MAX_METRICS} metrics")


def execute(
    prepared: PreparedTask,
    workload: Workload,
    arm: ArmTree,
    sandbox: Sandbox,
    seed: int,
    *,
    cpu: int | None = None,
    tree: Mount | None = None,
) -> Execution:
    """Run `workload` once on `arm` with `seed`; `tree` replaces the read-only mount of the arm (for a warm-up).

    Raises WorkloadFailed when it ends, hangs or misspeaks before its stop signal.
    """
    read, write = os.pipe()
    noise_read, noise_write = os.pipe()
    box = Box(
        argv=("/bin/sh", "-c", workload.command),
        env={
            **prepared.variables(),
            "SPEEDPROOF_SEED": str(seed),
            "SPEEDPROOF_FD": str(write),
            "PYTHONHASHSEED": str(seed % 2**32),
            **({"PYTHONDONTWRITEBYTECODE": "1"} if tree is None else {}),
        },
        mounts=(tree or Mount(arm.folder, WORKSPACE), *prepared.mounts()),
        interpreters=prepared.interpreters,
        keep_fds=(write,),
        cpu=cpu,
    )
    protocol = _Protocol()
    noise = bytearray()
    problem = ""
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, read)
        stack.callback(os.close, noise_read)
        try:
            process = Confined(sandbox, box, stdout=noise_write, stderr=noise_write)
        finally:
            os.close(write)
            os.close(noise_write)
        try:
            problem = _listen(protocol, noise, read, noise_read, process.started_at + workload.timeout_s)
        except WorkloadFailed as error:
            problem = str(error)
        finally:
            before = process.cpu_s()
            process.kill()
            finished = process.wait()
        drain(noise_read, noise)
    if protocol.started is None or protocol.stopped is None:
        if not problem:
            last = "start" if protocol.started is None else "stop"
            how = f"signal {finished.signal}" if finished.signal not in {None, 9} else f"exit code {finished.exit_code}"
            problem = f"ended before it said {last}" + ("" if finished.signal == 9 else f" ({how})")
        said = noise.decode(errors="replace").strip().splitlines()[-6:]
        raise WorkloadFailed(problem + ("; it printed:\n" + "\n".join(said) if said else ""))
    after = max(0.0, finished.cpu_s - before - TEARDOWN_S)
    outputs = b"".join(protocol.outputs)
    return Execution(
        setup_s=protocol.started - process.started_at,
        seconds=max(protocol.stopped - protocol.started, RESOLUTION_S) + after,
        after_stop_s=after,
        cpu_s=max(finished.cpu_s, before),  # time of processes that nobody reaped is missing from the former
        max_rss_bytes=finished.max_rss_bytes,
        outputs=outputs,
        output_sha256=hashlib.sha256(outputs).hexdigest(),
        reported=protocol.reported,
    )


def _listen(protocol: _Protocol, noise: bytearray, read: int, noise_read: int, deadline: float) -> str:
    """Read until the stop signal; returns the problem when it does not come."""
    with selectors.DefaultSelector() as selector:
        selector.register(read, selectors.EVENT_READ)
        selector.register(noise_read, selectors.EVENT_READ)
        while protocol.stopped is None:
            left = deadline - time.perf_counter()
            if left <= 0:
                last = "start" if protocol.started is None else "stop"
                return f"did not say {last} within its limit"
            for key, _ in selector.select(left):
                if key.fd == noise_read:
                    if not take(noise_read, noise):
                        selector.unregister(noise_read)
                    continue
                data = os.read(read, 1 << 20)
                now = time.perf_counter()
                if not data:
                    return ""
                protocol.feed(data, now)
    return ""

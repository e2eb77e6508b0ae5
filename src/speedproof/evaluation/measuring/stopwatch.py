"""The stopwatch: one execution of a workload, its start and stop stamped from outside.

The workload tells start, metrics, outputs and stop on an inherited descriptor (docs/writing-a-task.md). At the stop
signal everything inside is killed: nothing can go on working, and what still used the processor is charged.
"""

import contextlib
import hashlib
import os
import selectors
import time
from dataclasses import dataclass

from speedproof.evaluation.arms import ArmTree
from speedproof.evaluation.disk import DiskWatch
from speedproof.evaluation.measuring.load import Watch
from speedproof.evaluation.measuring.protocol import Protocol, Word, WorkloadFailed
from speedproof.evaluation.parallel import no_longer_than
from speedproof.evaluation.prepared import PreparedTask
from speedproof.evaluation.running import drain, take
from speedproof.sandbox import Box, Confined, Finished, Mount, Sandbox
from speedproof.sandbox.box import WORKSPACE
from speedproof.tasks.models import Workload

TEARDOWN_S = 0.005
"""Processor seconds after the stop signal that ending a process itself may take; what exceeds it is charged."""
RESOLUTION_S = 1e-4
"""Wall seconds that can be told from outside: when start and stop are read together, the work took at most this."""
_POLL_S = 0.005
"""How often it is looked whether a session can be raised by now: only until it is, before the start signal."""


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
    others_cpu: float | None
    """Share of the pinned CPU's time that others took between start and stop; null when nobody looked."""


def hash_seed(seed: int) -> str:
    """The seed of Python's hashes: the same on every arm, and nothing that the workload's own seed can be read from."""
    return str(int.from_bytes(hashlib.sha256(b"hashes %d" % seed).digest()[:4], "big"))


def workload_box(
    prepared: PreparedTask,
    workload: Workload,
    arm: ArmTree,
    seed: int,
    descriptor: int,
    *,
    cpu: int | None = None,
    tree: Mount | None = None,
) -> Box:
    """What runs `workload` on `arm` with `seed`; it speaks on `descriptor`. `tree` replaces the arm's read-only one."""
    return Box(
        argv=("/bin/sh", "-c", workload.command),
        env={
            **prepared.variables(),
            "SPEEDPROOF_SEED": str(seed),
            "SPEEDPROOF_FD": str(descriptor),
            "PYTHONHASHSEED": hash_seed(seed),
            **({"PYTHONDONTWRITEBYTECODE": "1"} if tree is None else {}),
        },
        mounts=(tree or Mount(arm.folder, WORKSPACE), *prepared.mounts()),
        interpreters=prepared.interpreters,
        keep_fds=(descriptor,),
        cpu=cpu,
    )


def execute(
    prepared: PreparedTask,
    workload: Workload,
    arm: ArmTree,
    sandbox: Sandbox,
    seed: int,
    *,
    tree: Mount | None = None,
    watch: Watch | None = None,
    nice: int | None = None,
) -> Execution:
    """Run `workload` once on `arm` with `seed`.

    `tree` replaces the read-only mount of the arm (for a warm-up). `watch`: the CPU to pin to and look at. `nice`: the
    value that this thread has been raised to; what runs inside then gets its whole session raised to it.

    Raises WorkloadFailed when it ends, hangs, misspeaks or fills the disk before its stop signal.
    """
    read, write = os.pipe()
    noise_read, noise_write = os.pipe()
    cpu, group = (None, None) if watch is None else (watch.cpu, watch.group)
    box = workload_box(prepared, workload, arm, seed, write, cpu=cpu, tree=tree)
    protocol = Protocol()
    noise = bytearray()
    problem = ""
    others = None
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, read)
        stack.callback(os.close, noise_read)
        try:
            disk = DiskWatch(box, prepared.task.limits)
            process = Confined(sandbox, box, stdout=noise_write, stderr=noise_write, group=group)
        finally:
            os.close(write)
            os.close(noise_write)
        try:
            if nice is not None:
                process.raise_session(nice)  # of the launch; what runs inside follows once it has its own
            problem = listen(
                protocol, process, noise, read, noise_read, workload.timeout_s, disk=disk, watch=watch, nice=nice
            )
        except WorkloadFailed as error:
            problem = str(error)
        finally:
            before = process.cpu_s()
            others = None if watch is None else watch.others(before)
            process.kill()
            finished = process.wait()
        drain(noise_read, noise)
    disk.ended()
    if protocol.started is None or protocol.stopped is None or disk.beyond is not None:
        raise WorkloadFailed(why_not(protocol, disk.beyond or problem, finished, noise))
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
        others_cpu=others,
    )


def listen(
    protocol: Protocol,
    process: Confined,
    noise: bytearray,
    read: int,
    noise_read: int,
    limit_s: float,
    *,
    disk: DiskWatch,
    until: Word = "stop",
    watch: Watch | None = None,
    nice: int | None = None,
) -> str:
    """Read until that word has been said; returns the problem when it does not come within `limit_s` of the launch.

    At the start signal, `watch` begins. `disk` is looked at now and then.

    Raises WorkloadFailed on anything but the protocol, RecordError when the disk is full.
    """
    deadline = process.started_at + limit_s
    with selectors.DefaultSelector() as selector:
        selector.register(read, selectors.EVENT_READ)
        selector.register(noise_read, selectors.EVENT_READ)
        while not protocol.said(until):
            left = deadline - time.perf_counter()
            if left <= 0:
                last = "start" if protocol.started is None else "stop"
                return f"did not say {last} within its limit"
            if nice is not None and (protocol.started is not None or process.raise_session(nice)):
                nice = None
            if disk.look(process):
                return str(disk.beyond)
            wait = disk.wait(left if nice is None else min(left, _POLL_S))
            for key, _ in selector.select(no_longer_than(wait)):
                if key.fd == noise_read:
                    if not take(noise_read, noise):
                        selector.unregister(noise_read)
                    continue
                data = os.read(read, 1 << 20)
                now = time.perf_counter()
                if not data:
                    return ""
                before = protocol.started
                protocol.feed(data, now)
                if watch is not None and before is None and protocol.started is not None:
                    watch.begin(process.cpu_s())
    return ""


def why_not(protocol: Protocol, problem: str, finished: Finished, noise: bytes | bytearray) -> str:
    """Why there is no measurement, in a sentence's predicate, with the end of what was printed."""
    if not problem:
        last = "start" if protocol.started is None else "stop"
        how = f"signal {finished.signal}" if finished.signal not in {None, 9} else f"exit code {finished.exit_code}"
        problem = f"ended before it said {last}" + ("" if finished.signal == 9 else f" ({how})")
    said = noise.decode(errors="replace").strip().splitlines()[-6:]
    return problem + ("; it printed:\n" + "\n".join(said) if said else "")

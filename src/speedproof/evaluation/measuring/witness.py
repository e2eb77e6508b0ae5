"""Instruction counts: a second witness beside the clock, for work of the processor.

callgrind counts each arm's instructions in runs of their own, with the seed of a measured block: once up to the stop
signal, once up to the start signal; the difference is the work. Counts do not know what else the machine does, and the
same code with the same seed gives almost the same count. They do not see waiting, memory or the graphics processor, so
the clock decides; the count only asks for a look where the two cannot both be right.
"""

import math
import os
import re
import select
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median
from tempfile import TemporaryDirectory

from speedproof.errors import InputError
from speedproof.evaluation.arms import ArmTree
from speedproof.evaluation.disk import DiskWatch
from speedproof.evaluation.measuring.protocol import Protocol, Word, WorkloadFailed
from speedproof.evaluation.measuring.stopwatch import listen, why_not, workload_box
from speedproof.evaluation.parallel import side_by_side
from speedproof.evaluation.prepared import PreparedTask
from speedproof.evaluation.running import drain
from speedproof.journal import Check, Measurement, Sample
from speedproof.journal.measurement import BASE
from speedproof.sandbox import Confined, Mount, Sandbox
from speedproof.sandbox.box import OUT
from speedproof.tasks.models import Workload

SLOWER = 60
"""How many times longer than on the processor itself a workload may take under callgrind."""
APART = 4.0
"""The clock's speedup may be this many times that of the count before somebody has to look: processors complete
somewhere between less than one and four instructions a cycle, so honest code may differ by about as much."""
MORE = 1.01
"""Who is called faster may execute this many times base's instructions before somebody has to look."""

_CPU_TIME = {"seconds", "cpu_seconds"}
"""Metrics that instructions can be held against."""
_ENDING_S = 60.0
"""Wall seconds in which callgrind must have written its counts."""
_MAX_LOGS = 1000
_LOG_BYTES = 64 << 10
_COUNT = re.compile(r"^==\d+== Collected : (\d{1,18})\s*$", re.MULTILINE)


def require_valgrind() -> str:
    """The path of valgrind inside a sandbox. Raises InputError where it is not installed."""
    found = shutil.which("valgrind", path="/usr/bin:/bin")
    if found is None:
        raise InputError(
            "instructions cannot be counted: valgrind is not installed",
            hint="apt-get install valgrind, or leave --instructions out",
        )
    return found


def count_instructions(
    prepared: PreparedTask, arms: Sequence[ArmTree], sandbox: Sandbox, scratch: Path, samples: Sequence[Sample]
) -> tuple[list[Sample], str]:
    """The samples, those of the first block that counts with their instructions, and what the counts say in a sentence.

    Slow: some fifty times the time of two executions of each workload on each arm. Raises InputError without valgrind.
    """
    valgrind = require_valgrind()
    first = min(s.block for s in samples if not s.disturbed)
    seed = next(s.seed for s in samples if s.block == first)
    pairs = [(arm, workload) for arm in arms for workload in prepared.task.workloads]

    def count(pair: tuple[ArmTree, Workload]) -> int | str:
        try:
            return _work(prepared, *pair, sandbox, scratch, seed, valgrind)
        except WorkloadFailed as error:
            return f"{pair[1].name} {error}"

    found = {
        (arm.name, workload.name): each for (arm, workload), each in zip(pairs, side_by_side(count, pairs), strict=True)
    }
    counted = []
    for sample in samples:
        number = found.get((sample.arm, sample.workload)) if sample.block == first else None
        counted.append(sample.model_copy(update={"instructions": number}) if isinstance(number, int) else sample)
    problems: dict[str, str] = {}
    for (name, _), each in found.items():
        if isinstance(each, str):
            problems.setdefault(name, each)
    return counted, _said(counted, [arm.name for arm in arms], problems)


def witness_check(measurement: Measurement, arm: str) -> Check | None:
    """Whether the instruction count bears the clock out; null where nobody counted."""
    if measurement.witness is None:
        return None
    fewer, clock = fewer_instructions(measurement.samples, arm), _by_the_clock(measurement.samples, arm)
    if fewer is None:
        return Check(name="witness", result="unknown", message=f"the instructions of {arm} or of base were not counted")
    words = _compared(fewer, clock)
    whole = next(c for c in measurement.comparisons if (c.arm, c.against, c.workload) == (arm, BASE, None))
    if whole.decision != "faster" or not {*whole.metric.split(", ")} <= _CPU_TIME:
        return Check(name="witness", result="pass", message=words)
    if fewer < 1 / MORE:
        return Check(name="witness", result="flag", message=f"called faster, and yet {words}")
    if clock > APART * fewer:
        message = f"the clock's speedup is more than {APART:g} times what instructions explain: {words}"
        return Check(name="witness", result="flag", message=message)
    return Check(name="witness", result="pass", message=words)


def fewer_instructions(samples: Sequence[Sample], arm: str) -> float | None:
    """How many times fewer instructions than base: the geometric mean over workloads; null: not counted."""
    counts = {(s.arm, s.workload): s.instructions for s in samples if s.instructions is not None}
    workloads = {s.workload for s in samples}
    pairs = [(counts.get((BASE, name)), counts.get((arm, name))) for name in workloads]
    logs = [math.log(base / other) for base, other in pairs if base and other]
    return math.exp(fmean(logs)) if logs and len(logs) == len(pairs) else None


def _by_the_clock(samples: Sequence[Sample], arm: str) -> float:
    """How many times fewer seconds: geometric mean over workloads of the median over blocks."""
    seconds = {(s.block, s.workload, s.arm): s.seconds for s in samples if not s.disturbed}
    ratios: dict[str, list[float]] = {}
    for (block, workload, name), taken in seconds.items():
        if name == arm and (block, workload, BASE) in seconds:
            ratios.setdefault(workload, []).append(math.log(seconds[block, workload, BASE] / taken))
    return math.exp(fmean(median(logs) for logs in ratios.values()))


def _said(samples: Sequence[Sample], arms: Sequence[str], problems: Mapping[str, str]) -> str:
    if BASE in problems:
        return f"instructions could not be counted: on base, {problems[BASE]}"
    lines = []
    for arm in arms:
        fewer = fewer_instructions(samples, arm)
        if fewer is None:
            lines.append(f"{arm}: not counted, {problems[arm]}")
        elif arm != BASE:
            lines.append(f"{arm}: {_compared(fewer, _by_the_clock(samples, arm))}")
    return "; ".join(lines)


def _compared(fewer: float, clock: float) -> str:
    if 1 / MORE <= fewer <= MORE:
        count = "as many instructions as base"
    elif fewer > 1:
        count = f"{fewer:.3g} × fewer instructions than base"
    else:
        count = f"{1 / fewer:.3g} × as many instructions as base"
    return f"{count}, the clock says {clock:.3g} ×"


def _work(
    prepared: PreparedTask,
    arm: ArmTree,
    workload: Workload,
    sandbox: Sandbox,
    scratch: Path,
    seed: int,
    valgrind: str,
) -> int:
    """Instructions between start and stop. Raises WorkloadFailed when they cannot be told."""
    to_stop, to_start = (
        _counted(prepared, arm, workload, sandbox, scratch, seed, valgrind, word) for word in ("stop", "start")
    )
    if to_stop <= to_start:
        raise WorkloadFailed(f"executed {to_stop} instructions up to its stop and {to_start} up to its start")
    return to_stop - to_start


def _counted(
    prepared: PreparedTask,
    arm: ArmTree,
    workload: Workload,
    sandbox: Sandbox,
    scratch: Path,
    seed: int,
    valgrind: str,
    until: Word,
) -> int:
    """Instructions of all processes from launch up to that word, after which the workload pauses and is ended."""
    protocol, noise = Protocol(), bytearray()
    with ExitStack() as stack:
        logs = Path(stack.enter_context(TemporaryDirectory(dir=scratch, prefix="counts-")))
        os.chown(logs, sandbox.uid, -1)
        read, write = os.pipe()
        stack.callback(os.close, read)
        noise_read, noise_write = os.pipe()
        stack.callback(os.close, noise_read)
        plain = workload_box(prepared, workload, arm, seed, write)
        box = replace(
            plain,
            argv=(
                *(valgrind, "--tool=callgrind", "--trace-children=yes", "--vgdb=no", "--callgrind-out-file=/dev/null"),
                *(f"--log-file={OUT}/counts/%p", *plain.argv),
            ),
            env={**plain.env, "SPEEDPROOF_PAUSE": until},
            mounts=(*plain.mounts, Mount(logs, f"{OUT}/counts", writable=True)),
        )
        try:
            disk = DiskWatch(box, prepared.task.limits)
            process = Confined(sandbox, box, stdout=noise_write, stderr=noise_write)
        finally:
            os.close(write)
            os.close(noise_write)
        problem = ""
        try:
            limit_s = workload.timeout_s * SLOWER
            problem = listen(protocol, process, noise, read, noise_read, limit_s, disk=disk, until=until)
            if protocol.said(until):
                _end(process)
        except WorkloadFailed as error:
            problem = str(error)
        finally:
            process.kill()
            finished = process.wait()
        drain(noise_read, noise)
        if not protocol.said(until):
            raise WorkloadFailed(f"under callgrind {why_not(protocol, problem, finished, noise)}")
        return _sum(logs)


def _end(process: Confined) -> None:
    """Ask it to end, from the leaves up, so that each process writes its count."""
    with ExitStack() as stack:
        end = os.pidfd_open(process.process.pid)
        stack.callback(os.close, end)
        for _ in range(int(_ENDING_S * 5)):
            process.terminate(leaves_only=True)
            if select.select([end], [], [], 0.2)[0]:
                return


def _sum(logs: Path) -> int:
    """The counts that callgrind left. Raises WorkloadFailed where one is missing."""
    total = 0
    for number, file in enumerate(sorted(logs.iterdir())):
        if number >= _MAX_LOGS:
            raise WorkloadFailed(f"starts more than {_MAX_LOGS} processes")
        if file.is_symlink() or not file.is_file():
            continue  # nothing that callgrind writes
        with file.open("rb") as opened:
            counts = _COUNT.findall(opened.read(_LOG_BYTES).decode(errors="replace"))
        if not counts:
            raise WorkloadFailed("ended before callgrind had counted")
        total += int(counts[-1])
    return total

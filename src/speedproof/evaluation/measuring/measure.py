"""Measuring arms against each other: blocks of randomised order, a fresh process and one fresh seed a block."""

import os
import secrets
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from speedproof.evaluation.arms import ArmTree, compile_bytecode, writable
from speedproof.evaluation.deciding.decision import Outlook, bias, compare, outlook
from speedproof.evaluation.measuring.load import watching
from speedproof.evaluation.measuring.outputs import Agreement
from speedproof.evaluation.measuring.protocol import WorkloadFailed
from speedproof.evaluation.measuring.session import REFERENCES, Session, broken_task
from speedproof.evaluation.measuring.stopwatch import execute
from speedproof.evaluation.measuring.witness import count_instructions, require_valgrind
from speedproof.evaluation.parallel import side_by_side
from speedproof.evaluation.prepared import PreparedTask
from speedproof.journal import Arm, Check, Comparison, Measurement, Method, Sample
from speedproof.journal.measurement import BASE, CONTROL, EXPERT
from speedproof.sandbox import Sandbox, raised

Told = Callable[[int, int], None]
"""Told after each block: blocks that count so far, blocks at most."""


@dataclass
class Measured:
    """What measuring found."""

    measurement: Measurement | None
    """Null when no patch was left to measure."""
    broken: dict[str, str] = field(default_factory=dict)
    """Patch arms whose workload failed: what it did, as a sentence's predicate."""
    compared: bool = False
    """Whether any outputs were handed over to compare."""
    wrong: dict[str, str] = field(default_factory=dict)
    """Patch arms whose outputs differ from base's: where, in a sentence."""
    same_for_all: tuple[str, ...] = ()
    """Workloads on which base handed over the same for every seed, so that answers could be known beforehand."""
    second_look: dict[str, list[Check]] = field(default_factory=dict)
    """What a second look at the patch arms that are faster found."""


def warm_up(
    prepared: PreparedTask, arm: ArmTree, sandbox: Sandbox, scratch: Path, seed: int, executions: int = 1
) -> None:
    """Run each workload so often, unmeasured.

    First on a throwaway copy, after which what it imported is compiled in the arm; from then on as it is measured.
    Raises WorkloadFailed when the workload gives no measurement.
    """
    for workload in prepared.task.workloads:
        workspace = arm.workspace(scratch / f"warm-{arm.name}-{workload.name}")
        try:
            execute(prepared, workload, arm, sandbox, seed, tree=writable(workspace))
            compile_bytecode(workspace, arm, prepared, sandbox, scratch)
        finally:
            workspace.remove()
        for _ in range(executions - 1):
            execute(prepared, workload, arm, sandbox, seed)


def check_workloads(
    prepared: PreparedTask, base: ArmTree, expert: ArmTree | None, sandbox: Sandbox, scratch: Path
) -> None:
    """One execution of each workload on base and, where there is one, expert, whose outputs must agree.

    Raises TaskError when a workload is silent or disagrees: such a task cannot prove anything.
    """
    seed = secrets.randbits(31)
    agreement = Agreement(prepared, sandbox, scratch)
    arms = [base] if expert is None else [base, expert]
    for arm in arms:
        try:
            warm_up(prepared, arm, sandbox, scratch, seed)
        except WorkloadFailed as error:
            raise broken_task(prepared, arm.name, str(error)) from error
    for workload in prepared.task.workloads:
        outputs: dict[str, bytes] = {}
        for arm in arms:
            try:
                outputs[arm.name] = execute(prepared, workload, arm, sandbox, seed).outputs
            except WorkloadFailed as error:
                raise broken_task(prepared, arm.name, f"{workload.name} {error}") from error
        for name, handed_over in outputs.items():
            difference = agreement.difference(workload, seed, outputs[BASE], handed_over)
            if difference is not None:
                raise broken_task(prepared, name, difference)


def measure(
    prepared: PreparedTask,
    arms: Sequence[ArmTree],
    sandbox: Sandbox,
    method: Method,
    scratch: Path,
    open_arms: Collection[str],
    told: Told = lambda _done, _most: None,
    least: int = 0,
) -> Measured:
    """Measure base, control, the expert's change where there is one, and patches in shared blocks.

    It ends when the expert and `open_arms` are decided, or hopeless by the method. `open_arms` are the patches that may
    still be proven; the others are measured along and not waited for. At a look, each patch leaves that is decided,
    hopeless or wrong, so that none pays for the others' blocks. A patch arm that fails leaves at once. `least`: blocks
    that are measured in any case.

    Raises TaskError when base, expert or control fail or disagree, InputError when instructions are to be counted and
    that is not possible here.
    """
    counting = method.instructions and not prepared.task.resources.gpus  # they say nothing of work elsewhere
    if counting:
        require_valgrind()
    began = time.monotonic()
    seed = secrets.randbits(31)
    problems = side_by_side(lambda arm: _warmed(prepared, arm, sandbox, scratch, seed, method.warm_ups), arms)
    with watching(_pinned_cpu()) as watch, raised() as nice:
        session = Session(prepared, sandbox, method, scratch, watch, nice)
        for arm, problem in zip(arms, problems, strict=True):
            if problem is not None:
                session.fail(arm, problem)
        stopped = _run_blocks(session, [arm for arm in arms if arm.name not in session.broken], open_arms, told, least)
    left = [arm for arm in arms if arm.name not in session.broken]
    samples = [s for s in session.samples if s.arm not in session.broken]
    witness = None
    if counting:
        samples, witness = count_instructions(prepared, left, sandbox, scratch, samples)
    return Measured(
        Measurement(
            arms=tuple(Arm(name=a.name, tree=a.tree) for a in left),
            samples=tuple(samples),
            comparisons=_comparisons(session, {arm.name for arm in left}, samples),
            bias=bias(samples, workloads=prepared.task.workloads, method=method),
            pinned_cpu=watch.cpu,
            wall_s=time.monotonic() - began,
            stopped=stopped,
            warm_ups=method.warm_ups,
            priority=nice,
            repeated_blocks=session.repeated if session.watched else None,
            witness=witness,
        ),
        session.broken,
        session.compared,
        session.wrong,
        session.same_for_all,
    )


def _run_blocks(
    session: Session, arms: Sequence[ArmTree], open_arms: Collection[str], told: Told, least: int
) -> Literal["decided", "hopeless", "max_blocks"]:
    """Blocks until nothing is waited for, or the maximum is reached."""
    method, running = session.method, list(arms)
    seen: dict[str, Outlook] = {}
    while True:
        session.run_block(running)
        running = [arm for arm in running if arm.name not in session.broken]
        told(session.counting, method.looks[-1])
        if session.counting not in method.looks or session.samples[-1].disturbed:
            continue  # not a look, or the same one that was taken before a block was repeated
        for arm in running:
            if arm.name not in {BASE, CONTROL} and seen.get(arm.name) != "decided":
                seen[arm.name] = outlook(
                    session.samples, arms={arm.name}, workloads=session.prepared.task.workloads, method=method
                )
        waited_for = {EXPERT, *open_arms} - session.broken.keys() - session.wrong.keys()
        outlooks = {seen[name] for name in waited_for & seen.keys()}
        if ("open" not in outlooks and session.counting >= least) or session.counting == method.looks[-1]:
            return "decided" if outlooks <= {"decided"} else "hopeless" if "open" not in outlooks else "max_blocks"
        running = [
            arm
            for arm in running
            if arm.name in REFERENCES or (seen[arm.name] == "open" and arm.name not in session.wrong)
        ]


def _comparisons(session: Session, arms: Collection[str], samples: Sequence[Sample]) -> tuple[Comparison, ...]:
    """Each arm against base, and each patch against the expert too."""
    return tuple(
        comparison
        for arm in dict.fromkeys(s.arm for s in samples)
        if arm != BASE
        for against in (BASE, EXPERT)
        if arm != against and against in arms and (arm != CONTROL or against == BASE)
        for comparison in compare(
            samples,
            arm=arm,
            against=against,
            workloads=session.prepared.task.workloads,
            method=session.method,
        )
    )


def _warmed(
    prepared: PreparedTask, arm: ArmTree, sandbox: Sandbox, scratch: Path, seed: int, executions: int
) -> str | None:
    """Why the arm gives no measurement; null when it does."""
    try:
        warm_up(prepared, arm, sandbox, scratch, seed, executions)
    except WorkloadFailed as error:
        return str(error)
    return None


def _pinned_cpu() -> int | None:
    """The last CPU this process may use, where there is more than one: the kernel's own work prefers the first."""
    cpus = sorted(os.sched_getaffinity(0))
    return cpus[-1] if len(cpus) > 1 else None

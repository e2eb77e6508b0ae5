"""Measuring: fresh folders each time, the load of others, priority, and which blocks are repeated, which arms leave."""

import contextlib
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_project import Project, prepare_small
from speedproof.evaluation.arms import ArmTree, make_arm
from speedproof.evaluation.measuring import measure as measuring
from speedproof.evaluation.measuring import session
from speedproof.evaluation.measuring.load import Accounts, Watch, accounts, share_of_others, watching
from speedproof.evaluation.measuring.measure import Measured, measure
from speedproof.evaluation.measuring.stopwatch import Execution, execute
from speedproof.evaluation.parallel import no_longer_than, side_by_side
from speedproof.evaluation.prepared import PreparedTask
from speedproof.journal import Method
from speedproof.sandbox import Bubblewrap, raised
from speedproof.sandbox.priority import WANTED
from speedproof.tasks.models import Resources, Workload
from speedproof.workspace.cache import Cache

METHOD = Method(looks=(12, 24), hopeless=None, repeats=0.25)
Times = Callable[[str, int], tuple[float, float | None]]
"""Seconds, and the share of others, of an arm's n-th execution."""


# Which blocks count and which arms stay, by executions that are made up


class MadeUp:
    """A session of measuring whose executions are made up."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.patch = monkeypatch
        self.told: list[tuple[int, int]] = []
        self.outputs: dict[str, bytes] = {}

    def measure(self, times: Times, *arms: str, method: Method = METHOD, waited_for: tuple[str, ...] = ()) -> Measured:
        """Measure base, control and `arms`."""
        runs: dict[str, int] = {}

        def made_up(prepared: object, workload: object, arm: ArmTree, *rest: object, **options: object) -> Execution:
            number = runs[arm.name] = runs.get(arm.name, 0) + 1
            seconds, others = times(arm.name, number)
            outputs = self.outputs.get(arm.name, b"1:1")
            return Execution(0.1, seconds, 0.0, seconds, 1, outputs, "0" * 64, {}, others)

        task = SimpleNamespace(
            name="made-up", workloads=(Workload(name="work", command="true"),), resources=Resources()
        )
        self.patch.setattr(session, "execute", made_up)
        self.patch.setattr(measuring, "warm_up", lambda *_: None)
        trees = [ArmTree(name, "0" * 40, Path("/nonexistent")) for name in ("base", "control", *arms)]
        prepared = cast(PreparedTask, SimpleNamespace(task=task))
        tell = lambda done, most: self.told.append((done, most))  # noqa: E731
        return measure(prepared, trees, Bubblewrap(), method, Path("/tmp"), waited_for or arms, tell)


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> MadeUp:
    return MadeUp(monkeypatch)


def jitter(number: int) -> float:
    return 1 + (number * 7 % 11) / 1000


def test_a_disturbed_block_is_repeated_and_its_samples_are_kept(made_up: MadeUp) -> None:
    def times(arm: str, number: int) -> tuple[float, float | None]:
        return jitter(number) / (2 if arm == "patch" else 1), 0.5 if (arm, number) in {
            ("base", 3),
            ("patch", 5),
        } else 0.0

    measurement = made_up.measure(times, "patch").measurement
    assert measurement is not None
    assert {s.block for s in measurement.samples if s.disturbed} == {3, 5}
    assert sorted({s.block for s in measurement.samples}) == list(range(1, 15))
    assert measurement.repeated_blocks == 2
    assert [s.others_cpu for s in measurement.samples if s.block == 3 and s.arm == "base"] == [0.5]
    assert made_up.told[-1] == (12, 24) and len(made_up.told) == 14
    assert {c.blocks for c in measurement.comparisons} == {12}
    assert measurement.stopped == "decided"


def test_on_a_machine_that_is_always_disturbed_measuring_ends_all_the_same(made_up: MadeUp) -> None:
    measurement = made_up.measure(lambda _, n: (jitter(n), 0.9), "patch", method=Method(looks=(12,))).measurement
    assert measurement is not None
    assert measurement.repeated_blocks == 3, "a quarter of twelve"
    assert sorted({s.block for s in measurement.samples}) == list(range(1, 16))
    assert {s.block for s in measurement.samples if s.disturbed} == {1, 2, 3}


def test_the_rule_never_looks_at_the_seconds(made_up: MadeUp) -> None:
    measurement = made_up.measure(lambda _, n: (100.0 if n == 4 else jitter(n), 0.1), "patch").measurement
    assert measurement is not None
    assert measurement.repeated_blocks == 0


def test_a_method_may_repeat_nothing(made_up: MadeUp) -> None:
    method = Method(looks=(12,), disturbed=None)
    measurement = made_up.measure(lambda _, n: (jitter(n), 0.9), "patch", method=method).measurement
    assert measurement is not None
    assert measurement.repeated_blocks is None
    assert not any(s.disturbed for s in measurement.samples)


def test_where_nobody_could_look_the_number_of_repeated_blocks_is_unknown(made_up: MadeUp) -> None:
    measurement = made_up.measure(lambda _, n: (jitter(n), None), "patch", method=Method(looks=(12,))).measurement
    assert measurement is not None
    assert measurement.repeated_blocks is None


def test_a_patch_that_is_decided_does_not_pay_for_one_that_is_not(made_up: MadeUp) -> None:
    def times(arm: str, number: int) -> tuple[float, float | None]:
        wild = (1.4, 0.7, 1.1)[number % 3] if arm == "wild" else 1.0
        return jitter(number) * wild / (2 if arm in {"patch", "expert"} else 1), 0.0

    measurement = made_up.measure(times, "expert", "patch", "wild").measurement
    assert measurement is not None
    blocks = {arm: len([s for s in measurement.samples if s.arm == arm]) for arm in ("patch", "wild", "expert", "base")}
    assert blocks == {"patch": 12, "wild": 24, "expert": 24, "base": 24}
    assert measurement.stopped == "max_blocks"
    (whole,) = (c for c in measurement.comparisons if (c.arm, c.against, c.workload) == ("patch", "base", None))
    assert (whole.decision, whole.blocks) == ("faster", 12)


def test_a_wrong_patch_leaves_and_is_not_waited_for(made_up: MadeUp) -> None:
    made_up.outputs["patch"] = b"1:2"
    found = made_up.measure(lambda _, n: (jitter(n), 0.0), "patch", "other", waited_for=("patch",))
    assert found.wrong.keys() == {"patch"}
    assert found.measurement is not None and found.measurement.stopped == "decided"
    assert len(made_up.told) == 12


def test_outputs_that_are_empty_are_none_and_those_that_never_vary_are_named(made_up: MadeUp) -> None:
    for handed_over, expected in ((b"1:1", (True, ("work",))), (b"0:", (False, ("work",))), (b"", (False, ("work",)))):
        made_up.outputs = dict.fromkeys(("base", "control", "patch"), handed_over)
        found = made_up.measure(lambda _, number: (jitter(number), 0.0), "patch")
        assert (found.compared, found.same_for_all) == expected


def test_measuring_stops_where_more_blocks_would_hardly_decide(made_up: MadeUp) -> None:
    def times(arm: str, number: int) -> tuple[float, float | None]:
        return (1.4, 0.7, 1.1)[(number + len(arm)) % 3], 0.0

    method = Method(looks=(12, 24, 36), hopeless=0.1)
    measurement = made_up.measure(times, "patch", method=method).measurement
    assert measurement is not None
    assert measurement.stopped == "hopeless"
    assert len(made_up.told) == 12


def test_warm_ups_are_as_many_as_the_method_says(monkeypatch: pytest.MonkeyPatch) -> None:
    trees: list[bool] = []
    monkeypatch.setattr(measuring, "execute", lambda *_, tree=None: trees.append(tree is None))
    monkeypatch.setattr(measuring, "compile_bytecode", lambda *_: None)
    copy = SimpleNamespace(path=Path("/copy"), upper=None, remove=lambda: None)
    arm = cast(ArmTree, SimpleNamespace(name="base", workspace=lambda _: copy))
    workloads = (Workload(name="one", command="true"), Workload(name="two", command="true"))
    prepared = cast(PreparedTask, SimpleNamespace(task=SimpleNamespace(workloads=workloads)))
    measuring.warm_up(prepared, arm, Bubblewrap(), Path("/tmp"), 1, 3)
    assert trees == [False, True, True] * 2, "the first on a throwaway copy, the others as they are measured"


# The processor's accounts


def test_the_share_of_others_is_what_was_neither_idle_nor_the_sample_s(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\ncpu10 100 0 50 200 100 0 0 25 0 0\nintr 1\n")
    found = accounts(10, stat)
    assert found is not None and (found.total, found.idle_s) == (475, 3.0)
    assert accounts(1, stat) is None
    assert accounts(0, tmp_path / "missing") is None
    before, after = Accounts(10.0, 100, 3.0), Accounts(12.0, 300, 3.5)
    assert share_of_others(before, after, 1.0) == pytest.approx(0.25)
    assert share_of_others(before, None, 1.0) is None
    assert share_of_others(before, Accounts(12.0, 100, 3.0), 1.0) is None, "counters that stand still say nothing"


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e6), st.integers(0, 10**9))
def test_a_share_is_between_none_and_all(wall: float, idle: float, own: float, ticks: int) -> None:
    share = share_of_others(Accounts(0.0, 0, 0.0), Accounts(wall, ticks, idle), own)
    assert share is None or 0 <= share <= 1


# Real processes


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, project: Project, cache: Cache) -> PreparedTask:
    return prepare_small(tmp_path_factory.mktemp("measuring"), project, cache)


@pytest.fixture(scope="module")
def arm(prepared: PreparedTask, tmp_path_factory: pytest.TempPathFactory) -> ArmTree:
    commits = prepared.commits
    folder = tmp_path_factory.mktemp("arms")
    return make_arm("base", commits.base_tree, prepared, commits.repository, Bubblewrap(), folder)


def run(prepared: PreparedTask, arm: ArmTree, code: str, **options: Any) -> Execution:
    program = f"import os, signal, sys, time\nfrom speedproof_workload import *\n{code}\n"
    workload = Workload(name="work", command=f"exec python -c {shlex.quote(program)}", timeout_s=20)
    return execute(prepared, workload, arm, Bubblewrap(), 7, **options)


@pytest.fixture
def watch() -> Iterator[Watch]:
    cpu = measuring._pinned_cpu()
    if cpu is None:
        pytest.skip("this machine has one processor: nothing is pinned")
    with watching(cpu) as found:
        yield found


@contextlib.contextmanager
def neighbour(cpu: int | None) -> Iterator[None]:
    """A process that never rests, on that CPU."""
    command = ["taskset", "-c", str(cpu), "sh", "-c", "while :; do :; done"]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        yield
    finally:
        process.kill()
        process.wait()


BUSY = "end = time.process_time() + 0.4\nwhile time.process_time() < end: pass"


@pytest.mark.sandbox
def test_every_execution_has_empty_folders_of_its_own(prepared: PreparedTask, arm: ArmTree) -> None:
    code = """
places = ["/tmp", "/var/tmp", "/dev/shm", os.path.expanduser("~"), os.environ["TMPDIR"]]
seen = {p: os.listdir(p) for p in places if os.path.isdir(p)}
for place in seen:
    with open(place + "/answers", "w") as file:
        file.write("42")
start(); stop(seen)
"""
    first, second = run(prepared, arm, code), run(prepared, arm, code)
    assert first.outputs == second.outputs
    assert b"answers" not in second.outputs and b"/dev/shm" in second.outputs


@pytest.mark.sandbox
def test_what_others_take_of_the_processor_is_seen(prepared: PreparedTask, arm: ArmTree, watch: Watch) -> None:
    with neighbour(watch.cpu):
        found = run(prepared, arm, f"start()\n{BUSY}\nstop(0)", watch=watch)
    assert found.others_cpu is not None and found.others_cpu > 0.3


@pytest.mark.sandbox
def test_no_process_of_a_patch_passes_for_somebody_else_s(prepared: PreparedTask, arm: ArmTree, watch: Watch) -> None:
    if watch.group is None:
        pytest.skip("no control groups can be made here")
    forgotten = (
        f"signal.signal(signal.SIGCHLD, signal.SIG_IGN)\nif os.fork() == 0:\n    exec({BUSY!r})\n    os._exit(0)"
    )
    code = f"start()\n{forgotten}\ntry:\n    os.wait()\nexcept ChildProcessError:\n    pass\nstop(0)"
    with raised() as nice:
        if nice != WANTED:
            pytest.skip("this user may not raise a priority: others are always there")
        found = min(
            (run(prepared, arm, code, watch=watch, nice=nice) for _ in range(3)), key=lambda e: e.others_cpu or 0
        )
    assert found.cpu_s < 0.4, "nobody reaped it: the accounts of its parent know nothing of it"
    assert found.others_cpu is not None and found.others_cpu < 0.35


@pytest.mark.sandbox
def test_a_raised_workload_leaves_little_to_a_busy_neighbour(
    prepared: PreparedTask, arm: ArmTree, watch: Watch
) -> None:
    with neighbour(watch.cpu), raised() as nice:
        if nice != WANTED:
            pytest.skip("this user may not raise a priority")
        shares = [run(prepared, arm, f"start()\n{BUSY}\nstop(0)", watch=watch, nice=nice).others_cpu for _ in range(2)]
    assert min(s for s in shares if s is not None) < 0.4
    with raised() as again:
        assert again == nice, "it was given back in between"


# What is not measured


def test_work_side_by_side_comes_back_in_order_and_its_errors_are_raised() -> None:
    assert side_by_side(lambda n: n * n, range(20)) == [n * n for n in range(20)]
    done: list[int] = []

    def work(number: int) -> None:
        if number == 1:
            raise ValueError("one")
        done.append(number)

    with pytest.raises(ValueError, match="one"):
        side_by_side(work, [0, 1])
    assert done == [0]


def test_work_side_by_side_ends_with_the_ctrl_c_that_its_waiter_gets() -> None:
    ended: list[int] = []

    def work(number: int) -> None:
        try:
            if number == 0:
                raise KeyboardInterrupt  # as the thread gets it that waits for all
            deadline = time.monotonic() + 20
            while (left := deadline - time.monotonic()) > 0:
                time.sleep(no_longer_than(left))
        finally:
            ended.append(number)

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        side_by_side(work, range(len(os.sched_getaffinity(0))))
    assert time.monotonic() - began < 5
    assert 0 in ended
    assert no_longer_than(20) == 20, "nobody interrupts what runs alone"


def test_who_may_not_raise_a_priority_measures_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("speedproof.sandbox.priority.os.setpriority", refuse)
    with raised() as nice:
        assert nice is None

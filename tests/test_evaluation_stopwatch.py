"""The stopwatch: what a workload says on its descriptor, whatever it says, and what it may not get away with."""

import contextlib
import itertools
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_project import Project, prepare_small
from speedproof.evaluation.arms import ArmTree, make_arm
from speedproof.evaluation.measuring import protocol, stopwatch
from speedproof.evaluation.measuring.protocol import Protocol, WorkloadFailed, parts
from speedproof.evaluation.measuring.stopwatch import Execution, execute
from speedproof.evaluation.prepared import PreparedTask
from speedproof.sandbox import Bubblewrap
from speedproof.tasks.models import Workload
from speedproof.workspace.cache import Cache

LINES = st.sampled_from(
    [
        b"start\n",
        b"stop\n",
        b"stop now\n",
        b"output 3\nabc",
        b"output 0\n",
        b"output 9\nstop\nstop",
        b'metric {"name": "rate", "value": 2}\n',
        b'metric {"name": "rate", "value": 1e999}\n',
        b'metric {"name": "\\ud800", "value": 1}\n',
        b'metric {"name": "x", "value": 1' + b"0" * 400 + b"}\n",
        b"metric " + b"[" * 30_000 + b"\n",
        b"x" * 70_000,
        b"\n",
        b"\xff\xfe\n",
    ]
)
STREAMS = st.lists(LINES | st.binary(max_size=12), max_size=8).map(b"".join) | st.just(b"start\n" * 2)


def outcome(chunks: list[bytes]) -> object:
    """All that a stream comes to: its error, or what was understood."""
    heard = Protocol()
    try:
        for chunk in chunks:
            heard.feed(chunk, 1.0)
    except WorkloadFailed as error:
        return str(error)
    return heard.started, heard.stopped, b"".join(heard.outputs), heard.reported


@given(STREAMS, st.lists(st.integers(0, 80_000), max_size=6))
def test_however_the_bytes_arrive_they_mean_the_same(stream: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    chunks = [stream[a:b] for a, b in itertools.pairwise(places)]
    assert outcome(chunks) == outcome([stream])


@given(st.lists(st.binary(max_size=40), max_size=10))
def test_arbitrary_bytes_are_a_failed_workload_at_worst(chunks: list[bytes]) -> None:
    outcome(chunks)
    outcome([b"start\nmetric ", *chunks, b"\n"])
    outcome([b"start\noutput ", *chunks, b"\nstop\n"])


@given(st.lists(st.binary(max_size=30), max_size=6))
def test_what_was_handed_over_can_be_taken_apart_again(given_parts: list[bytes]) -> None:
    heard = Protocol()
    heard.feed(b"start\n" + b"".join(b"output %d\n%b" % (len(p), p) for p in given_parts), 1.0)
    assert parts(b"".join(heard.outputs)) == given_parts


def test_two_outputs_are_not_one() -> None:
    ends = [b"output 1\naoutput 1\nbstop\n", b"output 2\nabstop\n", b"output 1\naoutput 0\noutput 1\nbstop\n"]
    assert len({str(outcome([b"start\n", end])) for end in ends}) == 3


def test_outputs_and_metrics_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MAX_OUTPUT", 10_000)
    assert outcome([b"start\n", b"output 0\n" * 2_000]) == "handed over more than 10000 bytes of outputs"
    many = b"".join(b'metric {"name": "m%d", "value": 1}\n' % i for i in range(200))
    assert outcome([many]) == "reported more than 100 metrics"


# Real processes


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, project: Project, cache: Cache) -> PreparedTask:
    return prepare_small(tmp_path_factory.mktemp("stopwatch"), project, cache)


@pytest.fixture(scope="module")
def arm(prepared: PreparedTask, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArmTree]:
    commits = prepared.commits
    folder = tmp_path_factory.mktemp("arms")
    yield make_arm("base", commits.base_tree, prepared, commits.repository, Bubblewrap(), folder)


def run(prepared: PreparedTask, arm: ArmTree, code: str, timeout_s: float = 10) -> Execution:
    program = (
        f"import os, sys, time\nfrom speedproof_workload import *\nfd = int(os.environ['SPEEDPROOF_FD'])\n{code}\n"
    )
    workload = Workload(name="work", command=f"exec python -c {shlex.quote(program)}", timeout_s=timeout_s)
    return execute(prepared, workload, arm, Bubblewrap(), 7)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("", "ended before it said start (exit code 0)"),
        ("sys.exit(3)", "ended before it said start (exit code 3)"),
        ("start()", "ended before it said stop (exit code 0)"),
        ("time.sleep(60)", "did not say start within its limit"),
        ("start(); time.sleep(60)", "did not say stop within its limit"),
        ("start(); raise ValueError('no such luck')", "ValueError: no such luck"),
        ("start(); os.kill(os.getpid(), 11)", "ended before it said stop (signal 11)"),
        ("start(); os.close(fd); time.sleep(60)", "ended before it said stop"),
        ("os.write(fd, b'hello\\n')", "broke the protocol with the line b'hello'"),
        ("os.write(fd, b'stop\\n')", "broke the protocol with the line b'stop'"),
        ("start(); os.write(fd, b'start\\n')", "broke the protocol with the line b'start'"),
        ("start()\nwhile True: os.write(fd, b'x' * 65536)", "wrote no line of the protocol"),
        ("start()\nwhile True: os.write(1, b'x' * 65536)", "did not say stop within its limit"),
        ("start(); os.write(fd, b'output 99999999999\\n'); time.sleep(60)", "handed over more than"),
        ("report('rate', 1); os.write(fd, b'metric 1\\n')", "reported a metric that cannot be read"),
    ],
)
def test_a_workload_that_gives_no_measurement_says_why(
    prepared: PreparedTask, arm: ArmTree, code: str, says: str
) -> None:
    with pytest.raises(WorkloadFailed) as caught:
        run(prepared, arm, code, timeout_s=1)
    assert says in str(caught.value)
    assert len(str(caught.value)) < 20_000


def test_outputs_beyond_the_limit_are_refused(
    prepared: PreparedTask, arm: ArmTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "MAX_OUTPUT", 100_000)
    run(prepared, arm, "start(); stop(bytes(99_000))")
    with pytest.raises(WorkloadFailed, match="more than 100000 bytes"):
        run(prepared, arm, "start(); stop(bytes(101_000))")


def test_a_second_stop_changes_nothing(prepared: PreparedTask, arm: ArmTree) -> None:
    once = run(prepared, arm, "start(); stop(1)")
    twice = run(prepared, arm, "start(); os.write(fd, b'output 1\\n1stop\\noutput 1\\n2stop\\n'); time.sleep(5)")
    assert twice.outputs == once.outputs == b"1:1"
    assert twice.seconds < 2


def test_what_is_printed_is_no_measurement(prepared: PreparedTask, arm: ArmTree) -> None:
    code = "os.write(1, b'start\\noutput 1\\n9stop\\n\\x00\\xff'); start(); print('0.000001 s'); stop('real')"
    assert run(prepared, arm, code).outputs == b'6:"real"'


def test_seconds_are_those_between_start_and_stop_as_seen_from_outside(prepared: PreparedTask, arm: ArmTree) -> None:
    code = "time.sleep(0.3); start(); time.perf_counter = lambda: 0; time.sleep(0.2); stop(0)"
    found = min((run(prepared, arm, code) for _ in range(2)), key=lambda e: e.seconds)
    assert 0.2 <= found.seconds < 0.4
    assert found.setup_s > 0.3
    assert found.after_stop_s == 0
    assert found.cpu_s < 0.3


def test_work_too_short_to_be_timed_is_never_called_zero(prepared: PreparedTask, arm: ArmTree) -> None:
    found = run(prepared, arm, "os.write(fd, b'start\\noutput 0\\nstop\\n')")
    assert found.seconds - found.after_stop_s == pytest.approx(stopwatch.RESOLUTION_S)


def test_processor_seconds_and_memory_are_those_of_all_its_processes(prepared: PreparedTask, arm: ArmTree) -> None:
    busy = "end = time.process_time() + 0.2\nwhile time.process_time() < end: pass"
    code = f"start()\nif os.fork():\n    os.wait(); stop(0)\nelse:\n    x = b'x' * 60_000_000\n    exec({busy!r})"
    found = run(prepared, arm, code)
    assert 0.2 < found.cpu_s < 1.5
    assert found.max_rss_bytes is not None and 60_000_000 < found.max_rss_bytes < 200_000_000


def processes_with(marker: str) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if marker in (folder / "cmdline").read_text(errors="replace"):
                found.append(int(folder.name))
    return found


def test_nothing_goes_on_after_the_stop(prepared: PreparedTask, arm: ArmTree) -> None:
    marker = "marker_of_a_daemon_that_must_end"
    daemon = "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(600)\n    os._exit(0)"
    thread = "import threading\nthreading.Thread(target=lambda: [None for _ in iter(int, 1)]).start()"
    began = time.monotonic()
    found = run(prepared, arm, f"{marker} = 1\n{daemon}\nstart()\n{thread}\nstop(0)\ntime.sleep(600)", timeout_s=30)
    assert time.monotonic() - began < 10
    assert found.seconds < 2
    assert processes_with(marker) == []


def test_a_failed_workload_leaves_no_process_either(prepared: PreparedTask, arm: ArmTree) -> None:
    marker = "marker_of_a_workload_that_hangs"
    with pytest.raises(WorkloadFailed):
        run(prepared, arm, f"{marker} = 1\nos.fork()\nos.setsid()\ntime.sleep(600)", timeout_s=0.5)
    assert processes_with(marker) == []


def test_the_seed_of_hashes_gives_the_input_s_seed_away_to_nobody(prepared: PreparedTask, arm: ArmTree) -> None:
    box = stopwatch.workload_box(prepared, prepared.task.workloads[0], arm, 1234, 9)
    again = stopwatch.workload_box(prepared, prepared.task.workloads[0], arm, 1234, 9)
    assert box.env["PYTHONHASHSEED"] == again.env["PYTHONHASHSEED"] != box.env["SPEEDPROOF_SEED"] == "1234"
    assert 0 <= int(box.env["PYTHONHASHSEED"]) < 2**32

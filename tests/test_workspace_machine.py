"""Agents and the stopwatch on one machine: never at once unless forced, whoever holds it, however it ends."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from speedproof.errors import RecordError
from speedproof.workspace.cache import Cache
from speedproof.workspace.machine import AgentsAtWork, agents_at_work, stopwatch

HOLD = """
import sys
from pathlib import Path
from speedproof.workspace import machine
cache = machine.Cache(Path(sys.argv[1]))
with getattr(machine, sys.argv[2])(cache, sys.argv[3], lambda said: print(said, flush=True)):
    print("held", flush=True)
    sys.stdin.read()
"""


class Other:
    """Another process that lets agents work, or measures, until it is told to end."""

    def __init__(self, what: str, who: str, root: Path) -> None:
        command = [sys.executable, "-c", HOLD, str(root), what, who]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def says(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        self.process.communicate(timeout=20)


Start = Callable[[str, str], Other]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    begun: list[Other] = []

    def another(what: str, who: str) -> Other:
        begun.append(Other(what, who, tmp_path))
        return begun[-1]

    yield another
    for other in begun:
        other.process.kill()
        other.process.communicate()


@contextmanager
def in_a_thread(what: AbstractContextManager[object]) -> Iterator[threading.Event]:
    """Enter `what` beside us; the event is set once it is entered."""
    entered, leave = threading.Event(), threading.Event()

    def work() -> None:
        with what:
            entered.set()
            leave.wait()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield entered
    finally:
        leave.set()
        thread.join()


def test_measuring_waits_for_another_run_s_agents_and_says_whose(tmp_path: Path, start: Start) -> None:
    other = start("agents_at_work", "run one")
    assert other.says() == "held"
    said: list[str] = []
    with in_a_thread(stopwatch(Cache(tmp_path), "task t", said.append)) as measuring:
        assert not measuring.wait(0.5)
        assert said == [f"waiting for the stopwatch: agents of run one (process {other.process.pid})"]
        other.end()
        assert measuring.wait(5)


def test_agents_wait_while_another_process_measures_and_are_told_what(tmp_path: Path, start: Start) -> None:
    other = start("stopwatch", "task unique")
    assert other.says() == "held"
    said: list[str] = []
    with in_a_thread(agents_at_work(Cache(tmp_path), "run two", said.append)) as working:
        assert not working.wait(0.5)
        assert said == [f"agents wait while somebody measures: task unique (process {other.process.pid})"]
        other.end()
        assert working.wait(5)


def test_two_measurements_are_made_one_after_the_other(tmp_path: Path, start: Start) -> None:
    first = start("stopwatch", "task a")
    assert first.says() == "held"
    second = start("stopwatch", "task b")
    assert second.says() == f"waiting for the stopwatch: task a (process {first.process.pid}) measures"
    first.end()
    assert second.says() == "held"


def test_locks_are_no_entries_of_the_cache_that_could_be_freed(tmp_path: Path) -> None:
    with agents_at_work(Cache(tmp_path), "run"):
        pass
    with stopwatch(Cache(tmp_path), "task"):
        pass
    assert Cache(tmp_path).entries() == []


def test_agents_of_many_runs_work_side_by_side(tmp_path: Path, start: Start) -> None:
    assert start("agents_at_work", "run one").says() == "held"
    with agents_at_work(Cache(tmp_path), "run two"), agents_at_work(Cache(tmp_path), "run three"):
        assert len(list((tmp_path / "machine" / ".agents").iterdir())) == 3
    assert len(list((tmp_path / "machine" / ".agents").iterdir())) == 1


@pytest.mark.parametrize("what", ["agents_at_work", "stopwatch"])
def test_what_a_killed_process_held_is_free(tmp_path: Path, start: Start, what: str) -> None:
    other = start(what, "run one")
    assert other.says() == "held"
    other.process.kill()
    other.process.wait()
    began = time.monotonic()
    with stopwatch(Cache(tmp_path), "task t") as shared:
        assert not shared
    with agents_at_work(Cache(tmp_path), "run two"):
        pass
    assert time.monotonic() - began < 1
    assert list((tmp_path / "machine" / ".agents").iterdir()) == []


def test_who_waits_to_measure_is_not_kept_waiting_by_agents_that_begin(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    agents = AgentsAtWork(cache, "run one")
    assert agents.enter() is None and agents.enter() is None
    with in_a_thread(stopwatch(cache, "task t")) as measuring:
        assert not measuring.wait(0.5)
        assert "task t" in str(agents.enter()), "no further one begins"
        agents.leave()
        assert not measuring.wait(0.5), "one is still at work"
        agents.leave()
        assert measuring.wait(5)
    assert agents.enter() is None
    agents.leave()


def test_whoever_is_forced_to_measure_beside_agents_is_told_that_he_does(tmp_path: Path, start: Start) -> None:
    cache = Cache(tmp_path)
    with stopwatch(cache, "task t", beside_agents=True) as shared:
        assert not shared
        assert AgentsAtWork(cache, "run").enter() is not None, "nobody was at work: then nobody begins either"
    other = start("agents_at_work", "run one")
    assert other.says() == "held"
    with stopwatch(cache, "task t", beside_agents=True) as shared:
        assert shared
        with agents_at_work(cache, "run two"):
            pass


def test_two_measurements_exclude_each_other_even_when_forced(tmp_path: Path, start: Start) -> None:
    cache = Cache(tmp_path)

    def stop(said: str) -> None:
        raise InterruptedError(said)

    assert start("agents_at_work", "run one").says() == "held"
    with in_a_thread(stopwatch(cache, "task a", beside_agents=True)) as first:
        assert first.wait(5)
        with pytest.raises(InterruptedError, match="task a"), stopwatch(cache, "task b", stop, beside_agents=True):
            pass


def test_a_process_that_lets_go_of_its_agents_can_measure(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for _ in range(3):
        with agents_at_work(cache, "run"):
            pass
        with stopwatch(cache, "task") as shared:
            assert not shared


def test_a_process_that_would_wait_for_itself_is_told_so_instead(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with (
        agents_at_work(cache, "run"),
        pytest.raises(RuntimeError, match="must end them first"),
        stopwatch(cache, "task"),
    ):
        pass
    with stopwatch(cache, "task"):
        pass


def test_attempts_of_an_event_loop_make_way_for_a_measurement_in_a_thread(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    agents = AgentsAtWork(cache, "run")
    measured: list[bool] = []

    def judge() -> None:
        with stopwatch(cache, "task") as shared:
            measured.append(shared)

    async def work() -> None:
        assert agents.enter() is None
        judging = asyncio.create_task(asyncio.to_thread(judge))
        await asyncio.sleep(0.4)
        assert measured == []
        agents.leave()
        await judging

    asyncio.run(work())
    assert measured == [False]


def test_a_cache_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "machine").write_text("not a folder")
    with pytest.raises(RecordError, match="cannot write the cache"), agents_at_work(Cache(tmp_path), "run"):
        pass
    with pytest.raises(RecordError, match="cannot write the cache"), stopwatch(Cache(tmp_path), "task"):
        pass

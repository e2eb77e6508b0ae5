"""House-keeping: what is held is shown, what crashes left is freed, and nothing that anybody needs goes."""

import ast
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import record_builder
import speedproof
from speedproof.diagnosis import RULES
from speedproof.execution import housekeeping
from speedproof.execution.housekeeping import Holding, keep_house
from speedproof.execution.scratch import Scratch
from speedproof.journal import AttemptStore, RunStore
from speedproof.sandbox.orphans import MARK, own_mark
from speedproof.workspace.cache import Cache
from speedproof.workspace.checkout import Base, Workspace
from speedproof.workspace.leftovers import end_work_in, left_processes

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
WORKS = (
    "import sys; from speedproof.workspace.cache import Cache; from pathlib import Path; c = Cache(Path(sys.argv[1]))\n"
)


@pytest.fixture
def own(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def run(tmp_path: Path) -> RunStore:
    """A run of one sealed attempt."""
    planned = [(record_builder.plan("one", "shell", "scripted:x.yaml"), [record_builder.Kind()])]
    return record_builder.build(tmp_path / "state", planned)


def of(found: list[Holding], kind: str) -> list[tuple[str, str]]:
    """Name, without the folder, and state of the things of a kind."""
    return [(Path(holding.name).name, holding.state) for holding in found if holding.kind == kind]


def another_process(cache: Cache, code: str) -> "subprocess.Popen[str]":
    """A process with the cache `c`; back when it prints."""
    process = subprocess.Popen(
        [sys.executable, "-c", f"{WORKS}{code}; print('ready', flush=True); sys.stdin.read()", str(cache.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def end(process: "subprocess.Popen[str]", number: signal.Signals) -> None:
    process.send_signal(number)
    process.communicate()


def age(cache: Cache, days: float) -> None:
    """Let all entries have been asked for so many days ago."""
    then = time.time() - days * 86400
    for path in cache.root.rglob("*"):
        os.utime(path, (then, then), follow_symlinks=False)


def test_an_empty_cache_holds_nothing(own: Cache) -> None:
    assert [h for h in keep_house(own, free=True, caches=True) if h.kind not in {"group", "process", "work"}] == []


def test_entries_are_shown_with_size_and_last_use(own: Cache) -> None:

    def make(folder: Path) -> None:
        (folder / "file").write_bytes(b"x" * 100_000)

    own.entry("bases", "b", make)
    (found,) = [holding for holding in keep_house(own) if holding.kind == "bases"]
    assert found.bytes is not None and found.bytes >= 100_000
    assert found.used_at is not None and abs(found.used_at.timestamp() - time.time()) < 60
    assert (found.state, found.name) == ("in use", str(own.root / "bases" / "b"))


def test_only_entries_that_nobody_asked_for_in_long_are_freed_and_only_when_asked(own: Cache) -> None:
    end(another_process(own, "[c.entry('bases', n, lambda folder: None) for n in 'ab']"), signal.SIGKILL)
    age(own, 40)
    asks = another_process(own, "c.entry('bases', 'a', lambda folder: None)")
    assert of(keep_house(own), "bases") == [("a", "in use"), ("b", "unused")]
    assert of(keep_house(own, free=True), "bases") == [("a", "in use"), ("b", "unused")]
    end(asks, signal.SIGTERM)
    assert of(keep_house(own, unused=timedelta(days=50)), "bases") == [("a", "kept"), ("b", "kept")]
    assert of(keep_house(own, free=True, caches=True), "bases") == [("a", "kept"), ("b", "freed")]
    assert [p.name for p in (own.root / "bases").glob("[!.]*")] == ["a"]
    assert of(keep_house(own), "bases") == [("a", "kept")]


def test_an_entry_that_is_freed_is_made_again(own: Cache) -> None:
    end(another_process(own, "c.entry('bases', 'a', lambda folder: None)"), signal.SIGKILL)
    keep_house(own, free=True, caches=True, unused=timedelta(0))
    assert not (own.root / "bases" / "a").exists()
    again = another_process(own, "c.entry('bases', 'a', lambda folder: None)")
    assert (own.root / "bases" / "a").is_dir()
    assert of(keep_house(own, free=True, caches=True, unused=timedelta(0)), "bases") == [("a", "in use")]
    end(again, signal.SIGTERM)


def test_every_kind_of_entry_that_is_made_is_known_here() -> None:
    """Otherwise it would never be freed."""
    kinds = set()
    for file in Path(speedproof.__file__).parent.rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text())):
            if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("cache.entry"):
                kinds.add(ast.literal_eval(call.args[0]))
    assert len(kinds) > 7
    assert kinds <= housekeeping._KINDS.keys()


def test_the_work_of_a_killed_process_is_freed_and_that_of_a_living_one_is_not(own: Cache) -> None:
    lives = another_process(own, "c.scratch('judge')")
    dies = another_process(own, "c.scratch('judge')")
    end(dies, signal.SIGKILL)
    assert sorted(state for _, state in of(keep_house(own), "work")) == ["in use", "left"]
    assert sorted(state for _, state in of(keep_house(own, free=True), "work")) == ["freed", "in use"]
    assert [state for _, state in of(keep_house(own), "work") if state == "left"] == []
    assert len(list((own.root / "work").glob("*/judge-*"))) == 1
    end(lives, signal.SIGTERM)


def test_the_work_of_a_sealed_attempt_is_freed(own: Cache, run: RunStore) -> None:
    (store,) = run.attempts()
    scratch = Scratch.new(store, own, ())
    assert of(keep_house(own), "attempt") == [(scratch.folder.name, "left")]
    assert scratch.folder.is_dir()
    assert of(keep_house(own, free=True), "attempt") == [(scratch.folder.name, "freed")]
    assert not scratch.folder.exists()


def open_attempt(run: RunStore) -> AttemptStore:
    store = next(run.attempts())
    return run.new_attempt(store.folder.parent.name)


def test_an_open_attempt_is_sealed_before_its_work_is_freed(own: Cache, run: RunStore) -> None:
    stores = [open_attempt(run), open_attempt(run)]
    scratches = [Scratch.new(store, own, ()) for store in stores]
    (first, second) = [holding for holding in keep_house(own) if holding.kind == "attempt"]
    assert {first.state, second.state} == {"kept"} and f"speedproof resume {run.id}" in first.why
    assert all(scratch.folder.is_dir() for scratch in scratches)
    assert {state for _, state in of(keep_house(own, free=True), "attempt")} == {"freed"}
    assert not any(scratch.folder.exists() for scratch in scratches)
    for store in stores:
        status = store.status(RULES)
        assert store.read().state == "sealed" and status is not None and status.run == "crashed"


def test_nothing_of_a_run_that_is_under_way_is_touched(own: Cache, run: RunStore) -> None:
    store = open_attempt(run)
    scratch = Scratch.new(store, own, ())
    lock = run.lock()
    assert of(keep_house(own, free=True), "attempt") == [(scratch.folder.name, "in use")]
    run.unlock(lock)
    assert scratch.folder.is_dir() and not (store.folder / "attempt.json").exists()
    assert not any(h.state == "in use" for h in keep_house(own) if h.kind == "attempt")


def test_the_work_of_an_attempt_whose_record_is_gone_is_kept_for_long(own: Cache, run: RunStore) -> None:
    scratch = Scratch.new(open_attempt(run), own, ())
    shutil.rmtree(run.folder)
    for free in (False, True):
        (found,) = [h for h in keep_house(own, free=free) if h.kind == "attempt"]
        assert found.state == "kept" and f"not at {run.folder}" in found.why
    age(own, 40)
    assert of(keep_house(own, free=True), "attempt") == [(scratch.folder.name, "freed")]


@as_root
def test_a_base_that_an_open_attempt_began_from_is_kept(own: Cache, run: RunStore) -> None:
    end(another_process(own, "c.entry('bases', 'b', lambda folder: (folder / 'tree').mkdir())"), signal.SIGKILL)
    store = open_attempt(run)
    scratch = Scratch.new(store, own, ())
    workspace = Workspace(Base(own.root / "bases" / "b" / "tree", "", ""), scratch.tree)
    workspace.keep()
    unused = timedelta(0)
    lock = run.lock()
    (found,) = [h for h in keep_house(own, free=True, caches=True, unused=unused) if h.kind == "bases"]
    assert found.state == "kept" and scratch.folder.name in found.why
    run.unlock(lock)
    workspace.remove()


@as_root
def test_a_mount_that_a_killed_process_left_is_freed_wherever_it_is_seen(own: Cache, run: RunStore) -> None:
    (store,) = run.attempts()
    scratch = Scratch.new(store, own, ())
    point = scratch.folder / "tree"
    point.mkdir()
    script = f"mount -t tmpfs none {point}; echo ready; exec sleep 100"
    elsewhere = subprocess.Popen(["unshare", "--mount", "sh", "-c", script], stdout=subprocess.PIPE)
    assert elsewhere.stdout is not None and elsewhere.stdout.readline() == b"ready\n"
    try:
        assert ("tree", "left") in of(keep_house(own), "mount")
        freed = keep_house(own, free=True)
        assert of(freed, "attempt") == [(scratch.folder.name, "freed")]
        assert str(point) not in Path(f"/proc/{elsewhere.pid}/mountinfo").read_text()
        assert elsewhere.poll() is None, "who only sees it lives on"
    finally:
        elsewhere.kill()
        elsewhere.communicate()


@pytest.fixture
def orphan(own: Cache) -> Iterator["subprocess.Popen[bytes]"]:
    namespace = own_mark().split(".")[0]
    process = subprocess.Popen(["sleep", "100"], env={MARK: f"{namespace}.{os.getpid()}.1"})
    yield process
    process.kill()
    process.wait()


def test_processes_that_outlived_what_started_them_are_named_and_ended(
    own: Cache, orphan: "subprocess.Popen[bytes]"
) -> None:
    named = [h for h in keep_house(own) if h.kind == "process"]
    assert [h.state for h in named if h.name == f"{orphan.pid} sleep 100"] == ["left"]
    assert orphan.poll() is None
    keep_house(own, free=True)
    assert orphan.wait(5) == -signal.SIGKILL


def test_only_programs_of_ours_that_work_in_a_folder_are_ended_there(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    os.mkfifo(folder / "fifo")
    ours = subprocess.Popen(["cat", str(folder / "fifo")], start_new_session=True)
    persons = subprocess.Popen(["cat", str(folder / "fifo")])
    elsewhere = subprocess.Popen(["tail", "-f", f"{folder}-other/x", "/dev/null"], start_new_session=True, stderr=-3)
    try:
        deadline = time.monotonic() + 5
        while left_processes(folder) != [ours.pid] and time.monotonic() < deadline:
            time.sleep(0.01)
        assert left_processes(folder) == [ours.pid]
        assert end_work_in(folder) == 1
        assert ours.wait(5) == -signal.SIGKILL
        assert persons.poll() is None and elsewhere.poll() is None
    finally:
        for process in (ours, persons, elsewhere):
            process.kill()
            process.wait()

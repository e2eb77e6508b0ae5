"""Agents that use up, hide, ignore and destroy: the right class with its evidence, nothing lost, nothing left.

Each is a script in an agent's place, run as any agent is, in bubblewrap and without a sandbox.
"""

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from probe_agent import Attempted, ProbeAgent, Source, attempt, make_source, prepare, running
from speedproof.execution import bounds as bounds_module
from speedproof.execution import launched as launched_module
from speedproof.execution.launched import Launched
from speedproof.execution.preflight import choose_sandbox
from speedproof.execution.stop import Stop
from speedproof.gateway import Gateway
from speedproof.journal import StopCause
from speedproof.journal.attempt import BoundFacts
from speedproof.sandbox import Box, HostSandbox, bounds_in_force
from speedproof.sandbox.cgroups import groups
from speedproof.sandbox.orphans import own_mark
from speedproof.tasks.models import Limits
from speedproof.workspace.cache import Cache
from speedproof.workspace.mounts import mounts_below

BOTH = pytest.mark.parametrize("kind", [pytest.param("bubblewrap", marks=pytest.mark.sandbox), "none"])
GROUPS = bounds_in_force().startswith("cgroup")
in_a_group = pytest.mark.skipif(not GROUPS, reason="no control groups here")
EITHER = pytest.mark.parametrize("groups_or_not", [pytest.param("groups", marks=in_a_group), "watchdog"])
EAT = "held = []\nwhile True:\n    held.append(bytearray(1 << 20))\n"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return make_source(tmp_path_factory.mktemp("source") / "repository")


@pytest.fixture(autouse=True)
def _nothing_stays(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(launched_module, "LOOK_S", 0.25)
    yield
    assert [group.name for group in groups() if own_mark() in group.name] == []
    assert mounts_below(cache.root) == []
    assert not list((cache.root / "work").glob("*/*"))


@pytest.fixture
def watchdog(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which no control group can be had."""
    monkeypatch.setattr(bounds_module, "bounds_in_force", lambda: "watchdog: a test")


@pytest.fixture
def number() -> str:
    """Seconds that only this test's processes sleep."""
    return f"{time.time_ns() % 10**9 + 10**9}.5"


class Ground:
    """Where hostile agents run."""

    def __init__(self, source: Source, cache: Cache, folder: Path) -> None:
        self.source, self.cache, self.folder = source, cache, folder

    def run(self, kind: str, agent: ProbeAgent | str, **limits: float | int | None) -> Attempted:
        agent = ProbeAgent(agent, uses_model=False) if isinstance(agent, str) else agent
        prepared = prepare(self.source, self.cache, Limits.model_validate({"wall_s": 30, "idle_s": 20, **limits}))
        return attempt(agent, prepared, choose_sandbox(kind), self.folder)


@pytest.fixture
def ground(source: Source, cache: Cache, tmp_path: Path) -> Ground:
    return Ground(source, cache, tmp_path)


def ended_by(done: Attempted, cause: StopCause | None, failure: str | None) -> BoundFacts:
    """Checks what ended the attempt, and what is said of it with evidence; returns its bounds."""
    facts = done.facts
    assert facts.state == "sealed" and facts.process is not None and facts.bounds is not None
    assert facts.process.stopped_by is cause, done.status.diagnosis
    found = done.status.diagnosis
    assert (None if found is None else str(found.failure)) == failure, found
    assert found is None or (found.evidence and all(e.excerpt for e in found.evidence))
    return facts.bounds


# --- memory --------------------------------------------------------------------------------------------------------


@BOTH
@in_a_group
def test_an_agent_that_eats_memory_is_ended_at_its_bound_and_its_work_is_kept(kind: str, ground: Ground) -> None:
    agent = ProbeAgent(python="open('made.txt', 'w').write('kept')\n" + EAT)
    done = ground.run(kind, agent, memory_mb=64)
    bounds = ended_by(done, StopCause.MEMORY, "agent/limit/memory")
    assert bounds.enforced_by == bounds_in_force() and bounds.memory_bytes == 64 << 20
    assert bounds.out_of_memory_kills == 1
    assert done.status.run == "limit" and done.status.diagnosis is not None
    assert any("out_of_memory_kills" in e.excerpt for e in done.status.diagnosis.evidence)
    assert done.facts.patch is not None and done.facts.patch.files == ("made.txt",)


@BOTH
@in_a_group
def test_a_command_that_eats_memory_ends_without_its_agent(kind: str, ground: Ground) -> None:
    eat = "python3 -c 'x = [bytearray(1 << 20) for _ in range(500)]'"
    done = ground.run(kind, f"PATH=/usr/bin:/bin; {eat}; echo $? > made.txt; exit 0", memory_mb=64)
    bounds = ended_by(done, None, "agent/no_patch")  # only a scratch file: nothing else was wrong
    assert bounds.out_of_memory_kills == 1
    assert (done.store.folder / "patch.diff").read_text().endswith("+137\n")


@BOTH
def test_a_watchdog_ends_an_agent_that_eats_memory(kind: str, ground: Ground, watchdog: None) -> None:
    eat = "import time\nheld = [bytearray(1 << 20) for _ in range(200)]\ntime.sleep(60)\n"
    bounds = ended_by(ground.run(kind, ProbeAgent(python=eat), memory_mb=64), StopCause.MEMORY, "agent/limit/memory")
    assert bounds.enforced_by == "watchdog" and (bounds.memory_peak_bytes or 0) > 64 << 20


# --- processes -----------------------------------------------------------------------------------------------------


BOMB = """
import os, subprocess, time
while True:
    try:
        subprocess.Popen(["/bin/sleep", "{n}"])
        os.fork()
    except OSError:
        time.sleep(0.02)
"""


@BOTH
@in_a_group
def test_a_fork_bomb_is_refused_and_ended(
    kind: str, ground: Ground, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds_module, "REFUSED_LOOKS", 2)
    monkeypatch.setattr(launched_module, "GRACE_S", 0.5)
    agent = ProbeAgent(python=BOMB.format(n=number))
    bounds = ended_by(ground.run(kind, agent, processes=40), StopCause.PROCESSES, "agent/limit/processes")
    assert bounds.processes == 40 and bounds.processes_peak in {39, 40, None}
    assert (bounds.refused_processes or 0) > 0
    assert running(number) == []


@BOTH
@in_a_group
def test_an_agent_that_fails_because_processes_are_refused_is_at_its_limit(kind: str, ground: Ground) -> None:
    agent = "PATH=/usr/bin:/bin; set -e; for i in 1 2 3 4 5 6 7 8 9; do sleep 30 & done; wait"
    bounds = ended_by(ground.run(kind, agent, processes=5), None, "agent/limit/processes")
    assert (bounds.refused_processes or 0) > 0


@BOTH
def test_a_watchdog_ends_a_fork_bomb(
    kind: str, ground: Ground, watchdog: None, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launched_module, "GRACE_S", 0.2)
    agent = f"i=0; while [ $i -lt 200 ]; do sleep {number} & i=$((i+1)); done; wait"
    bounds = ended_by(ground.run(kind, agent, processes=60), StopCause.PROCESSES, "agent/limit/processes")
    assert bounds.enforced_by == "watchdog" and (bounds.processes_peak or 0) > 60
    assert running(number) == []


# --- the whole tree ------------------------------------------------------------------------------------------------

DAEMON = "(env -i /bin/sh -c '(setsid /bin/sh -c \"trap : TERM HUP INT; sleep {n}; sleep {n}\" &) &' &) ; "


@BOTH
@EITHER
def test_a_daemon_that_hid_itself_ends_with_the_agent(
    kind: str, groups_or_not: str, ground: Ground, number: str, request: pytest.FixtureRequest
) -> None:
    if groups_or_not == "watchdog":
        request.getfixturevalue("watchdog")
    done = ground.run(kind, "PATH=/usr/bin:/bin; " + DAEMON.format(n=number) + "sleep 0.3; echo done")
    assert done.stdout == "done"
    assert running(number) == []
    left = done.facts.bounds.left_running if done.facts.bounds is not None else 0
    assert left == (None if kind == "bubblewrap" else 2), "a namespace takes them with it uncounted"


@in_a_group
def test_without_a_sandbox_an_agent_that_kills_its_supervisor_is_ended_all_the_same(
    ground: Ground, number: str
) -> None:
    done = ground.run("none", f"sleep {number} & sleep 0.1; kill -KILL $PPID; sleep {number}")
    assert running(number) == []
    assert done.facts.process is not None and done.facts.process.signal == 9
    assert done.facts.bounds is not None and done.facts.bounds.enforced_by.startswith("cgroup")


def _launched(kind: str, command: str, stop: Stop, folder: Path) -> tuple[float, StopCause | None, list[str]]:
    """Launch a command, and ask it to stop after half a second, and again after another half."""
    causes: list[str] = []

    async def live() -> StopCause | None:
        async with Gateway() as gateway:
            launch = Launched(
                choose_sandbox(kind), gateway, None, Limits(), stop, name="t", written=[folder], stopping=causes.append
            )
            (folder / "stdin").write_bytes(b"")
            for delay in (0.5, 1.0):
                asyncio.get_running_loop().call_later(delay, stop.ask)
            box = Box(("/bin/sh", "-c", command), env={"PATH": "/usr/bin:/bin"}, cwd="/")
            return (await launch.run(box, folder / "stdin", folder)).stopped

    began = time.monotonic()
    stopped = asyncio.run(live())
    return time.monotonic() - began, stopped, causes


@BOTH
def test_a_second_ctrl_c_ends_an_agent_that_ignores_the_first_at_once(kind: str, number: str, tmp_path: Path) -> None:
    command = f"trap '' TERM INT; sleep {number} & while :; do sleep 0.05; done"
    took, stopped, causes = _launched(kind, command, Stop(), tmp_path)
    assert (stopped, causes) == (StopCause.CANCELLED, ["cancelled"])
    assert 1.0 <= took < launched_module.GRACE_S
    assert running(number) == []


# --- output --------------------------------------------------------------------------------------------------------


@pytest.mark.sandbox
def test_gigabytes_of_output_fill_neither_memory_nor_disk(ground: Ground) -> None:
    before = _resident()
    done = ground.run(
        "bubblewrap",
        "PATH=/usr/bin:/bin; echo first; head -c 4000000000 /dev/zero; printf '\\nlast \\377\\000'",
        wall_s=120,
    )
    assert done.facts.process is not None and done.facts.process.exit_code == 0
    lines = done.store.log_lines("stdout.log.zst")
    assert (lines[0], lines[-1]) == ("first", "last \ufffd\0")
    assert sum("bytes are left out here" in line for line in lines) == 1
    assert (done.store.folder / "stdout.log.zst").stat().st_size < 1 << 20
    assert _resident() - before < 300 << 20


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# --- idle and start-up ---------------------------------------------------------------------------------------------


@EITHER
def test_computing_is_no_idling_and_waking_up_now_and_then_is(
    groups_or_not: str, ground: Ground, request: pytest.FixtureRequest
) -> None:
    if groups_or_not == "watchdog":
        request.getfixturevalue("watchdog")
    busy = ground.run("bubblewrap", "echo begin; while :; do :; done", wall_s=2, idle_s=0.6)
    ended_by(busy, StopCause.WALL, "agent/limit/time")
    waking = ground.run("bubblewrap", "echo begin; while :; do sleep 0.2; done", wall_s=20, idle_s=0.6)
    ended_by(waking, StopCause.IDLE, "agent/hang")


def test_an_agent_that_never_says_anything_hangs_at_its_start(ground: Ground) -> None:
    done = ground.run("none", "sleep 60", startup_s=1)
    ended_by(done, StopCause.STARTUP, "agent/hang")
    assert [t.cause for t in done.facts.transitions if t.stage == "stopping"] == ["startup"]


def test_the_record_says_when_and_why_an_agent_was_asked_to_stop(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launched_module, "GRACE_S", 0.5)
    done = ground.run("none", "trap '' TERM; while :; do sleep 0.1; done", wall_s=1)
    stages = {t.stage: t for t in done.facts.transitions}
    assert stages["stopping"].cause == "wall"
    assert 1.0 <= (stages["stopping"].at - stages["running"].at).total_seconds() < 2.0
    assert (stages["collected"].at - stages["stopping"].at).total_seconds() >= 0.5
    quiet = ground.run("none", "echo hello").facts
    assert [t.cause for t in quiet.transitions if t.stage == "stopping"] == ["it ended"]


# --- files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "where"), [pytest.param("bubblewrap", "$PWD", marks=pytest.mark.sandbox), ("none", "$HOME")]
)
def test_too_many_files_end_the_attempt(kind: str, where: str, ground: Ground) -> None:
    fill = "i=0; while :; do i=$((i+1)); : > d/$i; [ $((i % 1000)) = 0 ] && echo $i; done"
    done = ground.run(kind, f"cd {where}; mkdir d; {fill}", files=2000)
    bounds = ended_by(done, StopCause.DISK, "agent/limit/disk")
    assert (bounds.disk_peak_files or 0) > 2000 and bounds.disk_files == 2000
    assert done.status.diagnosis is not None
    assert any("disk_peak_files" in e.excerpt for e in done.status.diagnosis.evidence)


@BOTH
def test_too_many_bytes_are_found_even_at_the_end(kind: str, ground: Ground) -> None:
    done = ground.run(kind, "PATH=/usr/bin:/bin; head -c 40000000 /dev/urandom > $HOME/big", disk_mb=20)
    bounds = ended_by(done, StopCause.DISK, "agent/limit/disk")
    assert (bounds.disk_peak_bytes or 0) > 20 << 20
    assert done.status.diagnosis is not None and done.status.diagnosis.message.startswith("the agent ended after")


@BOTH
def test_a_removed_file_that_grows_is_found_while_it_is_held(kind: str, ground: Ground) -> None:
    endless = "while :; do head -c 1000000 /dev/zero; sleep 0.01; done >&3"
    done = ground.run(kind, f"PATH=/usr/bin:/bin; exec 3> big; rm big; {endless}", disk_mb=20)
    bounds = ended_by(done, StopCause.DISK, "agent/limit/disk")
    assert (bounds.disk_peak_bytes or 0) > 20 << 20


FILL = """
import os, time
print("on", flush=True)
open("made.txt", "w").write("kept")
with open(os.path.expanduser("~/big"), "wb") as big:
    while (disk := os.statvfs(".")).f_bavail * disk.f_frsize > 1 << 20:
        big.write(bytes(1 << 18))
        big.flush()
time.sleep(60)
"""


def test_a_full_disk_under_the_workspaces_is_the_machine_s_fault(source: Source, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "none", str(small)], check=False)
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        ground = Ground(source, Cache(small / "cache"), tmp_path)
        done = ground.run("none", ProbeAgent(python=FILL))
        found = done.status.diagnosis
        assert found is not None and found.failure == "infrastructure/disk_full", found
        assert done.facts.process is not None and done.facts.process.wall_s < 20
        assert done.facts.bounds is not None and done.facts.bounds.disk_least_free_bytes is not None
        assert "MiB are free" in found.message
        assert done.stdout == "on"
        assert done.facts.patch is not None and done.facts.patch.files == ("made.txt",)
        assert mounts_below(small) == []
    finally:
        subprocess.run(["umount", "--lazy", str(small)], check=True)


def test_a_log_that_the_disk_refuses_ends_the_agent_as_a_full_disk(full_disk: Path, tmp_path: Path) -> None:
    async def live() -> tuple[float, BaseException | None]:
        async with Gateway() as gateway:
            launch = Launched(HostSandbox(), gateway, None, Limits(), Stop(), name="t", written=[tmp_path])
            (tmp_path / "stdin").write_bytes(b"")
            box = Box(("/bin/sh", "-c", "head -c 900000 /dev/urandom; sleep 60"), env={"PATH": "/usr/bin"}, cwd="/")
            ran = await launch.run(box, tmp_path / "stdin", full_disk)
            return ran.finished.wall_s, ran.failure

    wall_s, failure = asyncio.run(live())
    assert isinstance(failure, OSError) and failure.errno == 28
    assert wall_s < 20


@BOTH
def test_an_agent_that_destroys_its_workspace_and_home_leaves_an_honest_patch(kind: str, ground: Ground) -> None:
    gone = "rm -rf $PWD/* $PWD/.[!.]* $HOME/* $PWD 2>/dev/null; echo done"
    done = ground.run(kind, f"PATH=/usr/bin:/bin; {gone}")
    assert done.facts.error is None and done.facts.state == "sealed"
    assert done.facts.patch is not None
    assert set(done.facts.patch.files) == {"README.md", "pkg/__init__.py", "pkg/slow.py"}
    assert done.stdout == "done"


@BOTH
def test_locks_odd_modes_links_and_names_are_taken_and_removed(kind: str, ground: Ground, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("as it was")
    agent = f"""
import os, subprocess
for name in (b"bad-\\xff-name", b"new\\nline", b"-rf", b"\\xe2\\x80\\xae"):
    open(name, "wb").write(b"\\xff\\x00\\xfe")
os.symlink({str(outside)!r}, "out"); os.symlink("/etc/passwd", "word"); os.symlink("..", "up")
open("suid", "w").write("#!/bin/sh\\n"); os.chmod("suid", 0o6755)
os.mkdir("locked"); open("locked/in", "w").write("x"); os.chmod("locked", 0)
print("printed \\0 and", flush=True); os.write(1, b"\\xff\\xfe\\x00\\n"); os.write(2, b"\\x1b[31m\\x00\\n")
for flag in ("+i", "+a"):
    subprocess.run(["chattr", flag, "suid"], env={{"PATH": "/usr/bin:/bin"}}, stderr=subprocess.DEVNULL)
"""
    done = ground.run(kind, ProbeAgent(python=agent))
    facts = done.facts
    assert facts.error is None and facts.state == "sealed", facts.error
    assert facts.process is not None and facts.process.exit_code == 0, done.stderr
    assert facts.patch is not None and {"out", "word", "up", "suid", "-rf"} <= set(facts.patch.files)
    assert facts.patch.applies
    assert b"root:" not in (done.store.folder / "patch.diff").read_bytes()
    assert [p.name for p in outside.iterdir()] == ["kept"] and (outside / "kept").read_text() == "as it was"
    assert done.stdout.startswith("printed \0 and")

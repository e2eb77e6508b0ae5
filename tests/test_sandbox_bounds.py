"""Control groups: found where they may stand, entered from the first instruction, ended and removed, also by others."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from probe_agent import running
from speedproof.errors import SandboxError
from speedproof.sandbox import Box, Bubblewrap, Confined, Group, HostSandbox, bounds_in_force, left_groups, new_group
from speedproof.sandbox.cgroups import groups
from speedproof.sandbox.hierarchies import HARNESS, find_place, hierarchies
from speedproof.sandbox.orphans import own_mark

here = pytest.mark.skipif(not bounds_in_force().startswith("cgroup"), reason="no control groups here")


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    yield
    assert [group.name for group in groups() if own_mark() in group.name] == []


class Machine:
    """A made-up /proc and /sys/fs/cgroup of version 2."""

    def __init__(self, folder: Path, own: str) -> None:
        self.process, self.root = folder / "proc", folder / "cgroup"
        self.process.mkdir()
        (self.process / "mountinfo").write_text(f"30 24 0:26 / {self.root} rw - cgroup2 cgroup2 rw,nsdelegate\n")
        (self.process / "cgroup").write_text(f"0::{own}\n")

    def group(self, path: str, given: str = "cpu memory pids", handed_on: str = "", memory_max: str = "max") -> Path:
        folder = self.root / path.lstrip("/")
        folder.mkdir(parents=True)
        (folder / "cgroup.procs").write_text("101\n102\n")
        (folder / "cgroup.type").write_text("domain\n")
        (folder / "cgroup.controllers").write_text(given)
        (folder / "cgroup.subtree_control").write_text(handed_on)
        (folder / "memory.max").write_text(memory_max)
        return folder


class TestVersion2:
    def test_a_group_above_that_hands_its_controllers_on_is_the_place(self, tmp_path: Path) -> None:
        machine = Machine(tmp_path, "/app.slice/run-1.scope")
        above = machine.group("/app.slice", handed_on="memory pids")
        machine.group("/app.slice/run-1.scope")
        place = find_place(machine.process)
        assert (place.version, dict(place.folders), place.full) == (2, {"": above}, False)

    def test_no_bound_of_ours_is_left_behind_for_it(self, tmp_path: Path) -> None:
        machine = Machine(tmp_path, "/app.slice/run-1.scope")
        machine.group("/app.slice", handed_on="memory pids")
        own = machine.group("/app.slice/run-1.scope", memory_max="1000000")
        place = find_place(machine.process)
        assert (dict(place.folders), place.full) == ({"": own}, True)

    def test_our_own_group_is_cleared_of_processes_to_hand_its_controllers_on(self, tmp_path: Path) -> None:
        machine = Machine(tmp_path, "/")
        own = machine.group("/")
        place = find_place(machine.process)
        assert place.full
        place.clear()
        assert (own / HARNESS / "cgroup.procs").read_text() == "102", "the last one to be moved"
        assert (own / "cgroup.subtree_control").read_text() == "+memory +pids"

    @pytest.mark.parametrize("given", ["", "cpu io", "memory"])
    def test_without_the_controllers_there_is_no_place_and_a_reason(self, given: str, tmp_path: Path) -> None:
        machine = Machine(tmp_path, "/user.slice")
        machine.group("/user.slice", given=given)
        with pytest.raises(SandboxError, match="not handed down"):
            find_place(machine.process)

    def test_limits_are_written_and_counts_read_as_version_2_has_them(self, tmp_path: Path) -> None:
        folder = tmp_path / "speedproof.x"
        folder.mkdir()
        for name, text in {
            "memory.swap.max": "max",
            "memory.peak": "7000\n",
            "memory.events": "low 0\nmax 9\noom 1\noom_kill 2\n",
            "pids.peak": "5\n",
            "pids.events": "max 3\n",
            "cpu.stat": "usage_usec 1500000\nuser_usec 1\n",
        }.items():
            (folder / name).write_text(text)
        group = Group(folder.name, {"": folder})
        group.limit(1 << 20, 42)
        assert [(folder / n).read_text() for n in ("memory.max", "memory.swap.max", "pids.max")] == [
            "1048576",
            "0",
            "42",
        ]
        use = group.use()
        assert (use.cpu_s, use.memory_peak_bytes, use.processes_peak) == (1.5, 7000, 5)
        assert (use.out_of_memory_kills, use.refused_processes) == (2, 3)

    def test_the_kernel_ends_all_of_a_real_one_at_once(self) -> None:
        unified = next((h.point for h in hierarchies() if h.version == 2), None)
        if unified is None or not os.access(unified, os.W_OK) or os.geteuid() != 0:
            pytest.skip("no version 2 that this user may write to")
        group = Group(f"speedproof.test.{own_mark()}.0", {"": unified / f"speedproof.test.{own_mark()}.0"})
        group.folders[""].mkdir()
        number = f"{time.time_ns() % 10**9 + 10**9}.5"
        script = f"setsid sleep {number} & sleep {number} & wait"
        process = subprocess.Popen([*group.enter(), "/bin/sh", "-c", script], start_new_session=True)
        while len(running(number)) < 2:
            time.sleep(0.01)
        assert process.pid in group.pids() and len(group.pids()) == 3
        assert process.pid in group.kill() and process.wait() == -9
        group.remove()
        assert running(number) == []


class TestNoGroups:
    def test_a_machine_without_any_says_so(self, tmp_path: Path) -> None:
        (tmp_path / "mountinfo").write_text("22 1 8:1 / / rw - ext4 /dev/sda rw\n")
        with pytest.raises(SandboxError, match="no control groups are mounted"):
            find_place(tmp_path)

    def test_those_of_somebody_else_are_left_alone(self, tmp_path: Path) -> None:
        folders = [tmp_path / name for name in ("memory", "pids")]
        for folder in folders:
            folder.mkdir()
        lines = [f"30 24 0:2 / {folder} ro - cgroup cgroup rw,{folder.name}\n" for folder in folders]
        (tmp_path / "mountinfo").write_text("".join(lines))
        (tmp_path / "cgroup").write_text("4:memory:/\n8:pids:/\n")
        with pytest.raises(SandboxError, match="belongs to somebody else"):
            find_place(tmp_path)  # there is no cgroup.procs that could be written


@here
class TestAGroup:
    @pytest.mark.parametrize("sandbox", [pytest.param("bubblewrap", marks=pytest.mark.sandbox), "none"])
    def test_holds_a_process_from_its_first_instruction_on(self, sandbox: str, tmp_path: Path) -> None:
        group = new_group("a run/item", 64 << 20, 10)
        told = tmp_path / "told"
        with told.open("wb") as out:
            box = Box(("/bin/cat", "/proc/self/cgroup"), cwd="/", env={"PATH": "/usr/bin"})
            kind = Bubblewrap() if sandbox == "bubblewrap" else HostSandbox()
            assert Confined(kind, box, stdout=out, stderr=None, group=group).wait().exit_code == 0
        assert (group.name in told.read_text()) is (sandbox == "none"), "bubblewrap does not show where it stands"
        assert (group.use().processes_peak or 1) >= 1 and (group.use().memory_peak_bytes or 0) > 0
        assert group.kill() == set()
        group.remove()
        group.remove()  # twice is as good as once

    def test_of_a_living_harness_is_in_use_and_of_a_dead_one_is_left(self) -> None:
        number = f"{time.time_ns() % 10**9 + 10**9}.5"
        program = (
            "import os, subprocess\nfrom speedproof.sandbox import left_groups, new_group\n"
            "group = new_group('dead', None, 20)\nassert group.maker_alive and group.name not in str(left_groups())\n"
            f"subprocess.Popen([*group.enter(), 'sleep', '{number}'], stdout=-3, stderr=-3)\n"
            "print(group.name, flush=True)\nos._exit(0)\n"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        name = done.stdout.strip()
        (left,) = [group for group in left_groups() if group.name == name]
        assert not left.maker_alive
        while not left.pids():
            time.sleep(0.01)
        assert left.kill() and running(number) == []
        left.remove()
        assert name not in [group.name for group in groups()]

    def test_of_another_namespace_s_harness_is_never_called_left(self) -> None:
        assert Group("speedproof.x.1.2.3.4", {}).maker_alive
        assert Group("speedproof.odd", {}).maker_alive

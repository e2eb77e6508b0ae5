"""The machine and the room on it: what is there is counted, our own bounds included, and never given away twice."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speedproof.errors import SpeedproofError
from speedproof.execution.machine import Machine, Room, require_disk, room, this_machine
from speedproof.tasks.models import Resources

GIB = 1 << 30
needs = st.builds(
    Resources,
    cpus=st.sampled_from([0.1, 0.5, 1, 2, 7, 64]),
    memory_mb=st.integers(1, 40_000),
    gpus=st.integers(0, 3),
)
machines = st.builds(
    Machine,
    cores=st.sampled_from([0.5, 1.0, 2.0, 16.0]),
    memory_mb=st.none() | st.integers(0, 100_000),
    gpus=st.integers(0, 4),
)


def started(place: Room, items: list[Resources]) -> list[Resources]:
    """What runs together when each is begun that fits."""
    running: list[Resources] = []
    for item in items:
        if place.fits(running, item):
            running.append(item)
    return running


@given(machines, st.lists(needs, max_size=30))
def test_together_attempts_never_declare_more_than_there_is(machine: Machine, items: list[Resources]) -> None:
    place = Room("auto", machine)
    running = started(place, items)
    assert bool(running) == bool(items), "one at least may always begin"
    if len(running) > 1:
        assert sum(r.cpus for r in running) <= machine.cores + 1e-9
        assert place.memory_mb is None or sum(r.memory_mb for r in running) <= place.memory_mb
        assert sum(r.gpus for r in running) <= machine.gpus


@given(machines, st.lists(needs, max_size=30), st.integers(1, 8))
def test_a_number_holds_whatever_is_declared_but_no_gpu_is_shared(
    machine: Machine, items: list[Resources], jobs: int
) -> None:
    running = started(Room(jobs, machine), items)
    users = [r for r in running if r.gpus]
    assert len(users) < 2 or sum(r.gpus for r in users) <= machine.gpus
    without = [r for r in items if not r.gpus]
    assert len(started(Room(jobs, machine), without)) == min(jobs, len(without))


@given(machines, st.lists(needs, max_size=8), needs)
def test_what_fits_beside_some_fits_beside_fewer(machine: Machine, running: list[Resources], wanted: Resources) -> None:
    for jobs in ("auto", 3):
        place = Room(jobs, machine)  # type: ignore[arg-type]
        if place.fits(running, wanted):
            assert all(place.fits(running[:n] + running[n + 1 :], wanted) for n in range(len(running)))


@given(machines, st.lists(needs, min_size=1, max_size=12))
def test_as_many_as_are_said_to_fit_do(machine: Machine, items: list[Resources]) -> None:
    place = Room("auto", machine)
    most = place.most(items)
    smallest_first = sorted(items, key=lambda r: (r.gpus, r.cpus, r.memory_mb))
    assert 1 <= most <= len(items)
    assert started(place, smallest_first)[:most] == smallest_first[:most]


def test_what_the_whole_machine_does_not_have_is_said_and_runs_alone() -> None:
    place = Room("auto", Machine(cores=4, memory_mb=10_000, gpus=0))
    big = Resources(cpus=8, memory_mb=20_000, gpus=1)
    said = place.lacks(big)
    assert said is not None
    assert "8 processors, of 4" in said and "20000 MiB of memory, of 9000" in said and "1 GPUs, of none" in said
    assert place.fits([], big) and not place.fits([Resources()], big) and not place.fits([big], Resources())
    assert place.lacks(Resources()) is None


def test_memory_that_is_too_little_for_the_asked_number_is_refused_with_what_to_do() -> None:
    machine = Machine(cores=4, memory_mb=10_000, gpus=0)
    with pytest.raises(SpeedproofError, match="8 attempts of 2048 MiB do not fit into the 9000") as raised:
        Room(8, machine).require_memory([Resources()])
    assert "--jobs auto" in raised.value.hint
    assert "room for 4 attempts" in Room("auto", machine).require_memory([Resources()])
    assert "unknown" in Room(8, Machine(4, None, 0)).require_memory([Resources()])


def test_a_disk_that_is_nearly_full_is_said_so(full_disk: Path, tmp_path: Path) -> None:
    with pytest.raises(SpeedproofError, match=r"only 0\.0 GiB are free") as raised:
        require_disk(full_disk / "not" / "there" / "yet")
    assert "speedproof gc" in raised.value.hint


def files(folder: Path, contents: Mapping[str, str]) -> None:
    for name, text in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of files: no GPUs, 8 GiB available, in no control group."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    files(tmp_path, {"proc/meminfo": "MemTotal: 1 kB\nMemAvailable:  8388608 kB\n", "dev/null": ""})
    files(tmp_path, {"proc/self/cgroup": "", "proc/self/mountinfo": ""})
    return tmp_path


def looked(bare: Path) -> Machine:
    return this_machine(bare / "proc", bare / "dev")


def test_a_machine_without_bounds_has_all_that_the_kernel_says(bare: Path) -> None:
    assert looked(bare) == Machine(float(len(os.sched_getaffinity(0))), 8192, 0)
    (bare / "proc/meminfo").write_text("nothing\n")
    assert looked(bare).memory_mb is None


def test_version_2_bounds_of_our_own_group_and_of_those_above_it_count(bare: Path) -> None:
    point = bare / "cgroup"
    files(bare, {"proc/self/cgroup": "0::/outer/inner\n"})
    files(bare, {"proc/self/mountinfo": f"30 20 0:26 / {point} rw - cgroup2 cgroup2 rw\n"})
    files(point / "outer", {"cpu.max": "50000 100000\n", "memory.max": "max\n", "memory.current": "1\n"})
    files(point / "outer/inner", {"cpu.max": "max 100000\n", "memory.max": f"{3 * GIB}\n"})
    files(point / "outer/inner", {"memory.current": f"{2 * GIB}\n", "memory.stat": f"anon 5\ninactive_file {GIB}\n"})
    assert looked(bare) == Machine(0.5, 2048, 0), "what a group can give back counts as free"
    files(point / "outer/inner", {"memory.current": f"{9 * GIB}\n"})
    assert looked(bare).memory_mb == 0


def test_version_1_bounds_count_seen_through_a_container_s_own_mount(bare: Path) -> None:
    cpu, memory = bare / "cpu", bare / "memory"
    groups = "4:memory:/docker/abc/mine\n3:cpu,cpuacct:/docker/abc\n0::/\n"
    mounts = (
        f"31 20 0:26 /docker/abc {cpu} rw - cgroup cgroup rw,cpu,cpuacct\n"
        f"32 20 0:27 /docker/abc {memory} rw - cgroup cgroup rw,memory\n"
    )
    files(bare, {"proc/self/cgroup": groups, "proc/self/mountinfo": mounts})
    files(cpu, {"cpu.cfs_quota_us": "25000\n", "cpu.cfs_period_us": "100000\n"})
    files(memory, {"memory.limit_in_bytes": f"{GIB}\n", "memory.usage_in_bytes": f"{GIB // 2}\n"})
    files(memory / "mine", {"memory.limit_in_bytes": "9223372036854771712\n", "memory.usage_in_bytes": "5\n"})
    assert looked(bare) == Machine(0.25, 512, 0)
    files(cpu, {"cpu.cfs_quota_us": "-1\n"})
    assert looked(bare).cores >= 1


def test_gpus_are_counted_by_nvidia_s_program_else_by_their_devices(bare: Path) -> None:
    files(bare, {"dev/nvidia0": "", "dev/nvidia1": "", "dev/nvidiactl": "", "dev/nvidia-uvm": ""})
    assert looked(bare).gpus == 2
    program = bare / "bin/nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA H200 (UUID: GPU-1)'\necho '  MIG 1g.18gb Device 0: (UUID: x)'\n")
    program.chmod(0o755)
    assert looked(bare).gpus == 1
    program.write_text("#!/bin/sh\necho driver mismatch; exit 9\n")
    assert looked(bare).gpus == 2


def test_this_machine_has_room_for_one() -> None:
    place = room("auto")
    assert place.machine.cores > 0
    assert place.machine.memory_mb is None or place.machine.memory_mb > 0
    assert place.most([Resources()] * 3) >= 1

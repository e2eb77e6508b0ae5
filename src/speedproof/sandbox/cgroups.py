"""Control groups: the kernel bounds all processes of an attempt together, and knows them however they hide.

A group is named for the harness that made it: a later process can tell whether that still lives, and end what it left.
"""

import functools
import itertools
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from speedproof.errors import SandboxError
from speedproof.sandbox.hierarchies import KEPT_V1, Place, find_place, hierarchies
from speedproof.sandbox.orphans import is_orphaned, own_mark

PREFIX = "speedproof."
"""How the names of our groups begin; their makers' marks follow."""
ENDING_S = 10.0
"""Seconds in which killed processes must be gone: one that waits for a disk takes its time."""

_ENTER = """n=$1; shift
while [ "$n" -gt 0 ]; do
    echo 0 > "$1" || { echo "speedproof: cannot enter the control group" >&2; exit 125; }
    shift; n=$((n-1))
done
exec "$@\""""
_count = itertools.count(1)
_clearing = threading.Lock()


@dataclass(frozen=True)
class GroupUse:
    """What a group's processes used, as the kernel counted; null: it does not say."""

    cpu_s: float | None
    memory_peak_bytes: int | None
    """Page cache included."""
    processes_peak: int | None
    """Processes and threads."""
    out_of_memory_kills: int | None
    """Processes ended for want of memory, whether the group's own or the machine's."""
    refused_processes: int | None


class Group:
    """A control group of ours."""

    def __init__(self, name: str, folders: Mapping[str, Path]) -> None:
        self.name = name
        self.folders = folders
        """By controller; version 2: the one folder, under an empty name."""

    @property
    def version(self) -> int:
        """Of control groups: 1 or 2."""
        return 2 if "" in self.folders else 1

    @property
    def maker_alive(self) -> bool:
        """Whether the process that made it still runs; also true of one in another PID namespace, because nobody can
        tell from here."""
        mark = re.search(r"\.(\d+\.\d+\.\d+)\.\d+$", self.name)
        return mark is None or not is_orphaned(mark[1])

    def enter(self) -> list[str]:
        """The beginning of a command line whose rest then runs in the group from its first instruction on."""
        files = [str(folder / "cgroup.procs") for folder in self.folders.values()]
        return ["/bin/sh", "-c", _ENTER, "sh", str(len(files)), *files]

    def pids(self) -> list[int]:
        """Its processes, those of groups that they made below it included."""
        found: set[int] = set()
        for top in self.folders.values():
            for folder in _tree(top):
                found.update(int(pid) for pid in _read(folder / "cgroup.procs").split())
        return sorted(found - {0})

    def use(self) -> GroupUse:
        """What its processes used so far."""
        if self.version == 1:
            cpu = _number(self._file("cpuacct", "cpuacct.usage"))
            cpu_s = None if cpu is None else cpu / 1e9
            peak, kills = "memory.max_usage_in_bytes", "memory.oom_control"
        else:
            cpu = _entry(self._file("cpuacct", "cpu.stat"), "usage_usec")
            cpu_s = None if cpu is None else cpu / 1e6
            peak, kills = "memory.peak", "memory.events"
        return GroupUse(
            cpu_s=cpu_s,
            memory_peak_bytes=_number(self._file("memory", peak)),
            processes_peak=_number(self._file("pids", "pids.peak")),
            out_of_memory_kills=_entry(self._file("memory", kills), "oom_kill"),
            refused_processes=_entry(self._file("pids", "pids.events"), "max"),
        )

    def kill(self) -> set[int]:
        """End all its processes, and return their ids. Those that became our children are not reaped.

        None can be started meanwhile. Raises SandboxError when one does not end within ENDING_S.
        """
        _write(self._file("pids", "pids.max"), "0")
        ended: set[int] = set()
        deadline = time.monotonic() + ENDING_S
        while pids := self.pids():
            _write(self._file("", "cgroup.kill"), "1")  # version 2 since Linux 5.14: whoever they run as
            for pid in pids:
                _kill(pid)
            ended.update(pids)
            if time.monotonic() > deadline:
                raise SandboxError(f"{len(pids)} processes of {self.name} do not end", hint="reboot the machine")
            time.sleep(0.002)
        return ended

    def remove(self) -> None:
        """Remove it; its processes must have ended. Raises SandboxError when it stays."""
        deadline = time.monotonic() + 1
        for folder in self.folders.values():
            for path in reversed(_tree(folder)):
                while (error := _remove(path)) is not None:
                    if time.monotonic() > deadline:
                        raise SandboxError(f"cannot remove the control group {path}: {error}", hint="speedproof gc")
                    time.sleep(0.005)

    def limit(self, memory_bytes: int | None, processes: int | None) -> None:
        """Bound what its processes may use together; null: no bound. Raises OSError when the kernel refuses."""
        if memory_bytes is not None:
            # memory first: the sum of memory and swap may not be smaller
            names = (("memory.limit_in_bytes", True), ("memory.memsw.limit_in_bytes", False))
            if self.version == 2:
                names = (("memory.max", True), ("memory.swap.max", False))
            for name, needed in names:
                file = self._file("memory", name)
                if needed or file.exists():  # swap is not accounted for everywhere
                    file.write_text("0" if name == "memory.swap.max" else str(memory_bytes))
        if processes is not None:
            self._file("pids", "pids.max").write_text(str(processes))

    def _file(self, controller: str, name: str) -> Path:
        folder = self.folders.get("", self.folders.get(controller))
        return Path("/nonexistent") if folder is None else folder / name


def new_group(label: str, memory_bytes: int | None, processes: int | None) -> Group:
    """A group with these bounds, named for `label` and this process. Raises SandboxError where none can be made."""
    place = _place()
    label = re.sub(r"[^A-Za-z0-9_-]", "-", label)[:100]
    name = f"{PREFIX}{label}.{own_mark()}.{next(_count)}"
    group = Group(name, {controller: folder / name for controller, folder in place.folders.items()})
    try:
        for folder in group.folders.values():
            folder.mkdir()
        group.limit(memory_bytes, processes)
    except OSError as error:
        group.remove()
        raise SandboxError(f"cannot make a control group: {error.strerror}: {error.filename}") from error
    return group


def groups() -> list[Group]:
    """Every group of ours on this machine, whoever made it."""
    found: dict[str, dict[str, Path]] = {}
    for hierarchy in hierarchies():
        controllers = [""] if hierarchy.version == 2 else [c for c in KEPT_V1 if c in hierarchy.controllers]
        if not controllers:
            continue
        for path, below, _ in os.walk(hierarchy.point):
            for name in [name for name in below if name.startswith(PREFIX)]:
                below.remove(name)
                for controller in controllers:
                    found.setdefault(name, {}).setdefault(controller, Path(path) / name)
    return [Group(name, folders) for name, folders in sorted(found.items())]


def left_groups() -> list[Group]:
    """The groups whose makers are gone: left by a crash."""
    return [group for group in groups() if not group.maker_alive]


@functools.cache
def bounds_in_force() -> str:
    """What bounds the processes of attempts here: "cgroup v1", "cgroup v2", or "watchdog: " and why no groups."""
    try:
        group = new_group("check", 64 << 20, 16)
        try:
            done = subprocess.run([*group.enter(), "/bin/true"], capture_output=True, text=True, check=False)
        finally:
            group.remove()
    except SandboxError as error:
        return f"watchdog: {error}"
    if done.returncode:
        return f"watchdog: {done.stderr.strip() or 'a control group cannot be entered'}"
    return f"cgroup v{group.version}"


def _place() -> Place:
    with _clearing:
        return _cleared()


@functools.cache
def _cleared() -> Place:
    place = find_place()
    try:
        place.clear()
    except OSError as error:
        raise SandboxError(f"cannot make room for control groups: {error.strerror}: {error.filename}") from error
    return place


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return  # it ended, or became somebody else's


def _tree(folder: Path) -> list[Path]:
    """The folder of a group, and those of the groups below it, parents first."""
    return [Path(path) for path, _, _ in os.walk(folder)] or [folder]


def _remove(folder: Path) -> str | None:
    """Remove a group's folder; returns why it stays."""
    try:
        folder.rmdir()
    except FileNotFoundError:
        return None
    except OSError as error:
        return error.strerror
    return None


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""  # this kernel has no such file, or the process or group is gone


def _write(file: Path, text: str) -> None:
    try:
        descriptor = os.open(file, os.O_WRONLY)  # without O_CREAT, which these file systems refuse
    except FileNotFoundError:
        return  # the group is gone, or this kernel or hierarchy has no such file
    with os.fdopen(descriptor, "w") as opened:
        opened.write(text)


def _number(file: Path) -> int | None:
    text = _read(file).strip()
    return int(text) if text.isdigit() else None


def _entry(file: Path, name: str) -> int | None:
    """The number beside a name in a file of "name number" lines."""
    lines = dict(line.split(" ", 1) for line in _read(file).splitlines() if " " in line)
    return int(lines[name]) if name in lines else None

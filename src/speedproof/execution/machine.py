"""The machine: what it has to give to attempts, our own bounds included, and how many of them find room at once."""

import math
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from speedproof.errors import SpeedproofError
from speedproof.sandbox.hierarchies import hierarchies
from speedproof.tasks.models import Resources

LOW_DISK = 2 << 30
"""Bytes free under which it is said: environments of two agents and some workspaces."""
RESERVED = 0.1
"""The part of the available memory that stays free for the harness, its gateway and the system."""

_MIB = 1 << 20
_MANY = 1000
_BOUNDING = ("cpu", "memory")
"""The controllers of cgroups that matter here."""


@dataclass(frozen=True)
class Machine:
    """What this process may use, at the time it was asked."""

    cores: float
    """Processors: those it may run on, and no more than its cgroups let it use."""
    memory_mb: int | None
    """MiB of memory available; null when nothing says."""
    gpus: int
    """Graphics processors."""


def this_machine(proc: Path = Path("/proc"), dev: Path = Path("/dev")) -> Machine:
    """What this process may use now."""
    groups = list(_own_groups(proc / "self"))
    quotas = [q for controller, folder in groups if controller == "cpu" and (q := _quota(folder)) is not None]
    left = [m for controller, folder in groups if controller == "memory" and (m := _left(folder)) is not None]
    if (available := _available(proc / "meminfo")) is not None:
        left.append(available)
    return Machine(
        cores=min([float(len(os.sched_getaffinity(0))), *quotas]),
        memory_mb=max(0, min(left)) // _MIB if left else None,
        gpus=_gpus(dev),
    )


def _available(meminfo: Path) -> int | None:
    """Bytes that programs may take without swapping, as the kernel reckons."""
    for line in _text(meminfo).splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return _number(value.removesuffix("kB"), 1024)
    return None


def _own_groups(process: Path) -> Iterator[tuple[str, Path]]:
    """Our cgroups that bound processors or memory, each with those above it: (controller, folder)."""
    own: dict[str, str] = {}
    for line in _text(process / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        own |= dict.fromkeys(controllers.split(","), path)
    for hierarchy in hierarchies(process):
        for controller in _BOUNDING:
            name = "" if hierarchy.version == 2 else controller
            if name not in own or not hierarchy.controllers >= {name} - {""}:
                continue
            folder = hierarchy.folder_of(own[name])
            while folder.is_relative_to(hierarchy.point):
                yield controller, folder
                folder = folder.parent


def _quota(folder: Path) -> float | None:
    """Processors that a cgroup may use; null: any number."""
    quota, period = [*_text(folder / "cpu.max").split(), "", ""][:2]
    if not quota:
        quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
    allowed, each = _number(quota), _number(period)
    return allowed / each if allowed and each and allowed > 0 and each > 0 else None


def _left(folder: Path) -> int | None:
    """Bytes of memory left to a cgroup, what it can give back counted as free; null: not bounded."""
    limit, used = _number(_text(folder / "memory.max")), _number(_text(folder / "memory.current"))
    cached = "inactive_file"
    if limit is None:
        limit, used = _number(_text(folder / "memory.limit_in_bytes")), _number(_text(folder / "memory.usage_in_bytes"))
        cached = "total_inactive_file"
    if limit is None or used is None:
        return None
    counts = dict(line.split(" ", 1) for line in _text(folder / "memory.stat").splitlines() if " " in line)
    return limit - used + (_number(counts.get(cached, "")) or 0)


def _gpus(dev: Path) -> int:
    """Graphics processors, as NVIDIA's program lists them, else by their devices."""
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        listed = None
    if listed is not None and listed.returncode == 0:
        return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())
    return sum(device.name.removeprefix("nvidia").isdecimal() for device in dev.glob("nvidia[0-9]*"))


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""  # not there, or hidden from us: nothing is known


def _number(text: str, factor: int = 1) -> int | None:
    """A whole number; null for anything else, such as `max`."""
    try:
        return int(text) * factor
    except ValueError:
        return None


def _size(wanted: Resources) -> tuple[float, ...]:
    return wanted.gpus, wanted.cpus, wanted.memory_mb


@dataclass(frozen=True)
class Room:
    """How many attempts find room at once."""

    jobs: int | Literal["auto"]
    """So many, whatever they declare; auto: as many as what they declare leaves room for."""
    machine: Machine

    @property
    def memory_mb(self) -> int | None:
        """MiB that attempts may take together; null: unknown, so not counted."""
        return None if self.machine.memory_mb is None else int(self.machine.memory_mb * (1 - RESERVED))

    def fits(self, running: Sequence[Resources], wanted: Resources) -> bool:
        """Whether one that needs `wanted` may begin beside those that run. Alone anything may begin."""
        if not running:
            return True
        gpus = sum(r.gpus for r in running)
        if wanted.gpus and gpus and gpus + wanted.gpus > self.machine.gpus:
            return False
        if self.jobs != "auto":
            return len(running) < self.jobs
        everybody = [*running, wanted]
        memory = sum(r.memory_mb for r in everybody)
        return (
            math.fsum(r.cpus for r in everybody) <= self.machine.cores
            and (self.memory_mb is None or memory <= self.memory_mb)
            and gpus + wanted.gpus <= self.machine.gpus
        )

    def most(self, items: Iterable[Resources]) -> int:
        """How many of these could run at once, the smallest first; 1 at least."""
        running: list[Resources] = []
        for wanted in sorted(items, key=_size):
            if not self.fits(running, wanted):
                break
            running.append(wanted)
        return max(1, len(running))

    def require_memory(self, wanted: Sequence[Resources]) -> str:
        """What attempts with these needs find, in one sentence. Raises SpeedproofError when it is too little for as
        many at once as were asked for."""
        if self.memory_mb is None:
            return "unknown: this machine does not say how much memory is available"
        if self.jobs == "auto":
            least = sorted(wanted, key=_size)[:1] * _MANY
            return f"{self.memory_mb} MiB available" + (f", room for {self.most(least)} attempts" if least else "")
        largest = max((r.memory_mb for r in wanted), default=0)
        if self.jobs > 1 and largest * self.jobs > self.memory_mb:
            raise SpeedproofError(
                f"{self.jobs} attempts of {largest} MiB do not fit into the {self.memory_mb} MiB available",
                hint="--jobs auto, or free memory, or lower resources.memory_mb where less is needed",
            )
        return f"{self.memory_mb} MiB available, {largest} MiB for each of {self.jobs} attempts at once"

    def lacks(self, wanted: Resources) -> str | None:
        """What the whole machine cannot give, in one sentence; null when it can give all."""
        machine, short = self.machine, []
        if wanted.cpus > machine.cores:
            short.append(f"{wanted.cpus:g} processors, of {machine.cores:g}")
        if self.memory_mb is not None and wanted.memory_mb > self.memory_mb:
            short.append(f"{wanted.memory_mb} MiB of memory, of {self.memory_mb}")
        if wanted.gpus > machine.gpus:
            short.append(f"{wanted.gpus} GPUs, of {machine.gpus or 'none'}")
        alone = "it runs alone, and " if self.jobs == "auto" else ""
        return f"it declares {' and '.join(short)} here: {alone}its result may say little" if short else None


def require_disk(folder: Path) -> str:
    """How much is free where `folder` is, or will be, in words. Raises SpeedproofError when it is little."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(there).free
    if free < LOW_DISK:
        raise SpeedproofError(
            f"only {free / 2**30:.1f} GiB are free in {folder}",
            hint="speedproof gc, or free disk space; SPEEDPROOF_CACHE and --state name other folders",
        )
    return f"{free / 2**30:.0f} GiB free"


def room(jobs: int | Literal["auto"]) -> Room:
    """The room on this machine as it is now."""
    return Room(jobs, this_machine())

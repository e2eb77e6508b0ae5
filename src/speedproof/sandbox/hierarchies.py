"""Where on this machine control groups of ours can stand: below the harness's own, so that its bounds hold for them."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from speedproof.errors import SandboxError

NEEDED = frozenset({"memory", "pids"})
"""Controllers without which there is nothing to gain."""
KEPT_V1 = ("memory", "pids", "cpuacct")
"""Hierarchies of version 1 in which a group has a folder: the needed ones, and that of the processor's time."""
HARNESS = "harness"
"""Version 2: the group that the harness's own processes move into, where theirs must be free of processes."""


@dataclass(frozen=True)
class Hierarchy:
    """A mounted hierarchy of control groups."""

    version: Literal[1, 2]
    controllers: frozenset[str]
    """Version 1: what it is of. Version 2: empty, because each group says it itself."""
    root: str
    """The group that the mount point shows."""
    point: Path

    def folder_of(self, group: str) -> Path:
        """The folder of a group; the mount point for one that it does not show."""
        root = self.root.rstrip("/")
        inside = group == self.root or group.startswith(f"{root}/")
        folder = self.point / group.removeprefix(root).lstrip("/") if inside else self.point
        return folder if folder.is_dir() else self.point


@dataclass(frozen=True)
class Place:
    """Where groups can be made."""

    version: Literal[1, 2]
    folders: Mapping[str, Path]
    """Version 1: by controller; version 2: the one folder, under an empty name."""
    full: bool = False
    """Version 2: whether processes stand in it that must move out before its groups can be bounded."""

    def clear(self) -> None:
        """Move out the processes that stand in it, and hand its controllers on. Raises OSError."""
        if not self.full:
            return
        folder = self.folders[""]
        if (folder / "cgroup.type").exists():  # not the machine's root, which may hold both
            own = folder / HARNESS
            own.mkdir(exist_ok=True)
            for pid in (folder / "cgroup.procs").read_text().split():
                try:
                    (own / "cgroup.procs").write_text(pid)
                except ProcessLookupError:
                    continue  # it ended
        (folder / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in sorted(NEEDED)))


def hierarchies(process: Path = Path("/proc/self")) -> list[Hierarchy]:
    """The hierarchies that are mounted."""
    found = []
    for line in (process / "mountinfo").read_text().splitlines():
        head, _, tail = line.partition(" - ")
        fields, (kind, _, options) = head.split(), tail.split(" ", 2)
        root, point = (re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), text) for text in fields[3:5])
        if kind == "cgroup":
            found.append(Hierarchy(1, frozenset(options.split(",")), root, Path(point)))
        elif kind == "cgroup2":
            found.append(Hierarchy(2, frozenset(), root, Path(point)))
    return found


def find_place(process: Path = Path("/proc/self")) -> Place:
    """Where groups can be made; nothing is changed yet. Raises SandboxError that says why nowhere."""
    mounted = hierarchies(process)
    if not mounted:
        raise SandboxError("no control groups are mounted")
    own: dict[str, str] = {}
    for line in (process / "cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        own |= dict.fromkeys(controllers.split(","), path)
    first = _first(mounted, own)
    if first is not None:
        return first
    second = next((h for h in mounted if h.version == 2), None)
    if second is None or "" not in own:
        raise SandboxError("the controllers of memory and processes are not mounted")
    return _second(second.folder_of(own[""]), second.point)


def _first(mounted: list[Hierarchy], own: Mapping[str, str]) -> Place | None:
    folders = {}
    for name in KEPT_V1:
        hierarchy = next((h for h in mounted if name in h.controllers), None)
        if hierarchy is not None and name in own:
            folders[name] = hierarchy.folder_of(own[name])
    if not folders.keys() >= NEEDED:
        return None
    for folder in folders.values():
        _require_writable(folder)
    return Place(1, folders)


def _second(own: Path, top: Path) -> Place:
    """The nearest group that hands its controllers on, on the way up as far as no bound is left behind; else our own,
    if it can be made to."""
    folder = own
    while not words(folder / "cgroup.subtree_control") >= NEEDED or not _is_writable(folder):
        if folder == top or words(folder / "memory.max") - {"max"}:
            break
        folder = folder.parent
    else:
        return Place(2, {"": folder})
    if not words(own / "cgroup.controllers") >= NEEDED:
        raise SandboxError("the controllers of memory and processes are not handed down to this process's group")
    _require_writable(own)
    return Place(2, {"": own}, full=True)


def words(file: Path) -> frozenset[str]:
    """The words in a file of a group; none when there is no such file."""
    try:
        return frozenset(file.read_text().split())
    except FileNotFoundError:
        return frozenset()


def _is_writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK) and os.access(folder / "cgroup.procs", os.W_OK)


def _require_writable(folder: Path) -> None:
    if not _is_writable(folder):
        raise SandboxError(f"the control group {folder} belongs to somebody else")

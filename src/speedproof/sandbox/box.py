"""The protocol of sandboxes: a Box says what is seen and run; a sandbox turns it into a command line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from speedproof.journal import SandboxFacts

WORKSPACE = "/workspace"
HOME = "/home/agent"
TASK = "/task"
ENVIRONMENT = "/opt/env"
LIBRARY = "/opt/speedproof"
OUT = "/out"
MODEL_PORT = 8765


@dataclass(frozen=True)
class Mount:
    """A host path made visible inside at `target`."""

    source: Path
    target: str
    writable: bool = False
    device: bool = False
    """Whether it is a device that may be opened: everywhere else devices cannot."""
    stored: Path | None = None
    """Where what is written to it takes up the host's disk, such as an overlay's upper layer; null: in `source`."""


@dataclass(frozen=True)
class Box:
    """One confined command."""

    argv: tuple[str, ...]
    """Command line, in inside paths."""
    cwd: str = WORKSPACE
    """Working directory inside."""
    env: Mapping[str, str] = field(default_factory=dict)
    """The whole environment; nothing is inherited."""
    mounts: tuple[Mount, ...] = ()
    """What is visible beside the system's own programs and libraries."""
    interpreters: tuple[Path, ...] = ()
    """Base prefixes of Python interpreters to mount (without their installed packages)."""
    listen: int | None = None
    """Descriptor of a Unix socket over which a socket listening on the sandbox's own 127.0.0.1:MODEL_PORT is handed
    out: the only way to the gateway. Null: no network at all."""
    keep_fds: tuple[int, ...] = ()
    """Descriptors the command inherits."""
    cpu: int | None = None
    """CPU to pin to; null: all."""

    @property
    def written(self) -> tuple[Path, ...]:
        """The folders of the host's disk that the command can write to."""
        return tuple(m.stored or m.source for m in self.mounts if m.writable and not m.device)


@dataclass(frozen=True)
class Started:
    """A command line and its environment, ready for subprocess (with pass_fds=fds, env=env, cwd='/')."""

    argv: list[str]
    env: dict[str, str]
    fds: tuple[int, ...]
    cwd: str = "/"
    opened: tuple[int, ...] = ()
    """Those of fds that were opened for this start alone: to be closed once the process runs, or cannot."""


class Sandbox(Protocol):
    """Anything that can confine a Box."""

    kind: Literal["bubblewrap", "none"]

    @property
    def uid(self) -> int:
        """User id that the confined process has on the host; what it may write must belong to it."""
        ...

    def as_seen(self, text: str, mounts: Sequence[Mount]) -> str:
        """`text`, in which the mounts' targets are named, as the confined process must read it."""
        ...

    def start(self, box: Box, info_fd: int | None = None) -> Started:
        """The command that runs the box; it writes `{"child-pid": N}` to `info_fd`.

        Raises SandboxError when isolation cannot be had.
        """
        ...

    def probe(self) -> SandboxFacts:
        """Run a probe inside and report what is enforced. Raises SandboxError when isolation does not hold."""
        ...

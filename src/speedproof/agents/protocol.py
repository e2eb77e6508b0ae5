"""What an adapter must say, and what it is told."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from speedproof.journal.attempt import AgentOutcome
from speedproof.sandbox.box import Mount
from speedproof.workspace.cache import Progress


@dataclass(frozen=True)
class Installation:
    """An agent as found on this machine."""

    version: str | None
    """Version its program reports."""
    executable: Path
    """The program whose hash is recorded."""
    mounts: tuple[Mount, ...]
    """What must be visible inside to run it."""
    interpreters: tuple[Path, ...] = ()
    """Base prefixes of the Python interpreters it needs."""

    def sha256(self) -> str | None:
        """SHA-256 of the program, read anew; null when it is gone, which launching it will say."""
        try:
            with self.executable.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return None


@dataclass(frozen=True)
class LaunchContext:
    """What an adapter is told of the attempt; all paths are as seen inside."""

    prompt: str
    """The rendered prompt."""
    workspace: str
    """Root of the repository."""
    home: str
    """Writable home, thrown away afterwards."""
    model: str | None
    """Model name as the provider knows it (without the provider's prefix); null for agents that use none."""
    base_url: str
    """Address of the gateway, such as http://127.0.0.1:8765 (append /v1 for OpenAI's routes)."""
    token: str
    """The per-attempt key."""
    side_model: str | None = None
    """Model for small side tasks, where the agent has a place for one; null: the model itself."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Model parameters that the user wants the agent configured with (docs/agents.md); each is one of the adapter's
    `parameters`."""


@dataclass(frozen=True)
class Setting:
    """A model parameter as an agent is configured with it."""

    value: Any
    """Its value."""
    file: str
    """The path in `Launch.files` of the file that holds it, or "argv" or "env"."""
    spelling: str
    """The agent's own name for it, as it stands in that file."""


@dataclass(frozen=True)
class Launch:
    """How to start the agent."""

    argv: tuple[str, ...]
    """Command line in inside paths."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Environment beside the common one (PATH, HOME, LANG, the task's own)."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Files to write before the start: path relative to home → text."""
    stdin: bytes = b""
    """What it reads from standard input."""
    configured: Mapping[str, Setting] = field(default_factory=dict)
    """Model parameters that this launch configures, by their common names."""

    def write_files(self, home: Path) -> None:
        """Write `files` under the host's folder of home, before the start. Raises OSError."""
        for name, text in self.files.items():
            target = home / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")


@dataclass(frozen=True)
class Left:
    """What an agent left behind, on the host. Everything in it is hostile."""

    home: Path
    """Its home folder."""
    stdout: list[str]
    """Lines of standard output."""
    stderr: list[str]
    """Lines of standard error."""


class Agent(Protocol):
    """One coding agent."""

    name: str
    uses_model: bool
    """Whether it calls a model at all; the patch agent does not."""
    protocol: Literal["chat", "responses", "messages", "gemini", "none"]
    """What it speaks to its model."""
    parameters: tuple[str, ...]
    """What its own configuration can set (`--set`): model parameters by their common names, and options of its own."""

    def locate(self, progress: Progress) -> Installation:
        """Find it, installing it into an environment of its own where that is possible. Raises AgentError."""
        ...

    def launch(self, context: LaunchContext) -> Launch:
        """How to start it on this attempt."""
        ...

    def outcome(self, left: Left) -> AgentOutcome | None:
        """What its structured evidence says; null when it left none. Never raises on hostile content."""
        ...

    def trajectory(self, left: Left) -> Path | None:
        """The agent's own trajectory file under home; null when it left none."""
        ...

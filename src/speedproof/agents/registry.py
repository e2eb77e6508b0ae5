"""Agents by name."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from speedproof.agents import aider, claude, codex, gemini, mini, opencode, openhands, qwen, trae
from speedproof.agents.aider import Aider
from speedproof.agents.claude import Claude
from speedproof.agents.codex import Codex
from speedproof.agents.command import Command, load_template
from speedproof.agents.gemini import Gemini
from speedproof.agents.mini import Mini
from speedproof.agents.opencode import OpenCode
from speedproof.agents.openhands import OpenHands
from speedproof.agents.patch import PatchAgent
from speedproof.agents.protocol import Agent
from speedproof.agents.qwen import Qwen
from speedproof.agents.trae import Trae
from speedproof.errors import InputError
from speedproof.workspace.cache import Cache


@dataclass(frozen=True)
class Known:
    """An agent that can be installed."""

    make: Callable[[Cache, Path | None, str | None], Agent]
    """Its adapter: made with the cache, the path of one that lies elsewhere, and a version other than the pinned."""
    version: str
    """The pinned version."""
    needs: str = ""
    """What it needs of the machine beside Speedproof's own Python."""


INSTALLED: Mapping[str, Known] = {
    "trae": Known(Trae, trae.REVISION[:12], "Python 3.12"),
    "codex": Known(Codex, codex.VERSION),
    "claude": Known(Claude, claude.VERSION),
    "mini": Known(Mini, mini.VERSION),
    "openhands": Known(OpenHands, openhands.VERSION, "Python 3.12"),
    "opencode": Known(OpenCode, opencode.VERSION),
    "aider": Known(Aider, aider.VERSION, "Python 3.11 or 3.12"),
    "gemini": Known(Gemini, gemini.VERSION),
    "qwen": Known(Qwen, qwen.VERSION),
}
"""The agents that `speedproof agents install` knows."""
COMMAND = "command"
"""The agent that is any program, by a template."""
NAMES = (*INSTALLED, COMMAND, "patch")
"""The agents there are."""

_VERSION = re.compile(r"@[0-9A-Za-z][\w.+!-]*")
_NEEDS = {COMMAND: "template", "patch": "patch"}
_HINTS = {COMMAND: "command:FILE.yaml", "patch": "patch:expert, patch:noop or patch:FILE"}


def agent_name(agent: str) -> str:
    """The name of an agent without version, file or control: `codex@0.150.0` → codex."""
    return agent.partition(":")[0].partition("@")[0]


def parse_agent(spec: str) -> tuple[str, str | None]:
    """What a user calls an agent, as it is recorded, and its control: `codex` → (codex, null), `codex@0.150.0` →
    (codex@0.150.0, null), `command:FILE` → (command:FILE, null), `patch:noop` → (patch, noop).

    The control of `patch` is expert, noop or a path. Raises InputError.
    """
    name = agent_name(spec)
    if name not in NAMES:
        raise InputError(f"there is no agent {name!r}", hint=f"one of {', '.join(NAMES)}")
    rest = spec.removeprefix(name)
    if name in _HINTS:
        if not rest.startswith(":") or not rest[1:]:
            raise InputError(f"the {name} agent needs a {_NEEDS[name]}", hint=_HINTS[name])
        return (name, rest[1:]) if name == "patch" else (spec, None)
    if rest and not _VERSION.fullmatch(rest):
        raise InputError(f"{name} takes nothing after its name but a version, got {rest!r}", hint=f"{name}@VERSION")
    return spec, None


def get_agent(agent: str, path: Path | None = None, *, cache: Cache | None = None, patch: bytes | None = None) -> Agent:
    """The adapter of an agent as recorded; `path` is where it lies, `patch` what the patch agent applies.

    Raises InputError: for a name that is none, for a path where a version is asked for too, for a broken template.
    """
    name = agent_name(agent)
    if path is not None and name not in INSTALLED:
        raise InputError(f"{name} is not found by a path", hint=f"drop --agent-path {name}=…")
    if name == "patch" and patch is not None:
        return PatchAgent(patch)
    parse_agent(agent)
    if name == "patch":
        raise InputError("the patch agent needs a patch", hint=_HINTS["patch"])
    if name == COMMAND:
        return Command(load_template(Path(agent.removeprefix(f"{COMMAND}:"))))
    version = agent.removeprefix(name).removeprefix("@") or None
    if path is not None and version is not None:
        hint = "give one of the two"
        raise InputError(f"{agent} asks for a version, and --agent-path names one that is there already", hint=hint)
    return INSTALLED[name].make(cache or Cache(), path, version)

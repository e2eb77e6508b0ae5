"""Agents by name."""

from pathlib import Path

from speedproof.agents.codex import Codex
from speedproof.agents.mini import Mini
from speedproof.agents.patch import PatchAgent
from speedproof.agents.protocol import Agent
from speedproof.agents.trae import Trae
from speedproof.errors import InputError
from speedproof.workspace.cache import Cache

NAMES = ("codex", "mini", "trae", "patch")
"""The agents there are."""


def parse_agent(spec: str) -> tuple[str, str | None]:
    """Name and control of what a user calls an agent: `codex` → (codex, null), `patch:noop` → (patch, noop).

    The control of `patch` is expert, noop or a path. Raises InputError.
    """
    name, colon, control = spec.partition(":")
    if name not in NAMES:
        raise InputError(f"there is no agent {name!r}", hint=f"one of {', '.join(NAMES)}")
    if name == "patch" and not control:
        raise InputError("the patch agent needs a patch", hint="patch:expert, patch:noop or patch:FILE")
    if name != "patch" and colon:
        raise InputError(f"{name} takes nothing after its name, got {control!r}", hint=f"--agent {name}")
    return name, control or None


def get_agent(name: str, path: Path | None = None, *, cache: Cache | None = None, patch: bytes | None = None) -> Agent:
    """The adapter of this name; `path` is TRAE's checkout, `patch` what the patch agent applies. Raises InputError."""
    if path is not None and name != "trae":
        raise InputError(f"{name} is not found by a path, only trae is", hint=f"drop --agent-path {name}=…")
    cache = cache or Cache()
    match name:
        case "codex":
            return Codex(cache)
        case "mini":
            return Mini(cache)
        case "trae":
            return Trae(cache, path)
        case "patch" if patch is not None:
            return PatchAgent(patch)
        case "patch":
            raise InputError("the patch agent needs a patch", hint="patch:expert, patch:noop or patch:FILE")
    raise InputError(f"there is no agent {name!r}", hint=f"one of {', '.join(NAMES)}")

"""The agents of this machine: which are installed, installing them, and whether one works, in seconds."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from speedproof.agents.registry import INSTALLED, agent_name, get_agent
from speedproof.errors import AgentError, InputError, SpeedproofError
from speedproof.execution.finding import Finding
from speedproof.execution.probe import probe, scripted
from speedproof.execution.wire import AS_ASKED, Wire
from speedproof.gateway import ModelChoice
from speedproof.journal import Record, Usage
from speedproof.sandbox import Sandbox
from speedproof.workspace.cache import Cache, silent
from speedproof.workspace.machine import agents_at_work

Told = Callable[[str], None]


class FoundAgent(Record):
    """An agent that can be installed, as it stands on this machine."""

    name: str
    """Its name."""
    protocol: str
    """What it speaks to its model."""
    pinned: str
    """The version that `speedproof agents install` installs."""
    needs: str
    """What it needs of the machine; empty: nothing beside Speedproof's own Python."""
    installed: bool
    """Whether it is there."""
    version: str | None = None
    """The version that its program reports; null when it is not there."""
    executable: str | None = None
    """Its program."""
    sha256: str | None = None
    """SHA-256 of its program."""
    said: str = ""
    """Why it cannot be used, where more is wrong than that it is not installed."""


class CheckedAgent(Record):
    """What a check found."""

    agent: str
    """The agent as named."""
    version: str | None
    """The version that its program reports; null when it does not say, or is not there."""
    model: str
    """The model that it was checked with."""
    seconds: float
    """How long the check took, installation left out."""
    findings: tuple[Finding, ...]
    """What was looked at, in order."""
    calls: int = 0
    """Model calls that it made: of no run, and recorded nowhere else."""
    usage: Usage = Usage()
    """Sum of their known usage."""
    usage_unknown_calls: int = 0
    """Calls whose usage is unknown and not in the sum."""
    cost_usd: float | None = None
    """Sum of their known costs in US dollars; null when no call has one."""
    cost_unknown_calls: int = 0
    """Calls whose cost is unknown and not in the sum."""

    @property
    def ok(self) -> bool:
        """Whether everything works."""
        return all(finding.ok for finding in self.findings)


class _NotInstalled(AgentError):
    """Nothing else is wrong."""


class _LookingCache(Cache):
    """A cache in which nothing is made."""

    def entry(self, kind: str, digest: str, make: Callable[[Path], None]) -> Path:  # noqa: ARG002
        """The folder kind/digest. Raises _NotInstalled when it is not there."""
        target = self.root / kind / digest
        if not target.is_dir():
            raise _NotInstalled("not installed")
        return target


def list_agents(paths: Mapping[str, Path], cache: Cache | None = None) -> list[FoundAgent]:
    """Every agent that can be installed, and where it is; nothing is installed."""
    return [find_agent(name, paths.get(name), cache) for name in INSTALLED]


def find_agent(name: str, path: Path | None = None, cache: Cache | None = None) -> FoundAgent:
    """An agent that can be installed, and where it is; nothing is installed. Raises InputError."""
    agent = get_agent(name, path, cache=_LookingCache(cache.root if cache else None))
    known = INSTALLED[agent_name(name)]
    found = FoundAgent(name=name, protocol=agent.protocol, pinned=known.version, needs=known.needs, installed=False)
    try:
        installation = agent.locate(silent)
    except _NotInstalled:
        return found
    except SpeedproofError as error:
        return found.model_copy(update={"said": error.what})
    there = {
        "installed": True,
        "version": installation.version,
        "executable": str(installation.executable),
        "sha256": installation.sha256(),
    }
    return found.model_copy(update=there)


def install_agent(agent: str, told: Told, cache: Cache | None = None) -> Finding:
    """Install an agent such as codex or codex@0.150.0. Raises InputError for one that cannot be installed, AgentError
    or EnvironmentFailed when it fails."""
    if agent_name(agent) not in INSTALLED:
        raise InputError(f"{agent!r} cannot be installed", hint=f"one of {', '.join(INSTALLED)}, or NAME@VERSION")
    installation = get_agent(agent, cache=cache).locate(told)
    return Finding(what=agent, ok=True, said=f"{installation.version}, {installation.executable}")


def check_agent(
    agent: str,
    path: Path | None,
    model: ModelChoice | None,
    sandbox: Sandbox,
    wire: Wire = AS_ASKED,
    told: Told = silent,
    cache: Cache | None = None,
) -> CheckedAgent:
    """One tool round trip through the real agent in the sandbox and the gateway; a null model is the scripted one.

    Raises InputError for an agent, a pin or a model that cannot be used so, RecordError when the disk refuses; what
    does not work is in the findings.
    """
    cache = cache or Cache()
    if agent_name(agent) == "patch":
        raise InputError("the patch agent calls no model: there is nothing to check", hint="speedproof agents list")
    adapter = get_agent(agent, path, cache=cache)
    choice = model or scripted(adapter)
    wire.require([adapter], [choice])
    try:
        told(f"{agent}: locating")
        installation = adapter.locate(told)
    except SpeedproofError as error:
        missing = Finding(what="installed", ok=False, said=error.what, hint=error.hint)
        return CheckedAgent(agent=agent, version=None, model=choice.asked, seconds=0.0, findings=(missing,))
    findings = [Finding(what="installed", ok=True, said=f"{installation.version}, {installation.executable}")]
    told(f"{agent}: one tool round trip with {choice.asked}")
    with agents_at_work(cache, "a check of agents", told):
        held = asyncio.run(probe(adapter, installation, choice, sandbox, wire, cache))
    return CheckedAgent(
        agent=agent,
        version=installation.version,
        model=choice.asked,
        seconds=held.seconds,
        findings=(*findings, *held.findings),
        calls=held.calls,
        usage=held.usage,
        usage_unknown_calls=held.usage_unknown_calls,
        cost_usd=held.cost_usd,
        cost_unknown_calls=held.cost_unknown_calls,
    )

"""The agents of this machine: which are installed, installing them, and whether one works, in seconds."""

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from speedproof.agents.aider import Aider, edit_block
from speedproof.agents.protocol import Agent
from speedproof.agents.registry import INSTALLED, agent_name, get_agent
from speedproof.errors import AgentError, InputError, SpeedproofError
from speedproof.execution.doctor import Finding
from speedproof.execution.trial import Trial, hold_trial
from speedproof.execution.wire import AS_ASKED, Wire
from speedproof.gateway import ModelChoice, Script, ScriptedModel
from speedproof.gateway.models import SCRIPTED
from speedproof.gateway.protocols import DIALECTS
from speedproof.journal import CallOutcome, Record
from speedproof.journal.usage import total_usage
from speedproof.sandbox import Sandbox
from speedproof.tasks.models import Limits
from speedproof.workspace.cache import Cache, silent
from speedproof.workspace.tree import remove

LIMITS = Limits(wall_s=180, idle_s=90, steps=20)
"""What a check may take: a slow model's two or three answers."""
_FILE, _TEXT = "speedproof-check.txt", "ready\n"
_PROMPT = (
    f"Make a file named {_FILE} in the current folder that holds the single line `{_TEXT.strip()}`, "
    f"for example with `echo {_TEXT.strip()} > {_FILE}`. Then stop: do nothing else, and read nothing.\n"
)

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

    Raises InputError for an agent, a pin or a model that cannot be used so; what does not work is in the findings.
    """
    cache = cache or Cache()
    if agent_name(agent) == "patch":
        raise InputError("the patch agent calls no model: there is nothing to check", hint="speedproof agents list")
    adapter = get_agent(agent, path, cache=cache)
    choice = model or _scripted(adapter)
    wire.require([adapter], [choice])
    try:
        told(f"{agent}: locating")
        installation = adapter.locate(told)
    except SpeedproofError as error:
        missing = Finding(what="installed", ok=False, said=error.what, hint=error.hint)
        return CheckedAgent(agent=agent, version=None, model=choice.asked, seconds=0.0, findings=(missing,))
    findings = [Finding(what="installed", ok=True, said=f"{installation.version}, {installation.executable}")]
    told(f"{agent}: one tool round trip with {choice.asked}")
    folder = cache.scratch("check")
    began = time.monotonic()
    try:
        held = asyncio.run(
            hold_trial(adapter, installation, choice, sandbox, wire, LIMITS, prompt=_PROMPT, makes=_FILE, folder=folder)
        )
        findings += [*_findings(adapter, held), *_pinned(adapter, held, wire, choice)]
    except SpeedproofError as error:
        findings.append(Finding(what="launched", ok=False, said=error.what, hint=error.hint))
    finally:
        seconds = time.monotonic() - began
        remove(folder)
    return CheckedAgent(
        agent=agent, version=installation.version, model=choice.asked, seconds=seconds, findings=tuple(findings)
    )


def _scripted(agent: Agent) -> ModelChoice:
    """The model that makes the file: by a shell command, or, for an agent without tools, by an edit in its words."""
    if isinstance(agent, Aider):
        turns: list[dict[str, str]] = [{"say": edit_block(_FILE, "", _TEXT)}]
    else:
        turns = [{"run": f"echo {_TEXT.strip()} > {_FILE}"}, {"finish": "The file is there."}]
    script = Script.model_validate({"format": "speedproof/script/1", "turns": turns})
    return ModelChoice(f"{SCRIPTED}:check", SCRIPTED, "check", ScriptedModel(script, "check"))


def _findings(agent: Agent, trial: Trial) -> list[Finding]:
    calls = [(i, o) for i, o in trial.calls if i.protocol != "other"]
    answered = [o for _, o in calls if o is not None and o.status == 200]
    spoken = sorted({i.protocol for i, _ in calls})
    errors = [o.error for _, o in calls if o is not None and o.error]
    stopped = f"ended by our limit ({trial.stopped})" if trial.stopped else f"exit code {trial.finished.exit_code}"
    launched = bool(calls) or trial.finished.exit_code == 0
    said, made = trial.outcome, (trial.made or "").strip() == _TEXT.strip()
    return [
        Finding(
            what="launched",
            ok=launched,
            said=f"{trial.finished.wall_s:.1f} s, {stopped}" + ("" if launched else f": {' '.join(trial.stderr)}"),
        ),
        Finding(
            what="called the model",
            ok=bool(answered),
            said=f"{len(answered)} of {len(calls)} calls answered" + (f": {errors[-1]}" if errors else ""),
        ),
        Finding(
            what="protocol",
            ok=spoken == [agent.protocol],
            said=f"{', '.join(spoken) or 'none'} on the wire, {agent.protocol} expected",
        ),
        Finding(
            what="tool ran",
            ok=made,
            said="the file is there" if made else f"{_FILE} holds {trial.made!r}" if trial.made else f"no {_FILE}",
        ),
        Finding(
            what="finished",
            ok=said is not None and said.finished is True,
            said="by its own end marker"
            if said is not None and said.finished
            else (said.error if said and said.error else "no end marker in what it left"),
        ),
        _usage(trial, answered),
        Finding(
            what="processes",
            ok=not trial.left_running,
            said=f"{trial.left_running} still ran after its end" if trial.left_running else "none left",
        ),
    ]


def _usage(trial: Trial, answered: list[CallOutcome]) -> Finding:
    """Every count that the agent makes beside the wire's."""
    own = trial.outcome.usage if trial.outcome else None
    wire = total_usage(outcome.usage for outcome in answered)[0].model_dump()
    counted = {kind: n for kind, n in (own.model_dump() if own else {}).items() if n is not None}
    differs = [f"{kind} {n}, on the wire {wire[kind]}" for kind, n in counted.items() if wire[kind] not in {None, n}]
    if differs:
        return Finding(what="usage", ok=False, said=f"the agent counts {'; '.join(differs)}")
    return Finding(
        what="usage", ok=True, said=f"agrees: {', '.join(counted)}" if counted else "the agent counts none itself"
    )


def _pinned(agent: Agent, trial: Trial, wire: Wire, model: ModelChoice) -> list[Finding]:
    """Whether each pin was sent, and whether the model refuses it: with a 400 that names it."""
    places = DIALECTS[agent.protocol].places if agent.protocol in DIALECTS else {}
    findings = []
    for name, value in wire.rules(model).pins.items():
        spellings = (name, *places.get(name, ()))
        calls = [(i, o) for i, o in trial.calls if i.protocol != "other" and i.watched.get(name)]
        sent = [o for i, o in calls if i.watched[name].pinned]
        refused = next(
            (o.error for o in sent if o and o.status == 400 and o.error and _names(o.error, spellings)), None
        )
        if refused is not None:
            hint = f"leave the pin out, or give another value: --pin {name}=…"
            findings.append(
                Finding(what=f"pin {name}", ok=False, said=f"{model.asked} refuses it: {refused}", hint=hint)
            )
        else:
            said = f"{json.dumps(value, ensure_ascii=False)} sent in {len(sent)} of {len(calls)} calls, not refused"
            findings.append(Finding(what=f"pin {name}", ok=bool(sent), said=said))
    return findings


def _names(error: str, spellings: Iterable[str]) -> bool:
    """Whether an error speaks of a parameter, with or without underscores and capitals."""
    return any(_letters(spelling) in _letters(error) for spelling in spellings)


def _letters(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum())

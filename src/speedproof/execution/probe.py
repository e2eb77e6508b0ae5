"""The probe: one tool round trip of a real agent through its sandbox and the gateway, and what it showed.

It proves that the agent starts, that its calls reach the model and are answered, and that what is pinned is taken.
"""

import json
import time
from collections.abc import Callable, Iterable, Sequence

from speedproof.agents.aider import Aider, edit_block
from speedproof.agents.protocol import Agent, Installation
from speedproof.diagnosis.calls import classify
from speedproof.diagnosis.facts import ModelCall, sentence
from speedproof.errors import AgentError, RecordError, SandboxError
from speedproof.execution.finding import Finding
from speedproof.execution.trial import Trial, hold_trial, wire_of
from speedproof.execution.wire import Wire
from speedproof.gateway import ModelChoice, Script, ScriptedModel
from speedproof.gateway.models import SCRIPTED
from speedproof.gateway.protocols import DIALECTS
from speedproof.journal import CallOutcome, FailureClass, Record, Usage
from speedproof.journal.usage import total_usage
from speedproof.sandbox import Sandbox
from speedproof.tasks.models import Limits
from speedproof.workspace.cache import Cache
from speedproof.workspace.tree import remove

FILE = "speedproof-check.txt"
"""The file that the agent is to make: its name stands in the prompt of every probe, and of nothing else."""
LIMITS = Limits(wall_s=180, idle_s=90, steps=10)
"""What a probe may take: a slow model's two or three answers."""
CALLED = "called the model"
"""The finding that counts its calls."""
_TEXT = "ready\n"
_PROMPT = (
    f"Make a file named {FILE} in the current folder that holds the single line `{_TEXT.strip()}`, "
    f"for example with `echo {_TEXT.strip()} > {FILE}`. Then stop: do nothing else, and read nothing.\n"
)
_PASSING = frozenset({FailureClass.RATE_LIMITED, FailureClass.SERVER_ERROR, FailureClass.STREAM_BROKEN})
"""Failures of a call that say nothing of the next hour: retries are for them."""


class Probed(Record):
    """What a probe showed."""

    findings: tuple[Finding, ...]
    """What was looked at, in order."""
    broken: str | None
    """Why no attempt can succeed, in one sentence; null when one can, whatever else is not well."""
    hint: str
    """What to do about it; empty when only the agent's own words say."""
    seconds: float
    """How long it took."""
    calls: int
    """Model calls."""
    usage: Usage
    """Their known usage together."""
    usage_unknown_calls: int
    """Calls whose usage is unknown and not in the sum."""
    cost_usd: float | None
    """Their known cost together, in US dollars; null when none is known."""
    cost_unknown_calls: int
    """Calls whose cost is unknown and not in the sum."""
    wire: str
    """The calls as recorded: lines of a calls.jsonl."""

    @property
    def said(self) -> str:
        """What became of its calls, and what they took."""
        answered = next((f.said for f in self.findings if f.what == CALLED), "not launched")
        return f"{answered}; {self.spent}"

    @property
    def spent(self) -> str:
        """What its calls took: the known sums, and of how many nobody knows."""
        tokens = f"{self.usage.input + (self.usage.output or 0):,} tokens"
        if self.usage_unknown_calls:
            tokens += f" and {self.usage_unknown_calls} of {self.calls} calls of unknown usage"
        if self.cost_usd is None:
            return f"{tokens}, cost unknown" if self.calls else f"{tokens}, $0.0000"
        unknown = f" and {self.cost_unknown_calls} of {self.calls} calls of unknown cost"
        return f"{tokens}, ${self.cost_usd:.4f}" + (unknown if self.cost_unknown_calls else "")


async def probe(
    adapter: Agent,
    installation: Installation,
    model: ModelChoice,
    sandbox: Sandbox,
    wire: Wire,
    cache: Cache,
    cut: Callable[["Probed"], None] = lambda _: None,
) -> Probed:
    """Hold one. `cut` is told what it had spent when it is broken off, by a Ctrl-C or a full disk.

    Raises RecordError when the disk refuses; everything else is in what it showed.
    """
    folder = cache.scratch("probe")
    began = time.monotonic()
    try:
        trial = await hold_trial(
            adapter, installation, model, sandbox, wire, LIMITS, prompt=_PROMPT, makes=FILE, folder=folder
        )
    except (AgentError, SandboxError) as error:
        missing = Finding(what="launched", ok=False, said=error.what, hint=error.hint)
        return _probed((missing,), error.what, error.hint, time.monotonic() - began, *wire_of(folder))
    except BaseException as error:
        cut(_probed((), None, "", time.monotonic() - began, *wire_of(folder)))
        if isinstance(error, OSError):
            raise RecordError(f"the probe cannot be held: {error}", file=folder, hint="speedproof doctor") from error
        raise
    finally:
        remove(folder)
    calls = _to_models(trial.calls)
    findings = (*_findings(adapter, trial, calls), *_pinned(adapter, calls, wire, model))
    broken, hint = _broken(trial, calls, model)
    return _probed(findings, broken, hint, time.monotonic() - began, trial.calls, trial.wire)


def scripted(agent: Agent) -> ModelChoice:
    """The model that makes the file: by a shell command, or, for an agent without tools, by an edit in its words."""
    if isinstance(agent, Aider):
        turns: list[dict[str, str]] = [{"say": edit_block(FILE, "", _TEXT)}]
    else:
        turns = [{"run": f"echo {_TEXT.strip()} > {FILE}"}, {"finish": "The file is there."}]
    script = Script.model_validate({"format": "speedproof/script/1", "turns": turns})
    return ModelChoice(f"{SCRIPTED}:check", SCRIPTED, "check", ScriptedModel(script, "check"))


def _probed(
    findings: tuple[Finding, ...], broken: str | None, hint: str, seconds: float, made: Sequence[ModelCall], wire: str
) -> Probed:
    calls = _to_models(made)
    outcomes = [call.outcome for call in calls]
    usage, usage_unknown = total_usage(None if o is None else o.usage for o in outcomes)
    costs = [o.cost_usd for o in outcomes if o is not None and o.cost_usd is not None]
    return Probed(
        findings=findings,
        broken=broken,
        hint=hint,
        seconds=seconds,
        calls=len(calls),
        usage=usage,
        usage_unknown_calls=usage_unknown,
        cost_usd=sum(costs) if costs else None,
        cost_unknown_calls=len(calls) - len(costs),
        wire=wire,
    )


def _to_models(calls: Iterable[ModelCall]) -> list[ModelCall]:
    return [call for call in calls if not call.side_route]


def _broken(trial: Trial, calls: Sequence[ModelCall], model: ModelChoice) -> tuple[str | None, str]:
    """Why no attempt can succeed, and what to do: it does not start, or no call of it can be answered. What a script
    of ours refuses proves nothing, nor does what passes."""
    if not calls:
        if trial.stopped is not None or trial.finished.exit_code == 0:
            return None, ""
        return f"the agent does not start: {_how(trial)}, before any model call{_words(trial)}", ""
    if any(not call.failed for call in calls) or (model.provider == SCRIPTED and not calls[-1].refused):
        return None, ""
    said = [call for call in calls if call.outcome is not None and call.outcome.error]
    if not said or (failure := classify(said[-1])) in _PASSING:
        return None, ""
    outcome = said[-1].outcome
    assert outcome is not None
    status = "no answer" if outcome.status is None else f"HTTP {outcome.status}"
    code = f" ({outcome.error_code})" if outcome.error_code else ""
    resets = f"; the limit resets at {outcome.resets_at:%Y-%m-%d %H:%M} UTC" if outcome.resets_at else ""
    return sentence(f"no model call is answered: {status}{code}: {outcome.error}") + resets, failure.info.next


def _how(trial: Trial) -> str:
    """How it ended."""
    if trial.stopped is not None:
        return f"ended by our limit ({trial.stopped})"
    number = trial.finished.signal
    return f"exit code {trial.finished.exit_code}" if number is None else f"ended by signal {number}"


def _words(trial: Trial) -> str:
    """Its last words, behind a colon; nothing when it left none."""
    said = sentence(" ".join(trial.stderr))
    return f": {said}" if said else ""


def _findings(agent: Agent, trial: Trial, calls: Sequence[ModelCall]) -> list[Finding]:
    outcomes = [call.outcome for call in calls if call.outcome is not None]
    answered = [o for o in outcomes if o.status == 200]
    spoken = sorted({call.intent.protocol for call in calls if call.intent is not None})
    errors = [o.error for o in outcomes if o.error]
    launched = bool(calls) or trial.finished.exit_code == 0
    said, made = trial.outcome, (trial.made or "").strip() == _TEXT.strip()
    return [
        Finding(
            what="launched",
            ok=launched,
            said=f"{trial.finished.wall_s:.1f} s, {_how(trial)}" + ("" if launched else _words(trial)),
        ),
        Finding(
            what=CALLED,
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
            said="the file is there" if made else f"{FILE} holds {trial.made!r}" if trial.made else f"no {FILE}",
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


def _pinned(agent: Agent, made: Sequence[ModelCall], wire: Wire, model: ModelChoice) -> list[Finding]:
    """Whether each pin was sent, and whether the model refuses it: with a 400 that names it."""
    places = DIALECTS[agent.protocol].places if agent.protocol in DIALECTS else {}
    findings = []
    for name, value in wire.rules(model).pins.items():
        spellings = (name, *places.get(name, ()))
        calls = [(c.intent.watched[name], c.outcome) for c in made if c.intent and name in c.intent.watched]
        sent = [o for watched, o in calls if watched.pinned]
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

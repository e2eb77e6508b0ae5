"""What a run asks of the wire: parameters configured and pinned, side models, repairs, retries, bodies, its budget."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from speedproof.agents.protocol import Agent
from speedproof.errors import InputError
from speedproof.gateway import Budget, ModelChoice, Patience, Rules


@dataclass(frozen=True)
class Wire:
    """Options of a run; the same for all its attempts."""

    configured: Mapping[str, Any] = field(default_factory=dict)
    """Model parameters that each agent is configured with, in its own way."""
    pins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Parameters set on the wire, by model; under the empty name those of every item's own model."""
    side_models: tuple[str, ...] = ()
    """Models of the same provider that an agent may call beside the item's own."""
    repair: bool = False
    """Whether a tool call without an output is given one before it is forwarded."""
    stop: bool = False
    """Whether an attempt ends at the first request that its protocol forbids."""
    bodies: bool = True
    """Whether request and answer bodies are kept."""
    patience: Patience = field(default_factory=Patience)
    """How often a call that fails for a moment is tried."""
    budget: Budget = field(default_factory=Budget)
    """What all attempts of the run may use together."""

    def rules(self, model: ModelChoice) -> Rules:
        """What the gateway does to the requests of an attempt with this model."""
        pins = {**self.pins.get("", {}), **self.pins.get(model.model, {})}
        side = {name: self.pins.get(name, {}) for name in self.side_models if name != model.model}
        watch = dict.fromkeys((*pins, *(name for pinned in side.values() for name in pinned)))
        return Rules(model=model.model, pins=pins, side=side, watch=tuple(watch), repair=self.repair, stop=self.stop)

    def require(self, agents: Iterable[Agent], models: Iterable[ModelChoice]) -> None:
        """Raises InputError for what cannot be kept: an agent that cannot be configured so, a pin on a model that
        nothing calls, a side model without a name, a cost limit that lets nothing begin."""
        for agent in agents:
            unknown = [name for name in self.configured if name not in agent.parameters]
            if agent.uses_model and unknown:
                can = ", ".join(agent.parameters) or "nothing"
                raise InputError(
                    f"{agent.name} cannot be configured with {unknown[0]}; it can with: {can}",
                    hint=f"--pin {unknown[0]}=… sets it on the wire",
                )
        if (cost := self.budget.cost_usd) is not None and not cost > 0:
            raise InputError(f"a cost limit of ${cost:g} lets no call be made", hint="--max-cost 5")
        if not all(name.strip() for name in self.side_models):
            raise InputError("a side model has no name", hint="--side-model MODEL, without its provider")
        known = {model.model for model in models} | set(self.side_models)
        for model in self.pins:
            if model and model not in known:
                there = ", ".join(sorted(known)) or "none"
                raise InputError(
                    f"a pin names the model {model!r}, which nothing calls; there are: {there}",
                    hint="name a model of --model or --side-model, without its provider",
                )


AS_ASKED = Wire()
"""Nothing but the model is set, and bodies are kept."""


def parameters_of(texts: Sequence[str], flag: str) -> dict[str, Any]:
    """NAME=VALUE pairs; a value that is JSON counts as such, else as text. Raises InputError."""
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip() or name != name.strip():
            raise InputError(f"{flag} {text!r} is no NAME=VALUE", hint=f"{flag} temperature=0")
        if name in found:
            raise InputError(f"{flag} gives {name} twice", hint="give it once")
        found[name] = _value(value)
    return found


def pins_of(texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """NAME=VALUE or MODEL:NAME=VALUE pairs, by model. Raises InputError."""
    found: dict[str, dict[str, Any]] = {}
    for name, value in parameters_of(texts, "--pin").items():
        model, colon, parameter = name.rpartition(":")
        if parameter in {"model", "stream", "messages", "input", "contents", "tools"} or not parameter:
            raise InputError(
                f"{parameter or name!r} cannot be pinned",
                hint="pin a parameter, such as temperature; --model sets the model",
            )
        found.setdefault(model if colon else "", {})[parameter] = value
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text

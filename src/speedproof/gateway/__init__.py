"""The recording model proxy between agent and provider: tokens, pins, budgets, retries, usage.

Here live the names of models and where their keys come from, one session an attempt, the exchange that records, checks
and forwards each call, the pace that a run's attempts share at a provider; in packages of their own the protocols, the
providers that want more than a key (upstreams), and the two models that stand in for one (scripted, replayed). Not
here: where the socket comes from (sandbox), when an attempt is ended (execution), what a failed call means (diagnosis;
the words of providers that tell a used-up quota from a rate limit are journal's).
"""

from speedproof.gateway.asked import Rules
from speedproof.gateway.budget import Budget, Meter
from speedproof.gateway.forwarding import HttpUpstream
from speedproof.gateway.models import ModelChoice, price_list, resolve_model
from speedproof.gateway.patience import Patience
from speedproof.gateway.scripted import LedgerEntry, ScriptedModel
from speedproof.gateway.scripted.script import Script, load_script
from speedproof.gateway.server import Gateway, require_price
from speedproof.gateway.session import Session
from speedproof.gateway.upstream import Upstream

__all__ = [
    "Budget",
    "Gateway",
    "HttpUpstream",
    "LedgerEntry",
    "Meter",
    "ModelChoice",
    "Patience",
    "Rules",
    "Script",
    "ScriptedModel",
    "Session",
    "Upstream",
    "load_script",
    "price_list",
    "require_price",
    "resolve_model",
]

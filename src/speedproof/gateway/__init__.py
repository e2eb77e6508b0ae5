"""The recording model proxy between agent and provider: tokens, pins, budgets, usage, and the scripted model.

Here live the names of models, one session an attempt, the exchange that records, checks and forwards each call, and
the scripted model that plays a provider. Not here: where the socket comes from (sandbox), when an attempt is ended
(execution), what a failed call means (diagnosis).
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

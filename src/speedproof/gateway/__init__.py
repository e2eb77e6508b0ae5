"""The recording model proxy between agent and provider: tokens, pins, budgets, usage, and the scripted model.

Here live the names of models, one session an attempt, the exchange that records, checks and forwards each call, and
the scripted model that plays a provider. Not here: where the socket comes from (sandbox), when an attempt is ended
(execution), what a failed call means (diagnosis).
"""

from speedproof.gateway.budget import Budget
from speedproof.gateway.models import ModelChoice, resolve_model
from speedproof.gateway.script import Script, load_script
from speedproof.gateway.scripted import LedgerEntry, ScriptedModel
from speedproof.gateway.server import Gateway
from speedproof.gateway.session import Session
from speedproof.gateway.upstream import HttpUpstream, Upstream

__all__ = [
    "Budget",
    "Gateway",
    "HttpUpstream",
    "LedgerEntry",
    "ModelChoice",
    "Script",
    "ScriptedModel",
    "Session",
    "Upstream",
    "load_script",
    "resolve_model",
]

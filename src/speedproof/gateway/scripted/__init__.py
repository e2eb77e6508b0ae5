"""The scripted model: plays a provider whose model follows a script (docs/scripted-model.md).

Here live the script's file, the choice of the tool that runs a command, the model's strictness and its token counts,
and how each protocol puts an answer on the wire. Not here: what a request says (protocols).
"""

from speedproof.gateway.scripted.model import LedgerEntry, ScriptedModel

__all__ = ["LedgerEntry", "ScriptedModel"]

"""Replay: the model calls of a recorded attempt, answered once more from its record.

Here live the recorded calls, what of a request is compared, the upstream that answers, and the first difference.
Not here: how the agent is run again (execution).
"""

from speedproof.gateway.replayed.difference import Difference
from speedproof.gateway.replayed.model import ReplayedModel

__all__ = ["Difference", "ReplayedModel"]

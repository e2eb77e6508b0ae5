"""Isolation: what a process of an agent, a test or a workload may see and reach.

Here live the description of a confined command (`Box`), bubblewrap and its absence (`host`), and the probe that
says what is really enforced. Not here: what runs inside (agents, evaluation) or how long (execution).
"""

from speedproof.sandbox.box import Box, Mount, Sandbox, Started
from speedproof.sandbox.bubblewrap import Bubblewrap
from speedproof.sandbox.host import HostSandbox
from speedproof.sandbox.process import Confined, Finished

__all__ = ["Box", "Bubblewrap", "Confined", "Finished", "HostSandbox", "Mount", "Sandbox", "Started"]

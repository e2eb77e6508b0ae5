"""Isolation: what a process of an agent, a test or a workload may see, reach and use up.

Here live the description of a confined command (`Box`), bubblewrap and its absence (`host`), the control groups that
bound and hold the processes of an attempt, the looks at what they write to the disk (`growth`), and the probe that says
what is really enforced. Not here: what runs inside (agents, evaluation) or how long (execution).
"""

from speedproof.sandbox.box import Box, Mount, Sandbox, Started
from speedproof.sandbox.bubblewrap import Bubblewrap
from speedproof.sandbox.cgroups import Group, bounds_in_force, left_groups, new_group
from speedproof.sandbox.host import HostSandbox
from speedproof.sandbox.priority import raised
from speedproof.sandbox.process import Confined, Finished, Use

__all__ = [
    "Box",
    "Bubblewrap",
    "Confined",
    "Finished",
    "Group",
    "HostSandbox",
    "Mount",
    "Sandbox",
    "Started",
    "Use",
    "bounds_in_force",
    "left_groups",
    "new_group",
    "raised",
]

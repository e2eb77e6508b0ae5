"""Agents, models, configurations or prompts against each other: paired by task, with what confounds them.

Here live the sides, the pairs, the statistics with their sources, and what can be concluded. Not here: which attempts
there are (collection), how two measurements of one patch are compared (evaluation), how it looks (report).
"""

from speedproof.analysis.comparison.comparison import Comparison, compare

__all__ = ["Comparison", "compare"]

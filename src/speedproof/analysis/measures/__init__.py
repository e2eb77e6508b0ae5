"""Named quantities over attempts: each with its unit, its definition, and the attempts behind its value.

Here live the measures, the legacy ones that show how a wrong figure came to be, and the figure: a value that says which
measure it is, over which attempts. Not here: what a report says with them (survey), whether a stated figure holds
(claims).
"""

from speedproof.analysis.measures import (
    calls,
    commits,
    costs,
    counts,
    legacy,
    outcomes,
    patches,
    rungs,
    settings,
    times,
    tokens,
    trouble,
)
from speedproof.analysis.measures.figure import Figure, figure
from speedproof.analysis.measures.measure import MEASURES, Measure, Value, measured

_MODULES = (
    counts,
    outcomes,
    patches,
    times,
    tokens,
    costs,
    calls,
    commits,
    rungs,
    trouble,
    settings,
    legacy,
)
"""They register themselves when they are loaded; documents show them in this order."""

__all__ = ["MEASURES", "Figure", "Measure", "Value", "figure", "measured"]

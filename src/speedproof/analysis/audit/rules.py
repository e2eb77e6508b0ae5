"""All rules of the audit, by what they look at."""

from speedproof.analysis.audit import (
    counters,
    expert,
    identical,
    labels,
    outcomes,
    patches,
    records,
    settings,
    times,
    together,
    tokens,
)
from speedproof.analysis.audit.rule import Rule

RULES: tuple[Rule, ...] = (
    *outcomes.RULES,
    *identical.RULES,
    *patches.RULES,
    *expert.RULES,
    *labels.RULES,
    *tokens.RULES,
    *together.RULES,
    *times.RULES,
    *settings.RULES,
    *counters.RULES,
    *records.RULES,
)
"""Every rule, in the order in which an audit shows them within one severity."""

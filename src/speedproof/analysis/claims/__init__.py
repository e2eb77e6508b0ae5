"""Statements about attempts, held against the attempts themselves.

Here live the claims file, the verdict on each claim with the explanation of a wrong figure, contradictions within one
document, and the derivation of every figure of our own reports again. Not here: the measures and what holds between
them (measures), and how a verdict is shown (report).
"""

from speedproof.analysis.claims.again import Again, Difference, check_run_report, check_survey
from speedproof.analysis.claims.checking import check_claims, explanation
from speedproof.analysis.claims.document import Claim, Claims, Like, Loaded, load_claims
from speedproof.analysis.claims.verdict import Checked, Checks, Contradiction, Derived, Explained

__all__ = [
    "Again",
    "Checked",
    "Checks",
    "Claim",
    "Claims",
    "Contradiction",
    "Derived",
    "Difference",
    "Explained",
    "Like",
    "Loaded",
    "check_claims",
    "check_run_report",
    "check_survey",
    "explanation",
    "load_claims",
]

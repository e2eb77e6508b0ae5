"""Why something did not finish: the rules that derive a status, and a cause, from an attempt's facts.

Here live the rules (versioned as one set, `RULES`), the order in which evidence counts, the words of providers and
agents that name a cause, and fingerprints that group equal failures. Not here: the failure classes and records
themselves (journal), reading what one agent leaves behind (agents).
"""

from speedproof.diagnosis.fingerprint import fingerprint
from speedproof.diagnosis.status import RULES, derive, derived

__all__ = ["RULES", "derive", "derived", "fingerprint"]

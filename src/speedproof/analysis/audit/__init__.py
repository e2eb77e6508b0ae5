"""What is wrong with a record: named rules, each of which looks at a collection and says what it found, and where.

Here live the rules, the findings, the audit that puts them together, and the table of rules for the documentation. Not
here: how an audit looks, on the terminal or as SARIF (report), and how records are read (archives, journal).
"""

from speedproof.analysis.audit.audit import Audit, Audited, audit
from speedproof.analysis.audit.finding import SEVERITIES, Finding, Place, Severity
from speedproof.analysis.audit.rules import RULES

__all__ = ["RULES", "SEVERITIES", "Audit", "Audited", "Finding", "Place", "Severity", "audit"]

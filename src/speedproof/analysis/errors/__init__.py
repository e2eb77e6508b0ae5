"""What went wrong in many attempts: groups of equal failures, what each took, and what to do about it.

Here live the groups of failures of a collection, the groups of failed calls, and what the report of one run shares with
them. Not here: how a cause is found and named (diagnosis), how it looks (report).
"""

from speedproof.analysis.errors.grouping import errors
from speedproof.analysis.errors.records import BY, By, CallGroup, ErrorGroup, Errors

__all__ = ["BY", "By", "CallGroup", "ErrorGroup", "Errors", "errors"]

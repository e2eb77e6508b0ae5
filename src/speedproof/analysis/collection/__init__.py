"""Attempts of many runs and archives together: one entry an attempt, whoever made it, and how some are chosen.

Here live the entry, the collection, its dimensions, and the finding of named runs and archives. Not here: what is asked
of them (measures, survey, audit, comparison).
"""

from speedproof.analysis.collection.collection import Collection
from speedproof.analysis.collection.dimensions import DIMENSIONS, Where
from speedproof.analysis.collection.entry import Entry
from speedproof.analysis.collection.sources import collect

__all__ = ["DIMENSIONS", "Collection", "Entry", "Where", "collect"]

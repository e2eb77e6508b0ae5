"""The survey: what a collection of attempts says altogether, as a document whose figures carry their measures.

Here live the document's parts, and its sections, one module each. Not here: the measures themselves, and how a document
is shown (report).
"""

from speedproof.analysis.survey.document import Survey
from speedproof.analysis.survey.survey import survey

__all__ = ["Survey", "survey"]

"""A survey shown: as text, Markdown, JSON and a page with plots.

Here lives how each part of the document looks in each form. Not here: what it says (analysis.survey).
"""

from speedproof.report.survey.text import to_text
from speedproof.report.survey.write import WrittenSurvey, write_survey

__all__ = ["WrittenSurvey", "to_text", "write_survey"]

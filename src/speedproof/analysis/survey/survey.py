"""All sections of a survey, in their order."""

from speedproof import __version__
from speedproof.analysis.collection import Collection
from speedproof.analysis.survey.commits import commits_section
from speedproof.analysis.survey.configuration import configuration_section
from speedproof.analysis.survey.document import Survey
from speedproof.analysis.survey.funnel import funnel_section
from speedproof.analysis.survey.issues import issues_section
from speedproof.analysis.survey.methodology import methodology_section
from speedproof.analysis.survey.part import Part
from speedproof.analysis.survey.patterns import patterns_section
from speedproof.analysis.survey.recommendations import recommendations_section
from speedproof.analysis.survey.retries import retries_section
from speedproof.analysis.survey.runs import runs_section
from speedproof.analysis.survey.sizes import sizes_section
from speedproof.analysis.survey.sources import sources_section
from speedproof.analysis.survey.summary import summary_section
from speedproof.analysis.survey.trust import assessment_section, trust_section

_SECTIONS = (
    summary_section,
    methodology_section,
    funnel_section,
    runs_section,
    sizes_section,
    retries_section,
    patterns_section,
    commits_section,
    configuration_section,
    issues_section,
    trust_section,
    recommendations_section,
    assessment_section,
    sources_section,
)


def survey(collection: Collection) -> Survey:
    """What a collection says altogether."""
    whole = Part(collection)
    return Survey(
        title=f"Survey of {', '.join(collection.archives)}",
        archives=collection.archives,
        speedproof=__version__,
        sections=tuple(section(whole) for section in _SECTIONS),
    )

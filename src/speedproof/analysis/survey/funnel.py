"""The funnel: how far attempts came, rung by rung."""

from speedproof.analysis.survey.document import Section
from speedproof.analysis.survey.part import Part, table
from speedproof.analysis.survey.phrases import name, say

_RUNGS = (
    ("Attempts", "attempts"),
    ("Called the model", "called_the_model"),
    ("Finished", "finished"),
    ("With a patch", "finished_with_patch"),
    ("With an effect", "finished_with_effect"),
    ("Sure of itself", "finished_and_sure"),
    ("Proven", "finished_and_proven"),
)


def funnel_section(whole: Part) -> Section:
    """How far attempts came."""
    lines = [(("all", "all"), whole)]
    for what in ("agent", "model"):
        told = {getattr(e.attempt, what).value for e in whole.collection.entries}
        if len(told) > 1:
            known = sorted(value for value in told if value is not None)
            lines += [((what, name(value)), whole.part(**{what: value})) for value in known]
            lines += [((what, "unknown"), whole.part(**{what: None}))] if None in told else []
    words = [say("Each rung holds the attempts that reached it and every rung before.")]
    if whole.figure("patches", proven=None).value:
        words.append(
            say("Of a patch that was not judged nobody knows whether it is correct or faster: that takes a judge.")
        )
    return Section(
        id="funnel",
        title="Funnel",
        paragraphs=(tuple(words),),
        tables=(table("How far attempts came", ("By", "Name"), _RUNGS, lines),),
    )

"""The funnel: how far attempts came, rung by rung."""

from speedproof.analysis.collection import Where
from speedproof.analysis.survey.document import Section
from speedproof.analysis.survey.making import Maker

_RUNGS = (
    ("Attempts", "attempts"),
    ("Called the model", "called_the_model"),
    ("Finished", "finished"),
    ("With a patch", "finished_with_patch"),
    ("With an effect", "finished_with_effect"),
    ("Sure of itself", "finished_and_sure"),
    ("Proven", "finished_and_proven"),
)


def funnel_section(maker: Maker) -> Section:
    """How far attempts came."""
    lines: list[tuple[str, Where]] = [("all", {})]
    lines += [(name, {"agent": name}) for name in _values(maker, "agent")]
    lines += [(name, {"model": name}) for name in _values(maker, "model")]
    words = (
        maker.say("Each rung holds the attempts that reached it and every rung before."),
        maker.say(
            "Of a foreign patch nobody knows whether it is correct or faster: that takes its repository and a judge."
        ),
    )
    return Section(
        id="funnel",
        title="Funnel",
        paragraphs=(words,),
        tables=(maker.table("How far attempts came", "Attempts", _RUNGS, lines),),
    )


def _values(maker: Maker, name: str) -> list[str]:
    told = {getattr(e.attempt, name).value for e in maker.collection.entries}
    return sorted(value for value in told if value is not None) if len(told) > 1 else []

"""Where the figures come from: the archives and runs, and how each is derived again."""

from speedproof.analysis.survey.document import Section
from speedproof.analysis.survey.part import Part, table
from speedproof.analysis.survey.phrases import name, say

_COLUMNS = (
    ("Attempts", "attempts"),
    ("Runs", "runs"),
    ("With a journal", "attempts_with_journal"),
    ("With a patch file", "attempts_with_patch_file"),
    ("With a log", "attempts_with_log"),
    ("First day", "first_day"),
    ("Last day", "last_day"),
)


def sources_section(whole: Part) -> Section:
    """Where the figures come from."""
    words = (
        say(
            "Every figure names its measure and the attempts it is over; `speedproof measures` gives the definitions, "
            "and `speedproof claims check` derives every figure of this document again from the records."
        ),
    )
    lines = (((name(one),), whole.part(archive=one)) for one in whole.collection.archives)
    return Section(
        id="sources",
        title="Data sources",
        paragraphs=(words,),
        tables=(table("Archives and runs", ("Archive or run",), _COLUMNS, lines),),
    )

"""Where the figures come from: the archives and runs, and how each is derived again."""

from speedproof.analysis.collection import Where
from speedproof.analysis.survey.document import Section
from speedproof.analysis.survey.making import Maker


def sources_section(maker: Maker) -> Section:
    """Where the figures come from."""
    lines: list[tuple[str, Where]] = [(name, {"archive": name}) for name in maker.collection.archives]
    columns = [
        ("Attempts", "attempts"),
        ("Runs", "runs"),
        ("With a journal", "attempts_with_journal"),
        ("With a patch file", "attempts_with_patch_file"),
        ("With a log", "attempts_with_log"),
        ("First day", "first_day"),
        ("Last day", "last_day"),
    ]
    words = (
        maker.say(
            "Every figure names its measure and the attempts it is over; `speedproof measures` gives the "
            "definitions, and "
            "`speedproof claims check` derives every figure of this document again from the records."
        ),
    )
    return Section(
        id="sources",
        title="Data sources",
        paragraphs=(words,),
        tables=(maker.table("Archives and runs", "Archive or run", columns, lines),),
    )

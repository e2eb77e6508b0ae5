"""How the figures were made: what was read, what a rule takes, how tokens and costs are told."""

from speedproof.analysis.collection import Where
from speedproof.analysis.survey.document import Section
from speedproof.analysis.survey.making import Maker


def methodology_section(maker: Maker) -> Section:
    """How the figures were made."""
    f, say = maker.figure, maker.say
    read = (
        say(
            "{} attempts were read, {} of them with a valid journal or record, {} with a patch file and {} with "
            "a console "
            "log.",
            f("attempts"),
            f("attempts_with_journal"),
            f("attempts_with_patch_file"),
            f("attempts_with_log"),
        ),
        say("Attempts are found by what files hold. Second copies of an attempt, and controls, count nowhere."),
    )
    facts = (
        say("What an archive claims is kept as recorded; every other field follows from the files."),
        say(
            "A cause rests on the file and line that are shown with it: direct where the words are those of the "
            "party that "
            "failed, inferred where they allow one conclusion, weak where they suggest one."
        ),
    )
    tokens = (
        say(
            "Tokens come from the best source that an attempt has: the wire, each answer in the trajectory, the "
            "box that "
            "closes a console log, its last running total, what the agent reports, one number for all."
        ),
        say("Where none tells them they are unknown, never zero."),
        say("A record with more cached than input tokens is impossible and left out."),
    )
    costs = (
        say(
            "Costs are at the list prices of the day on which the attempt was made, cached input apart, for "
            "models that the "
            "files themselves name; what an agent was billed stands beside it."
        ),
    )
    order = (say("Attempts stand in the order of time, in UTC; a clock without a zone is brought there by evidence."),)
    sources: list[tuple[str, Where]] = [
        (name.replace("_", " "), {"usage_source": name})
        for name in sorted({e.attempt.usage_source for e in maker.collection.entries})
    ]
    layouts: list[tuple[str, Where]] = [
        (name, {"layout": name}) for name in sorted({e.attempt.layout for e in maker.collection.entries})
    ]
    return Section(
        id="methodology",
        title="Methodology",
        paragraphs=(read, facts, tokens, costs, order),
        tables=(
            maker.table("What was read, by layout", "Layout", [("Attempts", "attempts"), ("Runs", "runs")], layouts),
            maker.table(
                "Where tokens are told",
                "Source",
                [("Attempts", "attempts"), ("Input", "input_tokens"), ("Output", "output_tokens")],
                sources,
            ),
        ),
    )

"""The methodology: what was read, and what each figure rests on."""

from collections.abc import Iterable

from speedproof.analysis.collection import Collection
from speedproof.analysis.survey.document import Section, Sentence
from speedproof.analysis.survey.part import Part, table
from speedproof.analysis.survey.phrases import named, say


def methodology_section(whole: Part) -> Section:
    """How the figures were made."""
    f = whole.figure
    read = (
        say(
            "{} [attempt was|attempts were] read, {} of them with a valid journal or record, {} with a patch file and "
            "{} with a console log.",
            f("attempts"),
            f("attempts_with_journal"),
            f("attempts_with_patch_file"),
            f("attempts_with_log"),
        ),
        say("Attempts are found by what files hold. Second copies of an attempt, and controls, count nowhere."),
        *_apart(whole.collection),
    )
    facts = (
        say("What an archive claims is kept as recorded; every other field follows from the files."),
        say(
            "A cause rests on the file and line that are shown with it: direct where the words are those of the party "
            "that failed, inferred where they allow one conclusion, weak where they suggest one."
        ),
    )
    rules = (
        say(
            "Success is counted by five rules. Recorded: what the archive claims. Exit and patch: exit code zero and "
            "patch bytes. Strict: these, a patch that changes code, and no error. Confirmed: strict, and the agent's "
            "own word and calls agree. Proven: judged correct, faster and clean."
        ),
    )
    tokens = (
        say(
            "Tokens come from the best source that an attempt has: the wire, each answer in the trajectory, the box "
            "that closes a console log, its last running total, what the agent reports, one number for all."
        ),
        say(
            "Where none tells them they are unknown, never zero. A usage record with more cached than input tokens is "
            "impossible: it is left out of costs and of uncached input, and summed as told elsewhere."
        ),
    )
    costs = (
        say(
            "Costs are at the list prices of the day on which the attempt was made, cached input apart, for models "
            "that the files themselves name; what an agent was billed stands beside it."
        ),
    )
    order = (say("Attempts stand in the order of time, in UTC; a clock without a zone is brought there by evidence."),)
    signs = (
        say(
            "In tables a plus sign stands after a value from which attempts are missing because it is unknown of them; "
            "a dash stands where nothing tells a value."
        ),
    )
    entries = whole.collection.entries
    sources = {
        name.replace("_", " "): whole.part(usage_source=name)
        for name in sorted({e.attempt.usage_source for e in entries})
    }
    layouts = {name: whole.part(layout=name) for name in sorted({e.attempt.layout for e in entries})}
    columns = (("Attempts", "attempts"), ("Input", "input_tokens"), ("Output", "output_tokens"))
    return Section(
        id="methodology",
        title="Methodology",
        paragraphs=(read, facts, rules, tokens, costs, order, signs),
        tables=(
            table(
                "What was read, by layout",
                ("Layout",),
                (("Attempts", "attempts"), ("Runs", "runs")),
                (((name,), part) for name, part in layouts.items()),
            ),
            table("Where tokens are told", ("Source",), columns, (((name,), part) for name, part in sources.items())),
        ),
    )


def _apart(collection: Collection) -> Iterable[Sentence]:
    """Attempts of our own that count nowhere, by name."""
    if collection.under_way:
        yield (*say("So do those that are being made now: "), *named(e.name for e in collection.under_way), ".")
    if collection.unread:
        names = (one.partition(": ")[0] for one in collection.unread)
        yield (*say("So do those whose record cannot be read: "), *named(names), "; `speedproof audit` says why.")

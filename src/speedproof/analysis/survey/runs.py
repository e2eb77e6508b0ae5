"""Every run in full: its facts, its items, what its evidence says, and the most telling thing about it."""

from collections import Counter
from collections.abc import Mapping

from speedproof.analysis.collection import Entry
from speedproof.analysis.survey.document import Section, Sentence, Table
from speedproof.analysis.survey.part import Part, table
from speedproof.analysis.survey.phrases import joined, links, name, say
from speedproof.analysis.survey.rules import COUNTS, SUCCESSES
from speedproof.analysis.survey.run_analysis import analysis
from speedproof.analysis.survey.run_observation import headline, observation

_RESTS_ON = {
    "direct": "by the agent's own records",
    "inferred": "inferred from what its records look like",
    "label": "by a label only",
    "none": "though nothing tells it",
}
"""What a name rests on, in words."""
_NAMES = 8
"""Agents or models of one run that its facts name."""
_IN_FULL = 100
"""Runs up to which each has a section of its own, those of one attempt too."""
_ITEM_COLUMNS = (
    ("Status", "recorded_status"),
    ("Exit", "exit_code"),
    ("Duration", "wall_s"),
    ("Steps", "steps"),
    ("Input", "input_tokens"),
    ("Output", "output_tokens"),
    ("Patch", "patch_bytes"),
    ("Kind", "patch_kind"),
    ("Failed calls", "failed_calls"),
    ("Error as recorded, or cause", "problem"),
)


def runs_section(whole: Part) -> Section:
    """Every run, in the order of time. Where there are very many, those of one attempt are the lines of a table."""
    parts = {run: whole.part(run=run) for run in whole.collection.by_run}
    brief = {run for run, part in parts.items() if len(parts) > _IN_FULL and len(part.collection.entries) == 1}
    full = {run: part for run, part in parts.items() if run not in brief}
    opening = say(
        "{} [run|runs] with {} [attempt|attempts], in the order of time. Of each: its facts, its items, what follows "
        "from the evidence, and the most telling thing about it.",
        whole.figure("runs"),
        whole.figure("attempts"),
    )
    tables = []
    if full:
        tables.append(_overview("Runs of several attempts" if brief else "All runs", full))
    if brief:
        tables.append(_brief({run: parts[run] for run in parts if run in brief}))
    anchors = links("run", full)
    sections = tuple(_run(part, run, anchors[run]) for run, part in full.items())
    return Section(
        id="runs", title="Every run in full", paragraphs=((opening,),), tables=tuple(tables), sections=sections
    )


def _overview(title: str, parts: Mapping[str, Part]) -> Table:
    days = (("First concluded", "first_day"), ("Last concluded", "last_day"))
    columns = (*COUNTS, ("List price", "list_price"), *days)
    lines = (((name(run), headline(part)), part) for run, part in parts.items())
    return table(title, ("Run", "Most telling"), columns, lines)


def _brief(parts: Mapping[str, Part]) -> Table:
    lines = (
        ((name(run), headline(part), name(e.attempt.item), _short(e)), part)
        for run, part in parts.items()
        for e in part.collection.entries
    )
    labels = ("Run", "Most telling", "Item", "Commit")
    return table("Runs of one attempt", labels, (*SUCCESSES, *_ITEM_COLUMNS), lines)


def _item(entry: Entry) -> str:
    """Its item; of our own runs, with the number of the attempt."""
    return name(entry.name.removeprefix(f"{entry.attempt.run}/") if entry.attempt.own else entry.attempt.item)


def _short(entry: Entry) -> str:
    return (entry.attempt.commit or "–")[:8]


def _run(part: Part, run: str, anchor: str) -> Section:
    inner = (
        analysis(part).model_copy(update={"id": f"{anchor}--analysis"}),
        observation(part).model_copy(update={"id": f"{anchor}--observation"}),
    )
    title = f"{name(run)}: {headline(part)}"
    return Section(id=anchor, title=title, points=tuple(_facts(part)), tables=(_items(part),), sections=inner)


def _facts(part: Part) -> list[Sentence]:
    attempts, commits = part.figure("attempts"), part.figure("commits")
    made = say("Items: {} [attempt|attempts]", attempts)
    at = say(" at {} [commit|commits]", commits) if commits.value else (", of which none names its commit",)
    facts = [say("Time: began {}, last concluded {}, UTC.", part.figure("began"), part.figure("concluded"))]
    facts += [(*made, *at, "."), _told(part, "agent"), _told(part, "model"), _successes(part)]
    if attempts.value != 1:
        durations = (part.figure(f"wall_{which}") for which in ("shortest", "longest", "median"))
        facts.append(say("Durations: {} to {}, half of them below {}.", *durations))
    else:
        facts.append(say("Duration: {}; exit code: {}.", part.figure("wall_s"), part.figure("exit_code")))
    facts.append(say("Steps: {}; model calls: {}; failed: {}.", *map(part.figure, ("steps", "calls", "failed_calls"))))
    tokens = map(part.figure, ("input_tokens", "cached_input_tokens", "output_tokens"))
    facts.append(say("Tokens: input {}, of which cached {}; output {}.", *tokens))
    facts.append(say("List price: {}.", part.figure("list_price")))
    if part.figure("billed").value is not None:
        facts.append(say("Billed, as the agent reports: {}.", part.figure("billed")))
    return facts


def _successes(part: Part) -> Sentence:
    recorded, *others = (say(f"{title.lower()} {{}}", part.figure(measure)) for title, measure in SUCCESSES)
    rate = say(" ({} of all)", part.figure("recorded_rate"))
    return ("Successes: ", *joined([(*recorded, *rate), *others]), ".")


def _told(part: Part, what: str) -> Sentence:
    """Agents or models of a run, and what their names rest on."""
    told = Counter((t.value, t.confidence) for e in part.collection.entries for t in [getattr(e.attempt, what)])
    pieces: list[Sentence] = []
    for (value, sure), _ in told.most_common(_NAMES):
        which: dict[str, str | None] = {what: value, f"{what}_evidence": sure}
        piece = say("`{}`, " + _RESTS_ON[sure], value) if value else say("unknown")
        if len(told) > 1:
            piece = (*piece, *say(" ({})", part.figure("attempts", **which)))
        pieces.append(piece)
    more = "; and others." if len(told) > _NAMES else "."
    return (f"{what.capitalize()}: ", *joined(pieces, "; "), more)


def _items(part: Part) -> Table:
    lines = (((_item(e), _short(e)), part.part(attempt=e.name)) for e in part.collection.entries)
    return table("Items", ("Item", "Commit"), _ITEM_COLUMNS, lines)

"""Every run in full: its facts, its items, what its evidence says, and the most telling thing about it."""

from collections import Counter
from collections.abc import Mapping

from speedproof.analysis.collection import Entry
from speedproof.analysis.survey.document import Section, Sentence, Table
from speedproof.analysis.survey.making import Maker
from speedproof.analysis.survey.part import Part
from speedproof.analysis.survey.phrases import joined, links, name, noun, say
from speedproof.analysis.survey.rules import COUNTS
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


def runs_section(maker: Maker) -> Section:
    """Every run, in the order of time. Where there are very many, those of one attempt are the lines of a table."""
    parts = {run: Part(maker, run=run) for run in maker.collection.by_run}
    brief = {run for run, part in parts.items() if len(parts) > _IN_FULL and len(part.collection.entries) == 1}
    full = {run: part for run, part in parts.items() if run not in brief}
    runs, attempts = maker.figure("runs"), maker.figure("attempts")
    opening = say(
        "{} " + noun(runs, "run") + " with {} " + noun(attempts, "attempt") + ", in the order of time. Of each: its "
        "facts, its items, what follows from the evidence, and the most telling thing about it.",
        runs,
        attempts,
    )
    tables = []
    if full:
        tables.append(_overview(maker, "Runs of several attempts" if brief else "All runs", full))
    if brief:
        tables.append(_brief(maker, {run: parts[run] for run in parts if run in brief}))
    anchors = links("run", full)
    sections = tuple(_run(part, run, anchors[run]) for run, part in full.items())
    return Section(
        id="runs", title="Every run in full", paragraphs=((opening,),), tables=tuple(tables), sections=sections
    )


def _overview(maker: Maker, title: str, parts: Mapping[str, Part]) -> Table:
    days = (("First concluded", "first_day"), ("Last concluded", "last_day"))
    columns = (*COUNTS, ("List price", "list_price"), *days)
    lines = (((name(run), headline(part)), {"run": run}) for run, part in parts.items())
    return maker.table(title, ("Run", "Most telling"), columns, lines)


def _brief(maker: Maker, parts: Mapping[str, Part]) -> Table:
    lines = (
        ((name(run), headline(part), name(e.attempt.item), _short(e)), {"run": run})
        for run, part in parts.items()
        for e in part.collection.entries
    )
    labels = ("Run", "Most telling", "Item", "Commit")
    return maker.table("Runs of one attempt", labels, (*COUNTS[1:], *_ITEM_COLUMNS), lines)


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
    made = say("Items: {} " + noun(attempts, "attempt"), attempts)
    at = say(" at {} " + noun(commits, "commit"), commits) if commits.value else say(", of which none names its commit")
    facts = [
        say("Time: began {}, last concluded {}, UTC.", part.figure("began"), part.figure("concluded")),
        (*made, *at, "."),
        _told(part, "agent"),
        _told(part, "model"),
        _successes(part),
        say(
            "Tokens: input {}, of which cached {}; output {}.",
            part.figure("input_tokens"),
            part.figure("cached_input_tokens"),
            part.figure("output_tokens"),
        ),
        say("List price: {}.", part.figure("list_price")),
        say("Model calls: {}; failed: {}.", part.figure("calls"), part.figure("failed_calls")),
    ]
    if attempts.value != 1:
        durations = (part.figure(f"wall_{which}") for which in ("shortest", "longest", "median"))
        facts.append(say("Durations: {} to {}, half of them below {}.", *durations))
    else:
        facts.append(say("Duration: {}.", part.figure("wall_s")))
    if any(e.attempt.billed_usd is not None for e in part.collection.entries):
        facts.append(say("Billed, as the agent reports: {}.", part.figure("billed")))
    return facts


def _successes(part: Part) -> Sentence:
    recorded, *others = (say(f"{title.lower()} {{}}", part.figure(measure)) for title, measure in COUNTS[1:])
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
    lines = (((name(e.attempt.item), _short(e)), {"attempt": e.name}) for e in part.collection.entries)
    return part.table("Items", ("Item", "Commit"), _ITEM_COLUMNS, lines)

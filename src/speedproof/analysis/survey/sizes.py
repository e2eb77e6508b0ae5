"""Runs by their size and by when they were made: what was tried when, what failed then, how each ended."""

from collections import Counter
from collections.abc import Iterator

from speedproof.analysis.survey.batches import batches_section
from speedproof.analysis.survey.document import Chart, Section, Sentence
from speedproof.analysis.survey.evidence import classes
from speedproof.analysis.survey.part import Part, chart, table
from speedproof.analysis.survey.phrases import joined, named, say
from speedproof.analysis.survey.rules import COUNTS, RATES

_BATCHES = (("2–9 attempts", "2..9"), ("10–49 attempts", "10..49"), ("50 attempts and more", ">= 50"))
"""Classes of runs of several attempts."""
_DAYS = 62
"""Days up to which a chart has a bar for each; beyond, it has one for each period."""
_WORST = 2
"""Failure classes of a period that are named."""


def sizes_section(whole: Part) -> Section:
    """Runs by size, by period, and batches against runs of one attempt."""
    alone, batch = whole.part(run_items=1), whole.part(run_items=">= 2")
    parts = (_sizes(whole, alone, batch), _periods(whole), batches_section(whole, alone, batch))
    return Section(id="run-sizes", title="Run sizes and periods", sections=parts)


def _sizes(whole: Part, alone: Part, batch: Part) -> Section:
    runs, single = whole.figure("runs"), alone.figure("runs")
    parts = [(("1 attempt",), alone), *(((label,), batch.part(run_items=size)) for label, size in _BATCHES)]
    said = say(
        "{} of {} [run|runs] made one attempt; the largest made {}.",
        single,
        runs,
        whole.figure("largest_run"),
    )
    return Section(
        id="run-size-classes",
        title="Size classes",
        paragraphs=((said,),) if whole.collection.entries else (),
        tables=(
            table("Runs by size", ("Size",), (("Runs", "runs"), *COUNTS), parts),
            table("Shares by size", ("Size",), RATES, parts),
        ),
    )


def _periods(whole: Part) -> Section:
    periods = _named_periods(whole)
    if not periods:
        return Section(id="periods", title="Periods", paragraphs=((say("No attempt has a time."),),))
    parts = {name: whole.part(period=first) for first, name in periods.items()}
    lines = [((name,), part) for name, part in parts.items()]
    columns = (("Runs", "runs"), *COUNTS, ("List price", "list_price"))
    said = say("Periods are parted by days without any attempt. Days are those on which attempts were concluded, UTC.")
    return Section(
        id="periods",
        title="Periods",
        paragraphs=((said,),),
        points=tuple(_period(name, part) for name, part in parts.items()),
        tables=(table("Attempts by period", ("Period",), columns, lines),),
        charts=tuple(_charts(parts)),
    )


def _named_periods(whole: Part) -> dict[str, str]:
    """First day → first and last day in words."""
    days: dict[str, str] = {}
    for day, first in whole.collection.history.periods.items():
        days[first.isoformat()] = day.isoformat()
    return {first: first if first == last else f"{first} to {last}" for first, last in days.items()}


def _period(name: str, part: Part) -> Sentence:
    entries = part.collection.entries
    said = say(f"{name}: {{}} [run|runs], {{}} [attempt|attempts]", part.figure("runs"), part.figure("attempts"))
    if part.figure("commits").value is not None:
        said = (*said, *say(" at {} [commit|commits]", part.figure("commits")))
    for what, told in (
        ("agent", [e.attempt.agent.value for e in entries]),
        ("model", [e.attempt.model.value for e in entries]),
    ):
        known = [value for value, _ in Counter(told).most_common() if value]
        said = (
            *said,
            f"; {what} ",
            *(named(known) if known else ("unknown",)),
            *((", or unknown",) if known and None in told else ()),
        )
    worst = classes(entries)[:_WORST]
    if not worst:
        return (*said, "; no failure.")
    failed = (say("{} ({})", failure, part.figure("attempts", failure=failure)) for failure in worst)
    return (*said, "; most failures: ", *joined([*failed]), ".")


def _charts(periods: dict[str, Part]) -> Iterator[Chart]:
    bars = _by_day(periods)
    axis = "day with attempts, UTC" if len(bars) <= _DAYS else "period"
    parts = bars if len(bars) <= _DAYS else periods
    for title, measure in (
        ("Attempts", "attempts"),
        ("Recorded successes", "recorded_successes"),
        ("Confirmed successes", "confirmed"),
    ):
        yield chart(f"{title} by {axis.split(' ')[0]}", axis, measure, parts.items(), "days")


def _by_day(periods: dict[str, Part]) -> dict[str, Part]:
    """A part for each day with attempts, found within its period."""
    return {
        day: part.part(date=day)
        for part in periods.values()
        for day in dict.fromkeys(e.at.date().isoformat() for e in part.collection.entries if e.at)
    }

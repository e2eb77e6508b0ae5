"""Attempts made in batches against those made alone, with what else differs between them."""

from collections import Counter
from collections.abc import Callable, Iterator

from speedproof.analysis.collection import DIMENSIONS, Entry
from speedproof.analysis.collection.dimensions import Plain
from speedproof.analysis.survey.document import Section, Sentence, Table
from speedproof.analysis.survey.part import Part, table
from speedproof.analysis.survey.phrases import name, named, say
from speedproof.analysis.survey.rules import COUNTS, RATES

_OWN_FAULT: list[Plain] = ["agent", "task", None]
"""Faults that say something of the agent: neither infrastructure nor provider."""
_PAIRS = 10
"""Commits tried both ways below which pairs tell nothing."""
_COMMON = 0.5
"""Part of each side's attempts that must share something with the other side to be comparable."""
_UNEVEN = 0.1
"""Difference between the parts that infrastructure or provider stopped, from which it counts."""
_DIMENSIONS = ("period", "model", "agent")
"""What may differ between the two."""
_VALUES = 8
"""Periods, models or agents that are set apart in a table: those with most attempts."""


def batches_section(whole: Part, alone: Part, batch: Part) -> Section:
    """What became of attempts alone in their run and of those in batches, and what the difference can be due to."""
    title = "Batches against single runs"
    if not alone.collection.entries or not batch.collection.entries:
        one = "in batches" if batch.collection.entries else "alone" if alone.collection.entries else None
        said = say(f"All attempts were made {one}: there is nothing to compare." if one else "There is no attempt.")
        return Section(id="batches", title=title, paragraphs=((said,),))
    confounds = [found for rule in _CONFOUNDS if (found := rule(alone, batch)) is not None]
    return Section(
        id="batches",
        title=title,
        paragraphs=((_contrast(alone, batch),), tuple(_conclusion(alone, batch, confounds))),
        points=(*confounds, *_pairs(whole)),
        tables=tuple(_tables(alone, batch)),
    )


def _contrast(alone: Part, batch: Part) -> Sentence:
    return say(
        "Alone {} of {} [attempt is|attempts are] recorded as a success ({}), in batches {} of {} ({}); confirmed are "
        "{} and {}.",
        *(part.figure(m) for part in (alone, batch) for m in ("recorded_successes", "attempts", "recorded_rate")),
        *(part.figure("confirmed_rate") for part in (alone, batch)),
    )


def _conclusion(alone: Part, batch: Part, confounds: list[Sentence]) -> Iterator[Sentence]:
    if confounds:
        yield say(
            "The data cannot tell whether making attempts in batches changes how they end: more than the size of the "
            "run differs between the two, as listed below."
        )
    else:
        yield say(
            "No other difference between the two shows in the files; the commits tried both ways, counted below, are "
            "the fair comparison."
        )
    if any(
        e.failure and e.failure.fault in ("infrastructure", "model")
        for p in (alone, batch)
        for e in p.collection.entries
    ):
        yield say(
            "Without the failures of infrastructure and provider, {} of {} alone and {} of {} in batches are recorded "
            "as a success, {} and {} [is|are] confirmed.",
            *(p.figure(m, fault=_OWN_FAULT) for p in (alone, batch) for m in ("recorded_successes", "attempts")),
            *(p.figure("confirmed", fault=_OWN_FAULT) for p in (alone, batch)),
        )


def _value(dimension: str, entry: Entry, part: Part) -> Plain:
    return DIMENSIONS[dimension][1](entry, part.collection.whole or part.collection)


def _differs(dimension: str) -> Callable[[Part, Part], Sentence | None]:
    """A confound: much of one side has a value that none of the other side has."""

    def rule(alone: Part, batch: Part) -> Sentence | None:
        counts = [Counter(_value(dimension, e, part) for e in part.collection.entries) for part in (alone, batch)]
        common: list[Plain] = [value for value in counts[0] if value is not None and value in counts[1]]
        shares = [sum(one[value] for value in common) / one.total() for one in counts]
        if min(shares) >= _COMMON:
            return None
        what = dimension.capitalize()
        if common:
            figures = (part.figure("attempts", **{dimension: common}) for part in (alone, batch))
            return say(
                f"{what}: {{}} [attempt|attempts] alone and {{}} in batches have one that the other side has too.",
                *figures,
            )
        names = [named(str(v) for v, _ in one.most_common() if v is not None) or ("unknown",) for one in counts]
        return (f"{what}: alone ", *names[0], ", in batches ", *names[1], ": none in common.")

    return rule


def _few_pairs(alone: Part, batch: Part) -> Sentence | None:
    tried = alone.figure("commits", commit_tried="both")
    if isinstance(tried.value, int) and tried.value >= _PAIRS:
        return None
    words = "Commits: {} [was|were] tried both ways, of {} alone and {} in batches."
    return say(words, tried, alone.figure("commits"), batch.figure("commits"))


def _stopped(alone: Part, batch: Part) -> Sentence | None:
    """A confound: infrastructure and provider stopped one side more than the other."""
    stopped = [
        sum(bool(e.failure and e.failure.fault in ("infrastructure", "model")) for e in part.collection.entries)
        / len(part.collection.entries)
        for part in (alone, batch)
    ]
    if abs(stopped[0] - stopped[1]) < _UNEVEN:
        return None
    faults: list[Plain] = ["infrastructure", "model"]
    return say(
        "Failures: infrastructure or provider stopped {} of {} [attempt|attempts] alone and {} of {} in batches.",
        *(f for p in (alone, batch) for f in (p.figure("attempts", fault=faults), p.figure("attempts"))),
    )


_CONFOUNDS: tuple[Callable[[Part, Part], Sentence | None], ...] = (
    *map(_differs, _DIMENSIONS),
    _few_pairs,
    _stopped,
)


def _pairs(whole: Part) -> Iterator[Sentence]:
    """What became of the commits that were tried both ways."""
    both = whole.part(commit_tried="both")
    if both.collection.entries:
        alone, batch = both.part(run_items=1), both.part(run_items=">= 2")
        yield say(
            "Pairs: of {} [commit|commits] tried both ways, a success is recorded alone at {} and in batches at {}, "
            "confirmed at {} and {}.",
            both.figure("commits"),
            *(part.figure(m) for m in ("commits_recorded", "commits_confirmed") for part in (alone, batch)),
        )


def _tables(alone: Part, batch: Part) -> Iterator[Table]:
    days = (("First concluded", "first_day"), ("Last concluded", "last_day"))
    ways = (("alone", alone), ("in batches", batch))
    both = [((way,), part) for way, part in ways]
    yield table("Alone and in batches", ("Made",), (("Runs", "runs"), *COUNTS, *days), both)
    yield table("The same as shares", ("Made",), RATES, both)
    own = [((way,), part.part(fault=_OWN_FAULT)) for way, part in ways]
    yield table("Without failures of infrastructure and provider", ("Made",), (*COUNTS[:1], *RATES), own)
    for dimension in _DIMENSIONS:
        counts = Counter(_value(dimension, e, part) for _, part in ways for e in part.collection.entries)
        values = sorted((value for value, _ in counts.most_common(_VALUES)), key=lambda v: (v is None, str(v)))
        if len(counts) > 1:
            lines = [
                ((name(str(v or "unknown")), way), part.part(**{dimension: v})) for v in values for way, part in ways
            ]
            made = [(labels, part) for labels, part in lines if part.collection.entries]
            yield table(f"By {dimension}", (dimension.capitalize(), "Made"), (*COUNTS[:1], *RATES), made)

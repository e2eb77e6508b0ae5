"""When attempts were made, and how long they took."""

from statistics import median

from speedproof.analysis.collection import Collection, Entry
from speedproof.analysis.measures.measure import Value, count_where, measure, over, summed


def _wall(entry: Entry) -> float | None:
    return entry.attempt.wall_s


@measure("s")
def wall_s(chosen: Collection) -> Value:
    """Seconds the agents ran, summed."""
    return summed(chosen, _wall)


@measure("s")
def wall_mean(chosen: Collection) -> Value:
    """Seconds an agent ran, on average."""
    return over(chosen, _wall, lambda every: sum(every) / len(every))


@measure("s")
def wall_median(chosen: Collection) -> Value:
    """Seconds an agent ran, in the middle: half of the attempts took less."""
    return over(chosen, _wall, median)


@measure("s")
def wall_shortest(chosen: Collection) -> Value:
    """Seconds that the shortest attempt ran."""
    return over(chosen, _wall, min)


@measure("s")
def wall_longest(chosen: Collection) -> Value:
    """Seconds that the longest attempt ran."""
    return over(chosen, _wall, max)


@measure("text")
def first_day(chosen: Collection) -> Value:
    """The day on which the first of the attempts was concluded, UTC."""
    return _day(chosen, 0)


@measure("text")
def last_day(chosen: Collection) -> Value:
    """The day on which the last of the attempts was concluded, UTC."""
    return _day(chosen, -1)


@measure("s")
def first_epoch(chosen: Collection) -> Value:
    """Seconds since 1970 at which the first of the attempts was concluded."""
    known = [e for e in chosen.entries if e.at is not None]
    unknown = tuple(e for e in chosen.entries if e.at is None)
    at = known[0].at if known else None
    return (
        Value(None, (), unknown, "no attempt has a time") if at is None else Value(at.timestamp(), (known[0],), unknown)
    )


@measure("attempts")
def over_budget(chosen: Collection) -> Value:
    """Attempts that ran longer than the time they were given."""
    return count_where(chosen, _over)


def _over(entry: Entry) -> bool | None:
    wall, budget = entry.attempt.wall_s, entry.attempt.budget_s
    return None if wall is None or budget is None else wall > budget


def _day(chosen: Collection, which: int) -> Value:
    known = [e for e in chosen.entries if e.at is not None]
    unknown = tuple(e for e in chosen.entries if e.at is None)
    at = known[which].at if known else None
    if at is None:
        return Value(None, (), unknown, why="no attempt has a time")
    return Value(at.date().isoformat(), (known[which],), unknown)

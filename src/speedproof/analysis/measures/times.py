"""When attempts were made, and how long they took."""

from collections.abc import Callable
from datetime import UTC, datetime
from statistics import median

from speedproof.analysis.collection import Collection, Entry
from speedproof.analysis.measures.measure import Value, measure, over, summed


def _day(moment: datetime) -> str:
    return moment.date().isoformat()


def _second(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")


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
    return _moment(chosen, _at, min, _day)


@measure("text")
def last_day(chosen: Collection) -> Value:
    """The day on which the last of the attempts was concluded, UTC."""
    return _moment(chosen, _at, max, _day)


@measure("s")
def first_epoch(chosen: Collection) -> Value:
    """Seconds since 1970 at which the first of the attempts was concluded."""
    return _moment(chosen, _at, min, lambda moment: moment.timestamp())


@measure("text")
def began(chosen: Collection) -> Value:
    """When the first of the attempts began, UTC; where only their ends are known, when the first ended."""
    return _moment(chosen, lambda e: e.attempt.began or e.at, min, _second)


@measure("text")
def concluded(chosen: Collection) -> Value:
    """When the last of the attempts was concluded, UTC."""
    return _moment(chosen, _at, max, _second)


def _at(entry: Entry) -> datetime | None:
    return entry.at


def _moment(
    chosen: Collection,
    of: Callable[[Entry], datetime | None],
    pick: Callable[..., tuple[datetime, Entry]],
    told: Callable[[datetime], float | str],
) -> Value:
    known = [(moment, e) for e in chosen.entries if (moment := of(e)) is not None]
    unknown = tuple(e for e in chosen.entries if of(e) is None)
    if not known:
        return Value(None, (), unknown, why="no attempt has a time")
    moment, entry = pick(known, key=lambda pair: pair[0])
    return Value(told(moment.astimezone(UTC)), (entry,), unknown)

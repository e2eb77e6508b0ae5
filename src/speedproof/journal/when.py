"""Durations and times as providers write them: 120ms, 6m0s, 2 days 3 hours; 1730000000, 2026-04-01 at 00:00 UTC,
Oct 6, 10am (America/Santiago). What is in no known form, or lies more than a year away, is not understood."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

_YEAR = timedelta(days=366)
_EPOCH = 1e9
"""A number above this is a time since 1970, not a number of seconds to wait."""
_MILLISECONDS = 1e11
"""A time since 1970 above this is in milliseconds; in seconds it would lie in the year 5138."""
_LONGEST = 80
"""Characters of a text that are read."""

_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")
_UNITS = {"w": 604_800.0, "d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION = re.compile(
    r"""
    \s* (?:,|and\b)? \s* (?P<number>[0-9]{1,9}(?:\.[0-9]{1,9})?) \s*
    (?P<unit> ms|milliseconds? | w(?:eeks?)? | d(?:ays?)? | h(?:ours?|rs?)? | m(?:in(?:ute)?s?)? | s(?:ec(?:ond)?s?)? )
    (?![a-z])
    """,
    re.VERBOSE | re.IGNORECASE,
)
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ISO = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})(?:(?:[T ]|\ at\ )(?P<time>[0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:\.[0-9]{1,9})?"
    r"\ ?(?P<zone>Z|UTC|GMT|[+-][0-9]{2}:?[0-9]{2})?)?",
    re.IGNORECASE,
)
_CLOCK = re.compile(
    rf"""
    (?: (?P<month>{"|".join(MONTHS)})[a-z]{{0,6}}\.? \ (?P<day>[0-9]{{1,2}})(?:st|nd|rd|th)? ,?\ ?
        (?: (?P<year>[0-9]{{4}}) ,?\ ? )? (?:at\ )? )?
    (?P<hour>[0-9]{{1,2}}) (?: :(?P<minute>[0-9]{{2}}) (?: :[0-9]{{2}} )? )? (?: \ ?(?P<half>[ap])\.?m\b )?
    (?!\ ?[ap]\.?m\b)
    (?: \ ?\((?P<zone>[^)]{{1,40}})\) | \ (?P<short>(?-i:UTC|GMT|[A-Z]{{1,4}}T))\b | (?!\ ?\() )
    """,
    re.VERBOSE | re.IGNORECASE,
)


def read_number(text: object) -> float | None:
    """A plain, not negative number; None for anything else."""
    found = _NUMBER.fullmatch(str(text)[:_LONGEST].strip())
    return None if found is None else float(found[0])


def read_duration(text: object) -> float | None:
    """The duration at the beginning of `text`, in seconds."""
    total, at, words = None, 0, str(text)[:_LONGEST]
    while found := _DURATION.match(words, at):
        unit = found["unit"].lower()
        total = (total or 0.0) + float(found["number"]) * _UNITS["ms" if unit.startswith(("ms", "mil")) else unit[0]]
        at = found.end()
    return total


def read_time(text: object, now: datetime) -> datetime | None:
    """The time at the beginning of `text`, UTC.

    Without a zone it is read in the zone of `now`, without a date as the next one after `now`.
    """
    words = str(text)[:_LONGEST].strip()
    number = read_number(words)
    if number is not None:
        epoch = number / 1000 if number > _MILLISECONDS else number
        return near(datetime.fromtimestamp(epoch, UTC), now) if _EPOCH <= epoch < _MILLISECONDS else None
    try:
        if (iso := _ISO.match(words)) is not None:
            time = datetime.fromisoformat(f"{iso['day']}T{iso['time'] or '00:00'}")
            zone = _zone(iso["zone"], now)
            return None if zone is None else near(time.replace(tzinfo=zone), now)
        if (clock := _CLOCK.match(words)) is not None:
            zone = _zone(clock["zone"] or clock["short"], now)
            return None if zone is None else near(_clock_time(clock, now.astimezone(zone)), now)
    except (ValueError, OverflowError):
        return None
    return None


def read_wait(text: str, now: datetime) -> float | None:
    """Seconds from `now` that a number of seconds, a duration or a time says."""
    time = read_time(text, now)
    if time is not None:
        return max(0.0, (time - now).total_seconds())
    number = read_number(text)
    if number is not None:
        return number if number < _EPOCH else None
    return read_duration(text)


def after(seconds: float, now: datetime) -> datetime | None:
    """The time `seconds` after `now`, UTC."""
    return near(now + timedelta(seconds=seconds), now) if seconds <= _YEAR.total_seconds() else None


def near(time: datetime, now: datetime) -> datetime | None:
    """`time` in UTC; None when it lies more than a year from `now`."""
    return time.astimezone(UTC) if abs(time - now) <= _YEAR else None


def _zone(name: str | None, now: datetime) -> tzinfo | None:
    """The zone called `name`; that of `now` without a name, None for one that nobody knows."""
    if name is None:
        return now.tzinfo
    if name.upper() in {"Z", "UTC", "GMT"}:
        return UTC
    try:
        return datetime.strptime(name, "%z").tzinfo if name[0] in "+-" else ZoneInfo(name)
    except (ValueError, LookupError, OSError):
        return None


def _clock_time(found: re.Match[str], now: datetime) -> datetime:
    hour, half = int(found["hour"]), (found["half"] or "").lower()
    if not half and found["minute"] is None:
        raise ValueError("a number, not a time")
    if half:
        hour = hour % 12 + 12 * (half == "p")
    time = now.replace(hour=hour, minute=int(found["minute"] or 0), second=0, microsecond=0)
    if found["month"] is None:
        return time if time > now else time + timedelta(days=1)
    year = int(found["year"] or now.year)
    time = time.replace(year=year, month=MONTHS.index(found["month"].lower()) + 1, day=int(found["day"]))
    passed = found["year"] is None and time < now - timedelta(days=1)
    return time.replace(year=year + 1) if passed else time

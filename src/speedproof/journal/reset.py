"""When a provider says to come back: the wait it asks for, and the time at which a used-up limit resets.

Both stand in headers, in fields of the error body, or only in its words.
"""

import json
import re
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any

from speedproof.journal.when import MONTHS, after, near, read_duration, read_number, read_time, read_wait

_LONGEST_TEXT = 8_000
_LARGEST_BODY = 1 << 20
_MOST_FIELDS = 500

_WORDS = re.compile(
    rf"""
    \b (?:try\ again | retry | resets? | regain\ access)
    (?: \ (?:at|in|on|after)\ | \ (?=[0-9]|(?:{"|".join(MONTHS)})) )
    (?P<when> (?: [^.\n"'] | \.(?=[0-9]) ){{1,60}} )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_AFTER_BAR = re.compile(r"limit reached[^|\n]{0,40}\|([0-9]{9,13})\b", re.IGNORECASE)
_PLAN = "anthropic-ratelimit-unified"
_PLAN_WINDOW = re.compile(rf"{_PLAN}-(?!overage|fallback)[a-z0-9_]{{1,40}}-status")
_CODEX_WINDOWS = ("x-codex-primary", "x-codex-secondary")
_RESET_HEADER = re.compile(
    r"(?:x-)?ratelimit-reset(?:-[a-z-]{1,40})?|anthropic-ratelimit-(?!unified)[a-z-]{1,40}-reset"
)


def quoted_reset(text: str) -> str | None:
    """When a provider says that a limit resets, in its own words; None when it does not say."""
    found = _WORDS.search(text[:_LONGEST_TEXT])
    return found["when"].strip() if found else None


def asked_wait(headers: Mapping[str, str], body: bytes, now: datetime, *, limited: bool) -> float | None:
    """Seconds that a provider asks to wait before the next request; None when it does not ask.

    Headers that say when a rate limit is full again count only for an answer that is `limited`: providers send them
    with every answer.
    """
    names = lowered(headers)
    milliseconds = read_number(names.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    for said in (_retry_after(names, now), _wait_in_body(body, now)):
        if said is not None:
            return said
    return _until_full(names, now) if limited else None


def resets_at(headers: Mapping[str, str], body: bytes, now: datetime) -> datetime | None:
    """When a used-up limit resets, UTC; None when the provider does not say.

    A time without a zone is read in the zone of `now`, a time without a date as the next one after `now`.
    """
    names = lowered(headers)
    text = body[:_LONGEST_TEXT].decode(errors="replace")
    for said in (_plan_resets(names, now), _resets_in_fields(body, now), _resets_in_words(text, now)):
        if said is not None:
            return said
    wait = _retry_after(names, now)
    if wait is None and "x-ratelimit-reset" in names:
        wait = read_wait(names["x-ratelimit-reset"], now)
    return None if wait is None else after(wait, now)


def plan_used_up(headers: Mapping[str, str]) -> bool:
    """Whether the plan behind a login is used up, by the headers that Anthropic and the Codex service send."""
    names = lowered(headers)
    return names.get(f"{_PLAN}-status", "").strip() == "rejected" or bool(_full_windows(names))


def lowered(headers: Mapping[str, str]) -> dict[str, str]:
    """`headers` with their names in lower case."""
    return {name.lower(): value for name, value in headers.items()}


def parsed(body: bytes) -> Any:
    """An error's body as JSON; None when it is none, or too large to be one."""
    if len(body) > _LARGEST_BODY:
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _retry_after(names: Mapping[str, str], now: datetime) -> float | None:
    text = names.get("retry-after", "").strip()[:80]
    if (number := read_number(text)) is not None or not text:
        return number
    try:
        time = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    known = near(time if time.tzinfo is not None else time.replace(tzinfo=UTC), now)
    return None if known is None else max(0.0, (known - now).total_seconds())


def _fields(value: Any) -> Iterator[tuple[str, Any]]:
    """The named scalars of a JSON value, the outer before the inner, names in lower case."""
    waiting = deque([value])
    for _ in range(_MOST_FIELDS):
        if not waiting:
            return
        inner = waiting.popleft()
        if isinstance(inner, dict):
            yield from ((str(k).lower(), v) for k, v in inner.items() if isinstance(v, str | int | float))
        children = inner.values() if isinstance(inner, dict) else inner if isinstance(inner, list) else ()
        waiting.extend(child for child in islice(children, _MOST_FIELDS) if isinstance(child, dict | list))


def _wait_in_body(body: bytes, now: datetime) -> float | None:
    for name, value in _fields(parsed(body)):
        if name in {"retrydelay", "retry_after", "retry_after_seconds", "x-ratelimit-reset"}:
            return read_wait(str(value), now)
    words = quoted_reset(body[:_LONGEST_TEXT].decode(errors="replace"))
    return None if words is None else read_duration(words)


def _until_full(names: Mapping[str, str], now: datetime) -> float | None:
    """Seconds until the limit that was reached is full again: the longest of those with nothing remaining."""
    waits = [
        read_wait(text, now)
        for name, text in names.items()
        if _RESET_HEADER.fullmatch(name) and read_number(names.get(name.replace("reset", "remaining"), "0")) == 0
    ]
    return max((wait for wait in waits if wait is not None), default=None)


def _full_windows(names: Mapping[str, str]) -> list[str]:
    """The windows of a Codex plan that are used up."""
    return [w for w in _CODEX_WINDOWS if (read_number(names.get(f"{w}-used-percent")) or 0) >= 100]


def _plan_resets(names: Mapping[str, str], now: datetime) -> datetime | None:
    """When the plan behind a login can be used again: the latest reset of its windows that are used up."""
    times = []
    if names.get(f"{_PLAN}-status", "").strip() == "rejected":
        full = [name for name, value in names.items() if value == "rejected" and _PLAN_WINDOW.fullmatch(name)]
        resets = [f"{_PLAN}-reset", *(name.removesuffix("status") + "reset" for name in full)]
        times += [read_time(names[name], now) for name in resets if name in names]
    for window in _full_windows(names):
        seconds = read_number(names.get(f"{window}-reset-after-seconds"))
        time = read_time(names.get(f"{window}-reset-at", ""), now)
        times.append(time if time is not None or seconds is None else after(seconds, now))
    return max((time for time in times if time is not None), default=None)


def _resets_in_fields(body: bytes, now: datetime) -> datetime | None:
    for name, value in _fields(parsed(body)):
        time = None
        if name in {"resets_at", "reset_at", "quotaresettimestamp", "x-ratelimit-reset"}:
            time = read_time(value, now)
        elif name in {"resets_in_seconds", "quotaresetdelay"}:
            seconds = read_wait(str(value), now)
            time = None if seconds is None else after(seconds, now)
        if time is not None:
            return time
    return None


def _resets_in_words(text: str, now: datetime) -> datetime | None:
    if (found := _AFTER_BAR.search(text)) is not None:
        return read_time(found[1], now)
    words = quoted_reset(text)
    if words is None:
        return None
    seconds = read_duration(words)
    return read_time(words, now) if seconds is None else after(seconds, now)

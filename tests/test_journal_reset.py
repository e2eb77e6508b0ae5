"""When a provider says to come back, in each form that providers use; everything else counts as not said."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speedproof.journal.reset import asked_wait, plan_used_up, quoted_reset, resets_at
from speedproof.journal.when import read_duration, read_time, read_wait

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
EPOCH = int(NOW.timestamp())


def body(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


def at(day: int, hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, second, tzinfo=UTC)


def google(*details: dict[str, Any]) -> dict[str, Any]:
    return {"error": {"code": 429, "message": "exhausted", "status": "RESOURCE_EXHAUSTED", "details": list(details)}}


RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37s"}


@pytest.mark.parametrize(
    ("headers", "text", "seconds"),
    [
        ({"Retry-After": "20"}, "", 20),
        ({"retry-after": " 1.5 "}, "", 1.5),
        ({"retry-after": "Fri, 20 Nov 2026 12:00:30 GMT"}, "", 30),
        ({"retry-after": "Fri, 20 Nov 2026 11:00:00 GMT"}, "", 0),
        ({"retry-after": "20", "Retry-After-Ms": "250"}, "", 0.25),
        ({"retry-after": "soon"}, "", None),
        ({"retry-after": "-5"}, "", None),
        ({"retry-after": "nan"}, "", None),
        ({}, google(RETRY_INFO), 37),
        ({}, [google({"retryDelay": "1.25s"})], 1.25),
        ({}, {"error": {"message": "Rate limit reached. Please try again in 1.898s. Visit x."}}, 1.898),
        ({}, {"error": {"message": "Rate limit reached. Please try again in 20ms."}}, 0.02),
        ({}, {"error": {"message": "exceeded token rate limit. Please retry after 86400 seconds."}}, 86_400),
        ({}, {"error": {"metadata": {"headers": {"X-RateLimit-Reset": str((EPOCH + 9) * 1000)}}}}, 9),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "6m0s"}, "", 360),
        ({"x-ratelimit-reset-requests": "120ms"}, "", 0.12),
        (
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "2s",
                "x-ratelimit-remaining-tokens": "7",
                "x-ratelimit-reset-tokens": "6m0s",
            },
            "",
            2,
        ),
        ({"x-ratelimit-remaining-tokens": "-1", "x-ratelimit-reset-tokens": "0"}, "", None),
        ({"x-ratelimit-reset-tokens": "58"}, "", 58),
        ({"x-ratelimit-reset": str((EPOCH + 9) * 1000)}, "", 9),
        ({"x-ratelimit-reset": str(EPOCH + 9)}, "", 9),
        ({"ratelimit-reset": "9"}, "", 9),
        (
            {
                "anthropic-ratelimit-requests-remaining": "10",
                "anthropic-ratelimit-requests-reset": "2026-11-20T12:09:00Z",
                "anthropic-ratelimit-input-tokens-remaining": "0",
                "anthropic-ratelimit-input-tokens-reset": "2026-11-20T12:00:41Z",
            },
            "",
            41,
        ),
        ({"anthropic-ratelimit-unified-reset": str(EPOCH + 9_000)}, "", None),
        ({}, "not JSON", None),
    ],
)  # fmt: skip
def test_the_wait_that_a_rate_limited_answer_asks_for_is_understood(
    headers: dict[str, str], text: Any, seconds: float | None
) -> None:
    asked = asked_wait(headers, body(text), NOW, limited=True)
    assert asked == (None if seconds is None else pytest.approx(seconds))


def test_headers_that_come_with_every_answer_ask_for_nothing_when_the_provider_fails() -> None:
    state = {"x-ratelimit-reset-requests": "6m0s", "x-ratelimit-remaining-requests": "0"}
    assert asked_wait(state, b"", NOW, limited=False) is None
    assert asked_wait(state | {"retry-after": "3"}, b"", NOW, limited=False) == 3


@pytest.mark.parametrize(
    ("headers", "text", "time"),
    [
        ({}, "You've hit your usage limit. Upgrade to Pro or try again at Nov 23rd, 2026 4:05 PM.", at(23, 16, 5)),
        ({}, "or try again at 11:04 PM.", at(20, 23, 4)),
        ({}, "or try again at 9:04 AM.", at(21, 9, 4)),
        ({}, "or try again in 5 days 22 hours 11 minutes.", at(26, 10, 11)),
        ({}, f"Claude AI usage limit reached|{EPOCH + 60}", at(20, 12, 1)),
        ({}, "Claude usage limit reached. Your limit will reset at 3pm (America/Santiago).", at(20, 18)),
        ({}, "You've hit your limit · resets 5pm (UTC)", at(20, 17)),
        ({}, "Your limit will reset at Nov 26, 10am.", at(26, 10)),
        ({}, "5-hour limit reached. resets 12am", at(21, 0)),
        ({}, "You have reached your API usage limits. You will regain access on 2026-11-30 at 00:00 UTC.", at(30, 0)),
        ({}, "Your quota will reset after 2h36m24s.", at(20, 14, 36, 24)),
        ({}, "Your limit will reset at 3pm (Nowhere/Land).", None),
        ({}, "Your limit will reset at 3pm PST.", None),
        ({}, "Your limit will reset at 3pm (../../etc/localtime).", None),
        ({}, "Your limit will reset at 3pm (America).", None),
        ({}, "Your limit resets on the 5th.", None),
        ({}, {"error": {"type": "usage_limit", "resets_at": EPOCH + 60, "resets_in_seconds": 9}}, at(20, 12, 1)),
        ({}, {"error": {"type": "usage_limit_reached", "resets_at": None, "resets_in_seconds": 90}}, at(20, 12, 1, 30)),
        ({}, {"response": {"error": {"resets_at": "2026-11-20T14:00:00+01:00"}}}, at(20, 13)),
        ({}, google({"metadata": {"quotaResetTimeStamp": "2026-11-21T07:06:58Z"}}), at(21, 7, 6, 58)),
        ({}, google({"metadata": {"quotaResetDelay": "1h30m0.5s"}}), at(20, 13, 30) + timedelta(seconds=0.5)),
        ({}, {"error": {"metadata": {"headers": {"X-RateLimit-Reset": f"{EPOCH + 3600}000"}}}}, at(20, 13)),
        ({"x-ratelimit-reset": f"{EPOCH + 3600}000"}, "", at(20, 13)),
        ({"retry-after": "3600"}, "", at(20, 13)),
        (
            {
                "anthropic-ratelimit-unified-status": "rejected",
                "anthropic-ratelimit-unified-reset": str(EPOCH + 60),
                "anthropic-ratelimit-unified-5h-status": "rejected",
                "anthropic-ratelimit-unified-5h-reset": str(EPOCH + 60),
                "anthropic-ratelimit-unified-7d-status": "rejected",
                "anthropic-ratelimit-unified-7d-reset": str(EPOCH + 7200),
                "anthropic-ratelimit-unified-overage-status": "rejected",
                "anthropic-ratelimit-unified-overage-reset": str(EPOCH + 86_400),
                "retry-after": "300",
            },
            "",
            at(20, 14),
        ),
        (
            {
                "X-Codex-Primary-Used-Percent": "100",
                "X-Codex-Primary-Reset-At": str(EPOCH + 3600),
                "X-Codex-Secondary-Used-Percent": "80",
                "X-Codex-Secondary-Reset-At": str(EPOCH + 86_400),
            },
            "",
            at(20, 13),
        ),
        ({"x-codex-secondary-used-percent": "104.5", "x-codex-secondary-reset-after-seconds": "60"}, "", at(20, 12, 1)),
        ({"retry-after": "999999999999999"}, {"error": {"resets_at": 10**30}}, None),
        ({}, {"error": {"resets_at": "9999-12-31T23:59:59-12:00"}}, None),
        ({}, "no idea", None),
    ],
)  # fmt: skip
def test_the_reset_of_a_used_up_limit_is_understood(headers: dict[str, str], text: Any, time: datetime | None) -> None:
    found = resets_at(headers, body(text), NOW)
    assert found == time
    assert found is None or found.tzinfo is UTC


def test_a_time_without_a_zone_is_that_of_the_place_where_it_was_read() -> None:
    there = NOW.astimezone(ZoneInfo("Europe/Berlin"))
    assert resets_at({}, b"try again at 3:00 PM", there) == at(20, 14)


def test_a_date_without_a_year_is_the_next_one() -> None:
    assert read_time("Jan 2, 10am", NOW) == datetime(2027, 1, 2, 10, tzinfo=UTC)
    assert read_time("Feb 30, 10am", NOW) is None


def test_a_plan_is_used_up_only_when_its_headers_say_so() -> None:
    assert plan_used_up({"Anthropic-Ratelimit-Unified-Status": "rejected"})
    assert plan_used_up({"x-codex-primary-used-percent": "100"})
    informed = {
        "anthropic-ratelimit-unified-status": "allowed",
        "anthropic-ratelimit-unified-overage-status": "rejected",
    }
    assert not plan_used_up(informed)
    assert not plan_used_up({"x-codex-primary-used-percent": "99.9", "x-codex-secondary-used-percent": "full"})
    assert not plan_used_up({})


def test_a_limits_reset_is_quoted_as_the_provider_put_it() -> None:
    assert quoted_reset("usage limit. Try again at 11:04 PM.") == "11:04 PM"
    assert quoted_reset("The limit resets at 2026-01-02T00:00:00Z\nbye") == "2026-01-02T00:00:00Z"
    assert quoted_reset("no idea") is None


@given(st.integers(0, 400), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_a_duration_is_read_as_it_was_written(hours: int, minutes: int, seconds: int, ms: int) -> None:
    total = hours * 3600 + minutes * 60 + seconds
    assert read_duration(f"{hours}h{minutes}m{seconds}s") == total
    assert read_duration(f"{hours} hours, {minutes} minutes and {seconds} seconds!") == total
    assert read_duration(f"{ms}ms") == pytest.approx(ms / 1000)
    assert read_wait(str(total), NOW) == total


@given(st.datetimes(datetime(2026, 11, 21), datetime(2027, 11, 1)))
def test_a_time_is_read_as_it_was_written(naive: datetime) -> None:
    time = naive.replace(microsecond=0, tzinfo=UTC)
    assert read_time(time.isoformat(), NOW) == time
    assert read_time(str(int(time.timestamp() * 1000)), NOW) == time
    minute = time.replace(second=0)
    assert read_time(f"{minute:%b %d, %Y %I:%M %p}", NOW) == minute


NAMES = [
    "retry-after",
    "retry-after-ms",
    "x-ratelimit-reset",
    "x-ratelimit-reset-tokens",
    "anthropic-ratelimit-tokens-reset",
    "anthropic-ratelimit-unified-status",
    "anthropic-ratelimit-unified-reset",
    "x-codex-primary-used-percent",
    "x-codex-primary-reset-at",
]
HTTP_DATE = r"[A-Z][a-z]{2}, [0-9]{1,5} (Jan|Feb) [0-9]{1,6} [0-9:]{1,12} [+-][0-9]{1,12}"
ISO_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}[+-][0-9]{4}"
WORDS = r"resets (at )?[A-Z][a-z]{2} [0-9]{1,2}, [0-9:]{1,5} ?[ap]m \([A-Za-z/_+-]{1,20}\)"
VALUES = st.one_of(
    st.text(),
    st.sampled_from(["rejected", "100"]),
    st.floats().map(str),
    st.integers().map(str),
    st.from_regex(HTTP_DATE, fullmatch=True),
    st.from_regex(ISO_DATE, fullmatch=True),
)
FIELDS = st.sampled_from(["error", "resets_at", "retryDelay", "resets_in_seconds", "details"])
JSON = st.recursive(
    st.none() | st.floats() | st.integers() | VALUES,
    lambda inner: st.lists(inner) | st.dictionaries(FIELDS, inner),
    max_leaves=8,
)
BODIES = st.binary() | st.from_regex(WORDS).map(str.encode) | JSON.map(lambda value: json.dumps(value).encode())


@given(st.dictionaries(st.sampled_from(NAMES), VALUES), BODIES)
def test_whatever_an_answer_says_is_a_wait_and_a_time_that_can_be_used_or_nothing(
    headers: dict[str, str], text: bytes
) -> None:
    wait = asked_wait(headers, text, NOW, limited=True)
    assert wait is None or 0 <= wait < float("inf")
    time = resets_at(headers, text, NOW)
    assert time is None or abs(time - NOW) <= timedelta(days=366)


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 100_000,
        b"resets at " * 100_000,
        b'{"a":' * 50_000,
        b"1" * 1_000_000,
        b"\xff" * 1_000_000,
        b"[" + b"[]," * 300_000 + b"[]]",
    ],
)
def test_an_endless_body_is_read_in_no_time(text: bytes) -> None:
    assert resets_at({}, text, NOW) is None
    assert asked_wait({}, text, NOW, limited=True) is None

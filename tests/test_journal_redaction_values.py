"""Secrets are taken out by value and by shape."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from speedproof.journal.redaction import redact, redact_value

KEYS = [
    "sk-proj-abcdefghijkl",
    "sk-ant-api03-abcdefghijkl",
    "sk-or-v1-abcdefghijkl",
    "AIzaSyA1234567890abcdef",
    "hf_abcdefghijklmnop",
    "Bearer abcdefghij.klm",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3.abc",
]


@pytest.mark.parametrize("key", KEYS)
def test_what_looks_like_a_key_is_masked(key: str) -> None:
    assert key not in redact(f"Incorrect API key provided: {key}. You can find")
    assert key not in str(redact_value({key: [{"a": f"x {key}"}]}, ()))


@pytest.mark.parametrize("text", ["task-oriented", "a disk-space check", "sk-", "risk-free", "the bearer of news"])
def test_words_stay(text: str) -> None:
    assert redact(text) == text


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(), st.text("ab01-_+/=", min_size=8), st.text())
def test_a_known_secret_never_survives(before: str, secret: str, after: str) -> None:
    shown = redact(before + secret + after, (secret,))
    assert secret not in shown
    assert shown.encode()


def test_lone_surrogates_and_deep_nesting_can_be_written() -> None:
    value: object = "\ud800"
    for _ in range(500):
        value = [value]
    assert "list" in str(redact_value(value, ()))
    assert redact_value("\ud800", ()) == "?"

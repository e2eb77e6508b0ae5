"""No secret enters a record: keys of every shape are taken out, ordinary text is left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speedproof.journal.redaction import REDACTED, redact

KEY = "Zx9" * 12


@pytest.mark.parametrize(
    "text",
    [
        f"sk-proj-{KEY}",
        f"sk-ant-api03-{KEY}-AA",
        f"Authorization: Bearer {KEY}",
        f'"authorization": "Bearer {KEY}"',
        "AWS_ACCESS_KEY_ID=AKIAABCDEFGHIJKLMNOP",
        f"AWS_SECRET_ACCESS_KEY={KEY}",
        f"ghp_{KEY}",
        f"github_pat_{KEY}",
        f"hf_{KEY}",
        f"gsk_{KEY}",
        f"AIza{KEY}",
        f"api_key={KEY}",
        f"'api_key': '{KEY}'",
        f"--api-key: {KEY}",
        f"OPENAI_API_KEY={KEY}",
        f"password: {KEY}",
        f"https://user:{KEY}@example.org/x.git",
        f"Incorrect API key provided: {KEY}.",
        f"session_token={KEY}",
        f"eyJhbGciOiJIUzI1NiJ9.{KEY}.{KEY}",
        f"-----BEGIN RSA PRIVATE KEY-----\n{KEY}\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\n{KEY}",
    ],
)
def test_a_secret_of_any_known_shape_is_taken_out(text: str) -> None:
    cleaned = redact(f"before {text} after")
    assert KEY not in cleaned
    assert "AKIAABCDEFGHIJKLMNOP" not in cleaned
    assert REDACTED in cleaned
    assert cleaned.startswith("before ")


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens: 12345678, total_tokens=99999999",
        "No tool output found for function call call_sNlu0mi3OTWoygRW0wz7eD9s.",
        "the api_key client option must be set",
        "commit 8aa1485fcff7be3e42300c0615ee0f3f3cbce9a8",
        "https://example.org/a/b?c=d",
        "basic tests pass, bearer of news",
        "ask-me-anything about disk-usage-statistics",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert redact(text) == text


def test_a_known_secret_of_any_shape_is_taken_out_by_value() -> None:
    assert redact("key is hunter2, really", ["hunter2", ""]) == f"key is {REDACTED}, really"


@given(st.text(alphabet=st.sampled_from(list("sk-aZ9 =:'\"@/.[]Bearer_api_key\n")) | st.characters(), max_size=200))
def test_redacting_twice_is_the_same_as_once_and_can_be_written(text: str) -> None:
    once = redact(text)
    assert redact(once) == once
    once.encode()


@pytest.mark.parametrize(
    "text",
    [
        "sk" * 300_000,
        "eyJ" + "a" * 500_000,
        "api_key " * 60_000,
        "://a" * 100_000,
        "-----BEGIN PRIVATE KEY-----" * 3_000,
    ],
)
def test_an_endless_line_is_read_in_no_time(text: str) -> None:
    redact(text)

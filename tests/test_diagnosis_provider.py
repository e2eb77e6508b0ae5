"""What providers and client libraries say, and the class it means."""

import pytest

from speedproof.diagnosis.provider import classify, classify_text, resets_at
from speedproof.journal import FailureClass as F


@pytest.mark.parametrize(
    ("status", "code", "text", "failure"),
    [
        (400, None, "Your session token has expired, please sign in again", F.LOGIN_EXPIRED),
        (403, "ExpiredTokenException", "The security token included in the request is expired", F.LOGIN_EXPIRED),
        (400, None, "API key expired. Please renew the API key.", F.BAD_KEY),
        (401, None, None, F.BAD_KEY),
        (402, None, None, F.QUOTA_EXHAUSTED),
        (400, None, "Your credit balance is too low to access the API", F.QUOTA_EXHAUSTED),
        (403, None, None, F.FORBIDDEN),
        (404, None, "The model `x` does not exist or you do not have access to it", F.MODEL_NOT_FOUND),
        (404, None, "no route", F.BAD_REQUEST),
        (429, "rate_limit_exceeded", "Request too large for gpt-5 on tokens per min (TPM)", F.RATE_LIMITED),
        (429, "usage_limit_reached", "The usage limit has been reached", F.USAGE_LIMIT),
        (400, None, "We could not parse the JSON body of your request.", F.BAD_REQUEST),
        (400, None, "prompt is too long: 210000 tokens > 200000 maximum", F.CONTEXT_OVERFLOW),
        (408, None, None, F.SERVER_ERROR),
        (503, None, "upstream connect error: connection refused", F.SERVER_ERROR),
        (418, None, None, F.BAD_REQUEST),
        (200, "server_error", "The server had an error", F.SERVER_ERROR),
        (200, None, "something new", None),
        (None, None, None, None),
    ],
)  # fmt: skip
def test_status_code_and_words_together_give_the_class(
    status: int | None, code: str | None, text: str | None, failure: F | None
) -> None:
    assert classify(status, code, text) is failure


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("Error code: 429 - {'error': {'code': 'insufficient_quota'}}", F.QUOTA_EXHAUSTED),
        ("Error code: 400 - {'message': 'No tool output found for function call call_1.'}", F.TOOL_OUTPUT_MISSING),
        ("litellm.AuthenticationError: AuthenticationError: OpenAIException", F.BAD_KEY),
        ("litellm.RateLimitError: slow down", F.RATE_LIMITED),
        ("litellm.ContextWindowExceededError: too much", F.CONTEXT_OVERFLOW),
        ("litellm.InternalServerError: oops", F.SERVER_ERROR),
        ("[API Error: 503 Service Unavailable]", F.SERVER_ERROR),
        ("unexpected status 402 Payment Required", F.QUOTA_EXHAUSTED),
        ("stream disconnected before completion: stream closed", F.STREAM_BROKEN),
        ("Connection error.", F.NETWORK),
        ("list index out of range", None),
        ("assert 500 == status of the queue", None),
    ],
)  # fmt: skip
def test_an_agents_own_words_give_the_class_by_the_status_they_quote(text: str, failure: F | None) -> None:
    assert classify_text(text) is failure


def test_a_limits_reset_is_quoted_as_the_provider_put_it() -> None:
    assert resets_at("usage limit. Try again at 11:04 PM.") == "11:04 PM"
    assert resets_at("The limit resets at 2026-01-02T00:00:00Z\nbye") == "2026-01-02T00:00:00Z"
    assert resets_at("no idea") is None


@pytest.mark.parametrize("text", ["a" * 1_000_000, "model " * 200_000, "(" * 500_000, "error " + "1" * 500_000])
def test_an_endless_error_text_is_read_in_no_time(text: str) -> None:
    assert classify_text(text) is None

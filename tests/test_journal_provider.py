"""What providers and client libraries say, and the class it means."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from speedproof.journal import CallOutcome
from speedproof.journal import FailureClass as F
from speedproof.journal.provider import classify, classify_answer, classify_outcome, classify_text, read_error


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


QUOTA_WORDS = "You exceeded your current quota, please check your plan and billing details."
GOOGLE_RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37s"}


def google(message: str, *limits: str, reason: str | None = None, status: int = 429) -> tuple[int, dict[str, Any]]:
    details: list[dict[str, Any]] = [{"violations": [{"quotaId": limit} for limit in limits]}] if limits else []
    if reason:
        details.append({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason})
    error = {"code": status, "message": message, "status": "RESOURCE_EXHAUSTED", "details": [*details, GOOGLE_RETRY]}
    return status, {"error": error}


def anthropic(kind: str, message: str, **details: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message, "details": details or None}}


def openai(message: str, code: str | int | None, kind: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (
            (429, openai("Rate limit reached for gpt-5 on tokens per min (TPM)", "rate_limit_exceeded", "tokens")),
            F.RATE_LIMITED,
        ),
        ((429, openai(QUOTA_WORDS, "insufficient_quota", "insufficient_quota")), F.QUOTA_EXHAUSTED),
        ((429, openai("Your account is not active.", "billing_not_active")), F.QUOTA_EXHAUSTED),
        ((429, openai("The usage limit has been reached", None, "usage_limit_reached")), F.USAGE_LIMIT),
        (
            (
                401,
                openai(
                    "Your authentication token has been invalidated. Please try signing in again.", "token_invalidated"
                ),
            ),
            F.LOGIN_EXPIRED,
        ),
        ((401, openai("Provided authentication token is expired.", "token_expired")), F.LOGIN_EXPIRED),
        (
            (401, openai("Your refresh token has already been used to generate a new access token.", None)),
            F.LOGIN_EXPIRED,
        ),
        ((401, openai("Incorrect API key provided: sk-x.", "invalid_api_key")), F.BAD_KEY),
        (
            (503, openai("That model is currently overloaded with other requests.", None, "server_error")),
            F.SERVER_ERROR,
        ),
        (
            (429, anthropic("rate_limit_error", "This request would exceed your organization's rate limit of 80,000")),
            F.RATE_LIMITED,
        ),
        ((529, anthropic("overloaded_error", "Overloaded")), F.SERVER_ERROR),
        (
            (400, anthropic("invalid_request_error", "Your credit balance is too low to access the Anthropic API.")),
            F.QUOTA_EXHAUSTED,
        ),
        (
            (
                400,
                anthropic("invalid_request_error", "You have reached your specified API usage limits. You will regain"),
            ),
            F.USAGE_LIMIT,
        ),
        (
            (429, anthropic("rate_limit_error", "Threshold crossed.", error_code="enforced_spend_limit_reached")),
            F.USAGE_LIMIT,
        ),
        ((429, anthropic("rate_limit_error", "Extra usage is required for long context requests.")), F.QUOTA_EXHAUSTED),
        (
            (401, anthropic("authentication_error", "OAuth token has expired. Please obtain a new token.")),
            F.LOGIN_EXPIRED,
        ),
        ((403, anthropic("permission_error", "OAuth token has been revoked. Please log in again.")), F.LOGIN_EXPIRED),
        ((401, anthropic("authentication_error", "invalid x-api-key")), F.BAD_KEY),
        ((429, anthropic("rate_limit_error", "You've hit your limit · resets 5pm (UTC)")), F.USAGE_LIMIT),
        (google(QUOTA_WORDS, "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"), F.RATE_LIMITED),
        (
            google(QUOTA_WORDS, "InputTokensPerModelPerMinute", "RequestsPerDayPerProjectPerModel-FreeTier"),
            F.USAGE_LIMIT,
        ),
        (google(f"{QUOTA_WORDS}\n* Quota exceeded for metric: x, limit: 2\nPlease retry in 37.4s."), F.RATE_LIMITED),
        (google(QUOTA_WORDS), F.QUOTA_EXHAUSTED),
        (google("Resource has been exhausted (e.g. check quota)."), F.RATE_LIMITED),
        (
            google("You have exhausted your capacity. Your quota will reset after 2h52m39s.", reason="QUOTA_EXHAUSTED"),
            F.USAGE_LIMIT,
        ),
        (
            google("You have exhausted your capacity. Your quota will reset after 1s.", reason="RATE_LIMIT_EXCEEDED"),
            F.RATE_LIMITED,
        ),
        (google("No capacity available for model x", reason="MODEL_CAPACITY_EXHAUSTED"), F.RATE_LIMITED),
        (
            google("Request had invalid authentication credentials.", reason="ACCESS_TOKEN_EXPIRED", status=401),
            F.LOGIN_EXPIRED,
        ),
        (google("API key not valid. Please pass a valid API key.", reason="API_KEY_INVALID", status=400), F.BAD_KEY),
        (
            google("Invalid JSON payload received. Unknown name: x", reason="INVALID_ARGUMENT", status=400),
            F.BAD_REQUEST,
        ),
        (
            google(
                "Please ensure that the number of function response parts is equal to the number of function call "
                "parts of the function call turn.",
                reason="INVALID_ARGUMENT",
                status=400,
            ),
            F.TOOL_OUTPUT_MISSING,
        ),
        (
            google(
                "Please ensure that function response turn comes immediately after a function call turn.", status=400
            ),
            F.TOOL_CALL_MISSING,
        ),
        ((429, openai("Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000", 429)), F.USAGE_LIMIT),
        ((429, openai("Rate limit exceeded: limit_rpm/model/x", 429)), F.RATE_LIMITED),
        ((402, openai("This request requires more credits, or fewer max_tokens.", 402)), F.QUOTA_EXHAUSTED),
        ((403, openai("Key limit exceeded (monthly limit).", 403)), F.QUOTA_EXHAUSTED),
        (
            (429, {"error": {"message": "Provided error", "code": 429, "metadata": {"raw": "insufficient_quota"}}}),
            F.QUOTA_EXHAUSTED,
        ),
        (
            (429, openai("Requests have exceeded call rate limit of your current OpenAI S0 pricing tier.", "429")),
            F.RATE_LIMITED,
        ),
        ((401, openai("Access denied due to invalid subscription key or wrong API endpoint.", "401")), F.BAD_KEY),
        ((429, {"message": "Too many tokens, please wait before trying again."}), F.RATE_LIMITED),
        ((429, {"message": "Too many tokens per day, please wait before trying again."}), F.USAGE_LIMIT),
        ((403, {"message": "The security token included in the request is expired"}), F.LOGIN_EXPIRED),
        ((400, {"message": "x", "__type": "ServiceQuotaExceededException"}), F.QUOTA_EXHAUSTED),
        ((502, "<html>Bad Gateway</html>"), F.SERVER_ERROR),
        ((429, ""), F.RATE_LIMITED),
        ((302, ""), None),
    ],
)
def test_the_answers_of_real_providers_are_told_apart(answer: tuple[int, Any], failure: F | None) -> None:
    status, body = answer
    raw = body.encode() if isinstance(body, str) else json.dumps(body, ensure_ascii=False).encode()
    assert classify_answer(status, {"content-type": "application/json"}, raw) is failure


def test_a_rate_limit_on_a_login_whose_plan_is_used_up_is_its_usage_limit() -> None:
    body = json.dumps(anthropic("rate_limit_error", "This request would exceed your account's rate limit.")).encode()
    assert classify_answer(429, {"Anthropic-Ratelimit-Unified-Status": "rejected"}, body) is F.USAGE_LIMIT
    assert classify_answer(429, {"anthropic-ratelimit-unified-status": "allowed"}, body) is F.RATE_LIMITED
    assert classify_answer(500, {"anthropic-ratelimit-unified-status": "rejected"}, body) is F.SERVER_ERROR


def test_the_record_of_a_rate_limit_that_resets_later_is_a_usage_limit() -> None:
    at = datetime(2026, 11, 20, tzinfo=UTC)
    outcome = CallOutcome(call=1, at=at, status=429, error="rate limit", complete=True, duration_s=1)
    assert classify_outcome(outcome) is F.RATE_LIMITED
    assert classify_outcome(outcome.model_copy(update={"resets_at": at})) is F.USAGE_LIMIT


def test_a_throttle_that_says_it_is_no_usage_limit_is_none() -> None:
    said = "API Error: Server is temporarily limiting requests (not your usage limit) · Rate limited"
    assert classify_text(said) is F.RATE_LIMITED


@pytest.mark.parametrize(
    ("headers", "body", "code", "message"),
    [
        ({}, openai("no", "insufficient_quota", "x"), "insufficient_quota", "no"),
        ({}, anthropic("rate_limit_error", "no"), "rate_limit_error", "no"),
        ({}, anthropic("rate_limit_error", "no", error_code="spend"), "spend", "no"),
        ({}, [google("no", "APerMinute", "BPerDay", reason="R")[1]], "BPerDay", "no"),
        ({}, google("no", reason="R")[1], "R", "no"),
        ({}, google("no")[1], "RESOURCE_EXHAUSTED", "no"),
        ({}, openai("no", 429), None, "no"),
        ({}, {"error": "no"}, None, "no"),
        ({}, {"detail": "no"}, None, "no"),
        ({}, {"response": {"error": {"code": "c", "message": "no"}}}, "c", "no"),
        ({"x-amzn-ErrorType": "ThrottlingException:http://x/"}, {"message": "no"}, "ThrottlingException", "no"),
        ({}, {"error": {"message": 3, "code": ["x"], "details": [3, {"violations": 4}]}}, None, None),
        ({}, [], None, "[]"),
        ({}, 7, None, "7"),
    ],
)  # fmt: skip
def test_code_and_message_of_an_error_are_read_in_every_form(
    headers: dict[str, str], body: Any, code: str | None, message: str | None
) -> None:
    found = read_error(headers, json.dumps(body).encode())
    assert found == (code, json.dumps(body) if message is None else message)


@pytest.mark.parametrize("text", ["a" * 1_000_000, "model " * 200_000, "(" * 500_000, "error " + "1" * 500_000])
def test_an_endless_error_text_is_read_in_no_time(text: str) -> None:
    assert classify_text(text) is None

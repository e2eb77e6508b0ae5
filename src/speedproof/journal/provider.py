"""What a provider's answer means: HTTP status, headers, error code and text → failure class. The one list of their
words: the gateway asks it whether to try again, the diagnosis why a call failed.

The words are those of OpenAI, Anthropic, Bedrock, Gemini, Azure and OpenRouter, of logins (Codex, Claude, Gemini), and
of the client libraries that wrap them (LiteLLM). The specific goes before the general: an expired login often comes as
a 401 or 403, an overlong prompt as a 400, a used-up plan as a 429.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from speedproof.journal.call import CallOutcome
from speedproof.journal.failure import FailureClass as F
from speedproof.journal.reset import lowered, parsed, plan_used_up

_REQUEST = frozenset({400, 409, 413, 422})
_ACCESS = frozenset({400, 401, 403, 407})
_PAID = frozenset({400, 402, 403, 429})


@dataclass(frozen=True)
class _Words:
    failure: F
    statuses: frozenset[int]
    """The statuses with which the words count; an unknown status always goes."""
    pattern: re.Pattern[str]


def _words(failure: F, statuses: frozenset[int], *alternatives: str) -> _Words:
    return _Words(failure, statuses, re.compile("|".join(alternatives), re.IGNORECASE))


_WORDS = (
    _words(
        F.TOOL_OUTPUT_MISSING,
        _REQUEST,
        r"no tool output found for",
        r"tool_use.{0,10} ids were found without",
        r"tool_calls.{0,10} must be followed by tool messages",
        r"did not have response messages",
        r"number of function response parts is equal",
    ),
    _words(
        F.TOOL_CALL_MISSING,
        _REQUEST,
        r"no tool call found for",
        r"role 'tool' must be a response to",
        r"unexpected .{0,3}tool_use_id.{0,3} found in .{0,3}tool_result",
        r"function response turn comes immediately after a function call",
    ),
    _words(F.EMPTY_TOOL_RESULT, _REQUEST, r"content cannot be empty if .{0,3}is_error"),
    _words(
        F.CONTEXT_OVERFLOW,
        _REQUEST,
        r"context_length_exceeded",
        r"ContextWindowExceeded",
        r"maximum context length",
        r"context (?:length|window|limit)",
        r"(?:prompt|input) is too long",
        r"input tokens? (?:count )?exceed",
    ),
    _words(
        F.TOOL_ARGS_MALFORMED,
        _REQUEST,
        r"unterminated string starting at",
        r"expecting (?:value|property name|'.' delimiter).{0,60}line \d+ column",
        r"(?:\barguments?|function_call|tool_call).{0,60}(?:valid json|json|pars(?:e|ing))",
        r"(?:invalid|malformed|unparsable|parse|decode) .{0,40}(?:arguments|tool call)",
    ),
    _words(F.BAD_KEY, _ACCESS, r"api[ _-]?key.{0,20}expired", r"expired.{0,10}api[ _-]?key"),
    _words(
        F.LOGIN_EXPIRED,
        _ACCESS,
        r"(?:token|session|login|credentials?|sso)\b.{0,40}\bexpired",
        r"expired.{0,20}(?:token|session|login|credential)",
        r"ExpiredToken",
        r"token_(?:expired|revoked|invalidated|reused)",
        r"\btoken\b.{0,40}\b(?:revoked|invalidated|already (?:been )?used)",
        r"invalid_grant",
        r"retrieving token from sso",
        r"refresh (?:token )?failed",
        r"not logged in",
        r"(?:log|sign)(?:ging|ing)? ?in again",
        r"please run .{0,20}login",
        r"sso login",
    ),
    _words(
        F.BAD_KEY,
        _ACCESS,
        r"(?:incorrect|invalid|wrong|missing|no) (?:\S{1,20} )?(?:x-)?api[ _-]?key",
        r"api[ _-]?key.{0,40}(?:invalid|incorrect|not valid|must be set|missing|required|not set)",
        r"invalid_api_key",
        r"invalid subscription key",
        r"AuthenticationError",
        r"authentication_error",
        r"unrecognizedclient",
    ),
    _words(F.USAGE_LIMIT, _PAID, r"PerDay", r"free-models-per-day", r"too many tokens per day"),
    _words(
        F.RATE_LIMITED,
        frozenset({429}),
        r"rate_limit_exceeded",
        # Google says the same of a limit by the minute as of an account without credit, except for these.
        r"PerMinute",
        r"exceeded your current quota[\s\S]{0,600}\bretry in [0-9]",
    ),
    _words(
        F.USAGE_LIMIT,
        _PAID,
        r"(?<!not your )usage[ _]limit",
        r"limit.{0,40}\btry again at\b",
        r"(?:5[- ]hour|session|daily|weekly|monthly|opus|sonnet) limit reached",
        r"hit your (?:\w{1,20} )?limit",
        r"quota will reset",
        r"enforced_spend_limit",
    ),
    _words(
        F.QUOTA_EXHAUSTED,
        _PAID,
        r"insufficient[_ ](?:quota|credits?|balance|funds)",
        r"exceeded your current quota",
        r"credit balance is too low",
        r"(?:out of|no|purchase more|requires more) credits",
        r"credits are depleted",
        r"(?:extra usage|usage credits) (?:is|are) required",
        r"billing[_ ](?:hard[_ ])?limit",
        r"billing_(?:not_active|error)",
        r"key limit exceeded",
        r"ServiceQuotaExceeded",
        r"payment required",
    ),
    _words(
        F.MODEL_NOT_FOUND,
        frozenset({400, 403, 404}),
        r"model_not_found",
        r"\bmodel\b.{0,120}(?:does not exist|not found|not supported|not available|is unknown)",
        r"(?:unknown|no such|invalid|unsupported) model\b",
        r"model identifier is invalid",
    ),
    _words(
        F.FORBIDDEN,
        frozenset({400, 401, 403}),
        r"permission_error",
        r"access ?denied",
        r"not (?:authorized|allowed) to",
        r"PermissionDeniedError",
    ),
    _words(F.RATE_LIMITED, frozenset({403, 429}), r"rate.?limit", r"too many requests", r"throttl"),
    _words(
        F.SERVER_ERROR,
        frozenset(),
        r"overloaded",
        r"\bserver_error\b",
        r"internal ?server ?error",
        r"service ?unavailable",
        r"bad gateway",
        r"gateway time-?out",
    ),
    _words(
        F.STREAM_BROKEN,
        frozenset(),
        r"stream (?:disconnected|closed|ended|error)",
        r"incomplete (?:chunked )?read",
        r"ended prematurely",
        r"peer closed connection",
        r"connection to the provider broke",
        r"without its end marker",
    ),
    _words(
        F.NETWORK,
        frozenset(),
        r"connection (?:error|refused|reset|failed|aborted|timed out)",
        r"cannot connect",
        r"APIConnectionError",
        r"(?:name|address) resolution",
        r"name or service not known",
        r"could not resolve",
        r"network is unreachable",
        r"no route to host",
        r"error sending request",
        r"certificate verify failed",
    ),
    _words(F.SERVER_ERROR, frozenset(), r"request timed out", r"read time-?out", r"APITimeoutError"),
    _words(F.BAD_REQUEST, frozenset(), r"invalid_request_error", r"BadRequestError"),
)

_STATUS = re.compile(
    r"""
    \bError\ code:\s*(?P<a>[45]\d\d)\b
    | \b(?:last\ )?(?:http\ )?status(?:[ _]?code)?["']?\s*[:=]?\s*(?P<b>[45]\d\d)\b
    | \bHTTP(?:/\d(?:\.\d)?)?(?:\ error)?:?\s(?P<c>[45]\d\d)\b
    | ^\W{0,3}(?:(?:api\ )?error:?\s{1,3})?(?P<d>[45]\d\d)\ [A-Z{]
    """,
    re.VERBOSE | re.IGNORECASE,
)
_LONGEST_MESSAGE = 8_000


def classify(status: int | None, code: str | None, text: str | None) -> F | None:
    """The failure class of an answer; None when neither its status nor its words name one.

    A status below 400 counts as unknown: an error inside a stream comes with a 200.
    """
    status = status if status is not None and status >= 400 else None
    words = f"{code or ''} {text or ''}"[:8000]
    for rule in _WORDS:
        if (status is None or status in rule.statuses) and rule.pattern.search(words):
            return rule.failure
    return None if status is None else _by_status(status, words)


def _by_status(status: int, words: str) -> F:
    match status:
        case 401:
            return F.BAD_KEY
        case 402:
            return F.QUOTA_EXHAUSTED
        case 403:
            return F.FORBIDDEN
        case 404:
            return F.MODEL_NOT_FOUND if "model" in words.lower() else F.BAD_REQUEST
        case 429:
            return F.RATE_LIMITED
        case _ if status == 408 or status >= 500:
            return F.SERVER_ERROR
        case _:
            return F.BAD_REQUEST


@lru_cache(maxsize=4096)
def classify_text(text: str) -> F | None:
    """The failure class that an agent's own error text names, by the status it quotes and its words."""
    found = _STATUS.search(text[:8000])
    status = next((int(v) for v in found.groups() if v), None) if found else None
    return classify(status, None, text)


def classify_outcome(outcome: CallOutcome) -> F:
    """The failure class of a failed call that has an outcome.

    A 5xx that the gateway gave in the provider's place says that the provider was not reached: its words count. A rate
    limit with a time at which it resets is that of a plan.
    """
    unreached = outcome.answered_by == "gateway" and outcome.status is not None and outcome.status >= 500
    named = classify(None if unreached else outcome.status, outcome.error_code, outcome.error)
    if named is F.RATE_LIMITED and outcome.resets_at is not None:
        return F.USAGE_LIMIT
    if named is not None:
        return named
    if outcome.status is None or unreached:
        return F.NETWORK
    return F.SERVER_ERROR if outcome.complete else F.STREAM_BROKEN


def classify_answer(status: int, headers: Mapping[str, str], body: bytes) -> F | None:
    """The failure class of an answer as it came: its headers count too. None when it names none, so if it is no error.

    The plan behind a Claude or Codex login that is used up answers in the words of a rate limit.
    """
    code, message = read_error(headers, body)
    named = classify(status, code, message)
    return F.USAGE_LIMIT if named is F.RATE_LIMITED and plan_used_up(headers) else named


def read_error(headers: Mapping[str, str], body: bytes) -> tuple[str | None, str]:
    """The most specific error code of an answer, or None, and its message; without either, the body's text."""
    value = parsed(body)
    answer = _dict(value[0] if isinstance(value, list) and value else value)
    inner = answer.get("error") or _dict(answer.get("response")).get("error")
    error = _dict(inner) or answer
    said = [inner if isinstance(inner, str) else None, error.get("message"), error.get("detail"), answer.get("message")]
    message = next((text for text in said if isinstance(text, str) and text), None)
    if message is None:
        message = body[:_LONGEST_MESSAGE].decode(errors="replace")
    raw = _dict(error.get("metadata")).get("raw")  # OpenRouter: what the provider behind it said
    message = f"{message}: {raw}" if isinstance(raw, str) else message
    codes = [*_google_codes(error), _dict(error.get("details")).get("error_code")]
    codes += [error.get(name) for name in ("code", "status", "type", "__type")]
    codes.append(lowered(headers).get("x-amzn-errortype", "").partition(":")[0])
    code = next((c for c in codes if isinstance(c, str) and c and not c.isdigit() and c != "error"), None)
    return None if code is None else code[:200], message[:_LONGEST_MESSAGE]


def _google_codes(error: dict[str, Any]) -> list[Any]:
    """The ids of the limits that were reached, those by the day first, then the reasons."""
    details = [_dict(detail) for detail in _list(error.get("details"))]
    ids = [_dict(violation).get("quotaId") for detail in details for violation in _list(detail.get("violations"))]
    return sorted(ids, key=lambda name: "PerDay" not in str(name)) + [detail.get("reason") for detail in details]


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []

"""What a provider's answer means: HTTP status, error code and text → failure class.

The words are those of OpenAI, Anthropic, Bedrock, Gemini and of the client libraries that wrap them (LiteLLM). The
specific goes before the general: an expired login often comes as a 401 or 403, an overlong prompt as a 400.
"""

import re
from dataclasses import dataclass

from speedproof.journal.call import CallOutcome
from speedproof.journal.failure import FailureClass as F

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
        r"(?:arguments?|function_call|tool_call).{0,60}(?:valid json|json|pars(?:e|ing))",
        r"(?:invalid|malformed|unparsable|parse|decode) .{0,40}(?:arguments|tool call)",
    ),
    _words(F.BAD_KEY, _ACCESS, r"api[ _-]?key.{0,20}expired", r"expired.{0,10}api[ _-]?key"),
    _words(
        F.LOGIN_EXPIRED,
        _ACCESS,
        r"(?:token|session|login|credentials?|sso)\b.{0,40}\bexpired",
        r"expired.{0,20}(?:token|session|login|credential)",
        r"ExpiredToken",
        r"retrieving token from sso",
        r"refresh (?:token )?failed",
        r"not logged in",
        r"(?:log|sign) ?in again",
        r"please run .{0,20}login",
        r"sso login",
    ),
    _words(
        F.BAD_KEY,
        _ACCESS,
        r"(?:incorrect|invalid|wrong|missing|no) (?:\S{1,20} )?(?:x-)?api[ _-]?key",
        r"api[ _-]?key.{0,40}(?:invalid|incorrect|not valid|must be set|missing|required|not set)",
        r"invalid_api_key",
        r"AuthenticationError",
        r"authentication_error",
        r"unrecognizedclient",
    ),
    _words(F.USAGE_LIMIT, _PAID, r"usage[ _]limit", r"limit.{0,40}\btry again at\b"),
    _words(
        F.QUOTA_EXHAUSTED,
        _PAID,
        r"insufficient[_ ](?:quota|credits?|balance|funds)",
        r"exceeded your current quota",
        r"credit balance is too low",
        r"(?:out of|no|purchase more) credits",
        r"billing (?:hard )?limit",
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
_RESET = re.compile(r"(?:try again|resets?)(?: again)? (?:at|in|on) ([^.\n\"']{1,60})", re.IGNORECASE)


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


def classify_text(text: str) -> F | None:
    """The failure class that an agent's own error text names, by the status it quotes and its words."""
    found = _STATUS.search(text[:8000])
    status = next((int(v) for v in found.groups() if v), None) if found else None
    return classify(status, None, text)


def classify_outcome(outcome: CallOutcome) -> F:
    """The failure class of a failed call that has an outcome.

    A 5xx that the gateway gave in the provider's place says that the provider was not reached: its words count.
    """
    unreached = outcome.answered_by == "gateway" and outcome.status is not None and outcome.status >= 500
    named = classify(None if unreached else outcome.status, outcome.error_code, outcome.error)
    if named is not None:
        return named
    if outcome.status is None or unreached:
        return F.NETWORK
    return F.SERVER_ERROR if outcome.complete else F.STREAM_BROKEN


def resets_at(text: str) -> str | None:
    """When a provider says that a limit resets, in its own words; None when it does not say."""
    found = _RESET.search(text[:8000])
    return found[1].strip() if found else None

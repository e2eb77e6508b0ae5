"""The faults that every agent is tried with, in the words of each protocol's own provider, and what must become of an
attempt that meets them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from speedproof.gateway.scripted.script import Fault, Script, Turn
from speedproof.journal.base import now
from speedproof.journal.call import Protocol
from speedproof.journal.failure import FailureClass
from speedproof.journal.status import RunStatus

Provider = Literal["openai", "anthropic", "google"]
PROVIDERS: Mapping[Protocol, Provider] = {
    "chat": "openai",
    "responses": "openai",
    "messages": "anthropic",
    "gemini": "google",
}
"""Whose words a protocol's errors have."""
EDIT = "printf '\\nEDITED = True\\n' >> edited.py"
"""What the model has the agent do before the fault."""
RESETS_IN = timedelta(hours=3)
"""When a used-up plan can be used again."""
_AGAIN_S = 1.0
_RPC = "type.googleapis.com/google.rpc"


@dataclass(frozen=True)
class Expected:
    """What must become of an attempt that meets a fault."""

    run: RunStatus
    """How its process went."""
    failure: FailureClass | None = None
    """The class of its diagnosis; null when it gets over the fault."""


FAULTS: Mapping[str, Expected] = {
    "bad_request": Expected("model_error", FailureClass.BAD_REQUEST),
    "bad_key": Expected("model_error", FailureClass.BAD_KEY),
    "login_expired": Expected("model_error", FailureClass.LOGIN_EXPIRED),
    "forbidden": Expected("model_error", FailureClass.FORBIDDEN),
    "quota": Expected("model_error", FailureClass.QUOTA_EXHAUSTED),
    "usage_limit": Expected("model_error", FailureClass.USAGE_LIMIT),
    "rate_limited": Expected("model_error", FailureClass.RATE_LIMITED),
    "rate_limited_twice": Expected("completed"),
    "server_error_once": Expected("completed"),
    "hang": Expected("model_error", FailureClass.SERVER_ERROR),
    "stall": Expected("model_error", FailureClass.STREAM_BROKEN),
    "cut": Expected("model_error", FailureClass.STREAM_BROKEN),
    "malformed": Expected("model_error", FailureClass.STREAM_BROKEN),
}
"""Every fault by its name."""


def fault_script(name: str, protocol: Protocol, edit: str | None = EDIT) -> Script:
    """A script that meets the fault of this name: a command that edits a file, the fault, and the end where the fault
    passes. Without `edit` the fault comes first: for an agent without tools, whose first answer ends its work.

    Raises KeyError for a fault or protocol that is not there.
    """
    fault = _fault(name, PROVIDERS[protocol], now())
    turns = [] if edit is None else [Turn(run=edit)]
    turns.append(Turn(fail=fault))
    if fault.times is not None:
        turns.append(Turn(finish="Done."))
    return Script(format="speedproof/script/1", description=f"{name} in {protocol}", turns=tuple(turns))


def _fault(name: str, provider: Provider, at: datetime) -> Fault:
    match name:
        case "hang":
            return Fault(hang=True)
        case "stall":
            return Fault(stall=1)
        case "cut":
            return Fault(cut=1)
        case "malformed":
            return Fault(malformed=True)
        case "usage_limit":
            return _usage_limit(provider, at + RESETS_IN)
        case "rate_limited_twice":
            return _ERRORS["rate_limited"][provider].model_copy(update={"times": 2})
        case "server_error_once":
            return _ERRORS["server_error"][provider].model_copy(update={"times": 1})
        case _:
            return _ERRORS[name][provider]


def _google(status: int, word: str, message: str, *details: Mapping[str, Any]) -> str:
    return json.dumps({"error": {"code": status, "message": message, "status": word, "details": details}})


def _usage_limit(provider: Provider, resets_at: datetime) -> Fault:
    """The plan behind a login is used up: each provider has a place of its own for the time at which it resets."""
    left = int(RESETS_IN.total_seconds())
    epoch = int(resets_at.timestamp())
    match provider:
        case "openai":
            message = {"type": "usage_limit_reached", "message": "The usage limit has been reached"}
            when = {"plan_type": "plus", "resets_at": epoch, "resets_in_seconds": left}
            used = {"x-codex-primary-used-percent": "100", "x-codex-primary-reset-after-seconds": str(left)}
            return Fault(status=429, body=json.dumps({"error": message | when}), headers=used)
        case "anthropic":
            return Fault(
                status=429,
                message="This request would exceed your account's rate limit. Please try again later.",
                headers={
                    "anthropic-ratelimit-unified-status": "rejected",
                    "anthropic-ratelimit-unified-5h-status": "rejected",
                    "anthropic-ratelimit-unified-5h-reset": str(epoch),
                    "anthropic-ratelimit-unified-reset": str(epoch),
                    "anthropic-ratelimit-unified-representative-claim": "five_hour",
                },
            )
        case _:
            message_of = "You have exhausted your capacity on this model. Your quota will reset after 3h0m0s."
            info = {
                "@type": f"{_RPC}.ErrorInfo",
                "reason": "QUOTA_EXHAUSTED",
                "domain": "cloudcode-pa.googleapis.com",
                "metadata": {"quotaResetDelay": f"{left}s", "quotaResetTimeStamp": f"{resets_at:%Y-%m-%dT%H:%M:%SZ}"},
            }
            return Fault(status=429, body=_google(429, "RESOURCE_EXHAUSTED", message_of, info))


_HELP = {
    "@type": f"{_RPC}.Help",
    "links": [
        {
            "description": "Learn more about Gemini API quotas",
            "url": "https://ai.google.dev/gemini-api/docs/rate-limits",
        }
    ],
}
_PER_MINUTE = {
    "@type": f"{_RPC}.QuotaFailure",
    "violations": [
        {
            "quotaMetric": "generativelanguage.googleapis.com/generate_content_paid_tier_input_token_count",
            "quotaId": "GenerateContentPaidTierInputTokensPerModelPerMinute",
            "quotaValue": "1000000",
        }
    ],
}
_GOOGLE_QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. For more information on this error, "
    "head to: https://ai.google.dev/gemini-api/docs/rate-limits."
)

_ERRORS: Mapping[str, Mapping[Provider, Fault]] = {
    "bad_request": {
        "openai": Fault(
            status=400,
            message="Invalid schema for function 'shell': None is not of type 'array'.",
            code="invalid_function_parameters",
        ),
        "anthropic": Fault(
            status=400,
            message="tools.0.custom.input_schema: JSON schema is invalid. It must match JSON Schema draft 2020-12.",
        ),
        "google": Fault(
            status=400,
            message="* GenerateContentRequest.tools[0].function_declarations[0].parameters.properties[paths].items: "
            "missing field.",
        ),
    },
    "bad_key": {
        "openai": Fault(
            status=401,
            message="Incorrect API key provided: sk-****. You can find your API key at "
            "https://platform.openai.com/account/api-keys.",
            code="invalid_api_key",
        ),
        "anthropic": Fault(status=401, message="invalid x-api-key"),
        "google": Fault(status=400, message="API key not valid. Please pass a valid API key.", code="API_KEY_INVALID"),
    },
    "login_expired": {
        "openai": Fault(
            status=401,
            message="Provided authentication token is expired. Please try signing in again.",
            code="token_expired",
        ),
        "anthropic": Fault(
            status=401,
            message="OAuth token has expired. Please obtain a new token or refresh your existing token.",
        ),
        "google": Fault(
            status=401,
            message="Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or "
            "other valid authentication credential.",
            code="ACCESS_TOKEN_EXPIRED",
        ),
    },
    "forbidden": {
        "openai": Fault(
            status=403,
            message="You have insufficient permissions for this operation. Missing scopes: model.request.",
        ),
        "anthropic": Fault(status=403, message="Your API key does not have permission to use the specified resource."),
        "google": Fault(
            status=403,
            message="Generative Language API has not been used in project 1 before or it is disabled.",
            code="SERVICE_DISABLED",
        ),
    },
    "quota": {
        "openai": Fault(
            status=429,
            message="You exceeded your current quota, please check your plan and billing details. For more "
            "information on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.",
            code="insufficient_quota",
        ),
        "anthropic": Fault(
            status=400,
            message="Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to "
            "upgrade or purchase credits.",
        ),
        "google": Fault(status=429, body=_google(429, "RESOURCE_EXHAUSTED", _GOOGLE_QUOTA, _HELP)),
    },
    "rate_limited": {
        "openai": Fault(
            status=429,
            message="Rate limit reached for this model on tokens per min (TPM): Limit 30000, Used 29874, Requested "
            "626. Please try again in 1s.",
            type="tokens",
            code="rate_limit_exceeded",
            retry_after_s=_AGAIN_S,
        ),
        "anthropic": Fault(
            status=429,
            message="This request would exceed your organization's rate limit of 30,000 input tokens per minute.",
            retry_after_s=_AGAIN_S,
        ),
        "google": Fault(
            status=429,
            body=_google(
                429,
                "RESOURCE_EXHAUSTED",
                f"{_GOOGLE_QUOTA}\nPlease retry in {_AGAIN_S:g}s.",
                _PER_MINUTE,
                _HELP,
                {"@type": f"{_RPC}.RetryInfo", "retryDelay": f"{_AGAIN_S:g}s"},
            ),
        ),
    },
    "server_error": {
        "openai": Fault(status=500, message="The server had an error while processing your request. Sorry about that!"),
        "anthropic": Fault(status=500, message="Internal server error"),
        "google": Fault(status=500, message="An internal error has occurred. Please retry."),
    },
}
"""Errors by name and by whose they are; each lasts for ever."""

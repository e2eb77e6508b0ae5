"""Taking secrets out of text before it enters a record. The one list of shapes; everything that records text uses it.

A shape is what a key looks like, so this is a net, not a proof: whoever knows a secret passes it to be replaced by
value as well.
"""

import re
from collections.abc import Iterable
from typing import Any

REDACTED = "[redacted]"
_DEEPEST = 30

_WHOLE = re.compile(
    r"""
    -----BEGIN\ [A-Z ]{0,40}PRIVATE\ KEY-----.{0,8000}?(?:-----END\ [A-Z ]{0,40}PRIVATE\ KEY-----|\Z)
    | \b(?:sk|rk|pk)-[A-Za-z0-9_*-]{8,}                  # OpenAI, Anthropic, OpenRouter and those who copy them
    | \b(?:AKIA|ASIA)[A-Z0-9]{12,}                       # AWS key ids
    | \b(?:gh[pousr]|hf|gsk|npm|glpat|xox[abeprs]|xai)[_-][A-Za-z0-9_-]{10,}
    | \b(?:github_pat|pypi)[_-][A-Za-z0-9_-]{16,}
    | \bAIza[A-Za-z0-9_-]{16,}                           # Google
    | \beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?   # JSON web tokens
    """,
    re.VERBOSE | re.DOTALL,
)
_AFTER_WORD = re.compile(
    r"""
    (
      \b(?:Bearer|Basic)\s+
      | (?:api[ _-]?key|secret(?:[ _-]?access)?(?:[ _-]?key)?|password|passwd|credential|authorization|x-api-key)
        (?:\s+provided)? ["']{0,2}\s{0,3}[:=]\s{0,3}["']{0,2}(?!(?:Bearer|Basic)\s)
      | [_-]token["']{0,2}\s{0,3}[:=]\s{0,3}["']{0,2}
    )
    [^\s"',;&<>{}()]{8,}
    """,
    re.VERBOSE | re.IGNORECASE,
)
_IN_ADDRESS = re.compile(r"(://)[^\s/@:]{1,200}:[^\s/@]{1,200}(?=@)")


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without `secrets` and without what looks like one: provider keys, bearer tokens, passwords in addresses,
    long values after words such as api_key=. What comes back can be written as UTF-8; twice is the same as once."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, REDACTED)
    text = text.encode(errors="replace").decode()
    text = _WHOLE.sub(REDACTED, text)
    text = _AFTER_WORD.sub(lambda found: found[1] + REDACTED, text)
    return _IN_ADDRESS.sub(rf"\1{REDACTED}", text)


def redact_value(value: Any, secrets: tuple[str, ...], depth: int = 0) -> Any:
    """A JSON value with every string in it redacted, keys too; what is nested too deeply becomes its type's name."""
    if depth > _DEEPEST and isinstance(value, dict | list | tuple):
        return type(value).__name__
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, dict):
        return {redact(str(k), secrets): redact_value(v, secrets, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [redact_value(v, secrets, depth + 1) for v in value]
    return value

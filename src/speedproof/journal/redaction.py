"""Taking secrets out of text before it enters a record. The one list of shapes; everything that records text uses it.

A shape is what a key looks like, so this is a net, not a proof: whoever knows a secret passes it to be replaced by
value as well.
"""

import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, SchemaValidator, core_schema

REDACTED = "[redacted]"
_DEEPEST = 30

# The shapes, in the syntax that `re` and Rust's regular expressions share (verbose).
_PRIVATE_KEY = r"-----BEGIN\ [A-Z\ ]{0,40}PRIVATE\ KEY-----"
_KEY = r"""
    \b(?:sk|rk|pk)-[A-Za-z0-9_*-]{8,}                    # OpenAI, Anthropic, OpenRouter and those who copy them
    | \b(?:AKIA|ASIA)[A-Z0-9]{12,}                       # AWS key ids
    | \b(?:gh[pousr]|hf|gsk|npm|glpat|xox[abeprs]|xai)[_-][A-Za-z0-9_-]{10,}
    | \b(?:github_pat|pypi)[_-][A-Za-z0-9_-]{16,}
    | \bAIza[A-Za-z0-9_-]{16,}                           # Google
    | \beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?   # JSON web tokens
    """
_WORD = r"""
    \b(?:Bearer|Basic)\s+
    | (?:api[\ _-]?key|secret(?:[\ _-]?access)?(?:[\ _-]?key)?|password|passwd|credential|authorization|x-api-key)
      (?:\s+provided)? ["']{0,2}\s{0,3}[:=]\s{0,3}["']{0,2}
    | [_-]token["']{0,2}\s{0,3}[:=]\s{0,3}["']{0,2}
    """
_VALUE = r"""[^\s"',;&<>{}()]{8,}"""
_LOGIN = r"[^\s/@:]{1,200}:[^\s/@]{1,200}"

_WHOLE = re.compile(
    rf"{_PRIVATE_KEY}.{{0,8000}}?(?:-----END\ [A-Z\ ]{{0,40}}PRIVATE\ KEY-----|\Z) | {_KEY}", re.VERBOSE | re.DOTALL
)
_AFTER_WORD = re.compile(rf"({_WORD}){_VALUE}", re.VERBOSE | re.IGNORECASE)
_IN_ADDRESS = re.compile(rf"(://){_LOGIN}(?=@)")


def _search() -> SchemaValidator:
    """A search for the beginning of any shape. `re` needs 5 ms for what an agent sends in one request, the engine in
    pydantic 0.05 ms; but that can only find, and where it finds something, `re` replaces."""
    words = _WORD.replace("i", "[iıİ]")  # what `re` takes for an i
    found = f"(?x) {_PRIVATE_KEY} | {_KEY} | (?i: {words}) {_VALUE} | ://{_LOGIN}@"
    # Boundaries of ASCII words: what is one to `re` is one of these. White space: what `re` takes for it.
    found = found.replace(r"\b", r"(?-u:\b)").replace(r"\s", r"[\s\x1c-\x1f]")
    return SchemaValidator(core_schema.str_schema(pattern=found, regex_engine="rust-regex"))


_ANY = _search()


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without `secrets` and without what looks like one: provider keys, bearer tokens, passwords in addresses,
    long values after words such as api_key=. What comes back can be written as UTF-8; twice is the same as once."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, REDACTED)
    text = text if text.isascii() else text.encode(errors="replace").decode()
    if not _ANY.isinstance_python(text):
        return text
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


def redacted_json(record: BaseModel, secrets: tuple[str, ...]) -> str:
    """The JSON of a record, every string in it redacted, keys too."""
    try:
        text = record.model_dump_json()
        if _is_clean(text, secrets):
            return text
    except PydanticSerializationError:
        pass  # a lone surrogate, which redaction replaces
    return type(record).model_validate(redact_value(record.model_dump(), secrets)).model_dump_json()


def _is_clean(text: str, secrets: tuple[str, ...]) -> bool:
    """Whether `redact_value` would change nothing in the object whose JSON this is; false when in doubt."""
    return (
        "\\" not in text  # so every string stands in it as it is
        and text.count("[") + text.count("{") <= _DEEPEST
        and not any(secret and secret in text for secret in secrets)
        and not _ANY.isinstance_python(text)
    )

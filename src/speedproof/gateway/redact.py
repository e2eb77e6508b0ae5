"""Secrets taken out of whatever is recorded: the session's own by value, anything that looks like a key by shape."""

import re
from collections.abc import Iterable
from typing import Any

MASK = "[secret]"
_DEEPEST = 30
_SHAPES = re.compile(
    r"(?i:\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=*-]{6,}"
    r"|\bsk-[A-Za-z0-9_*-]{6,}"
    r"|\b(?:AIza|ghp_|gho_|github_pat_|hf_|xox[abprs]-|AKIA|ASIA|gsk_|xai-)[A-Za-z0-9_-]{10,}"
    r"|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*"
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without `secrets` and without anything shaped like a key, as text that can be written as UTF-8."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, MASK)
    return _SHAPES.sub(MASK, text).encode(errors="replace").decode()


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

"""JSON that no two readers can understand differently, read in good time."""

import json
from typing import Any

import orjson

_MOST_OPENED = 500_000
_MOST_COMMAS = 500_000
"""Of lists and objects, and of their members, in one body: far more than the longest conversation has."""


class Malformed(ValueError):
    """The body of a model request is no JSON object."""


class TooMany(Malformed):
    """The body of a model request may hold more values than can be read in good time."""


def read_object(raw: bytes) -> dict[str, Any]:
    """The JSON object in `raw`. Raises TooMany, and Malformed for what is none, or could be read as another one."""
    if len(raw) > _MOST_COMMAS and (raw.count(b"[") + raw.count(b"{") > _MOST_OPENED or raw.count(b",") > _MOST_COMMAS):
        raise TooMany
    try:
        body = _as_usual(raw)
        if body is None:
            body = json.loads(raw.decode(), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise Malformed from error
    if not isinstance(body, dict) or len({key.casefold() for key in body}) < len(body):
        raise Malformed  # in Go, which Ollama is written in, a key is the same in any spelling
    return body


def _as_usual(raw: bytes) -> Any:
    """The value of JSON written as most agents write it, in a third of the time; null for any other.

    Written again it is the same bytes: so no key came twice, and no number was rounded.
    """
    try:
        value = orjson.loads(raw)
        return value if orjson.dumps(value) == raw else None
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Raises Malformed for a key given twice: the provider might read the one that we did not."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Malformed
    return found

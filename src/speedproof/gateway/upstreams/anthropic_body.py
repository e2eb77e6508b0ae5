"""Anthropic's requests as the clouds want them: the model in the address, the API's version in the body."""

import json
from typing import Any

from speedproof.gateway.upstream import Refused


def read_body(raw: bytes) -> dict[str, Any]:
    """A request's body. Raises Refused."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Refused(400, "We could not parse the JSON body of your request.", "invalid_json")
    return body


def take_model(body: dict[str, Any]) -> str:
    """The model's name, taken out of the body. Raises Refused."""
    model = body.pop("model", None)
    if not isinstance(model, str) or not model:
        raise Refused(400, "model: Field required", "invalid_request_error")
    return model

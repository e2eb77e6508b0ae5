"""A request on its way in: its body read, decoded and understood, and why it cannot be forwarded, if so."""

import hashlib
from dataclasses import dataclass, field

from aiohttp import web

from speedproof.gateway.asked import Asked, Rules, read_request
from speedproof.gateway.body import LARGE, MOST_BYTES, Place, decode_body, read_body
from speedproof.gateway.heavy import Heavy
from speedproof.gateway.protocols import Route
from speedproof.gateway.refusal import Refusal, of_remote
from speedproof.gateway.strict_json import Malformed, TooMany


@dataclass(frozen=True)
class Intake:
    """What came of a request's body."""

    size: int
    """Bytes of the body as sent, as far as it came."""
    sha256: str
    """SHA-256 of the same bytes."""
    body: bytes = b""
    """The body without its content encoding; empty when it could not be decoded."""
    coded: bool = False
    """Whether it had one."""
    asked: Asked = field(default_factory=Asked)
    sent_sha256: str | None = None
    """SHA-256 of the body to be forwarded; null when there is none."""
    refusal: Refusal | None = None
    """Why it cannot be forwarded; null when it can."""


async def take_in(
    request: web.BaseRequest,
    route: Route,
    rules: Rules,
    heavy: Heavy,
    place: Place,
    came: list[bytes],
) -> Intake:
    """Read a request. It holds `place` in the end when it is large; `came` gets what comes of the body.

    Raises AgentGone.
    """
    try:
        await read_body(request, came, place)
    except Refusal as refusal:
        return cut_off(came, refusal)
    headers = request.headers
    encoding, kind = headers.get("Content-Encoding", ""), headers.get("Content-Type")
    raw = b"".join(came)
    came[:] = [raw]
    if not encoding:
        return await heavy.run(len(raw), _understand, raw, "", kind, route, rules)
    await place.take()  # how large it is shows when it is decoded
    taken = await heavy.run(MOST_BYTES, _understand, raw, encoding, kind, route, rules)
    if max(len(raw), len(taken.body)) <= LARGE:
        place.give_back()
    return taken


def cut_off(came: list[bytes], refusal: Refusal | None = None) -> Intake:
    """A request of whose body only this came."""
    raw = b"".join(came)
    return Intake(len(raw), hashlib.sha256(raw).hexdigest(), refusal=refusal)


def _understand(raw: bytes, encoding: str, kind: str | None, route: Route, rules: Rules) -> Intake:
    sha256 = hashlib.sha256(raw).hexdigest()
    try:
        body = decode_body(raw, encoding)
    except Refusal as error:
        return Intake(len(raw), sha256, refusal=error)
    asked, refusal = Asked(body=body), None
    if route.dialect is not None:
        asked, refusal = _read(route, body, kind, rules)
    sent = asked.body
    sent_sha256 = None if not sent else sha256 if sent is raw else hashlib.sha256(sent).hexdigest()
    return Intake(len(raw), sha256, body, body is not raw, asked, sent_sha256, refusal)


def _read(route: Route, body: bytes, kind: str | None, rules: Rules) -> tuple[Asked, Refusal | None]:
    try:
        asked = read_request(route, body, rules)
    except TooMany:
        return Asked(), Refusal(413, "The request body holds too many values.", "request_too_large")
    except Malformed:
        return Asked(), Refusal(400, "We could not parse the JSON body of your request.", "invalid_json")
    if not _is_json(kind):
        why = "The request body is JSON, so its Content-Type must be application/json."
        return asked, Refusal(415, why, "unsupported_content_type")
    return asked, None if asked.remote is None else of_remote(asked.remote)


def _is_json(kind: str | None) -> bool:
    """Whether a Content-Type, null for none, is that of JSON: a server might read the same bytes as a form."""
    if kind is None:
        return True
    name, *parameters = (part.strip().lower() for part in kind.split(";"))
    charsets = [p.partition("=")[2].strip('"') for p in parameters if p.startswith("charset=")]
    return (name == "application/json" or name.endswith("+json")) and set(charsets) <= {"utf-8", "utf8"}

"""Google Cloud Vertex AI: Gemini and Claude, with an access token of the host.

Needs google-auth (the extra `vertex`), which finds the host's credentials and renews their token.
"""

import asyncio
import json
import re
from collections.abc import Mapping
from urllib.parse import quote

import google.auth
from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request as Transport

from speedproof.errors import InputError
from speedproof.gateway.forwarding import Forwarder, Outgoing, address, sent_headers
from speedproof.gateway.hiding import forms
from speedproof.gateway.upstream import Refused, Request
from speedproof.gateway.upstreams.anthropic_body import read_body, take_model
from speedproof.journal.call import Protocol
from speedproof.journal.redaction import redact

_VERSION = "vertex-2023-10-16"
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_LOGIN = "gcloud auth application-default login"
_GEMINI = re.compile(r"/models/([^/:]+):(\w+)")
_NAME = re.compile(r"[A-Za-z0-9._:-]{1,100}")
_WHOLE_CONTINENTS = ("us", "eu")


class Vertex(Forwarder):
    """The models of one project in one location."""

    def __init__(
        self, project: str, location: str, credentials: Credentials, *, model: str = "", base_url: str | None = None
    ) -> None:
        """`model` tells the protocol; `credentials` renew themselves."""
        if location == "global":
            host = "aiplatform.googleapis.com"
        elif location in _WHOLE_CONTINENTS:
            host = f"aiplatform.{location}.rep.googleapis.com"
        else:
            host = f"{location}-aiplatform.googleapis.com"
        self.base_url = base_url or f"https://{host}/v1"
        self._place = f"/projects/{project}/locations/{location}/publishers"
        self._credentials = credentials
        self._renewing = asyncio.Lock()
        self._used: dict[str, None] = {}
        self._protocols: frozenset[Protocol] = frozenset({"messages" if "claude" in model else "gemini"})

    def __repr__(self) -> str:
        return f"<Vertex {self.base_url}>"

    @property
    def protocols(self) -> frozenset[Protocol]:
        return self._protocols

    @property
    def secrets(self) -> tuple[str, ...]:
        return forms(self._used)

    async def outgoing(self, request: Request) -> Outgoing:
        path, body, query = self._routed(request)
        async with self._renewing:
            if not self._credentials.valid:
                await asyncio.to_thread(self._renew)
        own: dict[str, str] = {}
        self._credentials.apply(own)  # type: ignore[no-untyped-call]
        self._remember()
        url = address(self.base_url, request, self._place + path)
        return Outgoing(request.method, url if query else url.with_query(None), sent_headers(request, own), body)

    def _routed(self, request: Request) -> tuple[str, bytes, bool]:
        """Path below the publishers, body, and whether the query goes on. Raises Refused."""
        found = _GEMINI.fullmatch(request.path)
        if found is not None:
            return f"/google/models/{quote(found[1], safe='@%')}:{found[2]}", request.body, True
        if request.path not in {"/messages", "/messages/count_tokens"}:
            raise Refused(404, f"Vertex AI offers no {request.path[:200]}.", "unknown_route")
        body = read_body(request.body)
        if request.path == "/messages":
            model = quote(take_model(body), safe="@")
            path = f"/anthropic/models/{model}:{'streamRawPredict' if body.get('stream') is True else 'rawPredict'}"
        else:
            path = "/anthropic/models/count-tokens:rawPredict"  # here the model stays in the body
        return path, json.dumps(body | {"anthropic_version": _VERSION}).encode(), False

    def _renew(self) -> None:
        try:
            self._credentials.refresh(Transport())  # type: ignore[no-untyped-call]
            return
        except GoogleAuthError as error:
            text = redact(str(error), self.secrets)
        raise Refused(401, f"Google gives no access token: {text}"[:2_000], "credentials_unavailable")

    def _remember(self) -> None:
        if self._credentials.token:
            self._used[self._credentials.token] = None

    def check(self) -> None:
        """Raises InputError when no access token can be had now."""
        try:
            self._renew()
        except Refused as refused:
            raise InputError(refused.message, hint=_LOGIN) from None
        self._remember()


def vertex_of(model: str, environ: Mapping[str, str]) -> Vertex:
    """Vertex AI with the application default credentials of the host.

    Raises InputError when there are none, they have expired, or project or location are not named.
    """
    file = environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    try:
        if file:
            credentials, found = google.auth.load_credentials_from_file(file, _SCOPES)  # type: ignore[no-untyped-call]
        else:
            credentials, found = google.auth.default(_SCOPES)
    except (GoogleAuthError, OSError, ValueError, AttributeError) as error:  # the last: a file that holds no object
        raise InputError(f"there are no Google credentials: {redact(str(error))}", hint=_LOGIN) from None
    project = environ.get("GOOGLE_CLOUD_PROJECT") or environ.get("ANTHROPIC_VERTEX_PROJECT_ID") or found
    location = environ.get("GOOGLE_CLOUD_LOCATION") or environ.get("CLOUD_ML_REGION")
    for what, value, variable in (
        ("project", project, "GOOGLE_CLOUD_PROJECT"),
        ("location", location, "GOOGLE_CLOUD_LOCATION"),
    ):
        if not value or not _NAME.fullmatch(value):
            raise InputError(f"no Google Cloud {what} is named", hint=f"export {variable}=…")
    upstream = Vertex(str(project), str(location), credentials, model=model)
    upstream.check()
    return upstream

"""AWS Bedrock: requests signed on the host.

Needs botocore (the extra `bedrock`), which finds the host's credentials, signs, and reads AWS event streams.
"""

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import quote

import aiohttp
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session
from multidict import CIMultiDict
from yarl import URL

from speedproof.errors import InputError
from speedproof.gateway.environment import key_in
from speedproof.gateway.forwarding import Forwarder, Outgoing, address, sent_headers
from speedproof.gateway.hiding import forms
from speedproof.gateway.upstream import Refused, Request
from speedproof.gateway.upstreams.anthropic_body import read_body, take_model
from speedproof.gateway.upstreams.bedrock_answers import error_body, server_sent, token_count
from speedproof.journal.call import Protocol as Spoken
from speedproof.journal.redaction import redact

_VERSION = "bedrock-2023-05-31"
_BETAS = frozenset(
    {
        "computer-use-2024-10-22",
        "computer-use-2025-01-24",
        "context-1m-2025-08-07",
        "context-management-2025-06-27",
        "dev-full-thinking-2025-05-14",
        "effort-2025-11-24",
        "interleaved-thinking-2025-05-14",
        "output-128k-2025-02-19",
        "token-efficient-tools-2025-02-19",
        "tool-examples-2025-10-29",
        "tool-search-tool-2025-10-19",
    }
)
"""Beta features that AWS documents for Claude; it refuses a request that names any other."""
_REGION = re.compile(r"[a-z0-9-]{1,40}")


class Frozen(Protocol):
    """Credentials at one moment."""

    access_key: str
    secret_key: str
    token: str | None


class Bedrock(Forwarder):
    """Claude by Anthropic's Messages, other models by OpenAI's protocols, in one region."""

    def __init__(
        self,
        region: str,
        *,
        bearer: str | None = None,
        credentials: Credentials | None = None,
        model: str = "",
        expires: datetime | None = None,
        base_url: str | None = None,
    ) -> None:
        """`bearer` (a Bedrock API key) or `credentials`, which may renew themselves; `model` tells the protocol."""
        domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        self.base_url = base_url or f"https://bedrock-runtime.{region}.{domain}"
        self._region = region
        self._bearer = bearer
        self._credentials = credentials
        self._expires = expires
        self._used: dict[str, None] = {} if bearer is None else {bearer: None}
        self._protocols = _protocols_of(model)

    def __repr__(self) -> str:
        return f"<Bedrock {self.base_url}>"

    @property
    def protocols(self) -> frozenset[Spoken]:
        return self._protocols

    @property
    def secrets(self) -> tuple[str, ...]:
        return forms(self._used)

    def expires_at(self) -> datetime | None:
        return self._expires

    async def outgoing(self, request: Request) -> Outgoing:
        if request.speaks != "messages":
            url = address(f"{self.base_url}/openai/v1", request)
            content = request.header("Content-Type") or "application/json"
            return await self._proven(request.method, url, request.body, sent_headers(request, {}), content)
        body = read_body(request.body)
        model = quote(take_model(body), safe="")
        if request.path == "/messages":
            route = "invoke-with-response-stream" if body.pop("stream", False) is True else "invoke"
            data = json.dumps(_versioned(body, request)).encode()
        elif request.path == "/messages/count_tokens":
            route = "count-tokens"
            whole = json.dumps({"max_tokens": 1} | _versioned(body, request)).encode()
            data = json.dumps({"input": {"invokeModel": {"body": base64.b64encode(whole).decode()}}}).encode()
        else:
            raise Refused(404, f"Bedrock offers no {request.path[:200]}.", "unknown_route")
        url = URL(f"{self.base_url}/model/{model}/{route}", encoded=True)
        return await self._proven("POST", url, data, CIMultiDict(), "application/json")

    async def _proven(self, method: str, url: URL, data: bytes, headers: CIMultiDict[str], content: str) -> Outgoing:
        """The request with a bearer key, or signed."""
        headers["Accept-Encoding"] = "identity"
        headers["Content-Type"] = content
        if self._bearer is not None:
            headers["Authorization"] = f"Bearer {self._bearer}"
            return Outgoing(method, url, headers, data)
        frozen = await asyncio.to_thread(self._freeze)  # may ask AWS for new ones
        self._remember(frozen)
        signed = AWSRequest(method, str(url), headers={"Content-Type": content}, data=data)
        SigV4Auth(frozen, "bedrock", self._region).add_auth(signed)
        headers.update(dict(signed.headers.items()))
        return Outgoing(method, url, headers, data)

    def _freeze(self) -> Frozen:
        assert self._credentials is not None
        try:
            frozen: Frozen = self._credentials.get_frozen_credentials()
            return frozen
        except (BotoCoreError, ClientError) as error:
            text = redact(str(error), self.secrets)
        raise Refused(401, f"AWS gives no credentials: {text}"[:2_000], "credentials_unavailable")

    def _remember(self, frozen: Frozen) -> None:
        self._used |= dict.fromkeys(s for s in (frozen.access_key, frozen.secret_key, frozen.token) if s)

    def check(self) -> None:
        """Raises InputError when no credentials can be had now."""
        if self._credentials is None:
            return
        try:
            self._remember(self._freeze())
        except Refused as refused:
            raise InputError(refused.message, hint="aws sso login, or aws configure") from None

    def passed_on(
        self, request: Request, response: aiohttp.ClientResponse, chunks: AsyncIterator[bytes]
    ) -> tuple[CIMultiDict[str], AsyncIterator[bytes]]:
        headers, chunks = super().passed_on(request, response, chunks)
        if request.speaks != "messages":
            return headers, chunks
        if response.status >= 400:
            headers["Content-Type"] = "application/json"
            kind = response.headers.get("x-amzn-ErrorType", "").partition(":")[0].rpartition("#")[2]
            return headers, error_body(response.status, kind, chunks)
        if response.headers.get("Content-Type", "").startswith("application/vnd.amazon.eventstream"):
            headers["Content-Type"] = "text/event-stream; charset=utf-8"
            return headers, server_sent(chunks)
        return headers, token_count(chunks) if request.path.endswith("/count_tokens") else chunks


def _protocols_of(model: str) -> frozenset[Spoken]:
    if "anthropic" in model:
        return frozenset({"messages"})
    # an ARN of an application's own profile does not say whose model it is
    return frozenset({"chat", "responses", "messages"} if model.startswith("arn:") else {"chat", "responses"})


def _versioned(body: dict[str, Any], request: Request) -> dict[str, Any]:
    """The body with the API's version, and with the beta features that the agent named in a header."""
    asked = (request.header("anthropic-beta") or "").split(",")
    own = body.get("anthropic_beta")
    betas = list(own) if isinstance(own, list) else []
    betas += [beta.strip() for beta in asked if beta.strip() in _BETAS and beta.strip() not in betas]
    return body | {"anthropic_version": _VERSION} | ({"anthropic_beta": betas} if betas else {})


def bedrock_of(model: str, environ: Mapping[str, str]) -> Bedrock:
    """Bedrock with the credentials of the environment, else of the host as the AWS tools find them.

    Raises InputError when there are none, they have expired, or no region is named.
    """
    profile = environ.get("AWS_PROFILE") or None
    bearer = key_in(environ, "AWS_BEARER_TOKEN_BEDROCK")
    try:
        session = Session(profile=profile)
        region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or session.get_config_variable("region")
        credentials = None if bearer else _static(environ) or session.get_credentials()
    except (BotoCoreError, ClientError) as error:
        raise InputError(f"AWS gives no credentials: {redact(str(error))}", hint="aws configure") from None
    if not region or not _REGION.fullmatch(region):
        raise InputError("no AWS region is named", hint="export AWS_REGION=us-east-1")
    if bearer is None and credentials is None:
        raise InputError(
            "there are no AWS credentials", hint="aws sso login, aws configure, or export AWS_BEARER_TOKEN_BEDROCK=…"
        )
    expires = _expiry(environ) if bearer is None and _static(environ) is not None else None
    if expires is not None and expires <= datetime.now(UTC):
        raise InputError(
            f"the AWS credentials of the environment expired at {expires:%Y-%m-%d %H:%M} UTC", hint="aws sso login"
        )
    upstream = Bedrock(region, bearer=bearer, credentials=credentials, model=model, expires=expires)
    upstream.check()
    return upstream


def _static(environ: Mapping[str, str]) -> Credentials | None:
    """Credentials that stand in the environment; null when there are none. They go before any profile's."""
    key, secret = key_in(environ, "AWS_ACCESS_KEY_ID"), key_in(environ, "AWS_SECRET_ACCESS_KEY")
    return Credentials(key, secret, key_in(environ, "AWS_SESSION_TOKEN")) if key and secret else None


def _expiry(environ: Mapping[str, str]) -> datetime | None:
    """When `aws configure export-credentials` said that they end."""
    try:
        moment = datetime.fromisoformat(environ["AWS_CREDENTIAL_EXPIRATION"])
    except (KeyError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

"""Where requests go for each provider, what proves who asks, and that none of it comes back."""

import asyncio
import json
import time
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from botocore.credentials import Credentials as AwsCredentials
from botocore.exceptions import ClientError, UnauthorizedSSOTokenError
from google.auth.credentials import Credentials as GoogleCredentials
from google.auth.exceptions import RefreshError
from google.oauth2.credentials import Credentials as UserCredentials
from hypothesis import given
from hypothesis import strategies as st

from gateway_support import in_loop, place, provider
from speedproof.gateway import ModelChoice
from speedproof.gateway.forwarding import Forwarder, HttpUpstream, _proxy
from speedproof.gateway.hiding import Scrubber, forms
from speedproof.gateway.upstream import EVERY, Refused, Request, Unreachable
from speedproof.gateway.upstreams.bedrock import Bedrock
from speedproof.gateway.upstreams.keyed import Anthropic, Azure, Google
from speedproof.gateway.upstreams.logins import AnthropicLogin, OpenAILogin
from speedproof.gateway.upstreams.vertex import Vertex
from speedproof.journal.bodies import read_bodies
from speedproof.journal.redaction import REDACTED
from upstream_support import SECRET, Echo, chunk, claude_login, codex_login, frame, jwt, signed_rightly

AGENT = "sk-speedproof-token-of-the-agent"
CHAT, RESPONSES, MESSAGES = "/chat/completions", "/responses", "/messages"
GEMINI = "/models/gemini-2.5-pro:streamGenerateContent"
BODY = b'{"model": "m", "max_tokens": 9, "messages": []}'


def request(path: str = CHAT, query: str = "", body: bytes = BODY, method: str = "POST", **headers: str) -> Request:
    """A request as the gateway hands it over: the agent's token is still in every place that could hold one."""
    given = {"Content-Type": "application/json", "Authorization": f"Bearer {AGENT}", "x-api-key": AGENT}
    given |= {"api-key": AGENT, "Cookie": AGENT} | {k.replace("_", "-"): v for k, v in headers.items()}
    return Request("session", method, path, query, tuple(given.items()), body)


async def ask(upstream: Forwarder, asked: Request) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body that the agent gets."""
    async with aiohttp.ClientSession() as client, upstream.answer(asked, client) as answer:
        return answer.status, dict(answer.headers), b"".join([part async for part in answer.chunks])


def root(url: str) -> str:
    return url.removesuffix("/v1")


# -- each kind of provider, by what its requests must look like

Kind = tuple[Callable[[str, Path], Forwarder], str, str, str]
LATER = time.time() + 3600
TOKEN = jwt(LATER)
AWS = AwsCredentials("AKIAPLANTED012345678", "never-sent-secret-access-key", SECRET)


def _codex(url: str, folder: Path) -> Forwarder:
    codex_login(folder, TOKEN, "account-of-the-host")
    return OpenAILogin(folder, url)


def _claude(url: str, folder: Path) -> Forwarder:
    claude_login(folder, SECRET, LATER)
    return AnthropicLogin(folder, url)


def _vertex(url: str, folder: Path, model: str = "") -> Forwarder:
    return Vertex("proj", "us-east5", UserCredentials(SECRET, quota_project_id="payer"), model=model, base_url=url)


KINDS: dict[str, Kind] = {
    "compatible chat": (lambda u, _: HttpUpstream(u, SECRET), CHAT, "/v1/chat/completions", f"Bearer {SECRET}"),
    "compatible responses": (lambda u, _: HttpUpstream(u, SECRET), RESPONSES, "/v1/responses", f"Bearer {SECRET}"),
    "compatible messages": (lambda u, _: HttpUpstream(u, SECRET), MESSAGES, "/v1/messages", f"x-api-key: {SECRET}"),
    "compatible gemini": (
        lambda u, _: HttpUpstream(u, SECRET),
        GEMINI,
        f"/v1beta{GEMINI}",
        f"x-goog-api-key: {SECRET}",
    ),
    "anthropic": (lambda u, _: Anthropic(u, SECRET), MESSAGES, "/v1/messages", f"x-api-key: {SECRET}"),
    "anthropic count": (
        lambda u, _: Anthropic(u, SECRET),
        "/messages/count_tokens",
        "/v1/messages/count_tokens",
        f"x-api-key: {SECRET}",
    ),
    "anthropic chat": (lambda u, _: Anthropic(u, SECRET), CHAT, "/v1/chat/completions", f"Bearer {SECRET}"),
    "google": (lambda u, _: Google(f"{u}beta", SECRET), GEMINI, f"/v1beta{GEMINI}", f"x-goog-api-key: {SECRET}"),
    "google chat": (
        lambda u, _: Google(f"{u}beta", SECRET),
        CHAT,
        "/v1beta/openai/chat/completions",
        f"Bearer {SECRET}",
    ),
    "azure": (lambda u, _: Azure(root(u), SECRET), RESPONSES, "/openai/v1/responses", f"api-key: {SECRET}"),
    "azure with its root": (
        lambda u, _: Azure(f"{root(u)}/openai/v1/", SECRET),
        CHAT,
        "/openai/v1/chat/completions",
        f"api-key: {SECRET}",
    ),
    "bedrock": (
        lambda u, _: Bedrock("eu-west-1", credentials=AWS, base_url=root(u)),
        MESSAGES,
        "/model/m/invoke",
        f"X-Amz-Security-Token: {SECRET}",
    ),
    "bedrock with a key": (
        lambda u, _: Bedrock("eu-west-1", bearer=SECRET, base_url=root(u)),
        MESSAGES,
        "/model/m/invoke",
        f"Bearer {SECRET}",
    ),
    "bedrock chat": (
        lambda u, _: Bedrock("eu-west-1", credentials=AWS, base_url=root(u)),
        CHAT,
        "/openai/v1/chat/completions",
        f"X-Amz-Security-Token: {SECRET}",
    ),
    "vertex": (
        _vertex,
        GEMINI,
        f"/v1/projects/proj/locations/us-east5/publishers/google{GEMINI}",
        f"Bearer {SECRET}",
    ),
    "vertex claude": (
        _vertex,
        MESSAGES,
        "/v1/projects/proj/locations/us-east5/publishers/anthropic/models/m:rawPredict",
        f"Bearer {SECRET}",
    ),
    "openai login": (_codex, RESPONSES, "/v1/responses", f"Bearer {TOKEN}"),
    "anthropic login": (_claude, MESSAGES, "/v1/messages", f"Bearer {SECRET}"),
}


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


def assert_hidden(text: str, upstream: Forwarder) -> None:
    """Nothing secret of an upstream in `text`, in whatever spelling."""
    spelled = (SECRET, TOKEN, "account-of-the-host", AWS.access_key, AWS.secret_key, AGENT)
    for secret in (*forms(spelled), *upstream.secrets):
        assert secret not in text


@in_loop
async def test_each_provider_gets_its_own_address_and_key_and_nothing_of_the_agents(kind: Kind, tmp_path: Path) -> None:
    make, path, arrives_at, proof = kind
    echo = Echo()
    async with provider(echo) as url:
        upstream = make(url, tmp_path)
        asked = request(path, f"key={AGENT}&alt=sse", Openai_Organization="theirs", X_Goog_User_Project="theirs")
        await ask(upstream, asked)
    assert echo.requests[0].path == arrives_at
    assert proof in echo.sent
    assert AGENT not in echo.sent
    assert "theirs" not in echo.sent


@pytest.mark.parametrize("status", [200, 401, 500])
def test_a_provider_that_repeats_everything_gives_no_key_away(kind: Kind, status: int, tmp_path: Path) -> None:
    @in_loop
    async def run() -> None:
        echo = Echo(status)
        async with provider(echo) as url:
            upstream = kind[0](url, tmp_path)
            got, headers, body = await ask(upstream, request(kind[1]))
        assert kind[3] in echo.sent, "the key went out, so it could have come back"
        assert got == status
        assert REDACTED.encode() in body
        assert_hidden(f"{headers} {body.decode()} {upstream!r} {upstream}", upstream)

    run()


def everything_shown(error: BaseException) -> str:
    """All that a traceback can show: the chain of causes, and the variables of each frame but those of this file."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    shown.stack[:] = [frame for frame in shown.stack if frame.filename != __file__]
    assert shown.stack
    return "".join(shown.format()) + str(error) + repr(error) + repr(error.__context__) + repr(error.__cause__)


@asynccontextmanager
async def raw_server(answer: Callable[[bytes], bytes]) -> AsyncIterator[str]:
    """A server that speaks no HTTP: it answers a request's bytes by `answer`, then closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(head))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


def _proof_line(head: bytes) -> bytes:
    names = (b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key", b"x-amz-security-token")
    return next(line for line in head.split(b"\r\n") if line.split(b":")[0].lower() in names)


BREAKS: dict[str, Callable[[bytes], bytes]] = {
    "closes": lambda _: b"",
    "answers with the key for a status line": lambda head: _proof_line(head) + b"\r\n\r\n",
    "answers with the key for a header": lambda head: b"HTTP/1.1 200 OK\r\n" + _proof_line(head)[::-1] + b"\r\n\r\n",
    "is cut in the middle": lambda head: b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + _proof_line(head),
}


@pytest.mark.parametrize("how", BREAKS)
def test_no_exception_or_traceback_holds_a_key(kind: Kind, how: str, tmp_path: Path) -> None:
    @in_loop
    async def run() -> None:
        async with raw_server(BREAKS[how]) as url:
            upstream = kind[0](url, tmp_path)
            with pytest.raises(Unreachable) as caught:
                await ask(upstream, request(kind[1]))
        assert_hidden(everything_shown(caught.value), upstream)

    run()


@in_loop
async def test_a_provider_that_is_not_there_is_named_without_the_key(kind: Kind, tmp_path: Path) -> None:
    async with provider(Echo()) as url:
        pass
    upstream = kind[0](url, tmp_path)
    with pytest.raises(Unreachable, match="Cannot connect") as caught:
        await ask(upstream, request(kind[1]))
    assert_hidden(everything_shown(caught.value), upstream)


ASKED = {
    "chat": {"model": "m", "messages": [{"role": "user", "content": "Hello."}]},
    "responses": {"model": "m", "input": "Hello."},
    "messages": {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello."}]},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "Hello."}]}]},
}


@pytest.mark.parametrize("status", [200, 401, None])
def test_no_key_gets_into_the_record_of_a_call_or_to_the_agent(kind: Kind, status: int | None, tmp_path: Path) -> None:
    @in_loop
    async def run() -> None:
        echo = Echo(status or 200)
        async with provider(echo) if status else raw_server(BREAKS["answers with the key for a status line"]) as url:
            upstream = kind[0](url, tmp_path)
            async with place(tmp_path, ModelChoice("p/m", "p", "m", upstream)) as here:
                path = ("/v1beta" if request(kind[1]).speaks == "gemini" else "/v1") + kind[1]
                body = ASKED[request(kind[1]).speaks]
                async with here.client.post(here.url + path, json=body, headers=here.headers) as answer:
                    seen = f"{answer.status} {answer.headers} {await answer.text()}"
                    assert answer.status == (status or 502)
                await here.calls(1)
                record = here.text()
        kept = read_bodies(tmp_path / "bodies.zst")
        assert kept.names
        bodies = b"".join(kept.get(name) or b"" for name in kept.names).decode()
        for text in (seen, record, bodies):
            assert_hidden(text, upstream)

    run()


# -- what is common to all


@in_loop
async def test_a_word_in_place_of_a_key_is_not_torn_out_of_answers() -> None:
    echo = Echo()
    async with provider(echo) as url:
        upstream = HttpUpstream(url, "EMPTY")
        _, _, body = await ask(upstream, request(MESSAGES))
    assert "Bearer EMPTY" in echo.sent
    assert upstream.secrets == ()
    assert b"Bearer EMPTY" in body


@pytest.mark.parametrize("path", ["/models/../../admin", "/models/%2e%2e/x", "@elsewhere/x", "/models/..%2Fx"])
@in_loop
async def test_no_path_leads_out_of_the_providers_api(path: str) -> None:
    with pytest.raises(Refused):
        await HttpUpstream("http://127.0.0.1:9/v1", SECRET).outgoing(request(path))


@in_loop
async def test_a_header_that_is_no_text_does_not_break_the_request() -> None:
    echo = Echo()
    async with provider(echo) as url:
        status, _, _ = await ask(HttpUpstream(url, SECRET), request(X_Odd="a\udcffb"))
    assert status == 200
    assert echo.requests[0].headers["X-Odd"] == "a?b"


@in_loop
async def test_a_provider_is_reached_through_the_hosts_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    echo = Echo()
    async with provider(echo) as url:
        monkeypatch.setenv("http_proxy", root(url).replace("://", "://user:proxy-password@"))
        monkeypatch.setenv("no_proxy", "direct.invalid")
        _proxy.cache_clear()
        try:
            await ask(HttpUpstream("http://provider.invalid/v1", SECRET), request())
            with pytest.raises(Unreachable, match="direct"):
                await ask(HttpUpstream("http://direct.invalid/v1", SECRET), request())
        finally:
            _proxy.cache_clear()
    assert echo.requests[0].headers["Host"] == "provider.invalid"
    assert echo.requests[0].headers["Authorization"] == f"Bearer {SECRET}"


@in_loop
async def test_a_gemini_client_that_lists_models_is_asked_at_geminis_own_route() -> None:
    echo = Echo()
    async with provider(echo) as url:
        google = Google(f"{url}beta", SECRET)
        await ask(google, request("/models", method="GET"))
        await ask(google, request("/models", method="GET", x_goog_api_key=AGENT))
    assert [r.path for r in echo.requests] == ["/v1beta/openai/models", "/v1beta/models"]


@given(
    st.binary(max_size=60),
    st.lists(st.integers(0, 60), max_size=6),
    st.sampled_from([b"abcabd", b"aaaa", b"k-1", b"ababababac"]),
)
def test_a_secret_is_found_however_a_body_is_cut(noise: bytes, cuts: list[int], secret: bytes) -> None:
    body = noise[:20] + secret + noise[20:40] + secret[:-1] + noise[40:] + secret
    scrubber, out, start = Scrubber([secret.decode()]), b"", 0
    for cut in [*sorted(cuts), len(body)]:
        out += scrubber.feed(body[start:cut])
        start = max(start, cut)
    out += scrubber.finish()
    assert out == body.replace(secret, REDACTED.encode())


@given(st.binary(max_size=200))
def test_a_body_without_secrets_passes_as_it_is_and_at_once(body: bytes) -> None:
    scrubber = Scrubber(forms([SECRET]))
    passed = scrubber.feed(body)
    assert passed + scrubber.finish() == body
    assert passed == body or SECRET.encode().startswith(body[len(passed) :])


# -- Bedrock


@in_loop
async def test_bedrock_gets_anthropics_request_in_its_own_form_and_a_signature_that_aws_accepts() -> None:
    echo = Echo()
    sent = {"model": "eu.anthropic.claude-x-v1:0", "stream": True, "max_tokens": 5, "messages": [{"role": "user"}]}
    betas = "interleaved-thinking-2025-05-14,something-bedrock-refuses-2026-01-01"
    async with provider(echo) as url:
        upstream = Bedrock("eu-west-1", credentials=AWS, model="eu.anthropic.claude-x-v1:0", base_url=root(url))
        await ask(upstream, request(MESSAGES, "beta=true", json.dumps(sent).encode(), anthropic_beta=betas))
        await ask(upstream, request(CHAT, body=b"{}"))
    first, second = echo.requests
    assert first.raw_path == "/model/eu.anthropic.claude-x-v1%3A0/invoke-with-response-stream"
    assert json.loads(echo.bodies[0]) == {
        "max_tokens": 5,
        "messages": [{"role": "user"}],
        "anthropic_version": "bedrock-2023-05-31",
        "anthropic_beta": ["interleaved-thinking-2025-05-14"],
    }
    assert second.raw_path == "/openai/v1/chat/completions"
    for asked, body in zip(echo.requests, echo.bodies, strict=True):
        assert signed_rightly(asked, body, AWS.secret_key)
        assert not signed_rightly(asked, body + b" ", AWS.secret_key)
    assert upstream.protocols == {"messages"}
    assert AWS.secret_key in upstream.secrets


EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {"usage": {"input_tokens": 3}}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": f"é {SECRET}\n"}},
    {"type": "message_stop"},
]


def streaming(*frames: bytes, piece: int = 11) -> Callable[[web.Request], Any]:
    """A Bedrock that streams these frames in small pieces."""

    async def handle(asked: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/vnd.amazon.eventstream"})
        await response.prepare(asked)
        data = b"".join(frames)
        for start in range(0, len(data), piece):
            await response.write(data[start : start + piece])
        return response

    return handle


def bedrock(url: str) -> Bedrock:
    return Bedrock("eu-west-1", credentials=AWS, base_url=root(url))


STREAM = request(MESSAGES, body=b'{"model": "m", "stream": true}')


@in_loop
async def test_bedrocks_stream_becomes_anthropics() -> None:
    initial = frame({":event-type": "initial-response", ":message-type": "event"}, b"{}")
    async with provider(streaming(initial, *map(chunk, EVENTS))) as url:
        upstream = bedrock(url)
        await asyncio.to_thread(upstream.check)
        status, headers, body = await ask(upstream, STREAM)
    assert (status, headers["Content-Type"]) == (200, "text/event-stream; charset=utf-8")
    events = [part.split("\n") for part in body.decode().removesuffix("\n\n").split("\n\n")]
    assert [lines[0] for lines in events] == [f"event: {event['type']}" for event in EVENTS]
    read = [json.loads(lines[1].removeprefix("data: ")) for lines in events]
    assert read[0] == EVENTS[0]
    assert read[1]["delta"]["text"] == f"é {REDACTED}\n", "a key inside AWS's own encoding is found too"


@in_loop
async def test_an_exception_in_bedrocks_stream_is_an_error_event() -> None:
    kind = {":exception-type": "throttlingException", ":message-type": "exception"}
    async with provider(streaming(chunk(EVENTS[0]), frame(kind, b'{"message": "Too many tokens"}'))) as url:
        _, _, body = await ask(bedrock(url), STREAM)
    last = body.decode().removesuffix("\n\n").split("\n\n")[-1].split("\n")
    assert last[0] == "event: error"
    assert json.loads(last[1].removeprefix("data: "))["error"] == {
        "type": "rate_limit_error",
        "message": "throttlingException: Too many tokens",
    }


BROKEN = chunk(EVENTS[2])[:-1] + b"?"


@pytest.mark.parametrize(
    "bad",
    [BROKEN, frame({":event-type": "chunk", ":message-type": "event"}, b"[]"), b"\0" * 64, b"HTTP/1.1 nothing of AWS"],
)
@in_loop
async def test_a_broken_frame_breaks_the_stream_after_the_events_before_it(bad: bytes) -> None:
    async with (
        provider(streaming(chunk(EVENTS[0]) + bad, piece=4096)) as url,
        aiohttp.ClientSession() as client,
        bedrock(url).answer(STREAM, client) as answer,
    ):
        passed = b""
        with pytest.raises(Unreachable, match="event stream"):
            async for part in answer.chunks:
                passed += part
    assert passed.startswith(b"event: message_start\n")


@in_loop
async def test_a_stream_that_bedrock_cuts_has_no_end_marker() -> None:
    async with provider(streaming(chunk(EVENTS[0]), chunk(EVENTS[2])[:40])) as url:
        _, _, body = await ask(bedrock(url), STREAM)
    assert body.count(b"event: ") == 1


@in_loop
async def test_bedrocks_errors_and_counts_come_in_anthropics_form() -> None:
    async def handle(asked: web.Request) -> web.Response:
        if asked.path.endswith("/count-tokens"):
            inner = json.loads(await asked.read())["input"]["invokeModel"]["body"]
            assert isinstance(inner, str)
            return web.json_response({"inputTokens": 42})
        headers = {"x-amzn-ErrorType": "com.amazon#ExpiredTokenException:http://internal", "x-amzn-RequestId": "r1"}
        return web.json_response({"message": "The security token has expired"}, status=403, headers=headers)

    async with provider(handle) as url:
        refused = await ask(bedrock(url), request(MESSAGES))
        counted = await ask(bedrock(url), request("/messages/count_tokens"))
        with pytest.raises(Refused, match="no /messages/batches"):
            await ask(bedrock(url), request("/messages/batches"))
        with pytest.raises(Refused, match="JSON"):
            await ask(bedrock(url), request(MESSAGES, body=b"[1"))
    assert refused[0] == 403
    assert refused[1]["x-amzn-RequestId"] == "r1"
    assert json.loads(refused[2]) == {
        "type": "error",
        "error": {"type": "permission_error", "message": "ExpiredTokenException: The security token has expired"},
    }
    assert json.loads(counted[2]) == {"input_tokens": 42}


class Ended:
    """AWS credentials that cannot be renewed any more."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def get_frozen_credentials(self) -> None:
        raise self.error


DENIED = ClientError({"Error": {"Code": "ExpiredToken", "Message": "use aws sso login"}}, "AssumeRole")


@pytest.mark.parametrize("error", [UnauthorizedSSOTokenError(), DENIED])
def test_aws_credentials_that_ended_are_refused_with_the_login_to_renew(error: Exception) -> None:
    upstream = Bedrock("eu-west-1", credentials=Ended(error), base_url="http://127.0.0.1:9")
    with pytest.raises(Refused, match="sso login") as caught:
        asyncio.run(upstream.outgoing(request(MESSAGES)))
    assert (caught.value.status, caught.value.code) == (401, "credentials_unavailable")


@pytest.mark.parametrize("betas", [[{}], "text", [1, "a"], None])
@in_loop
async def test_whatever_an_agent_names_as_beta_features_gets_bedrocks_answer(betas: Any) -> None:
    body = json.dumps({"model": "m", "anthropic_beta": betas}).encode()
    sent = await Bedrock("eu-west-1", bearer=SECRET).outgoing(request(MESSAGES, body=body, anthropic_beta="a, ,b"))
    assert json.loads(sent.body)["anthropic_beta"] == betas


@pytest.mark.parametrize(
    ("model", "protocols"),
    [
        ("us.anthropic.claude-opus-4-v1:0", {"messages"}),
        ("openai.gpt-oss-120b-1:0", {"chat", "responses"}),
        ("arn:aws:bedrock:eu-west-1:1:application-inference-profile/x", {"chat", "responses", "messages"}),
    ],
)
def test_bedrock_takes_the_protocols_of_the_models_maker(model: str, protocols: set[str]) -> None:
    assert Bedrock("eu-west-1", bearer=SECRET, model=model).protocols == protocols


# -- Vertex AI


class Renewed(GoogleCredentials):
    """Credentials whose token is good once."""

    def __init__(self, *tokens: str) -> None:
        super().__init__()
        self._tokens = list(tokens)

    def refresh(self, _: Any) -> None:
        if not self._tokens:
            raise RefreshError(f"invalid_grant: reauthentication is needed; token {SECRET}")
        self.token = self._tokens.pop(0)

    @property
    def valid(self) -> bool:
        return False


@in_loop
async def test_vertex_gets_a_new_token_when_the_old_one_ends_and_hides_both() -> None:
    echo = Echo(403)
    async with provider(echo) as url:
        upstream = Vertex("p", "global", Renewed(f"{SECRET}-1", f"{SECRET}-2"), base_url=url)
        for number in (1, 2):
            _, headers, body = await ask(upstream, request(GEMINI, "alt=sse"))
            assert f"Bearer {SECRET}-{number}" in echo.sent
            assert_hidden(f"{headers} {body.decode()}", upstream)
        with pytest.raises(Refused, match="reauthentication") as caught:
            await ask(upstream, request(GEMINI))
    assert echo.requests[0].query_string == "alt=sse"
    assert {f"{SECRET}-1", f"{SECRET}-2"} <= set(upstream.secrets)
    assert upstream.expires_at() is None
    assert f"{SECRET}-1" not in everything_shown(caught.value)


@in_loop
async def test_claude_on_vertex_gets_the_version_in_its_body() -> None:
    echo = Echo()
    async with provider(echo) as url:
        upstream = _vertex(url, Path(), "claude-sonnet-4@20250514")
        body = {"model": "claude-sonnet-4@20250514", "stream": True, "messages": []}
        await ask(upstream, request(MESSAGES, "beta=true", json.dumps(body).encode()))
        await ask(upstream, request("/messages/count_tokens", body=json.dumps(body).encode()))
        with pytest.raises(Refused, match="Vertex AI offers no"):
            await ask(upstream, request(CHAT))
    where = "/v1/projects/proj/locations/us-east5/publishers/anthropic/models/"
    assert echo.requests[0].raw_path == f"{where}claude-sonnet-4@20250514:streamRawPredict"
    assert json.loads(echo.bodies[0]) == {"stream": True, "messages": [], "anthropic_version": "vertex-2023-10-16"}
    assert echo.requests[1].raw_path == f"{where}count-tokens:rawPredict"
    assert json.loads(echo.bodies[1])["model"] == "claude-sonnet-4@20250514"
    assert echo.requests[0].headers["x-goog-user-project"] == "payer"
    assert upstream.protocols == {"messages"}


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("global", "aiplatform.googleapis.com"),
        ("eu", "aiplatform.eu.rep.googleapis.com"),
        ("us-east5", "us-east5-aiplatform.googleapis.com"),
    ],
)
def test_vertex_has_an_address_for_each_location(location: str, host: str) -> None:
    assert Vertex("p", location, Renewed()).base_url == f"https://{host}/v1"


# -- logins of the host


@in_loop
async def test_a_login_that_is_renewed_on_the_host_is_used_from_then_on(tmp_path: Path) -> None:
    old, new = jwt(LATER), jwt(LATER + 86_400, "account-in-the-token")
    file = codex_login(tmp_path, old)
    echo = Echo(401)
    async with provider(echo) as url:
        upstream = OpenAILogin(tmp_path, url)
        await ask(upstream, request(RESPONSES))
        file.write_text("{")  # being written
        await ask(upstream, request(RESPONSES))
        assert f"Bearer {old}" in echo.sent
        codex_login(tmp_path, new)
        _, _, body = await ask(upstream, request(RESPONSES, ChatGPT_Account_ID="another"))
    assert f"Bearer {new}" in echo.sent
    assert echo.requests[-1].headers.getall("ChatGPT-Account-ID") == ["account-in-the-token"]
    ends = upstream.expires_at()
    assert ends is not None
    assert abs(ends.timestamp() - LATER - 86_400) < 1
    assert {old, new} <= set(upstream.secrets)
    assert old not in body.decode()
    assert new not in body.decode()


@in_loop
async def test_the_claude_login_keeps_the_agents_own_beta_features(tmp_path: Path) -> None:
    claude_login(tmp_path, SECRET, LATER)
    echo = Echo()
    async with provider(echo) as url:
        upstream = AnthropicLogin(tmp_path, url)
        await ask(upstream, request(MESSAGES, "beta=true", anthropic_beta="claude-code-20250219"))
    assert echo.requests[0].headers["anthropic-beta"] == "claude-code-20250219,oauth-2025-04-20"
    assert echo.requests[0].query_string == "beta=true"
    ends = upstream.expires_at()
    assert ends is not None
    assert abs(ends.timestamp() - LATER) < 1


def test_a_compatible_server_takes_every_protocol() -> None:
    assert HttpUpstream("http://127.0.0.1/v1").protocols == EVERY

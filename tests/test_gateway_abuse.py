"""Whatever an agent sends: an error to it, a record for us, and nothing of it in another attempt's way."""

import asyncio
import base64
import gzip
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import zstandard
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway_support import ONCE, chat, in_loop, provider, real
from speaker_support import SPEAKERS
from speedproof.gateway import Budget, Gateway, Rules, Session
from speedproof.gateway.asked import Malformed, read_request
from speedproof.gateway.protocols import DIALECTS, route
from speedproof.journal import AttemptStore, CallIntent, CallOutcome
from speedproof.journal.base import now
from speedproof.journal.call import CUT_BY_AGENT, CUT_BY_END
from speedproof.journal.redaction import redacted_json

ANSWER = {
    "model": "m",
    "choices": [{"message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1},
}
BODY = json.dumps(chat()).encode()
CHAT = "/v1/chat/completions"
MARK = "what-the-bad-one-says"


@dataclass
class Attempt:
    """One attempt at a gateway that others share."""

    session: Session
    port: int
    folder: Path

    def head(self, target: str = CHAT, *more: str, method: str = "POST", version: str = "1.1") -> bytes:
        """The head of a request, its blank line not yet there."""
        lines = [f"{method} {target} HTTP/{version}", "Host: x", f"Authorization: Bearer {self.session.token}", *more]
        return "\r\n".join([*lines, ""]).encode("latin-1")

    def request(self, target: str = CHAT, *more: str, body: bytes = BODY, **first: str) -> bytes:
        """A whole request."""
        own = ["Content-Type: application/json"] if not any(m.startswith("Content-Type") for m in more) else []
        return self.head(target, *own, *more, f"Content-Length: {len(body)}", **first) + b"\r\n" + body

    async def send(self, raw: bytes, *, end: bool = False) -> bytes:
        """What comes back for these bytes until the connection closes, or nothing more comes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        got = b""
        try:
            writer.write(raw)
            if end:
                writer.write_eof()
            async with asyncio.timeout(5):
                await writer.drain()
                while piece := await reader.read(1 << 16):
                    got += piece
                    await asyncio.sleep(0)
                    if got.endswith(b"}") or (b"\r\n\r\n" in got and raw.startswith((b"HEAD", b"OPTIONS"))):
                        break
        except ConnectionError:
            pass  # closed while we were still sending
        finally:
            writer.close()
        return got

    async def call(self, client: aiohttp.ClientSession) -> tuple[int, float]:
        """Status of a good call, and how long it took."""
        began = time.monotonic()
        headers = {"Authorization": f"Bearer {self.session.token}"}
        async with client.post(f"http://127.0.0.1:{self.port}{CHAT}", json=chat(), headers=headers) as answer:
            await answer.read()
            return answer.status, time.monotonic() - began

    async def record(self, outcomes: int = 1) -> list[tuple[CallIntent, CallOutcome]]:
        """Its calls, once so many have ended."""
        for _ in range(500):
            lines, bad = AttemptStore(self.folder).calls()
            assert not bad
            done = {line.call: line for _, line in lines if isinstance(line, CallOutcome)}
            if len(done) >= outcomes:
                break
            await asyncio.sleep(0.01)
        intents = [line for _, line in lines if isinstance(line, CallIntent)]
        assert len(done) >= outcomes, (intents, done)
        return [(intent, done[intent.call]) for intent in intents if intent.call in done]


@dataclass
class House:
    """A gateway with an attempt that misbehaves and one that does not."""

    gateway: Gateway
    bad: Attempt
    good: Attempt
    client: aiohttp.ClientSession
    reached: list[bytes]
    """Bodies that reached the provider."""

    async def unharmed(self, calls: int = 1) -> None:
        """The good attempt's calls are served at once, and its record holds nothing of the other's."""
        for _ in range(calls):
            status, took = await self.good.call(self.client)
            assert (status, took < 2) == (200, True)
        assert len(await self.good.record(calls)) == calls
        assert MARK not in (self.good.folder / "calls.jsonl").read_text()


async def hello(request: web.Request) -> web.StreamResponse:
    return web.json_response(ANSWER)


@asynccontextmanager
async def house(
    folder: Path, handler: Callable[[web.Request], Awaitable[web.StreamResponse]] = hello, rules: Rules | None = None
) -> AsyncIterator[House]:
    reached: list[bytes] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        reached.append(await request.read())
        return await handler(request)

    async with provider(handle) as url, Gateway(patience=ONCE) as gateway, aiohttp.ClientSession() as client:
        attempts = []
        for name in ("bad", "good"):
            (folder / name).mkdir()
            place = folder / name
            bodies = place / "bodies.zst"
            session = gateway.open(place / "calls.jsonl", real(url), Budget(), rules, bodies=bodies)
            attempts.append(Attempt(session, await gateway.listen(session), place))
        yield House(gateway, *attempts, client, reached)


def status_of(raw: bytes) -> int:
    """HTTP status of the first answer in `raw`; 0 when there is none."""
    return int(raw.split(b" ", 2)[1]) if raw.startswith(b"HTTP/") else 0


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


Bytes = Callable[[Attempt], bytes]
NO_HTTP: dict[str, Bytes] = {
    "random bytes": lambda a: b"\0\xff\x16\x03" + MARK.encode() + b"\r\n\r\n",
    "a TLS hello": lambda a: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20,
    "a version that is none": lambda a: b"GET / HTTP/9.9\r\n\r\n",
    "HTTP/2": lambda a: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a method in small letters": lambda a: b"get /v1/models HTTP/1.1\r\nHost: x\r\n\r\n",
    "no host": lambda a: b"GET /v1/models HTTP/1.1\r\n\r\n",
    "line feeds alone": lambda a: b"GET /v1/models HTTP/1.1\nHost: x\n\n",
    "1,000 headers": lambda a: a.head() + b"".join(b"h%d: x\r\n" % i for i in range(1000)) + b"\r\n",
    "a header of 1 MB": lambda a: a.head() + b"X: " + b"a" * (1 << 20) + b"\r\n\r\n",
    "a path of 1 MB": lambda a: a.request("/v1/" + "a" * (1 << 20)),
    "a path that is no UTF-8": lambda a: a.request("/v1beta/models/\xff\xfe:generateContent"),
    "a path with a NUL": lambda a: a.request("/v1/\0"),
    "an address that is none": lambda a: a.request("http://[::1/v1"),
    "a NUL in a header": lambda a: a.head() + b"X: a\0b\r\n\r\n",
    "two lengths": lambda a: a.head(CHAT, "Content-Length: 3", "Content-Length: 5") + b"\r\nabcde",
    "a length and chunks": lambda a: a.head(CHAT, "Content-Length: 3", "Transfer-Encoding: chunked") + b"\r\n0\r\n\r\n",
    "a negative length": lambda a: a.head(CHAT, "Content-Length: -3") + b"\r\n",
    "a length that is no number": lambda a: a.head(CHAT, "Content-Length: 1e9") + b"\r\n",
    "chunks that are none": lambda a: a.head(CHAT, "Transfer-Encoding: chunked") + b"\r\nZZZ\r\nabc",
    "a chunk longer than it says": lambda a: a.head(CHAT, "Transfer-Encoding: chunked") + b"\r\n5\r\nabcdeXX\r\n",
}


@pytest.mark.parametrize("name", NO_HTTP)
def test_what_is_no_http_gets_an_error_and_a_record(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    @in_loop
    async def run() -> None:
        async with house(tmp_path) as place:
            got = await place.bad.send(NO_HTTP[name](place.bad))
            ((intent, outcome),) = await place.bad.record()
            await place.unharmed()
        if b"1 MB" not in name.encode():  # which it may still be sending when the connection is closed
            assert status_of(got) == 400
            assert json.loads(got.split(b"\r\n\r\n", 1)[1])["error"]["code"] == "invalid_http"
        assert (outcome.status, outcome.answered_by, outcome.error_code) == (400, "gateway", "invalid_http")
        assert (intent.method, intent.path, intent.protocol) == (None, None, "other")
        assert place.reached == [BODY]

    run()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


REFUSED: dict[str, tuple[int, str, Bytes]] = {
    "a path out of the tree": (404, "unknown_route", lambda a: a.request("/v1/../../etc/passwd")),
    "an encoded path out of the tree": (404, "unknown_route", lambda a: a.request("/v1/%2e%2e/chat/completions")),
    "a way round to a route": (404, "unknown_route", lambda a: a.request("/v1/x/../chat/completions")),
    "an encoded slash": (404, "unknown_route", lambda a: a.request("/v1/chat%2fcompletions")),
    "two slashes": (404, "unknown_route", lambda a: a.request("//elsewhere/v1/chat/completions")),
    "another host's address": (404, "unknown_route", lambda a: a.request("http://elsewhere/v1/chat/completions")),
    "a tunnel": (404, "unknown_route", lambda a: a.head("elsewhere:443", method="CONNECT") + b"\r\n"),
    "OPTIONS of all": (404, "unknown_route", lambda a: a.head("*", method="OPTIONS") + b"\r\n"),
    "TRACE": (404, "unknown_route", lambda a: a.head("/", method="TRACE") + b"\r\n"),
    "HEAD": (404, "unknown_route", lambda a: a.head("/v1/models", method="HEAD") + b"\r\n"),
    "another model's path": (404, "unknown_route", lambda a: a.request("/v1beta/models/a%2Fb:generateContent")),
    "a model's path out of the tree": (404, "unknown_route", lambda a: a.request("/v1beta/models/..:generateContent")),
    "a NUL in a model's name": (404, "unknown_route", lambda a: a.request("/v1beta/models/a%00b:generateContent")),
    "a websocket": (
        426,
        "upgrade_not_supported",
        lambda a: a.head("/v1/responses", "Connection: Upgrade", "Upgrade: websocket", method="GET") + b"\r\n",
    ),
    "an upgrade of a call": (
        426,
        "upgrade_not_supported",
        lambda a: a.request(CHAT, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"),
    ),
    "no JSON": (400, "invalid_json", lambda a: a.request(body=b"\0\xff" + MARK.encode())),
    "a list": (400, "invalid_json", lambda a: a.request(body=b"[]")),
    "a NUL in a text": (400, "invalid_json", lambda a: a.request(body=BODY.replace(b"fast", b"fa\0st"))),
    "UTF-16": (400, "invalid_json", lambda a: a.request(body=BODY.decode().encode("utf-16"))),
    "a lone half of a character": (400, "invalid_json", lambda a: a.request(body=BODY.replace(b"st", b"\xed\xa0\x80"))),
    "a key twice": (400, "invalid_json", lambda a: a.request(body=b'{"model": "a", "model": "b"}')),
    "deep nesting": (400, "invalid_json", lambda a: a.request(body=b'{"a":' * 100_000 + b"1" + b"}" * 100_000)),
    "a number without end": (400, "invalid_json", lambda a: a.request(body=b'{"model": ' + b"9" * 100_000 + b"}")),
    "a form": (
        415,
        "unsupported_content_type",
        lambda a: a.request(CHAT, "Content-Type: application/x-www-form-urlencoded"),
    ),
    "a form of parts": (
        415,
        "unsupported_content_type",
        lambda a: a.request(CHAT, "Content-Type: multipart/form-data; boundary=x"),
    ),
    "another character set": (
        415,
        "unsupported_content_type",
        lambda a: a.request(CHAT, "Content-Type: application/json; charset=utf-7"),
    ),
    "no gzip": (400, "invalid_content_encoding", lambda a: a.request(CHAT, "Content-Encoding: gzip")),
    "an unknown encoding": (400, "invalid_content_encoding", lambda a: a.request(CHAT, "Content-Encoding: br")),
    "encodings without end": (
        400,
        "invalid_content_encoding",
        lambda a: a.request(CHAT, "Content-Encoding: " + ",".join(["gzip"] * 500)),
    ),
    "a gzip bomb": (
        413,
        "request_too_large",
        lambda a: a.request(CHAT, "Content-Encoding: gzip", body=gzip.compress(b"\0" * (40 << 20))),
    ),
    "a zstd bomb": (
        413,
        "request_too_large",
        lambda a: a.request(CHAT, "Content-Encoding: zstd", body=zstandard.compress(b"\0" * (40 << 20))),
    ),
    "a body of 50 MB": (413, "request_too_large", lambda a: a.request(body=b" " * (50 << 20))),
    "a body that says it is endless": (
        413,
        "request_too_large",
        lambda a: a.head(CHAT, f"Content-Length: {1 << 60}") + b"\r\n",
    ),
    "half a million lists": (
        413,
        "request_too_large",
        lambda a: a.request(body=b'{"model":"m","messages":[' + b"[]," * 500_001 + b"1]}"),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_request_that_must_not_go_on_gets_an_error_and_a_record(tmp_path: Path, name: str) -> None:
    status, code, raw = REFUSED[name]

    @in_loop
    async def run() -> None:
        async with house(tmp_path) as place:
            got = await place.bad.send(raw(place.bad))
            ((intent, outcome),) = await place.bad.record()
            await place.unharmed()
        assert status_of(got) == status
        if name != "HEAD":
            assert json.loads(got.split(b"\r\n\r\n", 1)[1])["error"]["code"] == code
            assert b"x-should-retry: false" in got.lower()
        assert (outcome.status, outcome.answered_by, outcome.error_code) == (status, "gateway", code)
        assert intent.method is not None and intent.path is not None
        assert place.reached == [BODY]

    run()


KEYS: dict[str, Callable[[str], tuple[str, list[str]]]] = {
    "as a bearer": lambda key: (CHAT, [f"Authorization: Bearer {key}"]),
    "as Anthropic's key": lambda key: ("/v1/messages", [f"x-api-key: {key}"]),
    "as Azure's key": lambda key: (CHAT, [f"api-key: {key}"]),
    "as Google's key": lambda key: ("/v1beta/models/m:generateContent", [f"x-goog-api-key: {key}"]),
    "in the address": lambda key: (f"/v1beta/models/m:generateContent?key={key}", []),
    "in all places": lambda key: (f"{CHAT}?key={key}", [f"Authorization: {key}", f"x-api-key: {key}"]),
}


@pytest.mark.parametrize("whose", ["another attempt's", "a closed attempt's", "a wrong one", "none", "a NUL", "é"])
@pytest.mark.parametrize("where", KEYS)
def test_a_key_that_is_not_this_attempt_s_opens_nothing(tmp_path: Path, whose: str, where: str) -> None:
    @in_loop
    async def run() -> None:
        async with house(tmp_path) as place:
            if whose == "a closed attempt's":
                await place.gateway.close(place.good.session)
            token = place.good.session.token
            key = {"a wrong one": token[:-1], "none": "", "a NUL": f"{place.bad.session.token}%00", "é": "%C3%A9"}.get(
                whose, token
            )
            target, headers = KEYS[where](key)
            head = "\r\n".join([f"POST {target} HTTP/1.1", "Host: x", "Content-Type: application/json", *headers])
            got = await place.bad.send(f"{head}\r\nContent-Length: {len(BODY)}\r\n\r\n".encode() + BODY)
            assert status_of(got) == 401
            ((intent, outcome),) = await place.bad.record()
            assert place.reached == []
            assert token not in (place.bad.folder / "calls.jsonl").read_text()
        assert (outcome.status, outcome.answered_by) == (401, "gateway")
        assert intent.method == "POST"

    run()


@in_loop
async def test_requests_in_a_row_on_one_connection_are_all_served_and_recorded(tmp_path: Path) -> None:
    async with house(tmp_path) as place:
        reader, writer = await asyncio.open_connection("127.0.0.1", place.bad.port)
        writer.write(place.bad.request() * 3 + place.bad.request("/v1/x"))
        raw = b""
        await place.bad.record(4)
        writer.write(b"garbage\r\n\r\n")
        async with asyncio.timeout(10):
            while piece := await reader.read(1 << 16):
                raw += piece
        writer.close()
        found = await place.bad.record(5)
        await place.unharmed()
    assert [outcome.status for _, outcome in found] == [200, 200, 200, 404, 400]
    assert raw.count(b"HTTP/1.") == 5
    assert place.reached == [BODY] * 4


@in_loop
async def test_the_old_protocol_is_served_too(tmp_path: Path) -> None:
    async with house(tmp_path) as place:
        assert status_of(await place.bad.send(place.bad.request(version="1.0"))) == 200
        ((_, outcome),) = await place.bad.record()
    assert (outcome.status, outcome.complete) == (200, True)


@in_loop
async def test_odd_names_and_values_are_recorded_as_they_are(tmp_path: Path) -> None:
    odd = "a\0b\ud800\u202e" + "x" * 1_000
    body = json.dumps(chat(tools=[], **{odd: odd, "n": 10**400}) | {"model": odd}).encode()
    async with house(tmp_path) as place:
        assert status_of(await place.bad.send(place.bad.request(body=body))) == 200
        ((intent, outcome),) = await place.bad.record()
        await place.unharmed()
    assert intent.model_asked is not None and intent.model_asked.startswith("a\0b")
    assert outcome.complete and len(intent.model_dump_json()) < 10_000
    assert place.reached[0] == body, "it goes on as it was sent"


@in_loop
async def test_headers_of_any_bytes_harm_nobody(tmp_path: Path) -> None:
    async with house(tmp_path) as place:
        raw = place.bad.head() + b"X: \xff\xfe\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
        assert status_of(await place.bad.send(raw)) == 200
        await place.unharmed()


@in_loop
async def test_a_body_without_end_is_cut_off(tmp_path: Path) -> None:
    async with house(tmp_path) as place:
        reader, writer = await asyncio.open_connection("127.0.0.1", place.bad.port)
        writer.write(place.bad.head(CHAT, "Transfer-Encoding: chunked") + b"\r\n")
        piece = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"

        async def without_end() -> None:
            while True:
                writer.write(piece)
                await writer.drain()

        sending = asyncio.create_task(without_end())
        async with asyncio.timeout(20):
            assert b" 413 " in await reader.readline()
        ((intent, outcome),) = await place.bad.record()
        await place.unharmed()
        sending.cancel()
        await asyncio.wait([sending])
        writer.close()
    assert (outcome.status, outcome.error_code) == (413, "request_too_large")
    assert intent.request_bytes <= 32 << 20


@in_loop
async def test_a_body_that_does_not_come_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speedproof.gateway.body.LONGEST_S", 0.3)
    async with house(tmp_path) as place:
        got = await place.bad.send(place.bad.head(CHAT, "Content-Length: 1000") + b"\r\nhalf")
        ((intent, outcome),) = await place.bad.record()
        await place.unharmed()
    assert status_of(got) == 408
    assert (outcome.status, outcome.answered_by, outcome.error_code) == (408, "gateway", "request_too_slow")
    assert intent.request_bytes == 4


@in_loop
async def test_a_chunked_body_that_breaks_later_gets_an_error_and_a_record(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speedproof.gateway.body.LONGEST_S", 0.5)
    async with house(tmp_path) as place:
        reader, writer = await asyncio.open_connection("127.0.0.1", place.bad.port)
        writer.write(place.bad.head(CHAT, "Transfer-Encoding: chunked") + b"\r\n5\r\nabcde\r\n")
        await asyncio.sleep(0.1)
        writer.write(b"nonsense\r\n")
        async with asyncio.timeout(10):
            assert b" 408 " in await reader.readline()
        writer.close()
        ((intent, outcome),) = await place.bad.record()
        await place.unharmed()
    assert (intent.request_bytes, outcome.answered_by, outcome.error_code) == (5, "gateway", "request_too_slow")
    assert caplog.records == []


@pytest.mark.parametrize("ends", ["the agent", "the attempt"])
def test_a_request_that_breaks_off_is_recorded_as_far_as_it_came(tmp_path: Path, ends: str) -> None:
    @in_loop
    async def run() -> None:
        async with house(tmp_path) as place:
            _, writer = await asyncio.open_connection("127.0.0.1", place.bad.port)
            writer.write(place.bad.head(CHAT, "Content-Length: 1000") + b"\r\nhalf")
            await writer.drain()
            await asyncio.sleep(0.1)
            if ends == "the attempt":
                await place.gateway.close(place.bad.session)
            writer.close()
            ((intent, outcome),) = await place.bad.record()
            await place.unharmed()
        assert (intent.request_bytes, intent.sent_sha256) == (4, None)
        assert (outcome.status, outcome.complete, outcome.answered_by) == (None, False, "gateway")
        assert outcome.error == (CUT_BY_AGENT if ends == "the agent" else CUT_BY_END)
        assert place.reached == [BODY]

    run()


@in_loop
async def test_a_request_line_without_end_holds_nothing_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speedproof.gateway.connection.IDLE_S", 0.5)
    async with house(tmp_path) as place:
        reader, writer = await asyncio.open_connection("127.0.0.1", place.bad.port)
        writer.write(b"POST /v1/chat")
        began = place.bad.session.last_activity

        async def drip() -> None:
            while not writer.is_closing():
                writer.write(b"/")
                await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        async with asyncio.timeout(10):
            await asyncio.wait([asyncio.create_task(reader.read())])
        dripping.cancel()
        await asyncio.wait([dripping])
        writer.close()
        assert place.bad.session.last_activity == began, "an agent that only drips is idle"
        await place.unharmed()


@in_loop
async def test_connections_without_end_are_refused_and_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speedproof.gateway.connection.MOST_CONNECTIONS", 5)
    async with house(tmp_path) as place:
        held = [await asyncio.open_connection("127.0.0.1", place.bad.port) for _ in range(5)]
        await asyncio.sleep(0.1)
        assert status_of(await place.bad.send(b"")) == 503
        ((intent, outcome),) = await place.bad.record()
        await place.unharmed()
        for _, writer in held:
            writer.close()
        for _ in range(100):
            if status_of(await place.bad.send(place.bad.request())) == 200:
                break
            await asyncio.sleep(0.02)
        else:
            pytest.fail("a place that is given back can be had again")
    assert (intent.method, outcome.status, outcome.error_code) == (None, 503, "too_many_connections")


@in_loop
async def test_an_agent_that_does_not_read_holds_no_place_at_the_provider(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speedproof.gateway.passing.LONGEST_WRITE_S", 0.3)
    let_go = asyncio.Event()

    async def much(request: web.Request) -> web.StreamResponse:
        if MARK.encode() not in await request.read():
            return await hello(request)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            while True:
                await response.write(b": nothing\n\n" * 10_000)
        finally:
            let_go.set()

    async with house(tmp_path, much) as place:
        _, writer = await asyncio.open_connection("127.0.0.1", place.bad.port, limit=1 << 10)
        writer.write(place.bad.request(body=json.dumps(chat(stream=True, user=MARK)).encode()))
        async with asyncio.timeout(10):
            await let_go.wait()
        ((_, outcome),) = await place.bad.record()
        writer.close()
        await place.unharmed()
    assert (outcome.complete, outcome.error) == (False, CUT_BY_AGENT)


@in_loop
async def test_few_large_bodies_of_one_attempt_are_at_the_gateway_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speedproof.gateway.body.LARGE", 10_000)
    monkeypatch.setattr("speedproof.gateway.intake.LARGE", 10_000)
    monkeypatch.setattr("speedproof.gateway.session.MOST_LARGE", 2)
    go_on = asyncio.Event()

    async def wait(request: web.Request) -> web.StreamResponse:
        if MARK.encode() in await request.read():
            await go_on.wait()
        return await hello(request)

    async with house(tmp_path, wait) as place:
        whole = json.dumps(chat(user=MARK + "x" * 200_000)).encode()
        requests = [place.bad.request(body=whole) for _ in range(3)]
        packed = gzip.compress(whole)
        requests += [place.bad.request(CHAT, "Content-Encoding: gzip", body=packed) for _ in range(3)]
        sending = [asyncio.create_task(place.bad.send(raw)) for raw in requests]
        await asyncio.sleep(0.5)
        assert len(place.reached) == 2
        assert (await place.bad.call(place.client))[0] == 200, "what is small passes by"
        await place.unharmed()
        go_on.set()
        assert [status_of(raw) for raw in await asyncio.gather(*sending)] == [200] * 6
    assert len(place.reached) == 8


def dense(size: int) -> bytes:
    """JSON that is as much work as may be sent in one body."""
    return b'{"model":"m","messages":[{"role":"user","content":"x"}],"x":[' + b'{"a":1},' * (size // 8) + b"1]}"


BURDENS: dict[str, Callable[[], bytes]] = {
    "many objects": lambda: dense(1_900_000),
    "many keys": lambda: (
        b'{"model":"m","messages":[{"role":"user","content":"x"}],'
        + b",".join(b'"%d":1' % i for i in range(400_000))
        + b"}"
    ),
    "a picture": lambda: json.dumps(chat(user=base64.b64encode(os.urandom(20 << 20)).decode())).encode(),
    "calls without outputs": lambda: json.dumps(
        chat(
            *(
                {
                    "role": "assistant",
                    "tool_calls": [{"id": f"c{i}", "type": "function", "function": {"name": "f", "arguments": "{"}}],
                }
                for i in range(50_000)
            )
        )
    ).encode(),
}


@pytest.mark.parametrize("name", BURDENS)
def test_a_body_that_is_much_work_does_not_hold_up_others(tmp_path: Path, name: str) -> None:
    @in_loop
    async def run() -> None:
        async with house(tmp_path, rules=Rules(repair=True, model="other")) as place:
            raw = place.bad.request(body=BURDENS[name]())
            sending = [asyncio.create_task(place.bad.send(raw)) for _ in range(3)]
            took = []
            while not all(task.done() for task in sending) or not took:
                took.append(await place.good.call(place.client))
                await asyncio.sleep(0.01)
            assert {status for status, _ in took} == {200}
            assert max(seconds for _, seconds in took) < 2, took
            assert [status_of(task.result()) for task in sending] == [200] * 3
            assert len(await place.bad.record(3)) == 3

    run()


def many_results(protocol: str, number: int) -> dict[str, Any]:
    """A conversation whose calls and outputs come in opposite orders."""
    order, back = range(number), range(number - 1, -1, -1)
    match protocol:
        case "chat":
            calls = [{"id": f"c{i}", "type": "function", "function": {"name": "f", "arguments": "{}"}} for i in order]
            results = [{"role": "tool", "tool_call_id": f"c{i}", "content": "x"} for i in back]
            return {"model": "m", "messages": [{"role": "assistant", "tool_calls": calls}, *results]}
        case "responses":
            items = [{"type": "function_call", "call_id": f"c{i}", "name": "f", "arguments": "{}"} for i in order]
            items += [{"type": "function_call_output", "call_id": f"c{i}", "output": "x"} for i in back]
            return {"model": "m", "input": items}
        case "messages":
            used = [
                {"role": "assistant", "content": [{"type": "tool_use", "id": f"c{i}", "name": "f", "input": {}}]}
                for i in order
            ]
            results = [{"type": "tool_result", "tool_use_id": f"c{i}", "content": "x"} for i in back]
            return {"model": "m", "messages": [*used, {"role": "user", "content": results}]}
        case _:
            parts = [{"functionCall": {"name": f"n{i}", "args": {}}} for i in order]
            answers = [{"functionResponse": {"name": f"n{i}", "response": {}}} for i in back]
            return {"contents": [{"role": "model", "parts": parts}, {"role": "user", "parts": answers}]}


@pytest.mark.parametrize("speaker", SPEAKERS, ids=[s.protocol for s in SPEAKERS])
@pytest.mark.parametrize("answered", [True, False])
def test_a_conversation_of_many_calls_is_checked_and_repaired_in_good_time(speaker: Any, answered: bool) -> None:
    body = many_results(speaker.protocol, 20_000)
    if not answered:
        name = {"chat": "messages", "messages": "messages", "responses": "input", "gemini": "contents"}
        entries = body[name[speaker.protocol]]
        keep = {"chat": 1, "gemini": 1, "responses": 20_000, "messages": 20_000}[speaker.protocol]
        body[name[speaker.protocol]] = entries[:keep]
    raw = json.dumps(body).encode()
    began = time.process_time()
    asked = read_request(route("POST", speaker.path().partition("?")[0]), raw, Rules(repair=True))
    assert time.process_time() - began < 5
    assert len(asked.illegal) == (0 if answered else 20)
    assert all(one.repaired for one in asked.illegal)


TEXT = st.text(max_size=5) | st.sampled_from(["\0" * 3_000, "é" * 3_000, "💥" * 3_000, "\ud800" * 3_000, '"' * 3_000])
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SPEAKERS), st.data())
def test_the_record_of_a_request_stays_small_whatever_it_holds(speaker: Any, data: st.DataObject) -> None:
    name, value, times = data.draw(TEXT), data.draw(VALUE), data.draw(st.sampled_from([1, 300]))
    call = data.draw(TEXT)
    dialect = DIALECTS[speaker.protocol]
    body = many_results(speaker.protocol, min(times, 300))
    body |= {f"{i}{name}": value for i in range(times)} | {name: value}
    body["tools"] = [
        {"type": "function", "name": f"{i}{name}", "function": {"name": f"{i}{name}"}, name: value}
        for i in range(times)
    ]
    body["tools"] += [{"type": f"{i}{name}"} for i in range(times)]
    raw = json.dumps(body).replace('"c1"', json.dumps(call)).replace('"n1"', json.dumps(call)).encode()
    rules = Rules(repair=data.draw(st.booleans()), pins={"temperature": 0}, watch=("temperature", "max_output"))
    try:
        asked = read_request(route("POST", speaker.path().partition("?")[0]), raw, rules)
    except Malformed:
        return
    intent = CallIntent(
        call=1,
        at=now(),
        method="POST",
        path="/",
        protocol=dialect.name,
        model_asked=asked.model,
        stream=asked.stream,
        asked=asked.asked,
        sent=asked.sent,
        tools=asked.tools,
        messages=asked.messages,
        request_bytes=len(raw),
        request_sha256="",
        watched=asked.watched,
        illegal=asked.illegal,
    )
    text = redacted_json(intent, ("secret",))
    assert len(text.encode()) < 1 << 20
    assert CallIntent.model_validate_json(text).call == 1


@in_loop
async def test_a_cookie_that_a_provider_sets_in_one_attempt_does_not_come_back_in_another(tmp_path: Path) -> None:
    brought: list[str | None] = []

    async def greet(request: web.Request) -> web.StreamResponse:
        brought.append(request.headers.get("Cookie"))
        return web.json_response(ANSWER, headers={"Set-Cookie": "whose=bad; Path=/"})

    async with provider(greet) as url, Gateway(patience=ONCE) as gateway, aiohttp.ClientSession() as client:
        model = real(url.replace("127.0.0.1", "localhost"))  # an address without a name keeps no cookies anyway
        for name in ("bad", "good"):
            (tmp_path / name).mkdir()
            session = gateway.open(tmp_path / name / "calls.jsonl", model, Budget())
            attempt = Attempt(session, await gateway.listen(session), tmp_path / name)
            assert (await attempt.call(client))[0] == 200
    assert brought == [None, None]

"""What is tried again, after how long, and what is given up at once."""

import asyncio
import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from speedproof.gateway.patience import Patience, Try, Verdict
from speedproof.journal.failure import FailureClass as F

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PATIENCE = Patience()


def answered(status: int, body: Any = "", headers: Mapping[str, str] | None = None) -> Try:
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return Try(status=status, headers=headers or {}, body=raw)


def judge(
    failed: Try, *, tries: int = 1, elapsed_s: float = 0.0, drawn: float = 0.0, patience: Patience = PATIENCE
) -> Verdict:
    return patience.judge(failed, tries=tries, elapsed_s=elapsed_s, now=NOW, draw=lambda: drawn)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 520, 524, 529])
def test_what_may_pass_is_tried_again(status: int) -> None:
    verdict = judge(answered(status), drawn=0.5)
    assert verdict.wait_s == 0.25
    assert not verdict.down


@pytest.mark.parametrize("status", [302, 400, 401, 402, 403, 404, 409, 410, 413, 422, 501, 505])
def test_a_request_that_the_provider_refuses_is_never_tried_again(status: int) -> None:
    verdict = judge(answered(status, headers={"Retry-After": "1", "x-should-retry": "true"}))
    assert verdict.wait_s is None
    assert verdict.slows is None


def test_a_tool_call_without_output_is_refused_once_and_for_all() -> None:
    verdict = judge(answered(400, {"error": {"message": "No tool output found for function call call_1."}}))
    assert (verdict.wait_s, verdict.failure) == (None, F.TOOL_OUTPUT_MISSING)
    assert verdict.reason == "the provider refuses the request itself"


@pytest.mark.parametrize(
    ("failed", "failure", "resets_at"),
    [
        (answered(429, {"error": {"code": "insufficient_quota", "message": "x"}}), F.QUOTA_EXHAUSTED, None),
        (
            answered(429, {"error": {"type": "usage_limit_reached", "message": "x", "resets_in_seconds": 3600}}),
            F.USAGE_LIMIT,
            NOW + timedelta(hours=1),
        ),
        (
            answered(
                429,
                {"error": {"type": "rate_limit_error", "message": "This request would exceed your rate limit."}},
                {
                    "retry-after": "5",
                    "anthropic-ratelimit-unified-status": "rejected",
                    "anthropic-ratelimit-unified-reset": str(int(NOW.timestamp()) + 60),
                },
            ),
            F.USAGE_LIMIT,
            NOW + timedelta(minutes=1),
        ),
        (answered(401, {"error": {"message": "Token has expired."}}, {"retry-after": "1"}), F.LOGIN_EXPIRED, None),
    ],
)  # fmt: skip
def test_quota_usage_limit_and_expired_login_are_given_up_with_the_time_of_their_reset(
    failed: Try, failure: F, resets_at: datetime | None
) -> None:
    verdict = judge(failed)
    assert (verdict.failure, verdict.wait_s, verdict.resets_at, verdict.down) == (failure, None, resets_at, True)
    assert (verdict.slows, verdict.hold_s) == (None, None)


def test_a_wait_that_the_provider_asks_for_is_kept_to_the_full_and_holds_for_all() -> None:
    failed = answered(429, headers={"Retry-After": "7"})
    assert judge(failed).wait_s == 7.0
    verdict = judge(failed, tries=3, drawn=0.5)
    assert verdict.wait_s == 7.0 + 0.5 * 2.0
    assert (verdict.slows, verdict.hold_s) == ("rate_limited", 7.0)


def test_a_wait_beyond_the_longest_is_given_up_at_once_and_says_so() -> None:
    verdict = judge(answered(429, headers={"Retry-After": "61"}))
    assert (verdict.wait_s, verdict.hold_s, verdict.slows) == (None, None, "rate_limited")
    assert verdict.reason == "the provider asks for a wait of 61 s, the longest is 60 s"
    assert judge(answered(429, headers={"Retry-After": "60"})).wait_s == 60.0


def test_an_overloaded_provider_slows_all_and_a_failing_one_only_the_call() -> None:
    assert [judge(answered(status)).slows for status in (429, 503, 529, 500, 502)] == [
        "rate_limited",
        "overloaded",
        "overloaded",
        None,
        None,
    ]


def test_a_provider_that_says_not_to_try_again_is_heard() -> None:
    verdict = judge(answered(500, headers={"X-Should-Retry": "false"}))
    assert verdict.wait_s is None
    assert verdict.reason == "the provider says that it should not be tried again"


def test_tries_and_time_are_bounded() -> None:
    failed = answered(500)
    assert judge(failed, tries=4).wait_s is not None
    assert judge(failed, tries=5).reason == "it failed 5 times, the most that a call is tried"
    assert judge(failed, elapsed_s=299.9, drawn=0.5).reason == "a call is tried for 300 s at most"
    assert judge(failed, elapsed_s=299.9).wait_s == 0.0


@given(
    tries=st.integers(1, 10_000),
    drawn=st.floats(0, 1, exclude_max=True),
    elapsed=st.floats(0, 400),
    asked=st.none() | st.floats(0, 100),
    status=st.sampled_from([408, 429, 500, 503, 529]),
)
def test_a_wait_is_never_shorter_than_asked_nor_beyond_its_bounds(
    tries: int, drawn: float, elapsed: float, asked: float | None, status: int
) -> None:
    patience = Patience(most_tries=10_000)
    headers = {} if asked is None else {"retry-after-ms": f"{asked * 1000:.3f}"}
    verdict = judge(answered(status, headers=headers), tries=tries, drawn=drawn, elapsed_s=elapsed, patience=patience)
    if verdict.wait_s is not None:
        backoff = min(60.0, 0.5 * 2 ** min(tries - 1, 20))
        assert (asked or 0.0) - 1e-6 <= verdict.wait_s <= (asked or 0.0) + backoff + 1e-6
        assert elapsed + verdict.wait_s <= 300.0
    assert verdict.hold_s is None or verdict.hold_s <= 60.0


@dataclass
class Server:
    """A provider that ends connections as it is told."""

    reset: bool

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.reset:
            linger = bytes.fromhex("0100000000000000")  # closing sends a reset
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        await reader.read(10)
        writer.close()


async def fails(url: str) -> BaseException:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, sock_connect=5)) as client:
        try:
            async with client.post(url, data=b"x" * 100):
                pass
        except (aiohttp.ClientError, OSError) as error:
            return error
    raise AssertionError("it was answered")


@pytest.mark.parametrize("reset", [True, False])
def test_a_connection_that_is_lost_before_an_answer_is_tried_again(reset: bool) -> None:
    async def run() -> None:
        async with await asyncio.start_server(Server(reset), "127.0.0.1", 0) as server:
            verdict = judge(Try(error=await fails(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")))
        assert (verdict.failure, verdict.wait_s, verdict.slows) == (F.NETWORK, 0.0, None)
        assert ": " in verdict.message

    asyncio.run(run())


def test_a_connection_that_is_refused_is_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    assert judge(Try(error=asyncio.run(fails(f"http://127.0.0.1:{port}/")))).wait_s == 0.0


def test_a_provider_that_does_not_speak_tls_or_http_is_not_tried_again() -> None:
    async def run() -> None:
        async def hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"SSH-2.0-hello\r\n\r\n")
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(hello, "127.0.0.1", 0) as server:
            address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            for scheme in ("http", "https"):
                assert judge(Try(error=await fails(f"{scheme}://{address}"))).wait_s is None

    asyncio.run(run())


KEY = aiohttp.client_reqrep.ConnectionKey("x", 443, True, True, None, None, None)


def _connecting(error: OSError) -> aiohttp.ClientConnectorError:
    return aiohttp.ClientConnectorError(KEY, error)


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (TimeoutError("connect"), True),
        (aiohttp.ServerTimeoutError("connect"), True),
        (_connecting(socket.gaierror(socket.EAI_AGAIN, "try again")), True),
        (_connecting(socket.gaierror(socket.EAI_NONAME, "no such host")), False),
        (aiohttp.InvalidURL("x"), False),
        (aiohttp.ClientConnectorCertificateError(KEY, ssl.SSLCertVerificationError("x")), False),
        (ValueError("x"), False),
    ],
)
def test_only_what_may_heal_is_tried_again(error: BaseException, again: bool) -> None:
    assert (judge(Try(error=error)).wait_s is not None) == again


def test_a_call_survives_two_rate_limits_and_a_failure_as_it_would_be_forwarded() -> None:
    async def run() -> list[float]:
        statuses = iter([429, 500, 429, 200])
        seen: list[int] = []

        async def provider(request: web.BaseRequest) -> web.Response:
            seen.append(next(statuses))
            return web.Response(status=seen[-1], headers={"retry-after-ms": "20"} if seen[-1] == 429 else {})

        runner = web.ServerRunner(web.Server(provider))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        waits: list[float] = []
        async with aiohttp.ClientSession() as client:
            for tries in range(1, 10):
                async with client.get(f"http://127.0.0.1:{port}/") as response:
                    if response.status == 200:
                        break
                    failed = Try(response.status, response.headers, await response.read())
                verdict = Patience(first_wait_s=0.01).judge(failed, tries=tries, elapsed_s=0.0, now=NOW)
                assert verdict.wait_s is not None
                waits.append(verdict.wait_s)
                await asyncio.sleep(verdict.wait_s)
        await runner.cleanup()
        assert seen == [429, 500, 429, 200]
        return waits

    waits = asyncio.run(run())
    assert len(waits) == 3
    assert waits[0] >= 0.02
    assert waits[2] >= 0.02

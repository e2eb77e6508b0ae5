"""What stands around the gateway in its benchmark, each in a process of its own: a provider that echoes and a load
generator, light enough to measure 0.1 ms, and a proxy that does nothing but pass on."""

import asyncio
import json
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

import speedproof

REQUEST_BYTES = 24 << 10
CHUNKS, CHUNK_S, STREAMS = 50, 0.004, 4

_STEP = re.compile(rb"step-\d{8}")
_STREAM = re.compile(rb'"stream":\s*true')
_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_STAMP = re.compile(rb'"content":\s*"at (\d+)')


class Provider(asyncio.Protocol):
    """Answers chat completions: with the step that the request names, or with chunks that say when they were sent."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A caller."""
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._read = transport, bytearray()

    def data_received(self, data: bytes) -> None:
        """Answer when the request is whole."""
        self._read += data
        head = self._read.find(b"\r\n\r\n")
        length = _LENGTH.search(self._read, 0, head) if head >= 0 else None
        if head < 0 or len(self._read) < head + 4 + (int(length[1]) if length else 0):
            return
        request, self._read = bytes(self._read), bytearray()
        steps = _STEP.findall(request)
        if not steps:  # what else a proxy looks for
            self._transport.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            return
        if _STREAM.search(request):
            self._streaming = asyncio.ensure_future(self._stream())
            return
        call = {"id": "call_last", "type": "function", "function": {"name": "bash", "arguments": '{"command":"ls"}'}}
        message = {
            "role": "assistant",
            "content": f"After {steps[-1].decode()}, I list the files.",
            "tool_calls": [call],
        }
        body = json.dumps(
            _answer("chat.completion", {"message": message, "finish_reason": "tool_calls"}) | {"usage": _USAGE}
        )
        self._transport.write(_head("application/json", f"Content-Length: {len(body)}") + body.encode())

    async def _stream(self) -> None:
        self._transport.write(_head("text/event-stream", "Transfer-Encoding: chunked"))
        for number in range(CHUNKS):
            await asyncio.sleep(CHUNK_S)
            delta = {"role": "assistant", "content": f"at {time.monotonic_ns()} for chunk {number}"}
            self._event(_answer("chat.completion.chunk", {"delta": delta, "finish_reason": None}))
        self._event(_answer("chat.completion.chunk", {"delta": {}, "finish_reason": "stop"}))
        self._event(_answer("chat.completion.chunk", None) | {"usage": _USAGE})
        self._transport.write(_chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")

    def _event(self, value: dict[str, Any]) -> None:
        self._transport.write(_chunk(f"data: {json.dumps(value)}\n\n".encode()))


_USAGE = {"prompt_tokens": 6000, "completion_tokens": 60, "total_tokens": 6060}


def _answer(kind: str, choice: dict[str, Any] | None) -> dict[str, Any]:
    choices = [] if choice is None else [{"index": 0, **choice}]
    return {"id": "chatcmpl-echo", "object": kind, "created": 1, "model": "echo", "choices": choices}


def _head(kind: str, framing: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nx-request-id: req_echo\r\n{framing}\r\n\r\n".encode()


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def provider(pipe: "Connection[Any, Any]") -> None:
    """The provider's process: tells its port, and serves until it is ended."""

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


def bare(pipe: "Connection[Any, Any]", port: int) -> None:
    """A proxy's process, on the gateway's HTTP library: it reads, checks and records nothing. Tells its port."""

    async def serve() -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:

            async def handle(request: web.BaseRequest) -> web.StreamResponse:
                asked = {name: request.headers[name] for name in ("Accept", "Authorization", "Content-Type")}
                url = f"http://127.0.0.1:{port}{request.path}"
                async with client.request(request.method, url, headers=asked, data=await request.read()) as answer:
                    given = {"Content-Type": answer.headers["Content-Type"]}
                    if given["Content-Type"] == "application/json":
                        return web.Response(status=answer.status, headers=given, body=await answer.read())
                    response = web.StreamResponse(status=answer.status, headers=given)
                    await response.prepare(request)
                    async for chunk in answer.content.iter_any():
                        await response.write(chunk)
                    await response.write_eof()
                    return response

            runner = web.ServerRunner(web.Server(handle, access_log=None))
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            pipe.send(runner.addresses[0][1])
            await asyncio.Event().wait()

    asyncio.run(serve())


@dataclass
class Load:
    """One measurement: where to, and for how long."""

    places: list[tuple[int, str]]
    """Port and key of each connection."""
    seconds: float | None
    """How long to call; null: `STREAMS` streams."""


@dataclass
class Taken:
    """What was measured."""

    seconds: list[float] = field(default_factory=list)
    """Of each call, or of each streamed chunk on its way."""
    calls: int = 0
    elapsed_s: float = 0.0


class Caller(asyncio.Protocol):
    """A connection that calls again when it was answered, until told to stop or answered amiss."""

    def __init__(self, port: int, key: str, stream: bool, taken: Taken, more: Callable[[], bool]) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request, self._stream, self._taken, self._more = request(port, key, stream), stream, taken, more
        self._answer = bytearray()
        self._searched = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._call()

    def _call(self) -> None:
        self._step = b"step-%08d" % random.randrange(10**8)
        self._answer.clear()
        self._searched = 0
        raw = self._request.replace(b"step-00000000", self._step)
        self._began = time.perf_counter()
        self._transport.write(raw)

    def data_received(self, data: bytes) -> None:
        """Note times; call again when the answer is whole."""
        arrived, at = time.perf_counter(), time.monotonic_ns()
        self._answer += data
        if self._stream:
            for stamp in _STAMP.finditer(self._answer, self._searched):
                self._searched = stamp.end()
                self._taken.seconds.append((at - int(stamp[1])) / 1e9)
        head = self._answer.find(b"\r\n\r\n")
        length = _LENGTH.search(self._answer, 0, head) if head >= 0 else None
        whole = len(self._answer) >= head + 4 + int(length[1]) if length else self._answer.endswith(b"\r\n0\r\n\r\n")
        if head < 0 or not whole:
            return
        if not self._answer.startswith(b"HTTP/1.1 200") or (not self._stream and self._step not in self._answer):
            self.done.set_exception(RuntimeError(f"answered amiss: {bytes(self._answer[:500])!r}"))
            return
        self._taken.calls += 1
        if not self._stream:
            self._taken.seconds.append(arrived - self._began)
        if self._more():
            self._call()
        else:
            self.done.set_result(None)
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Too early when nothing is done."""
        if not self.done.done():
            self.done.set_exception(exc or RuntimeError("the connection was closed under a call"))


def request(port: int, key: str, stream: bool) -> bytes:
    """A request as an agent sends it after some steps, its history the source code of Speedproof; the step number in
    it is to be replaced."""
    sources = sorted((Path(speedproof.__file__).parent / "journal").glob("*.py"))
    text = "".join(source.read_text() for source in sources)
    schema = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
    tool = {"name": "bash", "description": "Run a command.", "parameters": schema}
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": text[:3000]},
        {"role": "user", "content": text[3000:4000]},
    ]
    body = {
        "model": "echo",
        "messages": messages,
        "tools": [{"type": "function", "function": tool}],
        "temperature": 0.0,
        "parallel_tool_calls": False,
        "stream": stream,
    }
    at = 4000
    while True:
        number = f"call_{len(messages):04d}"
        call = {"name": "bash", "arguments": json.dumps({"command": f"sed -n {at}p file.py"})}
        last = "step-00000000: " + text[at : at + 1500]
        messages.append(
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": number, "type": "function", "function": call}],
            }
        )
        messages.append({"role": "tool", "tool_call_id": number, "content": last})
        short = REQUEST_BYTES - len(_written(body))
        if short <= 0:
            break
        messages[-1]["content"] = last.replace("step-00000000", "an earlier step")
        at += 1500
    messages[-1]["content"] = last[: len(last) + short]
    raw = _written(body)
    head = (
        "POST /v1/chat/completions HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Accept: application/json",
        "Accept-Encoding: gzip, deflate",
        f"Authorization: Bearer {key}",
        "Content-Type: application/json",
        "User-Agent: OpenAI/Python 2.0.0",
        "X-Stainless-Lang: python",
        "X-Stainless-Retry-Count: 0",
        f"Content-Length: {len(raw)}",
    )
    return "\r\n".join(head).encode() + b"\r\n\r\n" + raw


def _written(body: dict[str, Any]) -> bytes:
    """JSON as the agents' HTTP clients write it: without spaces, and in UTF-8."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def caller(pipe: "Connection[Any, Any]") -> None:
    """The load generator's process: takes a Load, gives back a Taken or the error's text."""

    async def call(load: Load) -> Taken:
        taken = Taken()
        loop = asyncio.get_running_loop()
        began = time.perf_counter()

        def more() -> bool:
            return taken.calls < STREAMS if load.seconds is None else time.perf_counter() - began < load.seconds

        async def connect(port: int, key: str) -> None:
            _, protocol = await loop.create_connection(
                lambda: Caller(port, key, load.seconds is None, taken, more), "127.0.0.1", port
            )
            await protocol.done

        await asyncio.gather(*(connect(*place) for place in load.places))
        taken.elapsed_s = time.perf_counter() - began
        return taken

    while (load := pipe.recv()) is not None:
        try:
            pipe.send(asyncio.run(call(load)))
        except (OSError, RuntimeError) as error:
            pipe.send(f"{type(error).__name__}: {error}")

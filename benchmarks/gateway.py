"""What the gateway adds to a model call: latency, delay of each streamed chunk, and calls a second.

Beside it, in the same call and on the same provider: no proxy, and the LiteLLM proxy. Every arm is one process, and so
are the provider, which echoes, and the load generator. The gateway records everything, as in a run: one attempt a
connection, each in a folder of its own. LiteLLM records nothing. Each round measures the arms in random order; figures
are medians over rounds of the round's percentile, "added" is against no proxy in the same round.

usage: uv run python benchmarks/gateway.py [--rounds N] [--seconds S] [--json]
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import speedproof
from speedproof.errors import EnvironmentFailed
from speedproof.gateway import Budget, Gateway, Session, resolve_model
from speedproof.journal import AttemptStore, CallOutcome
from speedproof.workspace.cache import Cache
from speedproof.workspace.environment import build_environment

REQUIREMENT = "litellm[proxy]"
CONNECTIONS = (1, 16, 64)
REQUEST_BYTES = 24 << 10
CHUNKS, CHUNK_S, STREAMS = 50, 0.004, 4
WANTED_ADDED_MS, WANTED_TIMES = 1.5, 20
ARMS = {"none": "no proxy", "speedproof": "speedproof", "litellm": "LiteLLM"}
START_S = 120.0

_STEP = re.compile(rb"step-\d{8}")
_STREAM = re.compile(rb'"stream":\s*true')
_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_STAMP = re.compile(rb'"content":\s*"at (\d+)')


# The provider: one process, no framework, so that it is never the slowest.


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


# The gateway: in a process of its own, as in a run.


def gateway(pipe: "Connection[Any, Any]", port: int, folder: Path) -> None:
    """The gateway's process: on a number, opens so many attempts and tells their places; on 0, closes them and tells
    how many calls their records hold whole."""

    async def serve() -> None:
        model = resolve_model("echo/echo", f"http://127.0.0.1:{port}/v1", {"SPEEDPROOF_API_KEY": "sk-real-0123456789"})
        taken = 0
        async with Gateway() as server:
            while (wanted := await asyncio.to_thread(pipe.recv)) is not None:
                sessions: list[tuple[Session, Path]] = []
                places = []
                for _ in range(wanted):
                    taken += 1
                    place = folder / f"{taken:05d}"
                    place.mkdir()
                    session = server.open(place / "calls.jsonl", model, Budget(), bodies=place / "bodies.zst")
                    sessions.append((session, place))
                    places.append((await server.listen(session), session.token))
                pipe.send(places)
                await asyncio.to_thread(pipe.recv)
                for session, _ in sessions:
                    await server.close(session)
                pipe.send(sum(_whole_calls(place) for _, place in sessions))

    asyncio.run(serve())


def _whole_calls(place: Path) -> int:
    good, bad = AttemptStore(place).calls()
    outcomes = [record for _, record in good if isinstance(record, CallOutcome)]
    return sum(o.complete and o.usage is not None for o in outcomes) if not bad else 0


# The load: one process, each connection a closed loop.


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
        short = REQUEST_BYTES - len(json.dumps(body))
        if short <= 0:
            break
        messages[-1]["content"] = last.replace("step-00000000", "an earlier step")
        at += 1500
    messages[-1]["content"] = last[:short] if len(json.dumps(body)) + short > 0 else last
    raw = json.dumps(body).encode()
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


# LiteLLM: its proxy as its makers ship it, one worker.


@contextmanager
def litellm(provider_port: int, folder: Path) -> Iterator[tuple[int, str]]:
    """Its proxy's port and version while it runs. Raises EnvironmentFailed when it cannot be installed or started."""
    environment = build_environment([REQUIREMENT], None, Cache(), lambda told: print(told, file=sys.stderr))
    program = environment.folder / "bin" / "python"
    ask = "import importlib.metadata as m; print(m.version('litellm'))"
    version = subprocess.run([program, "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    folder.mkdir()
    parameters = {"model": "openai/echo", "api_base": f"http://127.0.0.1:{provider_port}/v1", "api_key": "none"}
    settings = {
        "model_list": [{"model_name": "echo", "litellm_params": parameters}],
        "litellm_settings": {"telemetry": False},
        "general_settings": {"dangerously_permit_weak_or_unset_master_key": True},  # on loopback, with a dummy key
    }
    configuration = folder / "config.yaml"
    configuration.write_text(json.dumps(settings))  # JSON is YAML
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    place = ("--config", str(configuration), "--host", "127.0.0.1", "--port", str(port))
    variables = {"HOME": str(folder), "PATH": os.environ["PATH"], "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    log = folder / "litellm.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [environment.folder / "bin" / "litellm", *place, "--telemetry", "False", "--num_workers", "1"],
            env=variables,
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + START_S
        while not _lives(port):
            if process.poll() is not None or time.monotonic() > deadline:
                words = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
                raise EnvironmentFailed(f"the LiteLLM proxy did not start:\n{words}")
            time.sleep(0.2)
        yield port, version
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _lives(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/health/liveliness", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


# The measurement.


def measure(rounds: int, seconds: float, folder: Path) -> dict[str, Any]:
    """All figures, as `--json` prints them: seconds and calls a second; null for an arm that is not there."""
    with ExitStack() as stack:
        echo, load = _process(stack, provider), _process(stack, caller)
        port = echo.recv()
        (folder / "attempts").mkdir()
        proxy = _process(stack, gateway, port, folder / "attempts")
        places = {"none": (port, "none")}
        version = missing = None
        try:
            places["litellm"], version = _opened(stack.enter_context(litellm(port, folder / "litellm")))
        except EnvironmentFailed as error:
            missing = str(error)

        def take(arm: str, connections: int, seconds: float | None) -> Taken:
            if arm == "speedproof":
                proxy.send(connections)
            to = proxy.recv() if arm == "speedproof" else [places[arm]] * connections
            load.send(Load(to, seconds))
            taken = load.recv()
            if arm == "speedproof":
                proxy.send(0)
                recorded = proxy.recv()
                if isinstance(taken, Taken) and recorded != taken.calls:
                    raise SystemExit(f"{taken.calls} calls were answered, {recorded} recorded")
            if not isinstance(taken, Taken):
                raise SystemExit(f"{ARMS[arm]}, {connections} connections: {taken}")
            return taken

        arms = [arm for arm in ARMS if arm in places or arm == "speedproof"]
        for arm in arms:
            take(arm, CONNECTIONS[-1], seconds / 4)  # warms up
        found: list[dict[str, dict[str, float]]] = []
        for number in range(1, rounds + 1):
            print(f"round {number} of {rounds}", file=sys.stderr)
            figures: dict[str, dict[str, float]] = {arm: {} for arm in arms}
            for connections in CONNECTIONS:
                for arm in random.sample(arms, len(arms)):
                    taken = take(arm, connections, seconds)
                    figures[arm][f"calls_per_s_{connections}"] = taken.calls / taken.elapsed_s
                    if connections == 1:
                        figures[arm] |= _percentiles("call", taken)
            for arm in random.sample(arms, len(arms)):
                figures[arm] |= _percentiles("chunk", take(arm, 1, None))
            found.append(figures)
        for pipe in (proxy, load):
            pipe.send(None)
    return {
        "rounds": rounds,
        "request_bytes": REQUEST_BYTES,
        "litellm": version,
        "litellm_missing": missing,
        "arms": {arm: _summary(found, arm) if arm in arms else None for arm in ARMS},
        **_compared(found, "litellm" in arms),
    }


def _opened(found: tuple[int, str]) -> tuple[tuple[int, str], str]:
    port, version = found
    return (port, "none"), version


def _process(stack: ExitStack, target: Callable[..., None], *arguments: Any) -> "Connection[Any, Any]":
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=target, args=(there, *arguments), daemon=True)
    process.start()
    there.close()
    stack.callback(process.join)
    stack.callback(process.terminate)
    return here


def _percentiles(what: str, taken: Taken) -> dict[str, float]:
    cuts = statistics.quantiles(taken.seconds, n=100, method="inclusive")
    return {f"{what}_p50_s": cuts[49], f"{what}_p99_s": cuts[98]}


def _summary(found: list[dict[str, dict[str, float]]], arm: str) -> dict[str, float]:
    summary = {name: statistics.median(figures[arm][name] for figures in found) for name in found[0][arm]}
    for name in [name for name in summary if name.endswith("_s") and "_per_" not in name]:
        added = [figures[arm][name] - figures["none"][name] for figures in found]
        summary[name.replace("_s", "_added_s")] = statistics.median(added)
    return summary


def _compared(found: list[dict[str, dict[str, float]]], both: bool) -> dict[str, float | None]:
    def times(connections: int) -> float:
        name = f"calls_per_s_{connections}"
        return statistics.median(figures["speedproof"][name] / figures["litellm"][name] for figures in found)

    return {f"times_litellm_{connections}": times(connections) if both else None for connections in CONNECTIONS}


def table(result: dict[str, Any]) -> str:
    """The figures, with what is wanted and what we got."""
    arms = result["arms"]
    there = f"LiteLLM {result['litellm'] or 'not there'}"
    lines = [
        f"{result['rounds']} rounds, requests of {result['request_bytes']:,} bytes, {there}, one process each",
        f"{'':36}" + "".join(f"{name:>12}" for name in ARMS.values()),
    ]
    rows = [
        (f"{what}, {percentile}{', added' if added else ''} (ms)", f"{key}_{percentile}{'_added' * added}_s", 1e3)
        for what, key in (("call", "call"), ("streamed chunk", "chunk"))
        for percentile in ("p50", "p99")
        for added in (False, True)
    ]
    rows += [(f"calls/s, {connections} connections", f"calls_per_s_{connections}", 1) for connections in CONNECTIONS]
    for label, name, factor in rows:
        cells = ["–" if arms[arm] is None else f"{arms[arm][name] * factor:,.2f}" for arm in ARMS]
        lines.append(f"{label:36}" + "".join(f"{cell:>12}" for cell in cells))
    lines.append(f"{'':36}{'wanted':>12}{'got':>12}")
    got = arms["speedproof"]["call_p50_added_s"] * 1e3
    lines.append(f"{'call, p50, added (ms)':36}{f'≤ {WANTED_ADDED_MS}':>12}{got:>12.2f}")
    for connections in CONNECTIONS:
        times = result[f"times_litellm_{connections}"]
        shown = "–" if times is None else f"{times:.1f}"
        lines.append(f"{f'× LiteLLM, {connections} connections':36}{f'≥ {WANTED_TIMES}':>12}{shown:>12}")
    if result["litellm_missing"]:
        lines.append(f"LiteLLM was not measured: {result['litellm_missing']}")
    return "\n".join(lines)


def main() -> None:
    """Measure in a temporary folder, and print the table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of calls for each figure of a round")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that LiteLLM ends with us
    folder = Path(tempfile.mkdtemp(prefix="speedproof-benchmark-"))
    try:
        result = measure(arguments.rounds, arguments.seconds, folder)
    finally:
        shutil.rmtree(folder)
    print(json.dumps(result) if arguments.json else table(result))


if __name__ == "__main__":
    main()

"""What the gateway's tests share: a provider on loopback, and an agent's place at a gateway."""

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from speedproof.gateway import (
    Budget,
    Gateway,
    HttpUpstream,
    ModelChoice,
    Patience,
    Rules,
    ScriptedModel,
    Session,
    load_script,
)
from speedproof.journal import AttemptStore, CallIntent, CallOutcome
from speedproof.journal.pace import PaceChange, ProviderDown

ONCE = Patience(most_tries=1)
REAL_KEY = "real-key-+/=of_the_provider"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test in an event loop of its own."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), 60))

    return run


@asynccontextmanager
async def provider(handler: Handler) -> AsyncIterator[str]:
    """A provider that answers every request by `handler`; its base URL."""
    app = web.Application(client_max_size=1 << 27)
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


@dataclass
class Place:
    """An agent at the gateway."""

    gateway: Gateway
    session: Session
    url: str
    client: aiohttp.ClientSession
    folder: Path
    headers: dict[str, str] = field(default_factory=dict)

    async def post(self, path: str, body: Any, **headers: str) -> tuple[int, Any]:
        """Status and JSON of a request."""
        async with self.client.post(self.url + path, json=body, headers=self.headers | headers) as answer:
            return answer.status, await answer.json()

    async def stream(self, path: str, body: Any) -> tuple[int, bytes]:
        """Status and raw bytes of a request."""
        async with self.client.post(self.url + path, json=body, headers=self.headers) as answer:
            return answer.status, await answer.read()

    async def calls(self, outcomes: int = 0) -> list[tuple[CallIntent, CallOutcome | None]]:
        """What calls.jsonl holds, once it has at least that many outcomes; every line must be whole."""
        for _ in range(500):
            good, bad = AttemptStore(self.folder).calls()
            assert not bad
            done = {record.call: record for _, record in good if isinstance(record, CallOutcome)}
            if len(done) >= outcomes:
                break
            await asyncio.sleep(0.01)
        assert len(done) >= outcomes
        return [(record, done.get(record.call)) for _, record in good if isinstance(record, CallIntent)]

    def text(self) -> str:
        """calls.jsonl as it stands."""
        return (self.folder / "calls.jsonl").read_text()


@asynccontextmanager
async def place(
    folder: Path,
    model: ModelChoice,
    budget: Budget | None = None,
    rules: Rules | None = None,
    *,
    patience: Patience = ONCE,
    told: Callable[[PaceChange | ProviderDown], None] = lambda _: None,
) -> AsyncIterator[Place]:
    """An agent's place at a gateway of its own, which tries each call once unless told otherwise."""
    async with Gateway(told, patience) as gateway, aiohttp.ClientSession() as client:
        session = gateway.open(folder / "calls.jsonl", model, budget or Budget(), rules, bodies=folder / "bodies.zst")
        port = await gateway.listen(session)
        bearer = {"Authorization": f"Bearer {session.token}"}
        yield Place(gateway, session, f"http://127.0.0.1:{port}", client, folder, bearer)


def real(base_url: str, name: str = "gpt-5") -> ModelChoice:
    """A model behind an address, with a key that must never be seen."""
    return ModelChoice(f"p/{name}", "p", name, HttpUpstream(base_url, REAL_KEY))


def scripted(folder: Path, turns: str) -> tuple[ModelChoice, ScriptedModel]:
    """A scripted model that plays these turns (YAML, as below `turns:`)."""
    file = folder / "script.yaml"
    file.write_text(f"format: speedproof/script/1\nturns:\n{turns}")
    model = ScriptedModel(load_script(file), "script")
    return ModelChoice(f"scripted:{file}", "scripted", "script", model), model


CHAT_BASH = {
    "type": "function",
    "function": {
        "name": "bash",
        "parameters": {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]},
    },
}
RESPONSES_SHELL = {
    "type": "function",
    "name": "exec_command",
    "parameters": {"type": "object", "properties": {"cmd": {"type": "string"}}, "required": ["cmd"]},
}


def chat(*messages: dict[str, Any], tools: list[Any] | None = None, **more: Any) -> dict[str, Any]:
    """A chat request that offers a bash tool."""
    given = [CHAT_BASH] if tools is None else tools
    start = [{"role": "user", "content": "Make it fast."}]
    return {"model": "m", "messages": [*start, *messages], **({"tools": given} if given else {}), **more}


def responses(*items: dict[str, Any], tools: list[Any] | None = None, **more: Any) -> dict[str, Any]:
    """A Responses request that offers Codex's shell tool."""
    given = [RESPONSES_SHELL] if tools is None else tools
    start = [{"role": "user", "content": "Make it fast."}]
    return {"model": "m", "input": [*start, *items], **({"tools": given} if given else {}), **more}

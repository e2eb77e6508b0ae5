"""The gateway: an HTTP server per attempt, on a socket handed to it or on the host's loopback."""

import asyncio
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

import aiohttp
from aiohttp import web

from speedproof.errors import InputError
from speedproof.gateway.asked import Rules
from speedproof.gateway.budget import Budget, Meter
from speedproof.gateway.connection import Connections
from speedproof.gateway.exchange import Exchange
from speedproof.gateway.heavy import Heavy
from speedproof.gateway.models import ModelChoice
from speedproof.gateway.pace import Paces
from speedproof.gateway.patience import Patience
from speedproof.gateway.session import Session
from speedproof.journal import Usage
from speedproof.journal.pace import PaceChange, ProviderDown

_CONNECT_S = 30.0
_GRACE_S = 0.2


class Gateway:
    """Serves any number of sessions in one event loop. Use `async with`, or start() and stop()."""

    def __init__(
        self, told: Callable[[PaceChange | ProviderDown], None] = lambda _: None, patience: Patience | None = None
    ) -> None:
        """`told` hears of each change of a provider's pace, and of a provider that serves no more calls."""
        self._paces = Paces(told, told)
        self._patience = patience or Patience()
        self._heavy = Heavy()
        self._client: aiohttp.ClientSession | None = None
        self._runners: dict[Session, list[web.ServerRunner]] = {}

    async def __aenter__(self) -> "Gateway":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Make ready to forward calls."""
        self._client = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),  # what a provider sets in one attempt must not come back in another
            auto_decompress=True,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )

    async def stop(self) -> None:
        """Close every session still open, then the connections to providers. Raises RecordError as close() does."""
        try:
            for session in list(self._runners):
                await self.close(session)
        finally:
            if self._client is not None:
                await self._client.close()
                self._client = None

    def open(
        self,
        calls: Path,
        model: ModelChoice,
        budget: Budget,
        rules: Rules | None = None,
        *,
        run: Meter | None = None,
        bodies: Path | None = None,
        answered: Callable[[], None] = lambda: None,
    ) -> Session:
        """Open an attempt's session, recording to `calls` (calls.jsonl) and, where given, to `bodies`.

        `run` counts what all attempts of a run use together; `answered` is told of each model call that succeeded.
        Raises InputError for a cost limit on a model without a price, where no limit on tokens stands beside it.
        """
        meters = (Meter(budget), *(() if run is None else (run,)))
        for meter in meters:
            require_price(model, meter.budget, () if rules is None else rules.side)
        session = Session(
            calls, model, rules or Rules(), meters, self._paces.of(model.served_by), self._patience, bodies, answered
        )
        self._runners[session] = []
        return session

    async def attach(self, session: Session, sock: socket.socket) -> None:
        """Serve `session` on a TCP socket that listens already, such as one made inside a sandbox."""
        sock.setblocking(False)
        await self._serve(session, sock)

    async def listen(self, session: Session) -> int:
        """Serve `session` on a free port of the host's loopback; the port."""
        sock = socket.create_server(("127.0.0.1", 0))
        sock.setblocking(False)
        await self._serve(session, sock)
        return int(sock.getsockname()[1])

    async def close(self, session: Session) -> None:
        """End its connections, record calls in flight as incomplete, close calls.jsonl.

        Raises RecordError when a line of it could not be written.
        """
        session.closing = True
        for task in list(session.handlers):
            task.cancel()
        await asyncio.gather(*session.handlers, return_exceptions=True)
        for runner in self._runners.pop(session, []):
            await runner.cleanup()
        session.model.upstream.forget(session.token)
        session.close()

    async def _serve(self, session: Session, sock: socket.socket) -> None:
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            if self._client is None or session.closing:
                return web.Response(status=503)
            task = asyncio.current_task()
            assert task is not None
            session.handlers.add(task)
            try:
                session.touch()
                return await Exchange(session, request, self._client, self._heavy).serve()
            finally:
                session.handlers.discard(task)

        runner = web.ServerRunner(Connections(session, handle), shutdown_timeout=_GRACE_S)
        await runner.setup()
        await web.SockSite(runner, sock).start()
        self._runners[session].append(runner)


def require_price(model: ModelChoice, budget: Budget, side: Iterable[str] = ()) -> None:
    """Raises InputError for a cost limit that cannot be kept: on a model without a price, with no limit on tokens.

    `side`: models that may be called beside it.
    """
    limits_tokens = any(n is not None for n in (budget.tokens, budget.input_tokens, budget.output_tokens))
    if budget.cost_usd is None or limits_tokens:
        return
    unpriced = [] if model.has_price else [model.asked]
    unpriced += [name for name in side if model.price(Usage(uncached_input=0, output=0), name) is None]
    if unpriced:
        raise InputError(
            f"a cost limit is set, but {unpriced[0]} has no known price",
            hint="set a limit on tokens beside it, or instead of it",
        )

"""The connections of an agent: how many it may have, how long one may idle, and what becomes of what is no HTTP."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from speedproof.errors import RecordError
from speedproof.gateway.refusal import Refusal
from speedproof.gateway.session import Session
from speedproof.journal import CallIntent, CallOutcome, StopCause
from speedproof.journal.base import now

MOST_CONNECTIONS = 128
"""Connections of one attempt; agents need a handful."""
IDLE_S = 300.0
"""Seconds after which a connection is closed that waits for a request, or for the rest of its head."""
_LONGEST_WHY = 300
_NOTHING = hashlib.sha256(b"").hexdigest()


class Connections(web.Server):
    """Makes a connection for each that the agent opens; `handle` serves its requests."""

    def __init__(self, session: Session, handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> None:
        super().__init__(handle, handler_cancellation=True)
        self._session = session

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, self._session)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        if len(self.connections) > MOST_CONNECTIONS:
            why = f"An attempt may have {MOST_CONNECTIONS} connections at once."
            _refuse(self._session, Refusal(503, why, "too_many_connections"))
            transport.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            transport.close()


class _Connection(web.RequestHandler):
    __slots__ = ("_session",)

    def __init__(self, server: Connections, session: Session) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=IDLE_S,
            auto_decompress=False,
            access_log=None,  # type: ignore[arg-type]  # none is kept
        )
        self._session = session

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """The answer to what could not be read as a request; what else ends up here is a defect of ours."""
        if status != 400:
            return super().handle_error(request, status, exc, message)
        why = " ".join((message or "").split())[:_LONGEST_WHY]
        response = _refuse(
            self._session, Refusal(400, f"This is no HTTP request that can be read: {why}", "invalid_http")
        )
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kwargs: Any) -> None:
        """What an agent sends is recorded as a call, not shown to whoever runs the harness."""
        if not isinstance(kwargs.get("exc_info"), HttpProcessingError | web.RequestPayloadError):
            super().log_exception(*args, **kwargs)


def _refuse(session: Session, refusal: Refusal) -> web.Response:
    """Record what never became a request, and answer it."""
    if not session.overflowed or session.stopped is None:
        if session.overflowed:
            session.stop(StopCause.STEPS)
        call = session.next_call()
        try:
            session.record(CallIntent(call=call, at=now(), protocol="other", request_bytes=0, request_sha256=_NOTHING))
            session.record(
                CallOutcome(
                    call=call,
                    at=now(),
                    status=refusal.status,
                    answered_by="gateway",
                    error=refusal.message,
                    error_code=refusal.code,
                    complete=True,
                    duration_s=0.0,
                )
            )
        except RecordError:
            session.stop_event.set()  # Gateway.close raises it
    return refusal.response(None)

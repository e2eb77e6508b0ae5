"""One exchange: a request of the agent, recorded, checked, forwarded, and its answer, passed on and recorded."""

import asyncio
import hmac
import time
from collections.abc import Iterator

import aiohttp
from aiohttp import web

from speedproof.errors import RecordError
from speedproof.gateway.asked import Asked
from speedproof.gateway.body import Place
from speedproof.gateway.budget import least_usage
from speedproof.gateway.heavy import Heavy
from speedproof.gateway.intake import Intake, cut_off, take_in
from speedproof.gateway.passing import AgentGone, Passing, abort
from speedproof.gateway.protocols import route
from speedproof.gateway.protocols.chat import Chat
from speedproof.gateway.refusal import Refusal, of_flood, of_illegal, of_limit
from speedproof.gateway.session import MOST_CALLS, MOST_RECORDED, Session
from speedproof.gateway.tries import LONGEST_ERROR, Tries
from speedproof.gateway.upstream import Request
from speedproof.journal import CallIntent, CallOutcome, StopCause, Usage
from speedproof.journal.base import now
from speedproof.journal.redaction import redact

_UNRECORDED = Refusal(500, "the call could not be recorded", "speedproof_record_failed")


def _full() -> Refusal:
    return of_flood(MOST_CALLS, MOST_RECORDED)


class Exchange:
    """Serves one request of a session."""

    def __init__(self, session: Session, request: web.BaseRequest, client: aiohttp.ClientSession, heavy: Heavy) -> None:
        self._session = session
        self._request = request
        self._heavy = heavy
        self._call = 0
        self._path = request.raw_path.partition("?")[0]  # as it was sent: an address of another host is no route
        self._route = route(request.method, self._path)
        self._dialect = self._route.dialect
        self._passing = Passing((self._dialect or Chat()).reader())
        self._refused: Refusal | None = None
        self._asked = Asked()
        self._tries = Tries(session, client, self._passing)
        self._started = time.monotonic()
        self._whole = False  # whether all of the request came

    async def serve(self) -> web.StreamResponse:
        """Record the intent, check, forward, pass the answer on, record the outcome, whatever happens.

        Once the session is full and says so in its last record, what still comes is refused and leaves no trace.
        """
        if self._session.overflowed and self._session.stopped is not None:
            return _full().response(self._dialect)
        place = Place(self._session.large)
        try:
            return await self._serve(place)
        except AgentGone:
            abort(self._request)
            return web.Response()  # to nobody
        finally:
            place.give_back()

    async def _serve(self, place: Place) -> web.StreamResponse:
        session, came = self._session, list[bytes]()
        try:
            taken = await take_in(self._request, self._route, session.rules, self._heavy, place, came)
        except (asyncio.CancelledError, AgentGone):
            if self._begin(cut_off(came)):
                self._finish(metered=False)
            raise
        self._whole = True
        if not self._begin(taken):
            return _UNRECORDED.response(self._dialect)
        metered = False
        try:
            await self._keep(taken)
            self._check(taken.refusal)
            if self._route.model_call:
                metered = True
                session.begin(self._call, len(self._asked.body), self._asked.sent_model)
            return await self._forward()
        except RecordError:
            self._refused = _UNRECORDED
            return _UNRECORDED.response(self._dialect)
        except Refusal as error:
            self._refused = error
            return error.response(self._dialect)
        finally:
            self._finish(metered=metered)

    def _begin(self, taken: Intake) -> bool:
        """Record the intent; whether that succeeded."""
        session, asked = self._session, taken.asked
        self._asked = asked
        session.touch()
        self._call = session.next_call()
        self._started = time.monotonic()
        intent = CallIntent(
            call=self._call,
            at=now(),
            method=self._request.method,
            path=self._path[:500],
            protocol=self._route.protocol or "other",
            model_asked=asked.model,
            stream=asked.stream,
            asked=asked.asked,
            sent=asked.sent,
            tools=asked.tools,
            messages=asked.messages,
            request_bytes=taken.size,
            request_sha256=taken.sha256,
            sent_sha256=taken.sent_sha256,
            watched=asked.watched,
            illegal=asked.illegal,
        )
        try:
            session.record(intent)
        except RecordError:
            return False  # Gateway.close raises it
        return True

    async def _keep(self, taken: Intake) -> None:
        """Keep the body as asked and, where it differs, as sent. Raises RecordError."""
        keep, sent = self._session.keep, self._asked.body
        await self._heavy.run(len(taken.body), keep, taken.sha256, taken.body, named=not taken.coded)
        if taken.sent_sha256 is not None and taken.sent_sha256 != taken.sha256:
            await self._heavy.run(len(sent), keep, taken.sent_sha256, sent)

    def _check(self, refusal: Refusal | None) -> None:
        """Raise the Refusal that keeps this request from being forwarded, if there is one."""
        session = self._session
        if session.overflowed:
            session.stop(StopCause.STEPS)
            raise _full()
        token = session.token.encode()
        if not any(hmac.compare_digest(key.encode(errors="replace"), token) for key in self._keys()):
            raise Refusal(401, "Incorrect API key provided: this attempt has a key of its own.", "invalid_api_key")
        if self._request.headers.get("Upgrade"):
            raise Refusal(426, "WebSocket and other upgrades are not offered; use HTTP.", "upgrade_not_supported")
        if self._route.protocol is None:
            where = f"{self._request.method} {self._route.path[:200]}"
            raise Refusal(404, f"Invalid URL ({where})", "unknown_route")
        if refusal is not None:
            raise refusal
        if self._dialect is None:
            return
        if session.stopped is None and (used_up := session.exhausted) is not None:
            cause, of_run = used_up
            session.stop(cause, of_run=of_run)
        if session.stopped is not None:
            raise of_limit(session.stopped, of_run=session.stopped_by_run)
        open_ = [one for one in self._asked.illegal if not one.repaired]
        if open_ and session.rules.stop:
            session.stop(StopCause.PROTOCOL)
            raise of_illegal(open_[0])

    def _keys(self) -> Iterator[str]:
        """The keys that the agent shows, wherever its protocol has their place."""
        headers = self._request.headers
        yield headers.get("Authorization", "").removeprefix("Bearer ")
        for name in ("x-api-key", "api-key", "x-goog-api-key"):
            yield headers.get(name, "")
        yield self._request.query.get("key", "")

    async def _forward(self) -> web.StreamResponse:
        """Ask the provider, and pass on the answer that stands. Raises Refusal, AgentGone."""
        sent = Request(
            session=self._session.token,
            method=self._request.method,
            path=self._asked.path or self._route.path,
            query=self._request.rel_url.raw_query_string,
            headers=tuple(self._request.headers.items()),
            body=self._asked.body,
        )
        return await self._tries.run(sent, self._request, hide_usage=self._asked.usage_added)

    def _count(self, usage: Usage | None, cost: float | None, *, refused: bool) -> None:
        """End the call for the meters, with its usage or else with what is certain of it."""
        session, reader, counted = self._session, self._passing.reader, usage
        if counted is None or counted.total is None:
            counted = None if refused else least_usage(len(self._asked.body), reader.at_least, reader.written)
            cost = session.model.price(counted, self._asked.sent_model) if counted and session.counts_cost else None
        session.end(self._call, counted, cost)

    def _finish(self, *, metered: bool) -> None:
        session, passing, refused = self._session, self._passing, self._refused
        answer, status = passing.reader, passing.status
        if refused is not None:
            status, answer.complete = refused.status, True
            answer.error, answer.error_code = refused.message, refused.code
        else:
            passing.finish()
        usage = answer.usage if answer.complete and refused is None else None
        cost = session.model.price(usage, self._asked.sent_model, answer.terms) if usage else None
        if not answer.complete and answer.error is None:
            answer.error = passing.why_cut(closing=session.closing)
        if metered and refused is None and answer.complete and status is not None and status < 400:
            session.answered()
        if metered:
            self._count(usage, cost, refused=refused is not None or (status is not None and status >= 400))
        received = bool(passing.body)
        response_sha256 = passing.digest.hexdigest() if received else None
        outcome = CallOutcome(
            call=self._call,
            at=now(),
            status=status,
            answered_by="provider" if refused is None and self._whole else "gateway",
            error=None if answer.error is None else redact(answer.error, session.secrets)[:LONGEST_ERROR],
            error_code=answer.error_code,
            complete=answer.complete,
            usage=usage,
            at_least=answer.at_least if usage is None and refused is None else None,
            billed_usd=answer.billed_usd,
            resets_at=self._tries.resets_at,
            retries=tuple(self._tries.retries),
            cost_usd=cost,
            terms=answer.terms,
            model_answered=answer.model,
            provider_request_id=None if passing.request_id is None else passing.request_id[:200],
            finish_reason=answer.finish_reason,
            tool_calls=tuple(answer.tool_calls),
            text_excerpt=answer.text,
            first_byte_s=passing.first_byte_s,
            duration_s=time.monotonic() - self._started,
            response_bytes=passing.passed,
            response_sha256=response_sha256,
        )
        try:
            session.record(outcome)
            if response_sha256 is not None and passing.whole:
                session.keep(response_sha256, bytes(passing.body))
        except RecordError:
            session.stop_event.set()  # Gateway.close raises it

"""The tries of one call: the provider asked, again where patience says so, until an answer stands."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime

import aiohttp
from aiohttp import web

from speedproof.gateway.pace import Slot
from speedproof.gateway.passing import Passing, abort
from speedproof.gateway.patience import DOWN, Try, Verdict
from speedproof.gateway.refusal import Refusal
from speedproof.gateway.session import Session
from speedproof.gateway.upstream import Answer, Refused, Request
from speedproof.journal import FailureClass
from speedproof.journal.base import now
from speedproof.journal.call import BROKEN, Retry
from speedproof.journal.provider import classify
from speedproof.journal.redaction import redact
from speedproof.journal.reset import resets_at

LONGEST_ERROR = 2_000
"""Characters of an error's text that are recorded."""
_LONGEST_REFUSAL = 1 << 20
"""Bytes of an error's body that are read before it is passed on."""


class Tries:
    """All tries of a call, at its provider's pace; the answer that stands goes through `passing`."""

    def __init__(self, session: Session, client: aiohttp.ClientSession, passing: Passing) -> None:
        self._session = session
        self._client = client
        self._passing = passing
        self._started = time.monotonic()
        self.retries: list[Retry] = []
        """Failed tries that another one followed, oldest first."""
        self.resets_at: datetime | None = None
        """When a used-up limit resets, UTC; null when the provider does not say."""

    async def run(self, sent: Request, request: web.BaseRequest, *, hide_usage: bool) -> web.StreamResponse:
        """Send `sent` until an answer stands, and pass that on to the agent's `request`.

        `hide_usage`: the gateway, not the agent, asked for a stream's usage. Raises Refusal when the provider cannot be
        reached, AgentGone.
        """
        session = self._session
        self._started = time.monotonic()
        while True:
            with session.holding():
                slot = await session.pace.slot()
            with slot:
                again = await self._try(sent, request, slot, hide_usage=hide_usage)
            if isinstance(again, web.StreamResponse):
                return again
            with session.holding():
                await asyncio.sleep(again)

    async def _try(
        self, sent: Request, request: web.BaseRequest, slot: Slot, *, hide_usage: bool
    ) -> web.StreamResponse | float:
        """One try: the answer that was passed on, or seconds to wait before the next one.

        Raises Refusal when the provider cannot be reached any more, AgentGone.
        """
        session, passing = self._session, self._passing
        try:
            async with session.model.upstream.answer(sent, self._client) as answer:
                if answer.status >= 400:
                    answer, again = await self._failed(answer, slot)
                    if again is not None:
                        return again
                response = await passing.run(answer, request, hide_usage=hide_usage, touch=session.touch)
                if answer.status < 400:
                    self._answered(slot)
                return response
        except Refused as refused:
            if refused.status == 401:  # the host's own login: no other attempt fares better
                session.pace.report_down(FailureClass.LOGIN_EXPIRED, redact(refused.message, session.secrets), None)
            raise Refusal(refused.status, refused.message, refused.code) from refused
        except (aiohttp.ClientError, OSError) as error:
            if passing.response is not None:
                if not passing.reader.complete:
                    passing.reader.error = f"{BROKEN}: {type(error).__name__}: {error}"
                abort(request)
                return passing.response
            verdict = self._judge(Try(error=error))
            if verdict.wait_s is not None:
                return verdict.wait_s
            message = f"The provider cannot be reached: {redact(verdict.message, session.secrets)}"
            raise Refusal(502, message[:LONGEST_ERROR], "upstream_unreachable") from error

    def _answered(self, slot: Slot) -> None:
        """An answer has passed: the pace may rise, unless an error in its stream says what an error status would."""
        reader = self._passing.reader
        failure = classify(None, reader.error_code, reader.error) if reader.error else None
        if failure in DOWN:
            self.resets_at = resets_at({}, (reader.error or "").encode(), now())
            words = redact(reader.error or "", self._session.secrets)
            self._session.pace.report_down(failure, words, self.resets_at)
        elif failure is FailureClass.RATE_LIMITED:
            slot.slowed("rate_limited")
        elif failure is None:
            slot.answered()

    async def _failed(self, answer: Answer, slot: Slot) -> tuple[Answer, float | None]:
        """Read an error's body. The answer, to be passed on, and the wait before another try where there is one."""
        body, rest = bytearray(), None
        with suppress(aiohttp.ClientError, OSError):  # what came before it broke off is what the provider said
            async for chunk in answer.chunks:
                body += chunk
                if len(body) > _LONGEST_REFUSAL:
                    rest = answer.chunks
                    break
        verdict = self._judge(Try(answer.status, answer.headers, bytes(body)))
        if verdict.slows is not None:
            slot.slowed(verdict.slows, verdict.hold_s)
        self.resets_at = verdict.resets_at
        if verdict.down and verdict.failure is not None:
            words = redact(verdict.message, self._session.secrets)
            self._session.pace.report_down(verdict.failure, words, verdict.resets_at)
        return Answer(answer.status, answer.headers, _chain(bytes(body), rest)), verdict.wait_s

    def _judge(self, failed: Try) -> Verdict:
        """What follows a failed try; noted where another follows."""
        elapsed = time.monotonic() - self._started
        verdict = self._session.patience.judge(failed, tries=len(self.retries) + 1, elapsed_s=elapsed, now=now())
        if verdict.wait_s is not None:
            words = redact(verdict.message, self._session.secrets)[:LONGEST_ERROR]
            self.retries.append(Retry(at=now(), status=failed.status, error=words, waited_s=verdict.wait_s))
        return verdict


async def _chain(begun: bytes, rest: AsyncIterator[bytes] | None) -> AsyncIterator[bytes]:
    if begun:
        yield begun
    if rest is not None:
        async for chunk in rest:
            yield chunk

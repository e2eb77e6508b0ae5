"""The replayed model: plays the provider of a recorded attempt to the same agent once more (docs/replay.md)."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import takewhile
from typing import Never

import aiohttp
from multidict import CIMultiDict

from speedproof.gateway.asked import Rules
from speedproof.gateway.protocols import route
from speedproof.gateway.protocols.chat import Chat
from speedproof.gateway.replayed.difference import Difference, changed
from speedproof.gateway.replayed.normalise import normalise
from speedproof.gateway.replayed.recorded import End, RecordedCall, RecordedCalls
from speedproof.gateway.replayed.spoken import Names
from speedproof.gateway.upstream import EVERY, Answer, Refused, Request
from speedproof.journal import AttemptStore
from speedproof.journal.call import BROKEN, Protocol
from speedproof.journal.redaction import REDACTED

DIFFERS_CODE = "speedproof_replay_differs"
Digests = tuple[str, ...]
_EVENTS = (b"data:", b"event:", b"id:", b"retry:", b":")


class ReplayedModel:
    """An upstream that gives recorded answers, to requests that equal the recorded ones but for what varies between
    two runs. A request holds its whole conversation, so parallel ones do not get in each other's way; one that was
    made several times gets its answers in their order. For one session."""

    def __init__(self, store: AttemptStore, *, cut_short: bool) -> None:
        """`store`: the recorded attempt. `cut_short`: whether the harness ended it, so that the agent may go on where
        the record ends."""
        self.difference: Difference | None = None
        """The first difference; null while there is none."""
        self.over = asyncio.Event()
        """Set when there is nothing more to be seen: a request differs, or the record of an attempt that was cut short
        is at its end."""
        self._store = store
        self._cut_short = cut_short
        self._names = Names()

    def read(self, rules: Rules) -> None:
        """Read the record; `rules`: what the replay does to requests, so that recorded ones are compared as they would
        be sent now. Raises InputError when bodies were not kept, RecordError when the record is damaged."""
        self._recorded = RecordedCalls(self._store, rules)
        self._waiting = list(self._recorded.calls)
        self._answered: list[RecordedCall] = []

    @property
    def protocols(self) -> frozenset[Protocol]:
        """The protocols it takes."""
        return EVERY

    @property
    def secrets(self) -> tuple[str, ...]:
        return ()

    @property
    def recorded(self) -> int:
        """Recorded calls that went to the provider."""
        return sum(1 for call in self._recorded.calls if call.refusal is None)

    @property
    def answered(self) -> int:
        """How many of them were made again."""
        return sum(1 for call in self._answered if call.refusal is None)

    def expires_at(self) -> datetime | None:
        """It needs no login."""
        return None

    def forget(self, session: str) -> None:
        """It serves one session."""

    def finish(self) -> Difference | None:
        """The agent has ended: the first difference, a recorded call that it did not make included."""
        missing = next((call for call in self._waiting if call.refusal is None), None)
        if self.difference is None and missing is not None:
            self.difference = Difference(kind="missing", call=missing.number)
        return self.difference

    @asynccontextmanager
    async def answer(self, request: Request, client: aiohttp.ClientSession) -> AsyncIterator[Answer]:
        """The recorded answer, or an error where none belongs to the request."""
        del client  # nothing leaves this process
        body = request.body.replace(request.session.encode(), REDACTED.encode())
        digests = self._recorded.same.digests(request.method, request.path, body)
        call = self._take(digests)
        if call is None:
            yield self._end(request, body, digests)
            return
        self._names.learn(call.method, call.path, self._recorded.sent(call), body, digests[1:])
        if call.refusal is not None:
            raise Refused(call.status or 502, *call.refusal)
        given = self._names.translate(self._recorded.answer(call))
        if call.end == "open" and not any(c.refusal is None for c in self._waiting):
            self.over.set()
        if call.status is None:
            await _silence()
        yield Answer(call.status, _headers(call, given), _arriving(given, call.end))

    def _take(self, digests: Digests) -> RecordedCall | None:
        """The next call with this request."""
        call = next((c for c in self._waiting if c.digests == digests), None)
        if call is not None and self.difference is None:
            self._waiting.remove(call)
            self._answered.append(call)
            return call
        return None

    def _end(self, request: Request, body: bytes, digests: Digests) -> Answer:
        """The end of the replay, in the form of a provider's error."""
        at_end = not any(call.refusal is None for call in self._waiting)
        if self.difference is None and not (at_end and self._cut_short):
            self.difference = self._difference(request, body, digests)
        self.over.set()
        message = f"The replay ends here: {self.difference or 'the record is at its end'}."
        dialect = route(request.method, request.path).dialect or Chat()
        error = dialect.error(400, message, None, DIFFERS_CODE, None)
        told = json.dumps(error).encode()
        return Answer(400, CIMultiDict({"Content-Type": "application/json"}), _arriving(told, "whole"))

    def _difference(self, request: Request, body: bytes, digests: Digests) -> Difference:
        """How a request that no recorded call answers differs from the one in its conversation that is next."""
        again = next((c for c in reversed(self._answered) if c.digests == digests), None)
        if again is not None:
            return Difference(kind="repeated", call=again.number)

        def nearness(call: RecordedCall) -> tuple[int, bool, bool, int]:
            both = zip(call.digests[1:], digests[1:], strict=False)
            shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], both))
            return shared, call.digests[0] == digests[0], call in self._waiting, -call.number

        expected = [call for call in self._waiting if call.refusal is None]
        nearest = max((*expected, *self._answered), key=nearness, default=None)
        if nearest is None or not expected:
            return Difference(kind="extra", call=None if nearest is None else nearest.number)
        if nearest in self._answered:
            follows = len(digests) > len(nearest.digests) and nearness(nearest)[0] == len(nearest.digests) - 1
            if follows:
                return Difference(kind="extra", call=nearest.number)
            nearest = max(expected, key=nearness)
        try:
            return changed(
                nearest.number,
                normalise(nearest.method, nearest.path, self._recorded.sent(nearest)),
                normalise(request.method, request.path, body),
            )
        except RecursionError:
            return Difference(kind="changed", call=nearest.number, where="a place too deep to be shown")


def _headers(call: RecordedCall, body: bytes) -> CIMultiDict[str]:
    """The headers of an answer, of which the record keeps but the request id."""
    streamed = call.status is not None and call.status < 400 and body.lstrip().startswith(_EVENTS)
    html = body.lstrip().startswith(b"<")
    kind = "text/event-stream" if streamed else "text/html" if html else "application/json"
    return CIMultiDict(
        {"Content-Type": f"{kind}; charset=utf-8"} | ({"x-request-id": call.request_id} if call.request_id else {})
    )


async def _arriving(body: bytes, end: End) -> AsyncIterator[bytes]:
    if body:
        yield body
    if end == "broken":
        raise ConnectionResetError(f"{BROKEN} when it was recorded")
    if end in {"silent", "open"}:
        await _silence()


async def _silence() -> Never:
    """Wait for the agent to leave, or to be ended."""
    while True:
        await asyncio.sleep(3600)

"""The calls of an attempt as its record holds them: what was asked, and what the agent got for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from speedproof.errors import InputError, RecordError
from speedproof.gateway.asked import Rules, read_request
from speedproof.gateway.protocols import Route, route
from speedproof.gateway.replayed.normalise import Normaliser
from speedproof.gateway.strict_json import Malformed
from speedproof.journal import AttemptStore, CallIntent, CallOutcome
from speedproof.journal.bodies import read_bodies
from speedproof.journal.call import BROKEN, CUT_BY_AGENT, CUT_BY_END

End = Literal["whole", "broken", "silent", "open"]
"""How an answer ended: whole; the provider broke it off; the agent left before it was there; the attempt ended."""


@dataclass(frozen=True)
class RecordedCall:
    """One call of the record."""

    intent: CallIntent
    """What the agent asked for."""
    path: str
    """The path it was sent to, below the API's root."""
    digests: tuple[str, ...]
    """Of its normalised head and entries."""
    status: int | None
    """HTTP status of the answer; null when none came."""
    response: str | None
    """Name of the answer's body; null when none came."""
    end: End
    request_id: str | None
    refusal: tuple[str, str] | None
    """Message and code of a call that the gateway answered by itself."""

    @property
    def number(self) -> int:
        """Its number in calls.jsonl."""
        return self.intent.call

    @property
    def method(self) -> str:
        """Its HTTP method; it had one, or it would have no route."""
        return self.intent.method or ""


def _route(intent: CallIntent) -> Route | None:
    """Where a recorded request went; null for what was no HTTP."""
    return None if intent.method is None or intent.path is None else route(intent.method, intent.path)


class RecordedCalls:
    """The calls of one attempt in their order. Those that the gateway refused are among them as far as they can be
    read: it may have refused them because the provider was not reached."""

    def __init__(self, store: AttemptStore, rules: Rules) -> None:
        """`rules`: what the replay does to requests, so that recorded ones are compared as they would be sent now.

        Raises InputError when bodies were not kept, RecordError when the record is damaged.
        """
        self.same = Normaliser()
        """Tells which call a request is."""
        self._rules = rules
        self._bodies = read_bodies(store.folder / "bodies.zst")
        lines, bad = store.calls()
        damaged = next((line for line in bad if not line.torn), None)
        if damaged is not None:
            raise RecordError("a recorded call is damaged", file=store.folder / "calls.jsonl", line=damaged.line)
        outcomes = {line.call: line for _, line in lines if isinstance(line, CallOutcome)}
        intents = [line for _, line in lines if isinstance(line, CallIntent)]
        if not self._bodies.names and any(intent.request_bytes for intent in intents):
            raise InputError(
                f"attempt {store.name} has no bodies: its run was told not to keep them (--no-bodies)",
                file=store.folder,
                hint="speedproof run SUITE --agent … without --no-bodies, then replay an attempt of that run",
            )
        self.calls = tuple(call for intent in intents if (call := self._call(intent, outcomes)) is not None)

    def sent(self, call: RecordedCall) -> bytes:
        """The body of its request, as it would be sent now. Raises RecordError."""
        return self._sent(call.intent)[1]

    def answer(self, call: RecordedCall) -> bytes:
        """The body of its answer, as far as it came. Raises RecordError."""
        return b"" if call.response is None else self._body(call.number, call.response)

    def _call(self, intent: CallIntent, outcomes: Mapping[int, CallOutcome]) -> RecordedCall | None:
        where = _route(intent)
        if where is None or where.protocol is None:
            return None
        outcome = outcomes.get(intent.call)
        refused = outcome is not None and outcome.answered_by == "gateway"
        if refused and where.dialect is not None and self._bodies.header(intent.request_sha256) is None:
            return None  # what could not be read was not kept
        try:
            path, body = self._sent(intent)
        except Malformed:
            return None
        response = None if outcome is None else outcome.response_sha256
        if response is not None:
            self._body(intent.call, response)
        return RecordedCall(
            intent=intent,
            path=path,
            digests=self.same.digests(intent.method or "", path, body),
            status=None if outcome is None else outcome.status,
            response=response,
            end=_end(outcome),
            request_id=None if outcome is None else outcome.provider_request_id,
            refusal=(outcome.error or "", outcome.error_code or "") if outcome is not None and refused else None,
        )

    def _sent(self, intent: CallIntent) -> tuple[str, bytes]:
        """Path and body as they would be sent now. Raises Malformed."""
        where = _route(intent)
        assert where is not None
        raw = self._body(intent.call, intent.request_sha256) if intent.request_bytes else b""
        if where.dialect is None:
            return where.path, raw
        asked = read_request(where, raw, self._rules)
        return asked.path or where.path, asked.body

    def _body(self, number: int, name: str) -> bytes:
        body = self._bodies.get(name)
        if body is None:
            raise RecordError(f"a body of call {number} is missing", file=self._bodies.path)
        return body


def _end(outcome: CallOutcome | None) -> End:
    if outcome is None or outcome.error == CUT_BY_END:
        return "open"
    if outcome.error == CUT_BY_AGENT:
        return "silent"
    broke = not outcome.complete and outcome.error is not None and outcome.error.startswith(BROKEN)
    return "broken" if broke else "whole"

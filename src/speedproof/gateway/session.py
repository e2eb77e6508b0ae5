"""One attempt's place at the gateway: its token, what it used, and its calls.jsonl."""

import asyncio
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speedproof.errors import RecordError
from speedproof.gateway.budget import Budget, Meter
from speedproof.gateway.models import ModelChoice
from speedproof.journal import CallIntent, CallOutcome, StopCause
from speedproof.journal.files import JsonLines
from speedproof.journal.redaction import redact_value

MOST_CALLS = 10_000
"""Calls of one attempt, refused ones and side routes included; whatever its limits, one more ends it."""
MOST_RECORDED = 128 << 20
"""Bytes of calls.jsonl; likewise."""


class Session:
    """Opened with the attempt, closed with it; the only writer of its calls.jsonl."""

    def __init__(self, calls: Path, model: ModelChoice, budget: Budget, pins: Mapping[str, Any]) -> None:
        self.token = f"sk-speedproof-{secrets.token_hex(20)}"
        """The agent's key: random, good for this attempt alone."""
        self.model = model
        self.budget = budget
        self.pins = dict(pins)
        self.meter = Meter(model.price)
        self.last_activity = time.monotonic()
        """time.monotonic() of the last request, or byte passed on."""
        self.calls = 0
        """Calls recorded so far, refused ones and side routes included."""
        self.calls_in_flight = 0
        """Calls forwarded and not yet ended."""
        self.stopped: StopCause | None = None
        """The limit that was used up; null while there is room."""
        self.stop_event = asyncio.Event()
        """Set when the agent should be ended: a limit is used up, or the record cannot be written."""
        self.failure: RecordError | None = None
        """Why calls.jsonl could not be written; Gateway.close raises it."""
        self.closing = False
        """Whether the attempt has ended and connections are being cut."""
        self.handlers: set[asyncio.Task[Any]] = set()
        """Tasks that serve its requests."""
        self._secrets = (self.token, *model.upstream.secrets)
        self._file: JsonLines | None = JsonLines(calls)
        self._recorded = 0

    def __repr__(self) -> str:
        return f"<Session {self.model.asked}: {self.calls} calls>"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What is taken out of everything recorded."""
        return self._secrets

    def touch(self) -> None:
        """Something moved."""
        self.last_activity = time.monotonic()

    @property
    def overflowed(self) -> bool:
        """Whether the agent made more calls than any attempt may, so that calls.jsonl stays one that can be read."""
        return self.calls > MOST_CALLS or self._recorded > MOST_RECORDED

    def next_call(self) -> int:
        """Number of the next call, from 1."""
        self.calls += 1
        return self.calls

    def record(self, line: CallIntent | CallOutcome) -> None:
        """Append to calls.jsonl, secrets removed. Raises RecordError, and asks for the agent's end, when it cannot."""
        if self.failure is not None:
            raise self.failure
        if self._file is None:
            raise RecordError("the session is closed")
        clean = type(line).model_validate(redact_value(line.model_dump(), self._secrets))
        text = clean.model_dump_json()
        self._recorded += len(text)
        try:
            self._file.append(text)
        except RecordError as error:
            self.failure = error
            self.stop_event.set()
            raise

    def stop(self, cause: StopCause) -> None:
        """A limit is used up: no further call is forwarded."""
        self.stopped = self.stopped or cause
        self.stop_event.set()

    def close(self) -> None:
        """Close calls.jsonl. Raises RecordError when a line could not be written."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if self.failure is not None:
            raise self.failure

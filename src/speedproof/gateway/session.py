"""One attempt's place at the gateway: its token, what it used, and its calls.jsonl."""

import asyncio
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from speedproof.errors import RecordError
from speedproof.gateway.asked import Rules
from speedproof.gateway.budget import Meter, least_input
from speedproof.gateway.models import ModelChoice
from speedproof.gateway.pace import Pace
from speedproof.gateway.patience import Patience
from speedproof.journal import CallIntent, CallOutcome, StopCause, Usage
from speedproof.journal.bodies import BodyWriter
from speedproof.journal.files import JsonLines
from speedproof.journal.redaction import REDACTED, redacted_json

MOST_CALLS = 10_000
"""Calls of one attempt, refused ones and side routes included; whatever its limits, one more ends it."""
MOST_RECORDED = 128 << 20
"""Bytes of calls.jsonl; likewise."""
MOST_BODIES = 2 << 30
"""Bytes of bodies.zst; likewise."""

MOST_LARGE = 8
"""Large bodies that an attempt may have at the gateway at once; more wait, so that they do not fill the memory."""


class Session:
    """Opened with the attempt, closed with it; the only writer of its calls.jsonl."""

    def __init__(
        self,
        calls: Path,
        model: ModelChoice,
        rules: Rules,
        meters: Sequence[Meter],
        pace: Pace,
        patience: Patience,
        bodies: Path | None,
        answered: Callable[[], None],
    ) -> None:
        self.token = f"sk-speedproof-{secrets.token_hex(20)}"
        """The agent's key: random, good for this attempt alone."""
        self.model = model
        self.rules = rules
        self.meters = tuple(meters)
        """What its calls are counted by: the attempt's meter first, then the run's."""
        self.answered = answered
        """Told of each model call that succeeded."""
        self.pace = pace
        """The pace of its provider, shared by all attempts on it."""
        self.patience = patience
        self.last_activity = time.monotonic()
        """time.monotonic() of the last request, or byte passed on."""
        self.calls = 0
        """Calls recorded so far, refused ones and side routes included."""
        self.calls_in_flight = 0
        """Calls forwarded and not yet ended."""
        self.held = 0
        """Calls that the gateway makes wait, for their provider's pace or before another try."""
        self.stopped: StopCause | None = None
        """The limit that was used up; null while there is room."""
        self.stopped_by_run = False
        """Whether that limit is one of the run's."""
        self.stop_event = asyncio.Event()
        """Set when the agent should be ended: a limit is used up, or the record cannot be written."""
        self.failure: RecordError | None = None
        """Why calls.jsonl could not be written; Gateway.close raises it."""
        self.closing = False
        """Whether the attempt has ended and connections are being cut."""
        self.large = asyncio.Semaphore(MOST_LARGE)
        """Places for large bodies."""
        self.handlers: set[asyncio.Task[Any]] = set()
        """Tasks that serve its requests."""
        self._file: JsonLines | None = JsonLines(calls)
        self._bodies = None if bodies is None else BodyWriter(bodies)
        self._to_keep: deque[tuple[str, bytes, bool]] = deque()
        self._keeping = threading.Lock()
        self._recorded = 0

    def __repr__(self) -> str:
        return f"<Session {self.model.asked}: {self.calls} calls>"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What is taken out of everything recorded: a provider's token may have been renewed a moment ago."""
        return (self.token, *self.model.upstream.secrets)

    def watch(self, names: Iterable[str]) -> None:
        """Record these parameters of every call to come, as asked and as sent, beside those of the rules."""
        self.rules = replace(self.rules, watch=tuple(dict.fromkeys((*self.rules.watch, *names))))

    @contextmanager
    def holding(self) -> Iterator[None]:
        """While the gateway itself makes a call wait, the agent is not idle."""
        self.held += 1
        try:
            yield
        finally:
            self.held -= 1
            self.touch()

    def touch(self) -> None:
        """Something moved."""
        self.last_activity = time.monotonic()

    @property
    def overflowed(self) -> bool:
        """Whether the agent made more calls than any attempt may, so that calls.jsonl stays one that can be read."""
        kept = 0 if self._bodies is None else self._bodies.size
        return self.calls > MOST_CALLS or self._recorded > MOST_RECORDED or kept > MOST_BODIES

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
        text = redacted_json(line, self.secrets)
        self._recorded += len(text)
        try:
            self._file.append(text)
        except RecordError as error:
            self.failure = error
            self.stop_event.set()
            raise

    def keep(self, name: str, body: bytes, *, named: bool = True) -> None:
        """Keep a body under the SHA-256 that calls.jsonl names it by, secrets removed, where bodies are kept at all.

        `named`: the name is this body's own digest, not that of its compressed form. Raises RecordError, and asks for
        the agent's end, when it cannot.
        """
        if self._bodies is None or not body:
            return
        with self._keeping:
            self._to_keep.append((name, body, named))
            if len(self._to_keep) > 1:
                return  # another thread is at it, and goes on with this one
        try:
            while self._to_keep:
                self._keep(self._bodies, *self._to_keep[0])
                with self._keeping:
                    self._to_keep.popleft()
        except RecordError as error:
            self._to_keep.clear()
            self.failure = self.failure or error
            self.stop_event.set()
            raise

    def _keep(self, bodies: BodyWriter, name: str, body: bytes, named: bool) -> None:
        clean = body
        for secret in filter(None, self.secrets):
            clean = clean.replace(secret.encode(), REDACTED.encode())
        bodies.add(name, clean, name if named and clean is body else None)

    @property
    def exhausted(self) -> tuple[StopCause, bool] | None:
        """The limit that leaves no room for another call, and whether it is the run's; null when there is room."""
        for number, meter in enumerate(self.meters):
            if (cause := meter.exhausted()) is not None:
                return cause, number > 0
        return None

    @property
    def counts_cost(self) -> bool:
        """Whether a limit on cost is in force."""
        return any(meter.budget.cost_usd is not None for meter in self.meters)

    def begin(self, call: int, request_bytes: int, model: str | None) -> None:
        """A model call is forwarded: it counts from now on."""
        self.calls_in_flight += 1
        least = least_input(request_bytes)
        price = self.model.price(Usage(uncached_input=least, output=0), model) if self.counts_cost else None
        for meter in self.meters:
            meter.begin((self.token, call), least, price)

    def end(self, call: int, usage: Usage | None, cost_usd: float | None) -> None:
        """It has ended; `usage`: what it counts with, null for nothing."""
        self.calls_in_flight -= 1
        for meter in self.meters:
            meter.end((self.token, call), usage, cost_usd)

    def stop(self, cause: StopCause, *, of_run: bool = False) -> None:
        """A limit, of the attempt or of its run, is used up: no further call is forwarded."""
        if self.stopped is None:
            self.stopped, self.stopped_by_run = cause, of_run
        self.stop_event.set()

    def close(self) -> None:
        """Close calls.jsonl and the bodies. Raises RecordError when something could not be written."""
        try:
            if self._bodies is not None:
                self._bodies.close()
                self._bodies = None
        finally:
            if self._file is not None:
                self._file.close()
                self._file = None
        if self.failure is not None:
            raise self.failure

"""One pace per provider, shared by all attempts on it: how many calls may be under way at once, and from when.

A rate limit halves the window, at most once a round trip; an answer adds one call per window of answers, while the
window is what holds calls back. Until the first rate limit there is no window. What a provider says about waiting holds
for every call to it. Calls pass in the order in which they came.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from speedproof.journal.base import now
from speedproof.journal.failure import FailureClass
from speedproof.journal.pace import PaceChange, PaceReason, ProviderDown

_LONGEST_MESSAGE = 2_000
_ONE_RESET = timedelta(minutes=1)


def _same(a: datetime | None, b: datetime | None) -> bool:
    """Whether two times of a reset are one: a provider that says it in seconds from now is rounded differently."""
    return a == b if a is None or b is None else abs(a - b) < _ONE_RESET


@dataclass(eq=False)
class Slot:
    """One try's place at a provider, given back with `with`; it tells the pace how the try ended."""

    pace: "Pace"
    began: float
    """Time of the event loop at which the try was let through."""

    def answered(self) -> None:
        """The provider answered the request: the pace may rise."""
        self.pace._rise(self.began)

    def slowed(self, why: PaceReason, hold_s: float | None = None) -> None:
        """The provider refused the try for its rate: the pace falls. `hold_s`: seconds during which it wants no call
        at all; None when it does not say."""
        self.pace._fall(self.began, why, hold_s)

    def __enter__(self) -> "Slot":
        return self

    def __exit__(self, *_: object) -> None:
        self.pace._leave()


class Pace:
    """The gate in front of one provider. It belongs to one event loop."""

    def __init__(
        self, provider: str, on_change: Callable[[PaceChange], None], on_down: Callable[[ProviderDown], None]
    ) -> None:
        self.provider = provider
        self.window: float | None = None
        """How many calls may be under way at once; None: as many as there are."""
        self.in_flight = 0
        """Calls under way."""
        self.down: ProviderDown | None = None
        """Why the provider serves no calls, as last heard; None once it has answered."""
        self._on_change = on_change
        self._on_down = on_down
        self._not_before = 0.0
        self._last_fall = float("-inf")
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """Calls that wait to be let through."""
        return len(self._waiting)

    async def slot(self) -> Slot:
        """Wait for a place: to be held from before a try is sent until its answer has ended."""
        await self._enter()
        return Slot(self, asyncio.get_running_loop().time())

    def report_down(self, failure: FailureClass, message: str, resets_at: datetime | None) -> None:
        """The provider says that it serves no more calls; the run is told once until it has answered again.

        `message`: its words, secrets removed.
        """
        if self.down is not None and self.down.failure is failure and _same(self.down.resets_at, resets_at):
            return
        self.down = ProviderDown(
            at=now(),
            provider=self.provider,
            failure=failure,
            message=message[:_LONGEST_MESSAGE],
            resets_at=resets_at,
        )
        self._on_down(self.down)

    async def _enter(self) -> None:
        if not self._waiting and self._open():
            self.in_flight += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self._leave()  # let through and cancelled in the same moment
            elif turn in self._waiting:
                self._waiting.remove(turn)
                self._admit()
            raise

    def _leave(self) -> None:
        self.in_flight -= 1
        self._admit()

    def _open(self) -> bool:
        full = self.window is not None and self.in_flight + 1 > self.window
        return not full and (not self._not_before or asyncio.get_running_loop().time() >= self._not_before)

    def _admit(self) -> None:
        """Let through, in their order, the calls that may go now, and wake when the next may."""
        if not self._waiting and self._timer is None:
            return
        while self._waiting and self._open():
            turn = self._waiting.popleft()
            if not turn.cancelled():
                turn.set_result(None)
                self.in_flight += 1
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        if self._waiting and loop.time() < self._not_before:
            self._timer = loop.call_at(self._not_before, self._admit)

    def _rise(self, began: float) -> None:
        self.down = None
        # A window that holds nothing back says nothing about the limit; nor does a try sent before the last fall.
        if self.window is None or self.in_flight + 1 <= self.window or began < self._last_fall:
            return
        before = int(self.window)
        self.window += 1 / self.window
        if int(self.window) > before:
            self._changed("answered")
            self._admit()

    def _fall(self, began: float, why: PaceReason, hold_s: float | None) -> None:
        loop = asyncio.get_running_loop()
        changed = False
        if began >= self._last_fall:
            self._last_fall = loop.time()
            window = max(1.0, (self.in_flight if self.window is None else self.window) / 2)
            changed, self.window = window != self.window, window
        if hold_s is not None and loop.time() + hold_s > self._not_before:
            self._not_before = loop.time() + hold_s
            self._admit()
            changed = True
        if changed:
            self._changed(why)

    def _changed(self, why: PaceReason) -> None:
        time = now()
        left = self._not_before - asyncio.get_running_loop().time()
        self._on_change(
            PaceChange(
                at=time,
                provider=self.provider,
                why=why,
                window=self.window,
                not_before=time + timedelta(seconds=left) if left > 0 else None,
                in_flight=self.in_flight,
            )
        )


class Paces:
    """The paces of a run, by provider. `on_change` and `on_down` are called at once, in the event loop."""

    def __init__(self, on_change: Callable[[PaceChange], None], on_down: Callable[[ProviderDown], None]) -> None:
        self._on_change = on_change
        self._on_down = on_down
        self._paces: dict[str, Pace] = {}

    def of(self, provider: str) -> Pace:
        """The pace of a provider, by its name and host; always the same one."""
        if provider not in self._paces:
            self._paces[provider] = Pace(provider, self._on_change, self._on_down)
        return self._paces[provider]

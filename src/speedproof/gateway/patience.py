"""Which failed try of a call is repeated, and after how long.

Only what is transient is repeated, and only while nothing of an answer was passed on to the agent: a rate limit, a
failing or overloaded provider, a connection refused or lost. Everything here is a pure function; whoever forwards the
call sleeps, and asks again after each try.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from speedproof.gateway.upstream import passes
from speedproof.journal.failure import FailureClass as F
from speedproof.journal.pace import PaceReason
from speedproof.journal.provider import classify_answer, read_error
from speedproof.journal.reset import asked_wait, lowered, resets_at

REPEATED = frozenset({408, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
"""Statuses that may be repeated; 52x are those of Cloudflare, and Anthropic's for being overloaded."""
DOWN = frozenset({F.QUOTA_EXHAUSTED, F.USAGE_LIMIT, F.LOGIN_EXPIRED})
"""What no call to the provider gets past, in this attempt or another, until somebody acts or a limit resets."""
_OVERLOADED = frozenset({503, 529})
_MOST_DOUBLINGS = 60


@dataclass(frozen=True)
class Try:
    """A try that failed before anything was passed on: an answer with an error status, or none at all."""

    status: int | None = None
    """HTTP status; None when no answer came."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers as the provider sent them."""
    body: bytes = b""
    """The error's body."""
    error: BaseException | None = None
    """Why no answer came."""


@dataclass(frozen=True)
class Verdict:
    """What a failed try means, and what follows."""

    failure: F | None
    """The class of the failure; None for an answer that names none, such as a redirection."""
    message: str
    """The provider's words, or the error's; secrets still in it."""
    reason: str
    """Why the try is repeated or not, as a sentence without its end."""
    wait_s: float | None = None
    """Seconds to wait before the next try; None: this try was the last."""
    slows: PaceReason | None = None
    """Set when all calls to the provider should slow down."""
    hold_s: float | None = None
    """Seconds during which the provider wants no call at all; None when it does not say."""
    resets_at: datetime | None = None
    """When a used-up limit resets, UTC; None when that is not the failure, or the provider does not say."""

    @property
    def down(self) -> bool:
        """Whether the provider serves no more calls of this run: quota, usage limit, expired login."""
        return self.failure in DOWN


@dataclass(frozen=True)
class Patience:
    """How often and for how long a call is tried. The waits grow, and are drawn at random up to what they have grown
    to, so that attempts that failed together do not come back together."""

    most_tries: int = 5
    """Tries of one call, the first among them."""
    first_wait_s: float = 0.5
    """Longest wait before the second try, in seconds."""
    growth: float = 2.0
    """Factor by which the longest wait grows from try to try."""
    longest_wait_s: float = 60.0
    """Longest wait before any try, in seconds. A provider that asks for more gets no further try: the agent sees its
    answer at once."""
    longest_total_s: float = 300.0
    """Seconds from the beginning of a call after which no further try begins."""

    def judge(
        self,
        failed: Try,
        *,
        tries: int,
        elapsed_s: float,
        now: datetime,
        draw: Callable[[], float] = random.random,
    ) -> Verdict:
        """What follows a failed try.

        `tries`: tries so far, this one among them. `elapsed_s`: seconds since the call began. `now`: aware, UTC.
        `draw`: a number in [0, 1) for the jitter.
        """
        failure = _classify(failed)
        message = _message(failed)
        ask = None
        if failed.status is not None:
            ask = asked_wait(failed.headers, failed.body, now, limited=failure is F.RATE_LIMITED)
        slows = _slows(failed, failure)
        hold = ask if slows is not None and ask is not None and 0 < ask <= self.longest_wait_s else None

        def verdict(reason: str, wait_s: float | None = None) -> Verdict:
            reset = None
            if failure in {F.QUOTA_EXHAUSTED, F.USAGE_LIMIT}:
                reset = resets_at(failed.headers, failed.body, now)
            return Verdict(failure, message, reason, wait_s, slows, hold, reset)

        never = _never(failed, failure)
        if never is not None:
            return verdict(never)
        if tries >= self.most_tries:
            return verdict(f"it failed {tries} times, the most that a call is tried")
        if ask is not None and ask > self.longest_wait_s:
            return verdict(f"the provider asks for a wait of {ask:.0f} s, the longest is {self.longest_wait_s:.0f} s")
        wait = (ask or 0.0) + draw() * self._backoff(tries)
        if elapsed_s + wait > self.longest_total_s:
            return verdict(f"a call is tried for {self.longest_total_s:.0f} s at most")
        return verdict("it may pass" if ask is None else f"the provider asks for a wait of {ask:.1f} s", wait)

    def _backoff(self, tries: int) -> float:
        return min(self.longest_wait_s, self.first_wait_s * self.growth ** min(tries - 1, _MOST_DOUBLINGS))


def _classify(failed: Try) -> F | None:
    if failed.status is None:
        return F.NETWORK
    return classify_answer(failed.status, failed.headers, failed.body)


def _message(failed: Try) -> str:
    if failed.status is None:
        return f"{type(failed.error).__name__}: {failed.error}"
    return read_error(failed.headers, failed.body)[1]


def _slows(failed: Try, failure: F | None) -> PaceReason | None:
    if failure is F.RATE_LIMITED:
        return "rate_limited"
    return "overloaded" if failed.status in _OVERLOADED else None


def _never(failed: Try, failure: F | None) -> str | None:
    """Why another try cannot help; None when it may."""
    if failed.status is None:
        may = failed.error is not None and passes(failed.error)
        return None if may else "the connection fails in a way that another try does not mend"
    if failure in DOWN:
        return "another try cannot help before somebody acts or the limit resets"
    if failed.status not in REPEATED or failure not in {F.RATE_LIMITED, F.SERVER_ERROR}:
        return "the provider refuses the request itself"
    if lowered(failed.headers).get("x-should-retry", "").strip().lower() == "false":
        return "the provider says that it should not be tried again"
    return None

"""What an attempt, or a whole run, may use: limits, and the meter that is read before each call is forwarded."""

from collections.abc import Hashable
from dataclasses import dataclass, field

from speedproof.journal import StopCause, Usage

_BYTES_A_TOKEN = 4


@dataclass(frozen=True)
class Budget:
    """Limits of one attempt or of one run; null: none."""

    steps: int | None = None
    """Model calls."""
    tokens: int | None = None
    """Input and output tokens together, cached ones included."""
    input_tokens: int | None = None
    """Input tokens, cached ones included."""
    output_tokens: int | None = None
    """Output tokens."""
    cost_usd: float | None = None
    """US dollars at list prices."""


def least_input(request_bytes: int) -> int:
    """Input tokens that a call is taken to use until its usage is known: its request at four bytes a token."""
    return request_bytes // _BYTES_A_TOKEN


def least_usage(request_bytes: int, at_least: Usage | None, written: int) -> Usage:
    """What a call counts with that ended without usage: what it certainly read, and what was seen of its answer.

    `at_least`: what the provider counted so far; null when it did not say. `written`: characters of output seen.
    """
    known = at_least or Usage()
    if known.input < least_input(request_bytes):
        known = Usage(uncached_input=least_input(request_bytes), output=known.output)
    output = max(known.output or 0, written // _BYTES_A_TOKEN)
    return known.model_copy(update={"uncached_input": known.uncached_input or 0, "output": output})


@dataclass
class Meter:
    """Counts what was used of a budget. A call in flight, or ended without usage, counts with what is certain: that is
    for the budget alone and never recorded as usage."""

    budget: Budget
    steps: int = 0
    input: int = 0
    output: int = 0
    cost_usd: float = 0.0
    _reserved: dict[Hashable, tuple[int, float]] = field(default_factory=dict)
    """Input tokens and US dollars of calls in flight."""

    def begin(self, call: Hashable, reserved_input: int, reserved_usd: float | None) -> None:
        """A call is forwarded."""
        self.steps += 1
        self._reserved[call] = (reserved_input, reserved_usd or 0.0)

    def end(self, call: Hashable, usage: Usage | None, cost_usd: float | None) -> None:
        """It has ended; null when the provider answered with an error, for which it bills nothing."""
        del self._reserved[call]
        if usage is not None:
            self.input += usage.input
            self.output += usage.output or 0
            self.cost_usd += cost_usd or 0.0

    def carry(self, calls: int, usage: Usage, cost_usd: float | None) -> None:
        """Count what was used before this process: calls that ended without usage count as calls alone."""
        self.steps += calls
        self.input += usage.input
        self.output += usage.output or 0
        self.cost_usd += cost_usd or 0.0

    def exhausted(self) -> StopCause | None:
        """The limit that leaves no room for another call; null when there is room."""
        input_ = self.input + sum(tokens for tokens, _ in self._reserved.values())
        usd = self.cost_usd + sum(usd for _, usd in self._reserved.values())
        budget = self.budget
        for limit, used, cause in (
            (budget.steps, self.steps, StopCause.STEPS),
            (budget.tokens, input_ + self.output, StopCause.TOKENS),
            (budget.input_tokens, input_, StopCause.TOKENS),
            (budget.output_tokens, self.output, StopCause.TOKENS),
            (budget.cost_usd, usd, StopCause.COST),
        ):
            if limit is not None and used >= limit:
                return cause
        return None

"""What an attempt may use: limits, and the meter that is read before each call is forwarded."""

from collections.abc import Callable
from dataclasses import dataclass, field

from speedproof.journal import StopCause, Usage

_BYTES_A_TOKEN = 4


@dataclass(frozen=True)
class Budget:
    """Limits of one attempt; null: none."""

    steps: int | None = None
    """Model calls."""
    tokens: int | None = None
    """Input and output tokens together, cached ones included."""
    cost_usd: float | None = None
    """US dollars at list prices."""


@dataclass
class Meter:
    """Counts what a session used. A call in flight, or answered without usage, counts with what it certainly read:
    its request at four bytes a token. That reservation is for the budget alone and never recorded as usage."""

    price: Callable[[Usage], float | None]
    steps: int = 0
    tokens: int = 0
    cost_usd: float = 0.0
    _reserved: dict[int, int] = field(default_factory=dict)

    def begin(self, call: int, request_bytes: int, *, step: bool) -> None:
        """A call is forwarded; `step`: it is a model call, not a side route."""
        self.steps += step
        self._reserved[call] = request_bytes // _BYTES_A_TOKEN

    def end(self, call: int, usage: Usage | None, cost_usd: float | None, *, refused: bool) -> None:
        """It has ended; `refused`: the provider answered with an error and bills nothing."""
        reserved = self._reserved.pop(call, 0)
        total = usage.total if usage else None
        if total is not None:
            self.tokens += total
            self.cost_usd += cost_usd or 0.0
        elif not refused:
            self.tokens += reserved
            self.cost_usd += self.price(Usage(uncached_input=reserved, output=0)) or 0.0

    def exhausted(self, budget: Budget) -> StopCause | None:
        """The limit that leaves no room for another call; null when there is room."""
        flying = sum(self._reserved.values())
        if budget.steps is not None and self.steps >= budget.steps:
            return StopCause.STEPS
        if budget.tokens is not None and self.tokens + flying >= budget.tokens:
            return StopCause.TOKENS
        if budget.cost_usd is not None:
            reserved = self.price(Usage(uncached_input=flying, output=0)) or 0.0 if flying else 0.0
            if self.cost_usd + reserved >= budget.cost_usd:
                return StopCause.COST
        return None

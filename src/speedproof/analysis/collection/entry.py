"""One attempt of a collection: its record as imported, what it cost by the price list, and what was proven of it."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from speedproof.analysis.interval import Interval
from speedproof.journal.failure import Diagnosis, FailureClass
from speedproof.journal.foreign import ForeignAttempt
from speedproof.journal.prices import unit_prices


@dataclass(frozen=True)
class Entry:
    """One attempt, foreign or our own. Null means unknown, never no."""

    attempt: ForeignAttempt
    """Its record: own attempts have the same one, linked to their folder."""
    name: str
    """Unique in the collection: run/item where that is, else archive/folder."""
    wire_usd: float | None = None
    """Own attempts: what their calls cost by the list in force when they were made, seen on the wire."""
    proven: bool | None = None
    """Success rule: a judged patch that is correct, faster and clean. Null where nobody judged it."""
    speedup: Interval | None = None
    """Patch against base; null when not measured."""
    control: str | None = None
    """Which patch was applied, for attempts that call no model; null for agents."""
    under_way: bool = False
    """Whether the attempt is being made at this moment."""
    unqualified: str | None = None
    """Why its task can prove nothing on the machine that judged; null when it can, or nobody knows."""
    judging: Diagnosis | None = None
    """Own attempts: why judging its patch failed, with places relative to the run's folder; null when it did not."""
    unread: str | None = None
    """Own attempts: what of the records in its folder cannot be read, and why; null when all can."""

    @cached_property
    def at(self) -> datetime | None:
        """When it was concluded, UTC; when it began where that is all that is known."""
        return self.attempt.written or self.attempt.ended or self.attempt.began

    @cached_property
    def recorded(self) -> bool | None:
        """Whether its archive, or our own agent's own word, claims success."""
        return self.attempt.recorded.success

    @cached_property
    def patched(self) -> bool | None:
        """Whether it left patch bytes; null when no file says."""
        return None if self.attempt.patch is None else self.attempt.patch.size > 0

    @cached_property
    def failure(self) -> FailureClass | None:
        """The class of its diagnosis; null when it has none."""
        return None if self.attempt.diagnosis is None else self.attempt.diagnosis.failure

    @cached_property
    def called(self) -> bool | None:
        """Whether it called the model; null when no file tells."""
        attempt = self.attempt
        if attempt.calls is not None:
            return attempt.calls > 0
        if attempt.usage.output is not None:
            return attempt.usage.output > 0
        return False if self.failure is not None and self.failure.fault == "infrastructure" else None

    @cached_property
    def input_tokens(self) -> int | None:
        """Input tokens, cached ones included, by its best source; null when none tells.

        Where a record of that source cannot be, they are as the source itself counts them.
        """
        best = next(iter(self.attempt.usages), None)
        if best is None:
            return None
        usage = self.attempt.usage
        return best.input if best.impossible or usage.uncached_input is None else usage.input

    @cached_property
    def cost_usd(self) -> float | None:
        """US dollars at the list prices of its day; null when tokens, model, day or price are unknown.

        A model that only a label names is not priced, and a usage record that cannot be is left out.
        """
        if self.wire_usd is not None:
            return self.wire_usd
        attempt, at = self.attempt, self.attempt.began or self.at
        if at is None or attempt.model.value is None or attempt.model.confidence not in ("direct", "inferred"):
            return None
        prices = unit_prices(attempt.model.value, at.date())
        usage = attempt.usages[0].possible if attempt.usages else attempt.usage
        return None if prices is None or usage is None else prices.cost(usage)

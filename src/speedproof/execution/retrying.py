"""Which failed attempts are made again, and when: by the class of the failure, never by the look of the result."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from speedproof.journal.events import AttemptSealed


@dataclass(frozen=True)
class Retries:
    """How often an item is attempted again after a failure that may pass.

    What the agent made of its chance (gave up, no patch, a wrong one) is a result and stands: samples are for that.
    """

    most: int = 3
    """Attempts of one item that may fail so, the first among them."""
    first_wait_s: float = 30.0
    """Longest wait before the second attempt, in seconds."""
    growth: float = 4.0
    """Factor by which the longest wait grows from attempt to attempt."""
    longest_wait_s: float = 900.0
    """Longest wait before any attempt, in seconds, beyond the time at which a limit resets."""
    longest_total_s: float = 14_400.0
    """Seconds from the beginning of the item's first attempt after which no further one is planned."""

    def next_at(
        self,
        sealed: AttemptSealed,
        *,
        failures: int,
        began_at: datetime,
        draw: Callable[[], float] = random.random,
    ) -> datetime | None:
        """When the item may be attempted again; None: its last attempt stands.

        `failures` counts its attempts that failed for a reason that may pass, this one among them; `began_at` is when
        the first attempt began. Waits are drawn at random up to what they have grown to, so that items that failed
        together do not come back together.
        """
        failure = sealed.failure
        if failure is None or sealed.run in {"completed", "limit"} or not failure.info.transient:
            return None
        if failures >= self.most or (sealed.at - began_at).total_seconds() > self.longest_total_s:
            return None
        longest = min(self.first_wait_s * self.growth ** (failures - 1), self.longest_wait_s)
        after = max(sealed.at, sealed.resets_at or sealed.at)
        return after + timedelta(seconds=longest * draw())

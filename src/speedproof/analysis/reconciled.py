"""An agent's own count of tokens and dollars beside the wire's."""

import math
from collections.abc import Sequence

from speedproof.journal import CallOutcome, Record, Usage
from speedproof.journal.attempt import AgentOutcome
from speedproof.journal.usage import total_usage

_CENTS = 4
"""Dollars are compared to so many digits: list prices are rounded differently by everybody."""


class Reconciled(Record):
    """What an agent counted, beside what was seen on the wire."""

    attempt: str
    """Name of the attempt."""
    wire: Usage
    """Tokens on the wire, summed over the calls whose usage is known."""
    wire_unknown_calls: int
    """Calls whose usage is unknown: a difference may come from them."""
    agent: Usage | None
    """Tokens by the agent's own count; null when it reports none."""
    differences: dict[str, int]
    """Kind of tokens → the agent's count less the wire's, where both are known and differ."""
    cost_usd: float | None
    """US dollars computed from the wire at list prices; null when no call has a price."""
    agent_cost_usd: float | None
    """US dollars by the agent's own account; null when it does not say."""
    cost_difference_usd: float | None
    """The agent's account less the computed cost; null when either is unknown."""

    @property
    def agrees(self) -> bool:
        """Whether nothing that both know differs; dollars to a hundredth of a cent."""
        return not self.differences and not round(self.cost_difference_usd or 0.0, _CENTS)


def reconciled(attempt: str, said: AgentOutcome | None, outcomes: Sequence[CallOutcome | None]) -> Reconciled | None:
    """Compare what an agent said with the outcomes of its calls; null when it counted nothing.

    Without any call on the wire the wire's count is zero: an agent that counts more was not on our wire.
    """
    if said is None or (said.usage is None and said.cost_usd is None):
        return None
    wire, unknown = total_usage(o.usage if o else None for o in outcomes)
    seen = wire.model_dump() if outcomes else dict.fromkeys(Usage.model_fields, 0)
    counted = said.usage.model_dump() if said.usage else {}
    both = {kind: (value, seen[kind]) for kind, value in counted.items() if value is not None}
    costs = [o.cost_usd for o in outcomes if o and o.cost_usd is not None]
    cost = math.fsum(costs) if costs or not outcomes else None
    return Reconciled(
        attempt=attempt,
        wire=wire,
        wire_unknown_calls=unknown,
        agent=said.usage,
        differences={kind: a - w for kind, (a, w) in both.items() if w is not None and a != w},
        cost_usd=cost,
        agent_cost_usd=said.cost_usd,
        cost_difference_usd=said.cost_usd - cost if said.cost_usd is not None and cost is not None else None,
    )

"""What a comparison says of each side by itself. Rates are shares from 0 to 1; every interval holds with 95 %."""

from datetime import datetime
from typing import Literal

from speedproof.journal import Record

Rule = Literal["recorded", "exit_and_patch", "strict", "confirmed", "proven"]


class Estimate(Record):
    """A figure with its 95 % interval."""

    value: float
    """The estimate."""
    low: float | None = None
    """Lower end; null when it is not bounded, or the data cannot bound it."""
    high: float | None = None
    """Upper end; null likewise."""


class Proportion(Record):
    """How many attempts satisfy a rule."""

    reached: tuple[str, ...]
    """Attempts that do."""
    known: int
    """Attempts of which it is known: the denominator."""
    unknown: int
    """Attempts of which it is not known."""
    rate: Estimate | None
    """Share, with Wilson's interval (attempts taken as independent); null when nothing is known."""


class SideRate(Record):
    """One rule over all attempts of a side, whatever the other sides tried."""

    rule: Rule
    """Name of the rule."""
    counted: Proportion
    """Over the attempts that say something of skill."""
    everything: Proportion
    """Over all attempts, infrastructure failures and all."""


class Success(Record):
    """What one success of a side cost, all its spending counted."""

    rule: Rule
    """Name of the rule."""
    attempts: tuple[str, ...]
    """The successes."""
    unknown: int
    """Attempts of which it is not known whether they are."""
    usd: Estimate | None
    """Known spending over successes, US dollars, with a bootstrap interval over tasks; null when there is no success,
    or no cost is known."""


class Spending(Record):
    """What a side cost, failures included."""

    usd: float | None
    """Sum of the known costs at list prices of the day, US dollars; null when none is known."""
    unknown: tuple[str, ...]
    """Attempts whose cost is not known, and not in the sum: a success cost at least what is said."""
    per_success: tuple[Success, ...]
    """By rule: confirmed, proven."""


class Effort(Record):
    """What the attempts of a side took that say something of skill."""

    what: Literal["tokens", "wall_s", "steps", "cost_usd"]
    """Tokens in and out, seconds, steps, or US dollars."""
    known: int
    """Attempts of which it is known."""
    unknown: int
    """Attempts of which it is not."""
    tasks: int
    """Tasks they are on."""
    median: Estimate | None
    """Median over tasks of the median over a task's attempts; its interval by order statistics, from six tasks on."""


class Side(Record):
    """One of those compared."""

    name: str
    """A, B, C … in the order given."""
    given: str
    """How it was asked for."""
    where: dict[str, tuple[str, ...]]
    """The same as dimensions, each with the values of which one holds."""
    attempts: tuple[str, ...]
    """Its attempts, oldest first."""
    without_task: tuple[str, ...]
    """Those whose files name no task: they cannot be paired."""
    tasks: int
    """Tasks it tried."""
    left_out: dict[str, tuple[str, ...]]
    """Attempts that say nothing of skill, by the class of what ended them."""
    first_at: datetime | None
    """Time of its first attempt, UTC."""
    last_at: datetime | None
    """Time of its last."""
    rates: tuple[SideRate, ...]
    """Each rule."""
    spending: Spending
    """What it cost."""
    efforts: tuple[Effort, ...]
    """What its attempts took."""


class OnNoSide(Record):
    """Attempts that may belong to a side, and that no evidence puts there."""

    why: str
    """What is not known of them."""
    attempts: tuple[str, ...]
    """They."""
    would_count: tuple[str, ...]
    """Those among them that say something of skill: on a side, they could change its figures."""
    labels: dict[str, int]
    """What labels of folders and journals call them, with how many; true or not."""
    failures: dict[str, int]
    """How they failed, with how many."""

"""A comparison as one record: its sides (side_records), and every two of them.

Rates are shares from 0 to 1, differences are A less B, ratios A over B. Every interval holds with 95 %. Null is
unknown, or not bounded; a count beside it says of how many.
"""

from typing import Literal

from speedproof.analysis.comparison.side_records import Estimate, OnNoSide, Proportion, Rule, Side
from speedproof.journal import Record


class TaskPair(Record):
    """A task that both sides tried."""

    task: str
    """The expert's commit, or the name of the task."""
    a: tuple[str, ...]
    """Attempts of A, oldest first."""
    b: tuple[str, ...]
    """Attempts of B, oldest first."""
    first_a: str | None
    """The first that says something of A's skill; null when none does."""
    first_b: str | None
    """The same of B."""


class Outcome(Record):
    """One rule over tasks that both sides tried."""

    both: tuple[str, ...]
    """Tasks on which the first attempt of each reaches it."""
    only_a: tuple[str, ...]
    """Tasks that A alone solves."""
    only_b: tuple[str, ...]
    """Tasks that B alone solves."""
    neither: tuple[str, ...]
    """Tasks that none solves."""
    unknown: tuple[str, ...]
    """Tasks on which it is not known of one of the two attempts: no pair."""
    pairs: int
    """Pairs: the four together."""
    rate_a: Estimate | None
    """Share of the pairs that A solves, with Wilson's interval; null without a pair."""
    rate_b: Estimate | None
    """The same of B."""
    difference: Estimate | None
    """A less B by the first attempts, with Newcombe's interval for pairs."""
    all_attempts: Estimate | None
    """A less B, each by the share of its attempts at the task that succeed, mean over tasks; with a bootstrap interval
    over tasks, whose ends are null where all tasks say the same."""
    p: float | None
    """McNemar's exact two-sided p; null without a pair."""
    p_holm: float | None
    """The same after Holm's correction over all pairs of sides."""
    agreement: float | None
    """Share of the pairs with the same outcome."""
    kappa: float | None
    """Cohen's kappa: agreement beyond chance; null where all outcomes are of one kind."""


class RulePair(Record):
    """One rule, A against B."""

    rule: Rule
    """Name of the rule."""
    meaning: str
    """What an attempt must show."""
    counted: Outcome
    """Infrastructure failures left out."""
    everything: Outcome
    """With everything counted: the first attempt of each, whatever ended it."""
    unpaired_a: Proportion
    """Attempts of A that count, on tasks that B has no attempt at which counts."""
    unpaired_a_tasks: int
    """Those tasks."""
    unpaired_b: Proportion
    """The same of B."""
    unpaired_b_tasks: int
    """Those tasks."""


class EffortPair(Record):
    """What A took, over what B took, at the same tasks."""

    what: Literal["tokens", "wall_s", "steps", "cost_usd"]
    """Tokens in and out, seconds, steps, or US dollars."""
    tasks: tuple[str, ...]
    """Tasks at which it is known of both."""
    ratio: Estimate | None
    """Geometric mean over tasks of the mean of A over the mean of B, with a bootstrap interval of the log ratio over
    tasks; null without such a task."""


class SuccessPair(Record):
    """What a success of A cost, over what one of B cost."""

    rule: Rule
    """Name of the rule."""
    ratio: Estimate | None
    """The ratio, with a bootstrap interval over all tasks of both; null when one of them has no success or no cost."""


class Confound(Record):
    """Something beside what is compared that may make the sides differ."""

    name: str
    """Such as run, date, prompt."""
    meaning: str
    """What it is."""
    weighs: bool
    """Whether a difference keeps a conclusion from being put down to what is compared; labels do not."""
    state: Literal["compared", "same", "differs", "mixed", "unknown"]
    """compared: it is what the sides are chosen by; same: one value on both sides as far as known; differs: no value
    in common; mixed: some in common; unknown: one side tells no value."""
    a: dict[str, int]
    """The values of A's attempts that count, the five most frequent, with how many."""
    b: dict[str, int]
    """The same of B."""
    values_a: int
    """Different values of A."""
    values_b: int
    """Different values of B."""
    unknown_a: int
    """Attempts of A of which it is not known."""
    unknown_b: int
    """Attempts of B."""
    pairs_same: tuple[str, ...]
    """Tasks at which the first attempts of both have the same value."""
    pairs_differ: tuple[str, ...]
    """Tasks at which they have another."""
    pairs_unknown: int
    """Pairs of which it is not known."""


class Conclusion(Record):
    """What can be said by one rule, made from the figures by fixed rules."""

    rule: Rule
    """Name of the rule."""
    higher: str | None
    """Name of the side that does better on the tasks that both tried; null when the data cannot tell."""
    confidence: float | None
    """At which confidence, after Holm: 0.95, 0.99 or 0.999; null when the data cannot tell."""
    attributable: bool
    """Whether that is due to what is compared: nothing else is known to differ, or unknown."""
    says: str
    """The conclusion in a sentence."""
    why: tuple[str, ...]
    """What keeps the data from telling, most decisive first."""
    settle: tuple[str, ...]
    """What would settle it."""
    pairs_needed: int | None
    """Paired tasks for 80 % power at p ≤ 0.05, were the truth what was observed; null when nothing tells."""


class Pair(Record):
    """Two sides against each other; in here A is the first of them and B the second, whatever their names."""

    a: str
    """Name of the first side."""
    b: str
    """Name of the second."""
    tasks: tuple[TaskPair, ...]
    """Tasks that both tried."""
    only_a_tried: tuple[str, ...]
    """Tasks that only the first tried."""
    only_b_tried: tuple[str, ...]
    """Tasks that only the second tried."""
    rules: tuple[RulePair, ...]
    """Each rule."""
    efforts: tuple[EffortPair, ...]
    """Tokens, time, steps and cost at the same tasks."""
    successes: tuple[SuccessPair, ...]
    """Cost of a success."""
    spans_overlap: bool | None
    """Whether the times of both sides overlap; null when a side has no time."""
    confounds: tuple[Confound, ...]
    """What else may make them differ."""
    conclusions: tuple[Conclusion, ...]
    """What can be said, by rule."""


class Comparison(Record):
    """Sides set against each other, paired by task."""

    archives: tuple[str, ...]
    """Ids of the archives and runs that were looked at."""
    sides: tuple[Side, ...]
    """Those compared."""
    on_no_side: tuple[OnNoSide, ...]
    """Attempts that may belong to a side, and that no evidence puts there; in no figure."""
    pairs: tuple[Pair, ...]
    """Every two of them."""

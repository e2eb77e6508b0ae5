"""The statistics of a comparison: paired yes and no, medians, ratios; each with its source.

Sources: Q. McNemar, Note on the sampling error of the difference between correlated proportions, Psychometrika 12
(1947) 153–157, here by the exact binomial distribution. R. G. Newcombe, Improved confidence intervals for the
difference between binomial proportions based on paired data, Statistics in Medicine 17 (1998) 2635–2650, method 10.
J. Cohen, A coefficient of agreement for nominal scales, Educational and Psychological Measurement 20 (1960) 37–46.
R. J. Connor, Sample size for testing differences in proportions for the paired-sample design, Biometrics 43 (1987)
207–211. B. Efron and R. J. Tibshirani, An Introduction to the Bootstrap, Chapman & Hall 1993, chapter 13. The interval
of a median: H. A. David and H. N. Nagaraja, Order Statistics, 3rd ed., Wiley 2003, section 7.1.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist, median

from speedproof.analysis.rates import wilson

ERROR = 0.05
"""What intervals leave out, and the p at which a difference is called."""
POWER = 0.8
"""With which a planned comparison is to find what was observed."""
LEAST_TASKS = 10
"""Tasks below which nothing is resampled: with five, intervals that should hold 95 % of the truth hold 82 to 84 %."""


def mcnemar(only_a: int, only_b: int) -> float:
    """McNemar's exact two-sided p: how odd so uneven a split of the pairs that differ is, were both sides equal."""
    differ, less = only_a + only_b, min(only_a, only_b)
    tail = sum(math.comb(differ, k) for k in range(less + 1))
    p: float = 2 * tail / 2**differ
    return min(1.0, p)


def least_discordant(error: float) -> int:
    """Pairs that differ, all to one side, below which McNemar's exact test cannot reach p ≤ `error`."""
    return next(n for n in range(1, 10_000) if mcnemar(0, n) <= error)


def paired_difference(both: int, only_a: int, only_b: int, neither: int) -> tuple[float, float, float]:
    """Rate of A less rate of B over the same tasks, with Newcombe's 95 % interval; at least one pair is needed."""
    n = both + only_a + only_b + neither
    a, b = (both + only_a) / n, (both + only_b) / n
    (low_a, high_a), (low_b, high_b) = wilson(both + only_a, n), wilson(both + only_b, n)
    margins = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither)
    cross = both * neither - only_a * only_b
    cross_corrected = max(cross - n / 2, 0.0) if cross > 0 else float(cross)
    phi = cross_corrected / math.sqrt(margins) if margins else 0.0
    return (
        a - b,
        max(-1.0, a - b - _hypotenuse(a - low_a, high_b - b, phi)),
        min(1.0, a - b + _hypotenuse(high_a - a, b - low_b, phi)),
    )


def _hypotenuse(one: float, other: float, phi: float) -> float:
    return math.sqrt(max(0.0, one * one - 2 * phi * one * other + other * other))


def kappa(both: int, only_a: int, only_b: int, neither: int) -> float | None:
    """Cohen's kappa: agreement beyond chance; null without pairs, or where all outcomes are of one kind."""
    chance = (both + only_a) * (only_a + neither) + (both + only_b) * (only_b + neither)
    return 2 * (both * neither - only_a * only_b) / chance if chance else None


def pairs_needed(differ: float, difference: float, error: float = ERROR) -> int | None:
    """Paired tasks at which McNemar's test finds `difference` of rates with 80 % power at p ≤ `error` (Connor 1987).

    `differ`: the share of pairs that differ. Null when the rates do not differ: no number finds nothing.
    """
    if difference == 0:
        return None
    normal = NormalDist()
    found, power = normal.inv_cdf(1 - error / 2), normal.inv_cdf(POWER)
    spread = max(differ - difference * difference, 0.0)
    pairs = (found * math.sqrt(differ) + power * math.sqrt(spread)) ** 2 / difference**2
    return max(math.ceil(pairs), least_discordant(error))


def median_interval(values: Sequence[float]) -> tuple[float, float, float] | None:
    """The median with its distribution-free 95 % interval, by order statistics; null for fewer than six values."""
    n, ordered = len(values), sorted(values)
    tail, inner = 0.0, -1
    for k in range(n // 2):
        tail += math.comb(n, k) / 2**n
        if 2 * tail > ERROR:
            break
        inner = k
    return None if inner < 0 else (median(ordered), ordered[inner], ordered[n - 1 - inner])


def mean_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """The percentile bootstrap interval of the mean of one value a task, tasks drawn with replacement.

    Null where resampling cannot tell: fewer than ten tasks, or all values equal.
    """
    from speedproof.analysis.scores.resampling import by_task, interval_of, resampled

    if len(values) < LEAST_TASKS or len(set(values)) < 2:
        return None
    return interval_of(resampled([[value] for value in values], by_task))


def ratio_intervals(
    tasks: Sequence[tuple[float, float, float, float]],
) -> tuple[tuple[float | None, float | None], ...]:
    """Bootstrap intervals of cost per success of A, of B, and of A's over B's: tasks drawn with replacement.

    Each task: cost of A, successes of A, cost of B, successes of B. An end is null where it is not bounded: where more
    than 2.5 % of the draws hold no success. At least one task is needed.
    """
    import numpy as np

    from speedproof.analysis.scores.resampling import DRAWS, SEED

    values = np.array(tasks, dtype=np.float64)
    drawn = np.random.default_rng(SEED).integers(0, len(tasks), (DRAWS, len(tasks)))
    sums = np.stack([values[:, column][drawn].sum(axis=1) for column in range(4)], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = sums[:, 0] / sums[:, 1], sums[:, 2] / sums[:, 3]
        ratio = a / b
    return tuple(_ends(one.tolist()) for one in (a, b, ratio))


def _ends(draws: Sequence[float]) -> tuple[float | None, float | None]:
    """The percentile ends; a draw without a value may lie anywhere, so it widens both."""
    cut = math.floor(len(draws) * ERROR / 2)
    low = sorted(-math.inf if math.isnan(value) else value for value in draws)[cut]
    high = sorted(math.inf if math.isnan(value) else value for value in draws)[-1 - cut]
    return (low if math.isfinite(low) else None, high if math.isfinite(high) else None)

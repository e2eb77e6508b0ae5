"""The statistics of a comparison, against figures by hand and by brute force."""

import random
from itertools import product
from statistics import fmean, median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speedproof.analysis.comparison.statistics import (
    LEAST_TASKS,
    kappa,
    least_discordant,
    mcnemar,
    mean_interval,
    median_interval,
    paired_difference,
    pairs_needed,
    ratio_intervals,
)

counts = st.integers(0, 60)
tables = st.tuples(counts, counts, counts, counts).filter(any)
floats = st.floats(-100, 100)


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"),
    [(1, 9, 0.021484375), (0, 5, 0.0625), (0, 6, 0.03125), (4, 4, 1.0), (0, 0, 1.0), (2, 8, 0.109375)],
)
def test_mcnemars_exact_p_is_that_of_the_table(only_a: int, only_b: int, p: float) -> None:
    assert mcnemar(only_a, only_b) == pytest.approx(p)


@given(st.integers(0, 12), st.integers(0, 12))
@settings(max_examples=40)
def test_mcnemars_p_is_symmetric_a_probability_and_what_counting_all_splits_gives(a: int, b: int) -> None:
    p = mcnemar(a, b)
    assert p == mcnemar(b, a)
    assert 0 <= p <= 1
    if 0 < a + b <= 10:
        splits = [sum(coins) for coins in product((0, 1), repeat=a + b)]
        odd = sum(min(k, a + b - k) <= min(a, b) for k in splits) / len(splits)
        assert p == pytest.approx(odd)


def test_six_pairs_that_differ_are_the_least_that_can_tell() -> None:
    assert least_discordant(0.05) == 6


@pytest.mark.parametrize(
    ("table", "low", "high"), [((36, 12, 2, 0), 0.0569, 0.3404), ((20, 12, 2, 16), 0.0562, 0.3292)]
)
def test_the_interval_of_a_paired_difference_is_newcombes(
    table: tuple[int, int, int, int], low: float, high: float
) -> None:
    value, *ends = paired_difference(*table)
    assert value == pytest.approx(0.2)
    assert ends == pytest.approx([low, high], abs=1e-4)


@given(tables)
def test_swapping_the_sides_turns_a_difference_round(table: tuple[int, int, int, int]) -> None:
    both, only_a, only_b, neither = table
    value, low, high = paired_difference(both, only_a, only_b, neither)
    assert -1 <= low <= value <= high <= 1
    assert paired_difference(both, only_b, only_a, neither) == pytest.approx((-value, -high, -low))
    one, other = kappa(both, only_a, only_b, neither), kappa(both, only_b, only_a, neither)
    assert one == (other if other is None else pytest.approx(other))
    assert one is None or -1 <= one <= 1


@given(st.integers(1, 50), st.integers(1, 50))
def test_sides_with_the_same_outcomes_agree_fully(both: int, neither: int) -> None:
    assert kappa(both, 0, 0, neither) == pytest.approx(1)
    assert kappa(both, 0, 0, 0) is None


def test_kappa_is_cohens() -> None:
    assert kappa(20, 5, 10, 15) == pytest.approx(0.4)
    assert kappa(0, 0, 0, 0) is None
    assert str(kappa(0, 1, 0, 2)) == "0.0"  # one side never solves anything: no agreement beyond chance, not -0.0


def test_the_number_of_pairs_needed_is_connors() -> None:
    assert pairs_needed(0.3, 0.1) == 234
    assert pairs_needed(0.3, -0.1) == 234
    assert pairs_needed(1.0, 1.0) == 6
    assert pairs_needed(0.5, 0.0) is None


def test_so_many_pairs_find_what_was_planned_in_four_of_five_trials() -> None:
    chance, only_a, only_b = random.Random(3), 0.35, 0.1
    pairs = pairs_needed(only_a + only_b, only_a - only_b)
    assert pairs is not None
    found = 0
    for _ in range(400):
        drawn = [chance.random() for _ in range(pairs)]
        a = sum(d < only_a for d in drawn)
        found += mcnemar(a, sum(only_a <= d < only_a + only_b for d in drawn)) <= 0.05
    assert 0.70 <= found / 400 <= 0.88  # the exact test is a little strict


@given(st.lists(floats, min_size=6, max_size=40))
def test_the_interval_of_a_median_holds_it_and_is_made_of_values(values: list[float]) -> None:
    found = median_interval(values)
    assert found is not None
    value, low, high = found
    assert low <= value <= high
    assert value == median(values)
    assert {low, high} <= set(values)


def test_a_median_of_fewer_than_six_values_has_no_interval() -> None:
    assert median_interval([1.0] * 5) is None
    assert median_interval([1, 2, 3, 4, 5, 6]) == (3.5, 1, 6)


@given(st.lists(floats, min_size=LEAST_TASKS, max_size=30).filter(lambda v: len(set(v)) > 1))
@settings(max_examples=30, deadline=None)
def test_a_bootstrap_interval_holds_the_estimate_and_turns_round_with_the_sides(values: list[float]) -> None:
    found, other = mean_interval(values), mean_interval([-value for value in values])
    assert found is not None
    assert other is not None
    slack = 1e-9 * (1 + max(map(abs, values)))
    assert found[0] - slack <= fmean(values) <= found[1] + slack
    assert other == pytest.approx((-found[1], -found[0]), abs=1e-6)


def test_nothing_is_resampled_where_it_cannot_tell() -> None:
    assert mean_interval([1.0, 0.0] * 4) is None
    assert mean_interval([0.5] * 20) is None


def test_bootstrap_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    chance = random.Random(5)
    held = 0
    for _ in range(200):
        found = mean_interval([chance.gauss(0.3, 1) for _ in range(30)])
        assert found is not None
        held += found[0] <= 0.3 <= found[1]
    assert held / 200 >= 0.88


def test_the_cost_of_a_success_has_no_upper_end_where_draws_hold_no_success() -> None:
    tasks = [(1.0, 1.0, 2.0, 1.0)] * 15
    assert ratio_intervals(tasks) == ((1.0, 1.0), (2.0, 2.0), (0.5, 0.5))
    rare = [(1.0, float(n == 0), 1.0, 1.0) for n in range(15)]
    (low, high), _, ratio = ratio_intervals(rare)
    assert low is not None
    assert low < 15
    assert (high, ratio[1]) == (None, None)

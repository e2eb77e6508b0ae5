"""What attempts cost: at list prices, as billed, and a success's share of it."""

from dataclasses import replace

from speedproof.analysis.collection import Collection
from speedproof.analysis.measures.measure import Value, count_where, each, measure, summed
from speedproof.analysis.measures.outcomes import confirmed, proven, recorded_successes


@measure("USD")
def list_price(chosen: Collection) -> Value:
    """US dollars at the list prices of the day, cached and uncached input apart; attempts without tokens, model or
    price are unknown. Where a usage record names more cached than input tokens, its uncached part is unknown and left
    out."""
    return summed(chosen, lambda e: e.cost_usd)


@measure("USD")
def billed(chosen: Collection) -> Value:
    """US dollars as the agents themselves report them."""
    return summed(chosen, lambda e: e.attempt.billed_usd)


@measure("attempts")
def attempts_with_list_price(chosen: Collection) -> Value:
    """Attempts whose cost at list prices is known."""
    return count_where(chosen, lambda e: e.cost_usd is not None)


@measure("USD")
def list_price_per_recorded_success(chosen: Collection) -> Value:
    """What is known of all spending at list prices, failures included, for each recorded success."""
    return _each(chosen, recorded_successes.of(chosen))


@measure("USD")
def list_price_per_confirmed_success(chosen: Collection) -> Value:
    """What is known of all spending at list prices, failures included, for each confirmed success."""
    return _each(chosen, confirmed.of(chosen))


@measure("USD")
def list_price_per_proven_success(chosen: Collection) -> Value:
    """What is known of all spending at list prices, failures included, for each proven success."""
    return _each(chosen, proven.of(chosen))


def _each(chosen: Collection, successes: Value) -> Value:
    if successes.value == 0:
        return Value(None, (), successes.unknown, why="there is no such success")
    spent = list_price.of(chosen)
    found = each(spent, Value(len(successes.counted)))
    return replace(found, counted=spent.counted)

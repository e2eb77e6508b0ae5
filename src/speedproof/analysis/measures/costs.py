"""What attempts cost: at list prices, as billed, and a success's share of it."""

from dataclasses import replace

from speedproof.analysis.collection import Collection, Entry
from speedproof.analysis.measures.measure import Value, count_where, each, measure, summed
from speedproof.analysis.measures.outcomes import confirmed, proven, recorded_successes
from speedproof.journal.prices import unit_prices


@measure("USD")
def list_price(chosen: Collection) -> Value:
    """US dollars at the list prices of the day, cached and uncached input apart; attempts without tokens, model or
    price are unknown. A usage record that contradicts itself, such as one with more cached than input tokens, is left
    out."""
    return summed(chosen, lambda e: e.cost_usd)


@measure("USD")
def list_price_as_told(chosen: Collection) -> Value:
    """US dollars at the list prices of the day, every usage record taken at its word: where one names more cached than
    input tokens, its uncached part is negative."""
    return summed(chosen, _as_told)


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


def _as_told(entry: Entry) -> float | None:
    """Beside the cost: the records that cannot be, at their word."""
    best = entry.attempt.usages[0] if entry.attempt.usages else None
    if best is None or not best.impossible or entry.wire_usd is not None:
        return entry.cost_usd
    at = entry.attempt.began or entry.at
    prices = unit_prices(entry.attempt.model.value or "", at.date()) if at else None
    if prices is None or best.input is None:
        return None
    told = best.usage.model_copy(update={"uncached_input": best.input - (best.usage.cache_read or 0)})
    return prices.cost(told)

"""Tokens by the best source of each attempt; where none tells them they are unknown."""

from speedproof.analysis.collection import Collection
from speedproof.analysis.measures.measure import Value, count_where, measure, summed


@measure("tokens")
def input_tokens(chosen: Collection) -> Value:
    """Input tokens, cached ones included, as the best source of each attempt counts them; summed."""
    return summed(chosen, lambda e: e.input_tokens)


@measure("tokens")
def uncached_input_tokens(chosen: Collection) -> Value:
    """Input tokens that providers read afresh, summed. A record with more cached than input tokens is left out."""
    return summed(chosen, lambda e: e.attempt.usage.uncached_input)


@measure("tokens")
def cached_input_tokens(chosen: Collection) -> Value:
    """Input tokens that providers took from their caches, summed."""
    return summed(chosen, lambda e: e.attempt.usage.cache_read)


@measure("tokens")
def output_tokens(chosen: Collection) -> Value:
    """Output tokens, reasoning included, summed."""
    return summed(chosen, lambda e: e.attempt.usage.output)


@measure("attempts")
def attempts_with_tokens(chosen: Collection) -> Value:
    """Attempts of which some file tells tokens."""
    return count_where(chosen, lambda e: e.attempt.usage_source != "unknown")


@measure("attempts")
def impossible_usage(chosen: Collection) -> Value:
    """Attempts of which a usage record cannot be, such as one with more cached than input tokens."""
    return count_where(chosen, lambda e: any(u.impossible for u in e.attempt.usages))

"""Tokens, named by what they are (DESIGN, section 5). Providers disagree whether input holds the cached part."""

from collections.abc import Iterable
from typing import Any

from speedproof.journal.base import Record


class Usage(Record):
    """Token counts of one call or a sum of calls. Unknown is null, never 0."""

    uncached_input: int | None = None
    """Input tokens that the provider read afresh."""
    cache_read: int | None = None
    """Input tokens served from the provider's cache."""
    cache_write: int | None = None
    """Input tokens written to the provider's cache, where the provider bills that apart."""
    cache_write_1h: int | None = None
    """The part of `cache_write` that is kept for an hour, which Anthropic bills dearer than the rest."""
    output: int | None = None
    """Output tokens, reasoning included."""
    reasoning: int | None = None
    """The part of `output` spent on reasoning."""

    @property
    def input(self) -> int:
        """Input tokens as far as they are known, cached ones included."""
        return (self.uncached_input or 0) + (self.cache_read or 0) + (self.cache_write or 0)

    @property
    def total(self) -> int | None:
        """Input and output together; null when either side is unknown."""
        if self.uncached_input is None or self.output is None:
            return None
        return self.input + self.output


def total_usage(usages: Iterable[Usage | None]) -> tuple[Usage, int]:
    """Sum what is known, field by field; the second value counts the calls whose usage is unknown."""
    sums: dict[str, int] = {}
    unknown = 0
    for usage in usages:
        if usage is None or usage.total is None:
            unknown += 1
        if usage is not None:
            for field, value in usage.model_dump().items():
                if value is not None:
                    sums[field] = sums.get(field, 0) + value
    return Usage(**sums), unknown


def token_count(value: Any) -> int | None:
    """`value` when it is a whole number that can count tokens, else null."""
    return value if type(value) is int and 0 <= value < 2**53 else None


def usage_of_whole_input(
    whole_input: Any, cache_read: Any, output: Any, *, cache_write: Any = None, reasoning: Any = None
) -> Usage | None:
    """Usage where `whole_input` holds the cached parts, as OpenAI counts; null when neither side is known.

    An input smaller than its cached parts contradicts itself: what was read afresh is then unknown.
    """
    whole, read, write = token_count(whole_input), token_count(cache_read), token_count(cache_write)
    fresh = None if whole is None else whole - (read or 0) - (write or 0)
    if fresh is not None and fresh < 0:
        fresh = None
    if fresh is None and token_count(output) is None:
        return None
    return Usage(
        uncached_input=fresh,
        cache_read=read,
        cache_write=write,
        output=token_count(output),
        reasoning=token_count(reasoning),
    )

"""What tokens cost by a dated price list, genai-prices: providers' public prices with the days they came into force."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from functools import lru_cache

from speedproof.journal.base import Record
from speedproof.journal.foreign_parts import maker_name
from speedproof.journal.usage import Usage

_MANY = 1_000
"""Tokens that a price is asked for: few enough for the prices of a short request."""


_MOST = 2**53
"""Tokens from which a number is none that was counted."""


class UnitPrices(Record):
    """What a model cost on a day, in US dollars a token, for requests of ordinary length."""

    uncached_input: float
    """Input read afresh."""
    cache_read: float
    """Input served from the provider's cache."""
    cache_write: float
    """Input written to it."""
    output: float
    """Output, reasoning included."""

    def cost(self, usage: Usage) -> float | None:
        """US dollars for `usage`; null when its input or output is unknown, or no number of tokens that can be."""
        if usage.total is None or usage.total >= _MOST:
            return None
        read, write = usage.cache_read or 0, usage.cache_write or 0
        fresh, out = usage.uncached_input or 0, usage.output or 0
        return fresh * self.uncached_input + read * self.cache_read + write * self.cache_write + out * self.output


def list_price(
    usage: Usage, model: str, at: datetime, *, listed_at: str | None = None, terms: Mapping[str, str] | None = None
) -> float | None:
    """US dollars for one request at the list prices of that moment; null when the model has none, or usage is unknown.

    `listed_at`: address of the provider whose list counts; without it, the maker's. `terms`: how the request was served
    (service_tier, speed), where the price depends on it.
    """
    if usage.total is None or not _is_listed(model, listed_at):
        return None
    from genai_prices import Usage as PricedUsage  # whoever asks for no price need not wait for the list
    from genai_prices import calc_price

    read, write = usage.cache_read or 0, usage.cache_write or 0
    priced = calc_price(
        PricedUsage(
            input_tokens=(usage.uncached_input or 0) + read + write,
            cache_read_tokens=read,
            cache_write_tokens=write,
            cache_write_1h_tokens=min(usage.cache_write_1h or 0, write),
            output_tokens=usage.output,
        ),
        model_ref=model,
        provider_api_url=listed_at,
        genai_request_timestamp=at,
        price_context=dict(terms or {}),
    )
    return float(priced.total_price)


@lru_cache(maxsize=4096)
def _is_listed(model: str, listed_at: str | None) -> bool:
    """Whether the list has this model, of the provider at this address or else of any."""
    from genai_prices import Usage as PricedUsage
    from genai_prices import calc_price

    try:
        calc_price(PricedUsage(input_tokens=0, output_tokens=0), model_ref=model, provider_api_url=listed_at)
    except LookupError:
        return False
    return True


@lru_cache(maxsize=4096)
def unit_prices(model: str, day: date) -> UnitPrices | None:
    """What a token of this model cost on that day by its maker's list; null when it has no price.

    A sum over many requests is priced so: a price list that asks more for a long request cannot be applied to it.
    """
    at = datetime.combine(day, time(12), UTC)
    name = maker_name(model)

    def one(**tokens: int) -> float | None:
        zero = {"uncached_input": 0, "output": 0}
        price = list_price(Usage(**(zero | tokens)), name, at)
        return None if price is None else price / _MANY

    fresh, read, write, out = (
        one(**{kind: _MANY}) for kind in ("uncached_input", "cache_read", "cache_write", "output")
    )
    if fresh is None or read is None or write is None or out is None:
        return None
    return UnitPrices(uncached_input=fresh, cache_read=read, cache_write=write, output=out)

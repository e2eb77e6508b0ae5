"""From the name a user gives to a model that can be called: provider, address, key, prices."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from genai_prices import Usage as PricedUsage
from genai_prices import calc_price

from speedproof.errors import InputError
from speedproof.gateway.script import load_script
from speedproof.gateway.scripted import ScriptedModel
from speedproof.gateway.upstream import HttpUpstream, Upstream
from speedproof.journal import Usage
from speedproof.journal.base import now
from speedproof.tasks.models import slug

SCRIPTED = "scripted"
OWN_KEY = "SPEEDPROOF_API_KEY"
PROVIDERS = {
    "openai": ("https://api.openai.com/v1", "OPENAI_API_KEY"),
    "openrouter": ("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
}


@dataclass(frozen=True)
class ModelChoice:
    """The model of an item, resolved."""

    asked: str
    """As the user named it."""
    provider: str
    """Name of the provider."""
    model: str
    """Model name as the provider knows it."""
    upstream: Upstream
    """Where its calls go."""

    def price(self, usage: Usage) -> float | None:
        """US dollars for `usage` at today's list prices; null when the model has no price or the usage is unknown.

        The scripted model costs nothing. A model behind an address of its own is priced by that address, never by
        the provider's name alone.
        """
        if usage.total is None:
            return None
        if self.provider == SCRIPTED:
            return 0.0
        if not isinstance(self.upstream, HttpUpstream):
            return None
        read, write = usage.cache_read or 0, usage.cache_write or 0
        try:
            priced = calc_price(
                PricedUsage(
                    input_tokens=(usage.uncached_input or 0) + read + write,
                    cache_read_tokens=read,
                    cache_write_tokens=write,
                    output_tokens=usage.output,
                ),
                model_ref=self.model,
                provider_api_url=self.upstream.base_url,
                genai_request_timestamp=now(),
            )
        except LookupError:
            return None
        return float(priced.total_price)

    @property
    def has_price(self) -> bool:
        """Whether calls of this model can be priced."""
        return self.price(Usage(uncached_input=0, output=0)) is not None


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InputError("the base URL must begin with http:// or https:// and name a host", hint="--base-url")
    if parts.username or parts.password:
        raise InputError("the base URL holds a user name or password", hint=f"put the key into {OWN_KEY}")
    if parts.query or parts.fragment:
        raise InputError("the base URL holds a query or fragment", hint="give it up to and including /v1")
    return url.rstrip("/")


def _key(environ: Mapping[str, str], variable: str) -> str | None:
    key = environ.get(variable, "").strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise InputError(f"the key in {variable} holds characters no key has", hint=f"export {variable} again")
    return key or None


def resolve_model(model: str, base_url: str | None, environ: Mapping[str, str]) -> ModelChoice:
    """The model named `openai/NAME`, `openrouter/NAME`, `ANY/NAME` with a base URL, or `scripted:FILE.yaml`.

    The key comes from `environ`: OPENAI_API_KEY, OPENROUTER_API_KEY, or SPEEDPROOF_API_KEY with a base URL (which may
    be absent). Raises InputError for an unknown provider, a missing key, a missing or broken script.
    """
    if model.startswith(f"{SCRIPTED}:"):
        path = Path(model.removeprefix(f"{SCRIPTED}:"))
        name = slug(path.stem)
        return ModelChoice(model, SCRIPTED, name, ScriptedModel(load_script(path), name))
    provider, slash, name = model.partition("/")
    if not slash or not provider or not name:
        raise InputError(
            f"the model {model!r} names no provider",
            hint="write openai/MODEL, openrouter/MODEL, NAME/MODEL with --base-url, or scripted:FILE.yaml",
        )
    if base_url is not None:
        key = _key(environ, OWN_KEY)
        return ModelChoice(model, provider, name, HttpUpstream(_checked_url(base_url), key))
    if provider not in PROVIDERS:
        known = ", ".join(PROVIDERS)
        raise InputError(
            f"the provider {provider!r} is not known; there are: {known}",
            hint=f"give --base-url with its OpenAI-compatible address, and its key in {OWN_KEY}",
        )
    url, variable = PROVIDERS[provider]
    key = _key(environ, variable)
    if key is None:
        raise InputError(f"no key for {provider}: {variable} is not set", hint=f"export {variable}=…")
    return ModelChoice(model, provider, name, HttpUpstream(url, key))

"""From the name a user gives to a model that can be called: provider, address, key, prices."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

from speedproof.errors import InputError
from speedproof.gateway.forwarding import Forwarder
from speedproof.gateway.providers import OWN_KEY, PROVIDERS, compatible
from speedproof.gateway.scripted import ScriptedModel
from speedproof.gateway.scripted.script import load_script
from speedproof.gateway.upstream import Upstream
from speedproof.journal import Usage
from speedproof.journal.attempt import Prices
from speedproof.journal.base import now
from speedproof.journal.prices import list_price
from speedproof.tasks.models import slug

SCRIPTED = "scripted"


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

    def price(self, usage: Usage, model: str | None = None, terms: Mapping[str, str] | None = None) -> float | None:
        """US dollars for `usage` at today's list prices; null when the model has no price or the usage is unknown.

        `model`: another model of the same provider, such as the small one that an agent uses beside its own. `terms`:
        how the call was served (service_tier, speed), where the price depends on it. The scripted model costs nothing.
        A model behind an address of its own is priced by that address, never by the provider's name alone; one used
        through a login at what its maker's API would take.
        """
        if usage.total is None:
            return None
        if self.provider == SCRIPTED:
            return 0.0
        if not isinstance(self.upstream, Forwarder):
            return None
        return list_price(usage, model or self.model, now(), listed_at=self.upstream.listed_at, terms=terms)

    @property
    def served_by(self) -> str:
        """Provider and host: what its limits on rates belong to."""
        if not isinstance(self.upstream, Forwarder):
            return self.asked
        return f"{self.provider} {urlsplit(self.upstream.base_url).hostname}"

    @property
    def has_price(self) -> bool:
        """Whether calls of this model can be priced."""
        return self.price(Usage(uncached_input=0, output=0)) is not None


def price_list() -> Prices:
    """The price list in force."""
    return Prices(source="genai-prices", version=version("genai-prices"))


def model_name(model: str) -> tuple[str, str]:
    """Provider and name of a model as a user names it. Raises InputError when it names none."""
    if model.startswith(f"{SCRIPTED}:"):
        return SCRIPTED, slug(Path(model.removeprefix(f"{SCRIPTED}:")).stem)
    provider, slash, name = model.partition("/")
    if not slash or not provider or not name:
        raise InputError(
            f"the model {model!r} names no provider",
            hint="write openai/MODEL, anthropic/MODEL, NAME/MODEL with --base-url, or scripted:FILE.yaml",
        )
    return provider, name


def resolve_model(model: str, base_url: str | None, environ: Mapping[str, str]) -> ModelChoice:
    """The model named `PROVIDER/NAME`, `ANY/NAME` with a base URL, or `scripted:FILE.yaml`.

    Keys and logins come from `environ` and the host (docs/providers.md). Raises InputError for an unknown provider, a
    missing key, an expired login, a missing or broken script.
    """
    provider, name = model_name(model)
    if model.startswith(f"{SCRIPTED}:"):
        script = load_script(Path(model.removeprefix(f"{SCRIPTED}:")))
        return ModelChoice(model, SCRIPTED, name, ScriptedModel(script, name))
    if base_url is not None:
        return ModelChoice(model, provider, name, compatible(base_url, environ))
    if provider not in PROVIDERS:
        raise InputError(
            f"the provider {provider!r} is not known; there are: {', '.join(PROVIDERS)}",
            hint=f"give --base-url with its address, and its key in {OWN_KEY}",
        )
    return ModelChoice(model, provider, name, PROVIDERS[provider](name, environ))

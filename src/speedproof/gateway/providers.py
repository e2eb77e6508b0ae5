"""The providers by the names that users give them, and the credentials each wants (docs/providers.md)."""

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from speedproof.errors import InputError
from speedproof.gateway.environment import key_in
from speedproof.gateway.forwarding import Forwarder, HttpUpstream
from speedproof.gateway.upstreams.keyed import Anthropic, Azure, Google
from speedproof.gateway.upstreams.logins import anthropic_login, openai_login

OWN_KEY = "SPEEDPROOF_API_KEY"


def compatible(base_url: str, environ: Mapping[str, str]) -> HttpUpstream:
    """Any server that speaks the agents' protocols, at an address of the user's. Its key, which may be absent, stands
    in SPEEDPROOF_API_KEY alone: a provider's own key never goes elsewhere. Raises InputError."""
    return HttpUpstream(_checked_url(base_url, "--base-url http://127.0.0.1:8000/v1"), key_in(environ, OWN_KEY))


def _openai(_: str, environ: Mapping[str, str]) -> Forwarder:
    key = _needed(environ, "OPENAI_API_KEY")
    return HttpUpstream("https://api.openai.com/v1", key, frozenset({"chat", "responses"}))


def _openrouter(_: str, environ: Mapping[str, str]) -> Forwarder:
    key = _needed(environ, "OPENROUTER_API_KEY")
    return HttpUpstream("https://openrouter.ai/api/v1", key, frozenset({"chat", "responses", "messages"}))


def _anthropic(_: str, environ: Mapping[str, str]) -> Forwarder:
    return Anthropic(key=_needed(environ, "ANTHROPIC_API_KEY"))


def _google(_: str, environ: Mapping[str, str]) -> Forwarder:
    return Google(key=key_in(environ, "GEMINI_API_KEY") or _needed(environ, "GOOGLE_API_KEY", "GEMINI_API_KEY"))


def _azure(_: str, environ: Mapping[str, str]) -> Forwarder:
    variable = "AZURE_OPENAI_ENDPOINT"
    endpoint = environ.get(variable, "").strip()
    if not endpoint:
        raise InputError(f"{variable} is not set", hint=f"export {variable}=https://RESOURCE.openai.azure.com")
    return Azure(_checked_url(endpoint, f"export {variable} again"), _needed(environ, "AZURE_OPENAI_API_KEY"))


def _bedrock(model: str, environ: Mapping[str, str]) -> Forwarder:
    try:
        from speedproof.gateway.upstreams.bedrock import bedrock_of
    except ImportError as error:
        raise _missing(error, "botocore", "bedrock") from error
    return bedrock_of(model, environ)


def _vertex(model: str, environ: Mapping[str, str]) -> Forwarder:
    try:
        from speedproof.gateway.upstreams.vertex import vertex_of
    except ImportError as error:
        raise _missing(error, "google-auth", "vertex") from error
    return vertex_of(model, environ)


def _missing(error: ImportError, package: str, extra: str) -> Exception:
    """What to install; the error itself when it is one of ours that is broken."""
    if (error.name or "").startswith("speedproof"):
        return error
    return InputError(
        f"this provider needs {package}, which is not installed", hint=f"pip install 'speedproof[{extra}]'"
    )


PROVIDERS: dict[str, Callable[[str, Mapping[str, str]], Forwarder]] = {
    "openai": _openai,
    "anthropic": _anthropic,
    "google": _google,
    "openrouter": _openrouter,
    "azure": _azure,
    "bedrock": _bedrock,
    "vertex": _vertex,
    "openai-login": lambda _, environ: openai_login(environ),
    "anthropic-login": lambda _, environ: anthropic_login(environ),
}
"""Each makes the upstream for a model's name from an environment. Raises InputError."""


def _checked_url(url: str, hint: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InputError("the base URL must begin with http:// or https:// and name a host", hint=hint)
    if parts.username or parts.password:
        raise InputError("the base URL holds a user name or password", hint=f"put the key into {OWN_KEY}")
    if parts.query or parts.fragment:
        raise InputError("the base URL holds a query or fragment", hint="give it up to and including /v1")
    return url.rstrip("/")


def _needed(environ: Mapping[str, str], variable: str, shown: str | None = None) -> str:
    """The key in `variable`; `shown` is the one to name when there is none."""
    key = key_in(environ, variable)
    if key is None:
        name = shown or variable
        raise InputError(f"there is no key: {name} is not set", hint=f"export {name}=…, or write it into .env")
    return key

"""From the name a user gives to a model that can be called."""

import json
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speedproof.errors import InputError
from speedproof.gateway import HttpUpstream, ModelChoice, ScriptedModel, resolve_model
from speedproof.gateway.environment import environment
from speedproof.gateway.models import price_list
from speedproof.gateway.providers import PROVIDERS
from speedproof.gateway.upstream import EVERY
from speedproof.gateway.upstreams.keyed import Anthropic, Azure, Google
from speedproof.journal import Usage
from upstream_support import claude_login, codex_login, jwt, service_account

KEY = "sk-planted-0123456789"
OPENAI = frozenset({"chat", "responses"})
LOTS = Usage(uncached_input=1_000_000, cache_read=0, output=1_000)


@pytest.fixture(autouse=True)
def nobodys_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is found on this machine: no AWS profile, no login, no .env."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)


def refused(model: str, environ: dict[str, str], url: str | None = None) -> str:
    """What a user is told."""
    with pytest.raises(InputError) as caught:
        resolve_model(model, url, environ)
    assert "next:" in str(caught.value)
    return str(caught.value)


def test_a_provider_takes_its_own_address_and_key() -> None:
    choice = resolve_model("openai/gpt-5", None, {"OPENAI_API_KEY": KEY})
    assert (choice.provider, choice.model) == ("openai", "gpt-5")
    assert choice.upstream == HttpUpstream("https://api.openai.com/v1", KEY, OPENAI)
    routed = resolve_model("openrouter/qwen/qwen3-coder", None, {"OPENROUTER_API_KEY": KEY})
    assert routed.model == "qwen/qwen3-coder"
    assert routed.upstream == HttpUpstream("https://openrouter.ai/api/v1", KEY, OPENAI | {"messages"})
    assert resolve_model("anthropic/claude-x", None, {"ANTHROPIC_API_KEY": KEY}).upstream == Anthropic(key=KEY)
    google = {"GEMINI_API_KEY": KEY}, {"GOOGLE_API_KEY": KEY}, {"GEMINI_API_KEY": KEY, "GOOGLE_API_KEY": "another-key"}
    for environ in google:
        assert resolve_model("google/gemini-x", None, environ).upstream == Google(key=KEY)
    azure = {"AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com/", "AZURE_OPENAI_API_KEY": KEY}
    assert resolve_model("azure/mine", None, azure).upstream == Azure("https://r.openai.azure.com", KEY)


def test_the_page_on_providers_names_each_of_them() -> None:
    page = (Path(__file__).parents[1] / "docs" / "providers.md").read_text()
    assert [name for name in PROVIDERS if f"`{name}/" not in page] == []


def test_any_compatible_address_is_taken_and_needs_no_key() -> None:
    choice = resolve_model("mine/qwen", "http://127.0.0.1:8000/v1/", {"OPENAI_API_KEY": KEY})
    assert choice.upstream == HttpUpstream("http://127.0.0.1:8000/v1", None)
    assert choice.upstream.protocols == EVERY
    keyed = resolve_model("mine/qwen", "https://host/v1", {"SPEEDPROOF_API_KEY": f" {KEY}\n"})
    assert keyed.upstream == HttpUpstream("https://host/v1", KEY)


def test_the_providers_key_never_goes_to_another_address() -> None:
    for provider, variable in (("openai", "OPENAI_API_KEY"), ("anthropic", "ANTHROPIC_API_KEY")):
        choice = resolve_model(f"{provider}/m", "https://elsewhere/v1", {variable: KEY})
        assert choice.upstream.secrets == ()


@pytest.mark.parametrize(
    ("model", "url", "environ", "what"),
    [
        ("openai/gpt-5", None, {}, "OPENAI_API_KEY"),
        ("openai/gpt-5", None, {"OPENAI_API_KEY": "  "}, "OPENAI_API_KEY"),
        ("openai/gpt-5", None, {"OPENAI_API_KEY": f"{KEY}\nx"}, "characters"),
        ("anthropic/x", None, {}, "ANTHROPIC_API_KEY"),
        ("google/x", None, {}, "GEMINI_API_KEY"),
        ("azure/x", None, {"AZURE_OPENAI_API_KEY": KEY}, "AZURE_OPENAI_ENDPOINT"),
        ("azure/x", None, {"AZURE_OPENAI_ENDPOINT": f"https://u:{KEY}@r"}, "password"),
        ("bedrock/x", None, {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": KEY}, "AWS_REGION"),
        ("bedrock/x", None, {"AWS_BEARER_TOKEN_BEDROCK": KEY, "AWS_REGION": "evil.org/#"}, "AWS_REGION"),
        ("bedrock/x", None, {"AWS_REGION": "eu-west-1"}, "aws sso login"),
        ("bedrock/x", None, {"AWS_PROFILE": "nobody"}, "nobody"),
        ("bedrock/x", None, {"AWS_BEARER_TOKEN_BEDROCK": f"{KEY}\nx", "AWS_REGION": "eu-west-1"}, "characters"),
        ("vertex/x", None, {"GOOGLE_APPLICATION_CREDENTIALS": "no.json"}, "gcloud auth"),
        ("vertex/x", None, {"GOOGLE_APPLICATION_CREDENTIALS": "."}, "gcloud auth"),
        ("openai-login/gpt-5", None, {}, "codex login"),
        ("anthropic-login/claude", None, {}, "claude /login"),
        ("nobody/gpt-5", None, {}, "openai, anthropic, google"),
        ("gpt-5", None, {}, "no provider"),
        ("openai/", None, {}, "no provider"),
        ("x/y", "ftp://host", {}, "http"),
        ("x/y", f"https://user:{KEY}@host/v1", {}, "password"),
        ("x/y", "https://host/v1?key=1", {}, "query"),
        ("scripted:/does/not/exist.yaml", None, {}, "does not exist"),
    ],
)
def test_a_wrong_choice_says_what_to_do_and_shows_no_key(
    model: str, url: str | None, environ: dict[str, str], what: str
) -> None:
    told = refused(model, environ, url)
    assert what in told
    assert KEY not in told


@pytest.mark.parametrize(("provider", "module"), [("bedrock", "botocore.auth"), ("vertex", "google.auth")])
def test_a_missing_package_says_what_to_install(provider: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    for ours in (provider, f"{provider}_answers"):
        monkeypatch.delitem(sys.modules, f"speedproof.gateway.upstreams.{ours}", raising=False)
    assert f"pip install 'speedproof[{provider}]'" in refused(f"{provider}/x", {})


def test_no_key_in_any_repr(tmp_path: Path) -> None:
    codex_login(tmp_path / ".codex", jwt(time.time() + 60, "account-of-somebody"))
    names = ("OPENAI", "ANTHROPIC", "GEMINI", "AZURE_OPENAI")
    environ = {f"{name}_API_KEY": KEY for name in names}
    environ |= {"AWS_BEARER_TOKEN_BEDROCK": KEY, "AWS_REGION": "eu-west-1", "HOME": str(tmp_path)}
    environ |= {"AZURE_OPENAI_ENDPOINT": "https://r"}
    for provider in ("openai", "anthropic", "google", "azure", "bedrock", "openai-login"):
        choice = resolve_model(f"{provider}/m", None, environ)
        assert choice.upstream.secrets
        for secret in choice.upstream.secrets:
            assert secret not in repr(choice) + str(choice) + repr(choice.upstream)


# -- credentials of clouds and logins


def test_aws_credentials_of_the_environment_say_when_they_end() -> None:
    environ = {"AWS_ACCESS_KEY_ID": "AKIAPLANTED012345678", "AWS_SECRET_ACCESS_KEY": KEY, "AWS_REGION": "eu-west-1"}
    assert resolve_model("bedrock/m", None, environ).upstream.expires_at() is None
    later = resolve_model("bedrock/m", None, environ | {"AWS_CREDENTIAL_EXPIRATION": "2999-01-02T03:04:05Z"})
    assert f"{later.upstream.expires_at()}" == "2999-01-02 03:04:05+00:00"
    told = refused("bedrock/m", environ | {"AWS_CREDENTIAL_EXPIRATION": "2020-01-02T03:04:05+00:00"})
    assert "expired at 2020-01-02 03:04 UTC" in told


def test_a_single_sign_on_that_ended_is_refused_beforehand(tmp_path: Path) -> None:
    lines = "sso_start_url = https://sso.invalid/start\nsso_region = eu-west-1\nsso_account_id = 1\nsso_role_name = r"
    (tmp_path / "AWS_CONFIG_FILE").write_text(f"[profile work]\nregion = eu-west-1\n{lines}\n")
    assert "aws sso login" in refused("bedrock/m", {"AWS_PROFILE": "work"})


def test_vertex_gets_its_token_from_the_hosts_credentials(tmp_path: Path) -> None:
    with service_account(tmp_path / "account.json") as granted:
        environ = {"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "account.json"), "GOOGLE_CLOUD_LOCATION": "eu"}
        choice = resolve_model("vertex/gemini-2.5-pro", None, environ)
        assert granted in choice.upstream.secrets
        assert "GOOGLE_CLOUD_LOCATION" in refused("vertex/m", environ | {"GOOGLE_CLOUD_LOCATION": ""})
    assert "gcloud auth" in refused("vertex/m", environ), "nobody grants a token any more"


@pytest.mark.parametrize("content", ["", "[]", "{}", f'{{"type": "service_account", "private_key": "{KEY}"}}', KEY])
def test_a_broken_file_of_google_credentials_is_refused_and_not_shown(content: str, tmp_path: Path) -> None:
    (tmp_path / "account.json").write_text(content)
    told = refused("vertex/m", {"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "account.json")})
    assert KEY not in told


def test_a_login_is_found_where_its_agent_keeps_it(tmp_path: Path) -> None:
    later = time.time() + 3600
    codex_login(tmp_path / "elsewhere", jwt(later))
    claude_login(tmp_path / ".claude", KEY, later)
    codex = resolve_model("openai-login/gpt-5", None, {"CODEX_HOME": str(tmp_path / "elsewhere")})
    claude = resolve_model("anthropic-login/claude-sonnet-4-5", None, {"HOME": str(tmp_path)})
    for choice, protocols in ((codex, {"responses"}), (claude, {"messages"})):
        ends = choice.upstream.expires_at()
        assert ends is not None
        assert abs(ends.timestamp() - later) < 1
        assert choice.upstream.protocols == protocols


@pytest.mark.parametrize(("provider", "again"), [("openai-login", "codex login"), ("anthropic-login", "claude /login")])
def test_an_expired_login_names_the_command_that_logs_in_again(provider: str, again: str, tmp_path: Path) -> None:
    codex_login(tmp_path / ".codex", jwt(1_600_000_000))
    claude_login(tmp_path / ".claude", KEY, 1_600_000_000)
    told = refused(f"{provider}/m", {"HOME": str(tmp_path)})
    assert "expired at 2020-09-13 12:26 UTC" in told
    assert again in told


@pytest.mark.parametrize(
    "content",
    [
        f'{{"tokens": "{KEY}"}}',
        f'{{"tokens": {{"access_token": ["{KEY}"]}}}}',
        f'{{"tokens": {{"access_token": "{KEY}\\n"}}, "claudeAiOauth": {{"accessToken": "{KEY}\\u00e9"}}}}',
        f'{{"OPENAI_API_KEY": "{KEY}", "tokens": null, "claudeAiOauth": []}}',
        f'"{KEY}"',
        f"{KEY}",
        "[" * 100_000,
        "",
    ],
)
def test_a_broken_login_is_refused_and_not_shown(content: str, tmp_path: Path) -> None:
    codex_login(tmp_path / ".codex", "x").write_text(content)
    claude_login(tmp_path / ".claude", "x", 0).write_text(content)
    for provider, name in (("openai-login", "auth.json"), ("anthropic-login", ".credentials.json")):
        told = refused(f"{provider}/m", {"HOME": str(tmp_path)})
        assert name in told
        assert KEY not in told


@pytest.mark.parametrize("claims", ["", ".", "a.b.c", "a.e30.c", jwt(float("inf")), jwt(1e300), f"{KEY}.!!!.x"])
def test_a_token_that_does_not_say_when_it_ends_is_taken(claims: str, tmp_path: Path) -> None:
    codex_login(tmp_path / ".codex", claims or KEY)
    assert resolve_model("openai-login/m", None, {"HOME": str(tmp_path)}).upstream.expires_at() is None


# -- the environment


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    text = f"# keys\nexport OPENAI_API_KEY='{KEY}'\n\nPLAIN=a b # said\nBOTH=file\nODD=${{HOME}}\nEMPTY=\n"
    (tmp_path / ".env").write_text(text)
    (tmp_path / ".env").chmod(0o600)
    told: list[str] = []
    found = environment(None, {"BOTH": "process"}, told.append)
    assert found == {"OPENAI_API_KEY": KEY, "PLAIN": "a b", "BOTH": "process", "ODD": "${HOME}", "EMPTY": ""}
    assert told == []
    assert resolve_model("openai/gpt-5", None, found).upstream.secrets == (KEY,)


def test_without_a_file_the_environment_is_as_it_was() -> None:
    assert environment(None, {"A": "1"}) == {"A": "1"}


def test_a_file_that_everyone_may_read_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("\ufeffA=1\n", encoding="utf-8")
    (tmp_path / "keys").chmod(0o644)
    told: list[str] = []
    assert environment(tmp_path / "keys", {}, told.append) == {"A": "1"}
    assert "chmod 600" in told[0]


@pytest.mark.parametrize("line", [f"OPENAI {KEY}", f"= {KEY}", f"A='{KEY}", "OPENAI_API_KEY", KEY])
def test_a_broken_line_is_named_by_its_number_and_not_shown(line: str, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"A=1\n\n# said\n{line}\nB=2\n")
    with pytest.raises(InputError) as caught:
        environment(tmp_path / "keys", {})
    assert str(caught.value).startswith(f"{tmp_path}/keys:4: ")
    assert KEY not in str(caught.value)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\0")
    for name in ("binary", "missing", "."):
        with pytest.raises(InputError):
            environment(tmp_path / name, {})


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    file = Path("any.env")
    file.write_text(text, encoding="utf-8", errors="replace")
    file.chmod(0o600)
    try:
        found = environment(file, {})
    except InputError as error:
        assert error.file == "any.env"
    else:
        assert all(isinstance(value, str) for value in found.values())


# -- prices


def _choice(name: str, environ: dict[str, str]) -> ModelChoice:
    return resolve_model(name, None, environ)


def test_every_provider_has_list_prices(tmp_path: Path) -> None:
    codex_login(tmp_path / ".codex", jwt(time.time() + 60))
    claude_login(tmp_path / ".claude", KEY, time.time() + 60)
    environ = {
        "HOME": str(tmp_path),
        "OPENAI_API_KEY": KEY,
        "ANTHROPIC_API_KEY": KEY,
        "GEMINI_API_KEY": KEY,
        "OPENROUTER_API_KEY": KEY,
        "AZURE_OPENAI_API_KEY": KEY,
        "AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com",
        "AWS_BEARER_TOKEN_BEDROCK": KEY,
        "AWS_REGION": "us-east-1",
    }
    gpt, claude = "gpt-5", "claude-sonnet-4-5"
    sold = {f"openai/{gpt}", f"azure/{gpt}", f"openrouter/openai/{gpt}", f"openai-login/{gpt}", "google/gemini-2.5-pro"}
    sold |= {f"anthropic/{claude}", f"anthropic-login/{claude}", f"bedrock/us.anthropic.{claude}-20250929-v1:0"}
    prices = {name: _choice(name, environ).price(LOTS) for name in sold}
    assert all(price is not None and price > 0 for price in prices.values())
    assert prices[f"openai-login/{gpt}"] == prices[f"openai/{gpt}"]
    assert prices[f"anthropic-login/{claude}"] == prices[f"anthropic/{claude}"]


def test_vertex_has_list_prices(tmp_path: Path) -> None:
    with service_account(tmp_path / "account.json"):
        environ = {"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "account.json"), "GOOGLE_CLOUD_LOCATION": "eu"}
        for name in ("gemini-2.5-pro", "claude-sonnet-4-5@20250929"):
            assert _choice(f"vertex/{name}", environ).has_price


def test_another_model_of_the_provider_has_its_own_price() -> None:
    choice = _choice("anthropic/claude-opus-4-1", {"ANTHROPIC_API_KEY": KEY})
    own, small = choice.price(LOTS), choice.price(LOTS, "claude-3-5-haiku-latest")
    assert own is not None
    assert small is not None
    assert small < own
    assert choice.price(LOTS, "no-such-model") is None


def test_the_price_list_says_its_version() -> None:
    assert price_list().source == "genai-prices"
    assert json.loads(price_list().model_dump_json())["version"][0].isdigit()


def test_cached_input_is_priced_as_cached() -> None:
    choice = _choice("openai/gpt-5", {"OPENAI_API_KEY": KEY})
    fresh = choice.price(Usage(uncached_input=1_000_000, cache_read=0, output=0))
    cached = choice.price(Usage(uncached_input=0, cache_read=1_000_000, output=0))
    assert fresh is not None
    assert cached is not None
    assert 0 < cached < fresh
    assert choice.has_price


def test_a_missing_price_is_null_not_zero() -> None:
    local = resolve_model("openai/gpt-5", "http://127.0.0.1:8000/v1", {})
    assert local.price(Usage(uncached_input=10, output=10)) is None
    assert not local.has_price
    unknown = resolve_model("openai/no-such-model", None, {"OPENAI_API_KEY": KEY})
    assert not unknown.has_price
    known = resolve_model("openai/gpt-5", None, {"OPENAI_API_KEY": KEY})
    assert known.price(Usage(uncached_input=10)) is None


def test_an_address_that_is_a_known_provider_has_its_prices() -> None:
    assert resolve_model("mine/gpt-5", "https://api.openai.com/v1", {"SPEEDPROOF_API_KEY": KEY}).has_price


def test_a_script_is_a_model_that_costs_nothing(tmp_path: Path) -> None:
    file = tmp_path / "My Script.yaml"
    file.write_text("format: speedproof/script/1\nturns:\n  - finish: done\n")
    choice = resolve_model(f"scripted:{file}", None, {})
    assert isinstance(choice.upstream, ScriptedModel)
    assert (choice.provider, choice.model) == ("scripted", "my-script")
    assert choice.price(Usage(uncached_input=10, output=10)) == 0.0

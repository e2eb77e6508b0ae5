"""From the name a user gives to a model that can be called."""

from pathlib import Path

import pytest

from speedproof.errors import InputError
from speedproof.gateway import HttpUpstream, ScriptedModel, resolve_model
from speedproof.journal import Usage

KEY = "sk-planted-0123456789"


def test_openai_and_openrouter_take_their_own_address_and_key() -> None:
    choice = resolve_model("openai/gpt-5", None, {"OPENAI_API_KEY": KEY})
    assert (choice.provider, choice.model) == ("openai", "gpt-5")
    assert choice.upstream == HttpUpstream("https://api.openai.com/v1", KEY)
    routed = resolve_model("openrouter/qwen/qwen3-coder", None, {"OPENROUTER_API_KEY": KEY})
    assert routed.model == "qwen/qwen3-coder"
    assert routed.upstream == HttpUpstream("https://openrouter.ai/api/v1", KEY)


def test_any_compatible_address_is_taken_and_needs_no_key() -> None:
    choice = resolve_model("mine/qwen", "http://127.0.0.1:8000/v1/", {"OPENAI_API_KEY": KEY})
    assert choice.upstream == HttpUpstream("http://127.0.0.1:8000/v1", None)
    keyed = resolve_model("mine/qwen", "https://host/v1", {"SPEEDPROOF_API_KEY": f" {KEY}\n"})
    assert keyed.upstream == HttpUpstream("https://host/v1", KEY)


def test_the_providers_key_never_goes_to_another_address() -> None:
    choice = resolve_model("openai/gpt-5", "https://elsewhere/v1", {"OPENAI_API_KEY": KEY})
    assert choice.upstream.secrets == ()


@pytest.mark.parametrize(
    ("model", "url", "environ", "what"),
    [
        ("openai/gpt-5", None, {}, "OPENAI_API_KEY"),
        ("openai/gpt-5", None, {"OPENAI_API_KEY": "  "}, "OPENAI_API_KEY"),
        ("openai/gpt-5", None, {"OPENAI_API_KEY": f"{KEY}\nx"}, "characters"),
        ("nobody/gpt-5", None, {}, "openai, openrouter"),
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
    with pytest.raises(InputError) as caught:
        resolve_model(model, url, environ)
    assert what in str(caught.value)
    assert "next:" in str(caught.value)
    assert KEY not in str(caught.value)


def test_no_key_in_any_repr() -> None:
    choice = resolve_model("openai/gpt-5", None, {"OPENAI_API_KEY": KEY})
    assert KEY not in repr(choice) + str(choice) + repr(choice.upstream)


def test_cached_input_is_priced_as_cached() -> None:
    choice = resolve_model("openai/gpt-5", None, {"OPENAI_API_KEY": KEY})
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


def test_a_script_is_a_model_that_costs_nothing(tmp_path: Path) -> None:
    file = tmp_path / "My Script.yaml"
    file.write_text("format: speedproof/script/1\nturns:\n  - finish: done\n")
    choice = resolve_model(f"scripted:{file}", None, {})
    assert isinstance(choice.upstream, ScriptedModel)
    assert (choice.provider, choice.model) == ("scripted", "my-script")
    assert choice.price(Usage(uncached_input=10, output=10)) == 0.0

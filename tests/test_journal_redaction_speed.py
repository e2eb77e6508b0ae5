"""Redaction asks a fast engine first; what comes out is what the slow patterns alone would leave."""

import re
import time
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic_core import SchemaValidator, core_schema

from speedproof.journal import CallIntent, CallOutcome, redaction
from speedproof.journal.base import now
from speedproof.journal.redaction import REDACTED, redact, redact_value, redacted_json

ALWAYS = SchemaValidator(core_schema.str_schema())
"""An engine that finds something in every text."""
SHAPES = [redaction._WHOLE, redaction._AFTER_WORD, redaction._IN_ADDRESS]
WORDS = (
    "sk- -sk- _pk- AKIA ghp_ hf- xoxb- pypi- AIza eyJ . BEGIN PRIVATE KEY ----- 0123456789ABCDEF abcdefgh "
    "Bearer bas\u0131c Ba\u017fic api \u0130 key \u212aey secret access password provided _token -TOKEN s "
    ": = \" ' \\ / :// user @ [redacted] { } [ ] é 中 \u0301 \ud800 \x00"
)
PIECES = [*WORDS.split(" "), *" \n\t\x1c\x85\u00a0\u2003"]
texts = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=14).map("".join)
keys = st.lists(texts.filter(lambda text: len(text) >= 8), max_size=2).map(tuple)


def slowly(text: str, secrets: tuple[str, ...]) -> str:
    """`redact`, by its patterns alone."""
    with patch.object(redaction, "_ANY", ALWAYS):
        return redact(text, secrets)


@settings(max_examples=400, deadline=None)
@given(texts, keys)
@example("Bearer\x1cabcdefgh", ())
@example("a\u0301sk-abcdefgh", ())
@example("AP\u0130\u212aEY=abcdefgh", ())
@example("-----BEGIN PRIVATE KEY-----" + "a" * 9000, ())
def test_the_same_comes_out_fast_and_slowly(text: str, secrets: tuple[str, ...]) -> None:
    assert redact(text, secrets) == slowly(text, secrets)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(SHAPES).flatmap(lambda shape: st.from_regex(shape)))
def test_every_shape_that_is_replaced_is_found(text: str) -> None:
    text = text.encode(errors="replace").decode()
    assert redaction._ANY.isinstance_python(text) or not any(shape.search(text) for shape in SHAPES)
    assert redact(text) == slowly(text, ())


def test_whatever_letter_counts_as_another_is_known() -> None:
    letters = re.compile("[a-z]", re.IGNORECASE)
    beyond = {chr(code) for code in range(128, 0x110000) if letters.match(chr(code))}
    assert beyond == set("ıİſ\u212a")


json_values = st.recursive(
    texts | st.none() | st.booleans() | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(texts, json_values, max_size=3), keys, st.integers(0, 40))
def test_a_record_is_written_as_if_every_string_in_it_had_been_redacted(
    asked: dict[str, object], secrets: tuple[str, ...], depth: int
) -> None:
    nested: object = "x"
    for _ in range(depth):
        nested = [nested]
    intent = CallIntent(
        call=1,
        at=now(),
        method="POST",
        path="/v1/chat/completions",
        protocol="chat",
        asked=asked | {"nested": nested},
        tools=tuple(asked)[:2],
        request_bytes=1,
        request_sha256="",
    )
    clean = CallIntent.model_validate(redact_value(intent.model_dump(), secrets))
    assert redacted_json(intent, secrets) == clean.model_dump_json()


@pytest.mark.parametrize(
    "text", ["it said\nBearer abcdefghij.klm", 'x "sk-proj-abcdefghijkl"', "\ud800 sk-proj-abcdefghijkl"]
)
def test_a_secret_in_a_record_does_not_hide_behind_json(text: str) -> None:
    outcome = CallOutcome(call=1, at=now(), complete=True, duration_s=1.0, text_excerpt=text)
    written = redacted_json(outcome, ())
    assert REDACTED in written
    assert "abcdefghij" not in written


def test_a_request_as_long_as_agents_send_is_searched_in_no_time() -> None:
    text = "Plain words of an agent that says what it does: max_tokens = 3, api_key unset. " * 12_500
    began = time.process_time()
    assert redact(text) == text
    assert time.process_time() - began < 0.1  # of a million characters; `re` needs 0.2 s

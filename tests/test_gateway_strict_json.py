"""A request is read in one way only: what another reader could take for something else is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speedproof.gateway.strict_json import Malformed, TooMany, read_object

NAMES = st.sampled_from(["a", "b", "model", "a:b", '"', "\\", "é", "\x1b", "📈", "x" * 40])
"""Few, so that objects often hold one of them twice."""
SPELLINGS = (
    {"separators": (",", ":"), "ensure_ascii": False},
    {"separators": (",", ":")},
    {},
    {"indent": 1},
)
"""As JSON.stringify and httpx write it, and as others do."""


class Pairs(list[tuple[str, Any]]):
    """An object as it is written: a name may come twice."""


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), NAMES),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.lists(st.tuples(NAMES, inner), max_size=3).map(Pairs)),
    max_leaves=12,
)


def written(value: Any, spelling: dict[str, Any]) -> str:
    comma, colon = spelling.get("separators", (", ", ": "))
    if isinstance(value, Pairs):
        inner = (json.dumps(name, **spelling) + colon + written(member, spelling) for name, member in value)
        return "{" + comma.join(inner) + "}"
    if isinstance(value, list):
        return "[" + comma.join(written(item, spelling) for item in value) + "]"
    return json.dumps(value, **spelling)


def says_twice(value: Any) -> bool:
    members = [member for _, member in value] if isinstance(value, Pairs) else value if isinstance(value, list) else []
    doubled = isinstance(value, Pairs) and len({name for name, _ in value}) < len(value)
    return doubled or any(says_twice(member) for member in members)


@given(VALUES, st.sampled_from(SPELLINGS))
def test_whatever_way_it_is_written_the_same_is_read_and_no_name_counts_twice(
    value: Any, spelling: dict[str, Any]
) -> None:
    raw = written(Pairs([("body", value)]), spelling).encode()
    if says_twice(value):
        with pytest.raises(Malformed):
            read_object(raw)
    else:
        assert read_object(raw) == json.loads(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":123456789012345678901234567890}',
        b'{"a":1e400,"b":NaN,"c":-Infinity}',
        b'{"a":"\\ud83d"}',
        b'{"a":"\\u003a\\/"}',
        b' {"a" : 1.50 , "b":[ ]}\n',
        b'{"a":' + b"[" * 600 + b"]" * 600 + b"}",
    ],
)
def test_what_is_written_in_an_unusual_way_loses_nothing(raw: bytes) -> None:
    assert repr(read_object(raw)) == repr(json.loads(raw))


@pytest.mark.parametrize("raw", [b"", b"null", b"[]", b"1", b'{"a":1', b'{"a":1}{}', b"\xff", b'{"a":1,"A":2}'])
def test_what_is_no_object_is_refused(raw: bytes) -> None:
    with pytest.raises(Malformed):
        read_object(raw)


@pytest.mark.parametrize("many", [b"[" * 600_000, b'{"a":[' + b"1," * 600_000 + b"1]}"])
def test_more_values_than_can_be_read_in_good_time_are_refused_unread(many: bytes) -> None:
    with pytest.raises(TooMany):
        read_object(many)

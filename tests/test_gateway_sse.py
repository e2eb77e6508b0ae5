"""Event streams come out the same however the bytes are torn."""

import itertools
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from speedproof.gateway.sse import EventParser

ENDS = st.sampled_from(["\n", "\r\n", "\r"])
LINES = st.text(st.characters(blacklist_characters="\r\n", blacklist_categories=["Cs"]), max_size=12)
STREAMS = st.lists(
    st.one_of(LINES, LINES.map("data: {}".format), LINES.map("event:{}".format), LINES.map(": {}".format), st.just("")),
    max_size=12,
)


def events(chunks: list[bytes]) -> list[tuple[str, str, bytes]]:
    parser = EventParser()
    found = [event for chunk in chunks for event in parser.feed(chunk)]
    rest = parser.finish()
    return [(e.name, e.data, e.raw) for e in [*found, *([rest] if rest else [])]]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STREAMS, st.lists(ENDS, min_size=12, max_size=12), st.lists(st.integers(0, 400), max_size=20))
def test_any_chunking_gives_the_same_events(lines: list[str], ends: list[str], cuts: list[int]) -> None:
    raw = "".join(line + end for line, end in zip(lines, ends, strict=False)).encode()
    places = sorted({min(cut, len(raw)) for cut in cuts} | {0, len(raw)})
    torn = [raw[a:b] for a, b in itertools.pairwise(places)]
    whole = events([raw])
    assert events(torn) == whole
    assert events([raw[i : i + 1] for i in range(len(raw))]) == whole
    assert b"".join(e[2] for e in whole) == raw


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(LINES, LINES), max_size=6), ENDS)
def test_what_is_written_is_what_is_read(pairs: list[tuple[str, str]], end: str) -> None:
    raw = "".join(
        f"event: {json.dumps(name)}{end}data: {json.dumps(data)}{end}data: more{end}{end}" for name, data in pairs
    )
    expected = [(json.dumps(name), json.dumps(data) + "\nmore") for name, data in pairs]
    assert [(e[0], e[1]) for e in events([raw.encode()])] == expected


def test_a_byte_order_mark_and_a_missing_space_are_taken() -> None:
    assert events([b"\xef\xbb\xbfdata:x\n\n"])[0][:2] == ("message", "x")


def test_an_event_is_given_as_soon_as_its_blank_line_has_come() -> None:
    parser = EventParser()
    assert parser.feed(b"data: 1\n") == []
    assert [e.data for e in parser.feed(b"\ndata: 2")] == ["1"]
    assert [e.data for e in parser.feed(b"\r\n\r\n")] == ["2"]


def test_an_event_that_never_ends_is_passed_on_and_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speedproof.gateway.sse.LONGEST_EVENT", 1_000)
    parser = EventParser()
    pieces = [b"data: " + b"x" * 400] * 20
    events = [event for piece in pieces for event in parser.feed(piece)]
    rest = parser.finish()
    assert b"".join(event.raw for event in events) + (rest.raw if rest else b"") == b"".join(pieces)
    assert len(events) >= 5
    assert not any(event.data for event in events)

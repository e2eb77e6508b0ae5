"""Text from strangers is inert in every form of the report; figures read well and unknown is said."""

import re
import unicodedata
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speedproof.analysis import Interval
from speedproof.journal import Usage
from speedproof.report.text import (
    clean,
    fenced,
    interval,
    is_inside,
    link,
    markdown,
    one_line,
    percent,
    seconds,
    size,
    times,
    tokens,
    usd,
)

ANY = st.text(st.characters())


@given(ANY)
def test_no_control_or_direction_character_is_left(text: str) -> None:
    shown = clean(text)
    assert {c for c in shown if unicodedata.category(c) in ("Cc", "Cs")} <= {"\n", "\t"}
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b-\u200f]", shown)
    shown.encode()


def test_an_escape_sequence_stays_visible() -> None:
    assert clean("\x1b[31mred\x00") == "␛[31mred␀"


@given(ANY, st.integers(1, 80))
def test_one_line_is_one_line_of_at_most_its_limit(text: str, limit: int) -> None:
    assert len(one_line(text, limit)) <= limit
    assert not set(one_line(text, limit)) & set("\n\r\t\x0b\x85\u2028")


def test_a_cut_is_marked() -> None:
    assert one_line("x" * 50, 10) == "x" * 9 + "…"
    assert one_line(" " * 500 + "x", 10).endswith("…")


@given(ANY)
def test_markdown_has_no_active_character(text: str) -> None:
    assert not set(re.sub(r"&#\d+;", "", markdown(text))) & set("<>|`*[]()!\\&@#~${}\n")


@pytest.mark.parametrize("text", ["https://x.example", "www.x.example", "__init__ and _this_", "![a](b)", "<b>"])
def test_markdown_links_images_and_emphasis_are_plain_text(text: str) -> None:
    out = markdown(text)
    assert "://" not in out and "www." not in out and "![" not in out and "<" not in out
    assert not re.search(r"(^|\s)_", out)


def test_markdown_keeps_plain_names_readable() -> None:
    assert markdown("openai/gpt-5 exit_and_patch 1.2.3") == "openai/gpt-5 exit_and_patch 1.2.3"


@given(ANY)
def test_a_code_block_cannot_be_ended_from_within(text: str) -> None:
    first, *body, last = fenced(text).split("\n")
    assert first == last + "text"
    assert not any(line.strip().startswith(last) for line in body)


@given(ANY)
def test_a_link_has_no_scheme_host_or_query(path: str) -> None:
    parts = urlsplit(link(path.encode(errors="replace").decode()))
    assert (parts.scheme, parts.netloc, parts.query) == ("", "", "")


@pytest.mark.parametrize(
    ("path", "inside"),
    [("a/b.txt", True), ("", False), ("/etc/passwd", False), ("a/../../b", False), ("a\0b", False), ("..", False)],
)
def test_only_paths_within_the_folder_become_links(path: str, inside: bool) -> None:
    assert is_inside(path) is inside


def test_figures_read_well_and_unknown_is_a_question_mark() -> None:
    assert [times(v) for v in (1.234, 12.34, 123.4, None)] == ["1.23×", "12.3×", "123×", "?"]
    assert [seconds(v) for v in (0.0421, 3.21, 185.0, 9000.0, None)] == ["42 ms", "3.2 s", "3.1 min", "2.5 h", "?"]
    assert [usd(v) for v in (0.0, 0.0042, 12.345, None)] == ["$0.00", "$0.0042", "$12.35", "?"]
    assert [size(v) for v in (12, 123_456, 98_765_432, None)] == ["12 B", "123 kB", "99 MB", "?"]
    assert [percent(v) for v in (0.5, None)] == ["50 %", "?"]


def test_unknown_usage_is_said() -> None:
    assert tokens(Usage()) == "tokens unknown"
    assert tokens(Usage(uncached_input=1200, cache_read=800, output=90)) == "1,200 in + 800 cached, 90 out"


def test_an_unbounded_interval_is_said() -> None:
    value = Interval(
        speedup=2.0, low=None, high=None, decision="inconclusive", metric="seconds", workload=None, blocks=3
    )
    assert interval(value) == "2.00× [?, ?]"
    assert interval(None) == "–"

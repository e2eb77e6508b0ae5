"""Measures: each has a definition and a value over any attempts, and what holds between them does."""

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from claims_builder import command, small_archive
from speedproof.analysis.claims.conditions import canonical, disjoint, implies
from speedproof.analysis.collection import DIMENSIONS, Collection, Entry
from speedproof.analysis.measures import MEASURES, Value, measured
from speedproof.analysis.measures.identities import ADDITIVE, AT_MOST, MONOTONE, PARTS, SAME_AS, SHARES
from speedproof.errors import InputError
from speedproof.journal import Diagnosis, Evidence, FailureClass, Usage
from speedproof.journal.attempt import AgentOutcome
from speedproof.journal.foreign import ForeignAttempt
from speedproof.journal.foreign_parts import Clock, FailedCall, ForeignPatch, Legacy, Recorded, Told, UsageSource
from speedproof.report.measures import BEGIN, END, page, refresh

DOCS = Path(__file__).parents[1] / "docs" / "measures.md"
START = datetime(2025, 10, 8, tzinfo=UTC)
counts = st.none() | st.integers(0, 9) | st.integers(0, 2**53)
seconds = st.none() | st.floats(-1e308, 1e308, allow_nan=False) | st.floats(0, 100)
texts = st.none() | st.sampled_from(["", "success", "error", "\x1b[31m\u202e", "9" * 300])


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    """An attempt of an archive that says whatever it likes."""
    told = draw(st.booleans())
    failed = draw(counts)
    calls = None if failed is None else failed + draw(st.integers(0, 5))
    usage = Usage(uncached_input=draw(counts), cache_read=draw(counts), cache_write=draw(counts), output=draw(counts))
    size = draw(st.none() | st.integers(0, 5) | st.integers(0, 2**53))
    patch = (
        None
        if size is None
        else ForeignPatch(
            file="p",
            sha256=draw(st.sampled_from("ab")),
            size=size,
            files=("f",),
            added=1,
            removed=0,
            hunks=1,
            own_file=draw(st.booleans()),
            tests=draw(st.sampled_from([(), ("t",)])),
            comments_only=False,
        )
    )
    failure = draw(st.none() | st.sampled_from([FailureClass.TOOL_OUTPUT_MISSING, FailureClass.BAD_KEY]))
    cause = (
        None
        if failure is None
        else Diagnosis(failure=failure, message="m", stage="agent", confidence="direct", evidence=(Evidence(file="f"),))
    )
    recorded = draw(st.sampled_from([None, "success", "error", "\x1b]"]))
    exit_and_patch = bool(size) and draw(st.booleans())
    strict = exit_and_patch and draw(st.booleans())
    at = START + timedelta(seconds=draw(st.integers(0, 10**7))) if draw(st.booleans()) else None
    number = draw(st.integers(0, 10**9))
    attempt = ForeignAttempt(
        reader="r", id=f"{number:012x}", archive="a", folder="f", layout="trae", files=(), journal=draw(st.booleans()),
        recorded=Recorded(
            status=recorded, success=None if recorded is None else recorded == "success", error=draw(texts),
            exit_code=draw(st.none() | st.integers(-15, 2)),
        ),
        run=draw(st.sampled_from(["one", "two", "\x1b"])), item=f"i{number}",
        commit=draw(st.none() | st.sampled_from(["c" * 40, "d" * 40])),
        agent=Told(value=draw(texts), confidence="label"), model=Told(value="gpt-5", confidence="direct"),
        began=at, ended=at, written=at if draw(st.booleans()) else None, clock=Clock(offset_s=None, basis="none"),
        wall_s=draw(seconds), budget_s=draw(seconds), steps=draw(counts),
        outcome=AgentOutcome(claims_success=draw(st.none() | st.booleans())) if draw(st.booleans()) else None,
        patch=patch, patch_status="missing" if patch is None else "present" if patch.size else "empty",
        usages=(UsageSource(source="trajectory", file="f", usage=usage, input=draw(counts), impossible=("x",)),)
        if told else (),
        usage=usage if told else Usage(), usage_source="trajectory" if told else "unknown",
        billed_usd=draw(seconds), calls=calls, failed=failed,
        failed_calls=(FailedCall(failure=failure, mentions=9, evidence=Evidence(file="f")),)
        if failure and failed else (),
        legacy=Legacy(first_input=draw(counts), step_as_text=draw(counts), greatest_step=draw(counts)),
        run_status="completed" if cause is None else draw(st.sampled_from(["completed", "agent_error"])),
        diagnosis=cause, exit_and_patch=exit_and_patch, strict=strict, confirmed=strict and draw(st.booleans()),
    )  # fmt: skip
    return Entry(attempt, f"{attempt.run}/{attempt.item}", proven=draw(st.none() | st.booleans()))


collections = st.lists(entries(), max_size=6, unique_by=lambda e: e.name).map(lambda every: Collection.of(every, ["a"]))
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
where = st.sampled_from(
    [
        {"recorded_success": [True, None]}, {"run": "one"}, {"exit_code": "< 1"}, {"patch_bytes": "1..<100"},
        {"steps": "not null"}, {"commit": "cc"}, {"run_items": 1}, {"confidence": None}, {"wall_s": ">= 0"},
    ]
)  # fmt: skip


def at_most(one: float, other: float) -> bool:
    return one <= other or math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)


def number(value: Value) -> float:
    assert isinstance(value.value, int | float)
    return value.value


@given(collections, where)
@quick
def test_every_measure_has_a_value_over_any_attempts(every: Collection, conditions: Any) -> None:
    for chosen in (every, every.where(conditions), every.where({"run": "no such run"})):
        for name, one in MEASURES.items():
            found = one.of(chosen)
            assert found.value is None or isinstance(found.value, int | float | str), name
            assert (one.unit == "text") == isinstance(found.value, str) or found.value is None, name
            assert found.value is not None or found.why, name
            assert {e.name for e in found.counted} <= {e.name for e in every.entries}
            if one.unit == "%" and found.value is not None and one.wrong is None:
                assert 0 <= number(found) <= 100, name
            if found.bounds is not None:
                low, high = found.bounds
                assert found.unknown, name
                assert math.isnan(low + high) or at_most(low, number(found)), name
                assert math.isnan(low + high) or at_most(number(found), high), name


@given(collections, where)
@quick
def test_measures_that_count_attempts_count_those_of_their_conditions(every: Collection, conditions: Any) -> None:
    chosen = every.where(conditions)
    for name, same in SAME_AS.items():
        if not same.keys() & conditions.keys():
            found, counted = MEASURES[name].of(chosen), measured(every, "attempts", {**conditions, **same})
            assert found.value == counted.value or (found.value is None and len(found.unknown) == len(chosen.entries))


@given(collections, where)
@quick
def test_what_is_declared_between_measures_holds(every: Collection, conditions: Any) -> None:
    chosen = every.where(conditions)

    def known(*names: str) -> list[float] | None:
        found = [MEASURES[name].of(chosen) for name in names]
        values = [one.value for one in found if isinstance(one.value, int | float) and not one.unknown]
        return values if len(values) == len(names) and all(math.isfinite(v) for v in values) else None

    for less, more in AT_MOST:
        if values := known(less, more):
            assert at_most(*values), (less, more)
    for share, (part, whole) in SHARES.items():
        if values := known(share, part, whole):
            assert values[0] == pytest.approx(100 * values[1] / values[2])
    for parts, whole in PARTS:
        if whole != "input_tokens" and (values := known(*parts, whole)):
            assert sum(values[:-1]) <= values[-1], (parts, whole)
    for name in (*MONOTONE, *SAME_AS):
        part, all_of_them = MEASURES[name].of(chosen).value, MEASURES[name].of(every).value
        if isinstance(part, int | float) and isinstance(all_of_them, int | float):
            assert part <= all_of_them, name
    assert set(ADDITIVE) | set(MONOTONE) <= MEASURES.keys()


@given(collections, st.sampled_from(sorted(DIMENSIONS)))
@quick
def test_conditions_on_a_dimension_part_the_attempts(every: Collection, dimension: str) -> None:
    shows = DIMENSIONS[dimension][1]
    values = {shows(e, every) for e in every.entries}
    parts = [{e.name for e in every.where({dimension: value}).entries} for value in values]
    assert sum(map(len, parts)) == len(every.entries)
    assert set().union(*parts) == {e.name for e in every.entries}
    known, unknown = every.where({dimension: "not null"}), every.where({dimension: None})
    assert len(known.entries) + len(unknown.entries) == len(every.entries)


CONDITIONS = [
    {}, {"run": "one"}, {"run": ["one", "two"]}, {"steps": 5}, {"steps": ">= 5"}, {"steps": "> 5"}, {"steps": "< 5"},
    {"steps": "2..9"}, {"steps": "2..<9"}, {"steps": "!= 5"}, {"steps": None}, {"steps": "not null"},
    {"steps": [5, None]}, {"commit": "cc"}, {"commit": "c"}, {"commit": "d"}, {"recorded_success": True},
    {"recorded_success": False}, {"recorded_success": [True, None]}, {"steps": "> 5", "run": "one"},
]  # fmt: skip


@given(collections, st.sampled_from(CONDITIONS), st.sampled_from(CONDITIONS))
@quick
def test_what_is_concluded_of_two_conditions_is_so(every: Collection, one: Any, other: Any) -> None:
    narrow, wide = ({e.name for e in every.where(w).entries} for w in (one, other))
    assert not implies(one, other) or narrow <= wide
    assert not disjoint(one, other) or not narrow & wide
    assert (canonical(one) == canonical(other)) == (one == other)


def test_conditions_are_compared_as_far_as_that_is_certain() -> None:
    assert implies({"steps": "6..8"}, {"steps": "> 5"})
    assert implies({"steps": 5, "run": "one"}, {"steps": "not null"})
    assert implies({"commit": "8aa1485f"}, {"commit": "8aa"})
    assert not implies({"steps": "2..9"}, {"steps": "2..<9"})
    assert not implies({}, {"run": "one"})
    assert disjoint({"steps": "< 5"}, {"steps": ">= 5"})
    assert disjoint({"commit": "8aa"}, {"commit": "0d2"})
    assert disjoint({"steps": "2..<9"}, {"steps": 9})
    assert not disjoint({"steps": "<= 5"}, {"steps": ">= 5"})
    assert not disjoint({"run": "one"}, {"commit": "0d2"})


def test_every_measure_says_what_it_counts_in_a_sentence() -> None:
    for one in MEASURES.values():
        assert one.meaning.endswith(".") and len(one.meaning) > 20, one.name
        assert not one.meaning.startswith(("Those", "Of those")), one.name
        assert one.wrong is None or not one.wrong.endswith("."), one.name


def test_the_page_on_measures_shows_them_as_they_are(tmp_path: Path) -> None:
    shown = DOCS.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip()
    assert shown == page(), "run speedproof.report.measures.refresh(Path('docs/measures.md'))"
    copy = tmp_path / "page.md"
    copy.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    assert refresh(copy) == copy.read_text() == f"before\n{BEGIN}\n\n{page()}\n\n{END}\nafter\n"
    copy.write_text("nothing here")
    with pytest.raises(InputError, match="marks"):
        refresh(copy)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    state = tmp_path_factory.mktemp("measures")
    small_archive(tmp_path_factory.mktemp("archive"), state)
    return state


def test_the_command_lists_measures_and_shows_the_attempts_behind_one(state: Path) -> None:
    listed = command("measures")
    assert listed.exit_code == 0 and all(name in listed.stdout for name in MEASURES)
    assert [one["name"] for one in json.loads(command("measures", "--json").stdout)]
    shown = command("measures", "output_tokens", "--where", "run=one", "--state", state)
    assert "output_tokens over run one: 180 tokens" in shown.stdout
    assert all(f"one/item-{n}" in shown.stdout for n in (1, 2, 3))
    assert "2 attempts, 1 unknown" in shown.stdout
    found = command(
        *("measures", "attempts", "their-runs", "--state", state, "--json"),
        *("--where", "run=one", "--where", "run=two", "--where", "exit_code=0"),
    )
    assert json.loads(found.stdout)["attempts"] == ["one/item-1", "two/item-1"]
    assert json.loads(found.stdout)["where"] == {"run": ["one", "two"], "exit_code": 0}


@pytest.mark.parametrize(
    "words",
    [
        ("rnus",),
        ("runs", "nowhere"),
        ("runs", "--where", "colour=red"),
        ("runs", "--where", "run"),
        ("--where", "run=a"),
    ],
)
def test_a_measure_condition_or_source_that_does_not_exist_is_refused(words: tuple[str, ...], state: Path) -> None:
    assert isinstance(command("measures", *words, "--state", state).exception, InputError)

"""The status derived from facts: patch, sums, success rules, open attempts, and that no facts escape it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attempt_writer import START, USED, Wire, at, outcome, patch, process, write_attempt
from speedproof.diagnosis import RULES, derive
from speedproof.errors import RecordError
from speedproof.journal import AttemptStore, Status, StopCause, Usage
from speedproof.journal import FailureClass as F


@pytest.mark.parametrize(
    ("left", "kind"),
    [
        (None, "missing"),
        (patch(0), "empty"),
        (patch(effect="none"), "no_effect"),
        (patch(effect="tests_only"), "tests_only"),
        (patch(applies=False), "unapplied"),
        (patch(), "applied"),
    ],
)
def test_the_kind_of_patch_is_told_apart(left: Any, kind: str, tmp_path: Path) -> None:
    assert derive(write_attempt(tmp_path, patch=left, calls=Wire().ok())).patch == kind


SILENT = Usage(uncached_input=3, output=0)


def rules(tmp_path: Path, **facts: Any) -> tuple[bool, bool, bool]:
    status = derive(write_attempt(tmp_path, **({"calls": Wire().ok()} | facts)))
    return status.exit_and_patch, status.strict, status.confirmed


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"outcome": outcome(finished=True, claims_success=True)}, (True, True, True)),
        ({"outcome": outcome(finished=True)}, (True, True, True)),
        ({"outcome": outcome(finished=True, claims_success=False)}, (True, True, False)),
        ({}, (True, True, False)),
        ({"outcome": outcome(finished=True), "calls": Wire().ok(usage=None)}, (True, True, False)),
        ({"outcome": outcome(finished=True), "calls": Wire().ok(usage=SILENT)}, (True, True, False)),
        ({"outcome": outcome(finished=True), "patch": patch(effect="none")}, (True, False, False)),
        ({"outcome": outcome(finished=True), "patch": patch(0)}, (False, False, False)),
        ({"outcome": outcome(finished=True), "patch": None}, (False, False, False)),
        ({"outcome": outcome(finished=True), "process": process(1)}, (False, False, False)),
        ({"calls": Wire().ok().fails(429, "no"), "outcome": outcome(finished=True)}, (True, False, False)),
        ({"model": None, "control": "expert", "calls": None}, (True, True, False)),
    ],
)  # fmt: skip
def test_success_rules_stand_side_by_side(facts: dict[str, Any], expected: tuple[bool, ...], tmp_path: Path) -> None:
    assert rules(tmp_path, **facts) == expected


def test_sums_say_how_many_calls_are_unknown_and_leave_side_routes_out(tmp_path: Path) -> None:
    calls = Wire().side_route().ok(2).ok(usage=None, cost_usd=None).fails(500, "x").ok(cost_usd=None)
    status = derive(write_attempt(tmp_path, calls=calls))
    assert (status.calls, status.failed_calls) == (5, 1)
    assert status.usage == Usage(uncached_input=300, cache_read=150, output=60)
    assert (status.usage_unknown_calls, status.usage_source) == (2, "wire")
    assert (status.cost_usd, status.cost_unknown_calls) == (1.0, 3)


def test_what_is_unknown_is_null_and_never_0(tmp_path: Path) -> None:
    status = derive(write_attempt(tmp_path, model=None, control="expert"))
    assert (status.calls, status.usage_source, status.cost_usd) == (0, "none", None)
    assert status.usage == Usage()


@pytest.mark.parametrize(("reached", "stage"), [("queued", "prepare"), ("running", "run"), ("collected", "collect")])
def test_an_attempt_left_open_by_a_dead_harness_crashed_and_says_where(
    reached: str, stage: str, tmp_path: Path
) -> None:
    store = write_attempt(tmp_path, open_in=reached, calls=Wire().ok().unanswered())
    with (store.folder / "calls.jsonl").open("a") as file:
        file.write('{"kind":"outco')
    status = derive(store, alive=False)
    assert (status.run, status.patch) == ("crashed", "missing")
    assert status.diagnosis is not None
    assert (status.diagnosis.failure, status.diagnosis.confidence) == (F.INTERRUPTED, "inferred")
    assert status.diagnosis.stage == stage
    assert "torn" in status.diagnosis.message
    state, begun, call = status.diagnosis.evidence
    assert (state.file, state.excerpt) == ("attempt.json", '"state": "open",')
    assert begun.excerpt == f'"stage": "{reached}",'
    assert (call.file, call.line) == ("calls.jsonl", 3)


def test_an_attempt_under_way_has_no_status_yet(tmp_path: Path) -> None:
    store = write_attempt(tmp_path, open_in="running")
    with pytest.raises(RecordError, match="still under way"):
        derive(store)
    with pytest.raises(RecordError, match="still under way"):
        derive(store, alive=True)


def test_a_sealed_attempt_has_the_same_status_whoever_works_on_the_run_and_nothing_is_written(tmp_path: Path) -> None:
    store = write_attempt(tmp_path, calls=Wire().ok(), stderr=["x"])
    before = {p: p.read_bytes() for p in store.folder.rglob("*") if p.is_file()}
    assert derive(store, alive=True, now=START) == derive(store, alive=False, now=START)
    assert {p: p.read_bytes() for p in store.folder.rglob("*") if p.is_file()} == before


def test_a_status_names_its_rules_and_is_kept_beside_the_facts(tmp_path: Path) -> None:
    store = write_attempt(tmp_path, calls=Wire().ok())
    status = derive(store)
    store.write_status(status)
    assert status.rules == RULES
    assert store.status(RULES) == status
    assert store.read().state == "sealed"


def test_a_missing_or_damaged_record_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"attempt\.json"):
        derive(AttemptStore(tmp_path))
    (tmp_path / "attempt.json").write_text('{"format": "speedproof/att')
    with pytest.raises(RecordError, match=r"attempt\.json"):
        derive(AttemptStore(tmp_path))


hostile = st.one_of(
    st.text(max_size=60).filter(lambda s: s.isprintable() or "\x00" in s or "\x1b" in s),
    st.sampled_from(
        [
            "",
            "Error code: 429",
            "usage limit try again at 9",
            "No module named 'x'",
            "\x1b[31m",
            "No tool output found for",
        ]
    ),
).map(lambda s: s.encode(errors="replace").decode())
maybe_text = st.none() | hostile
moments = st.sampled_from([at(0), at(50), at(3000), START.replace(tzinfo=None), datetime(1999, 1, 1, tzinfo=UTC)])
seconds = st.sampled_from([0.0, 1.0, 5e3])


@st.composite
def wires(draw: st.DrawFn) -> Wire:
    wire = Wire()
    for _ in range(draw(st.integers(0, 5))):
        match draw(st.integers(0, 3)):
            case 0:
                wire.ok(
                    usage=draw(st.sampled_from([None, USED, Usage(output=3)])), cost_usd=draw(st.none() | st.just(1.0))
                )
            case 1:
                wire.fails(
                    draw(st.none() | st.sampled_from([0, 200, 400, 401, 403, 404, 418, 429, 500, 529])),
                    draw(maybe_text),
                    draw(maybe_text),
                    seconds=draw(seconds),
                    complete=draw(st.booleans()),
                    answered_by=draw(st.sampled_from(["provider", "gateway"])),
                )
            case 2:
                wire.unanswered()
            case _:
                wire.side_route(
                    draw(st.sampled_from([200, 404])), answered_by=draw(st.sampled_from(["provider", "gateway"]))
                )
    wire.lines = draw(st.permutations(wire.lines)) if draw(st.booleans()) else wire.lines[draw(st.integers(0, 1)) :]
    return wire


processes = st.none() | st.builds(
    process,
    st.none() | st.sampled_from([0, 1, 130, 137, 139, -1, 300]),
    stopped_by=st.none() | st.sampled_from(list(StopCause)),
    signal=st.none() | st.sampled_from([0, 2, 9, 11, 64, 200]),
    wall_s=seconds,
)
outcomes = st.none() | st.builds(
    outcome,
    finished=st.none() | st.booleans(),
    claims_success=st.none() | st.booleans(),
    message=maybe_text,
    error=maybe_text,
    error_file=st.none() | st.sampled_from(["stdout.log", "trajectory.json"]),
    error_line=st.none() | st.just(2),
)
patches = st.none() | st.builds(
    patch, st.sampled_from([0, 9]), effect=st.sampled_from(["none", "tests_only", "code"]), applies=st.booleans()
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    calls=st.none() | wires(),
    open_in=st.none() | st.sampled_from(["queued", "running"]),
    facts=st.fixed_dictionaries(
        {
            "process": processes,
            "outcome": outcomes,
            "patch": patches,
            "model": st.sampled_from([None, "m"]),
            "control": st.sampled_from([None, "noop", "expert"]),
            "stderr": st.lists(hostile, max_size=4),
            "stdout": st.lists(hostile, max_size=4),
        }
    ),
    kind=st.none() | st.sampled_from(["TaskError", "RecordError", "OSError", "Weird", "", "a.b.KeyboardInterrupt"]),
    words=hostile,
    when=moments,
)
def test_whatever_the_facts_an_attempt_is_completed_or_diagnosed(
    tmp_path_factory: pytest.TempPathFactory,
    calls: Wire | None,
    open_in: str | None,
    facts: dict[str, Any],
    kind: str | None,
    words: str,
    when: datetime,
) -> None:
    error = None if kind is None else {"stage": "run", "kind": kind, "message": words, "traceback": ""}
    store = write_attempt(
        tmp_path_factory.mktemp("facts"),
        calls=calls,
        open_in=open_in,
        error=error,
        sealed_at=None if open_in else when,
        **facts,
    )
    status = derive(store, alive=False)
    assert Status.model_validate_json(status.model_dump_json()) == status
    assert (status.run == "completed") <= (open_in is None and error is None)
    assert status.confirmed <= status.strict <= status.exit_and_patch
    if status.diagnosis is not None:
        assert status.diagnosis.evidence
        assert len(status.diagnosis.message) <= 400
    else:
        assert status.run == "completed"
    assert derive(store, alive=False, now=status.derived_at) == status

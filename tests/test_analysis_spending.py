"""What a run spent, call by call: grouped, wasted, unknown, billed, and beside the agents' own counts."""

import json
import math
from collections.abc import Sequence
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from attempt_writer import START, USED, Wire, failed_with, outcome, process, write_attempt
from command_line import call
from record_builder import HOSTILE_TEXT, Kind, build, demo_run, plan, tell
from speedproof.analysis import Spending, SpendingLine, costs, rows, run_report, spending
from speedproof.analysis.probes import probes
from speedproof.errors import RecordError
from speedproof.journal import CallIntent, CallOutcome, FailureClass, RunStore, StopCause, Usage
from speedproof.journal.attempt import Prices
from speedproof.journal.events import LaneProbed
from speedproof.report import print_report, print_spending
from speedproof.report.markdown import to_markdown

QUOTA = "You exceeded your current quota, please check your plan and billing details."
LIST = Prices(source="genai-prices", version="0.0.30")


def a_run(root: Path, attempts: Sequence[dict[str, Any]]) -> RunStore:
    """A run with an item for each of these attempts."""
    items = []
    for number, facts in enumerate(attempts, 1):
        given = {"task": "t", "agent": "mini", "model": "openai/m"} | facts
        item = plan(given["task"], given["agent"], given["model"], control=given.get("control"), sample=number)
        items.append((item, []))
    run = build(root, items, "r")
    for (item, _), facts in zip(items, attempts, strict=True):
        write_attempt(root, **({"item": item.id, "sample": item.sample, "prices": LIST} | facts))
    return run


def probed(run: RunStore, lane: str, wire: Wire) -> Path:
    """The run's record of a probe that made these calls; its file."""
    calls = [record for record in wire.lines if isinstance(record, CallIntent) and record.protocol != "other"]
    costs = [o.cost_usd for o in wire.lines if isinstance(o, CallOutcome) and o.cost_usd is not None]
    name = run.add_probe("".join(f"{record.model_dump_json()}\n" for record in wire.lines))
    known = {"usage": Usage(), "cost_usd": sum(costs) if costs else None}
    tell(run, LaneProbed(at=START, lane=lane, file=name, calls=len(calls), broken=None, **known))
    return run.folder / name


def line(found: Spending, by: str, name: str) -> SpendingLine:
    return next(r for r in found.lines if (r.by, r.name) == (by, name))


def names(found: Spending, by: str) -> list[str]:
    return [r.name for r in found.lines if r.by == by]


def shown(found: Spending, width: int = 200) -> str:
    console = Console(width=width, file=StringIO(), highlight=False)
    print_spending(found, console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def changed(wire: Wire, **facts: Any) -> Wire:
    """The same calls with other facts, each where it belongs."""
    for n, record in enumerate(wire.lines):
        wire.lines[n] = record.model_copy(update={k: v for k, v in facts.items() if k in type(record).model_fields})
    return wire


def test_the_sums_are_those_of_the_report_and_every_group_adds_up(tmp_path: Path) -> None:
    run = demo_run(tmp_path)
    found = spending(run)
    everything, reported = found.total, costs(rows(run))[0]
    assert (everything.spent.calls, everything.spent.usage) == (reported.calls, reported.usage)
    assert everything.spent.usage_unknown_calls == reported.usage_unknown_calls == 4
    assert math.isclose(everything.spent.cost_usd or 0, reported.cost_usd or 0)
    assert set(everything.attempts) == set(reported.attempts)
    for by in ("task", "agent", "model", "wire_model", "outcome", "hour"):
        lines = [r for r in found.lines if r.by == by]
        assert sum(r.spent.calls for r in lines) == everything.spent.calls
        assert math.isclose(sum(r.spent.cost_usd or 0 for r in lines), everything.spent.cost_usd or 0)
        assert sum(r.wasted.calls for r in lines) == everything.wasted.calls
    assert sum(r.spent.calls for r in found.lines if r.by == "waste") == everything.wasted.calls


def test_outcomes_are_named_by_run_and_failure_class(tmp_path: Path) -> None:
    found = spending(demo_run(tmp_path))
    assert set(names(found, "outcome")) == {
        "completed",
        "completed · agent/no_patch",
        "model_error · model/quota/exhausted",
        "infra_error · infrastructure/disk_full",
        "crashed · infrastructure/interrupted",
    }
    assert line(found, "outcome", "infra_error · infrastructure/disk_full").spent.cost_usd is None


def test_controls_and_items_never_started_spend_nothing(tmp_path: Path) -> None:
    run = demo_run(tmp_path)
    left_out = {r.name for r in rows(run) if r.control or r.state == "not_started"}
    assert len(left_out) == 3
    assert not left_out & set(spending(run).total.attempts)


def test_wasted_is_what_bad_attempts_spent_and_failed_calls_of_good_ones(tmp_path: Path) -> None:
    run = a_run(
        tmp_path,
        [
            {"calls": Wire().ok(3).fails(500, "boom", usage=USED, cost_usd=0.25).ok()},
            {"calls": Wire().ok(2).fails(429, QUOTA, "insufficient_quota"), "process": process(1), "patch": None},
            {"calls": Wire().ok(4), "process": process(None, stopped_by=StopCause.CANCELLED), "patch": None},
            {"calls": Wire().ok(5), "error": failed_with("OSError", "No space left on device"), "process": None},
            {"calls": Wire().ok(6).unanswered(), "open_in": "running"},
            {"calls": Wire().ok(7), "process": process(None, stopped_by=StopCause.WALL)},
        ],
    )
    found = spending(run)
    wasted = {r.name: (r.spent.calls, r.spent.cost_usd) for r in found.lines if r.by == "waste"}
    assert wasted == {
        "failed call": (1, 0.25),
        "model_error": (3, 1.0),
        "cancelled": (4, 2.0),
        "infra_error": (5, 2.5),
        "crashed": (7, 3.0),
    }
    assert found.total.wasted.cost_usd == 8.75
    assert found.total.spent.cost_usd == 13.5 + 0.25 + 0.5
    assert line(found, "outcome", "limit · agent/limit/time").wasted.calls == 0


@pytest.mark.parametrize(("speedup", "wasted"), [(1.4, {"failed call": 1}), (1.0, {"model_error": 4})])
def test_a_proven_patch_makes_an_attempt_that_ended_badly_no_waste(
    tmp_path: Path, speedup: float, wasted: dict[str, int]
) -> None:
    quota = {"run": "model_error", "failure": FailureClass.QUOTA_EXHAUSTED, "diagnosis": QUOTA}
    kind = Kind(calls=4, failing_calls=1, exit_code=1, speedup=speedup, **quota)
    run = build(tmp_path, [(plan("t", "mini", "openai/m"), [kind])])
    assert [r.proven for r in rows(run)] == [speedup > 1]
    assert {r.name: r.spent.calls for r in spending(run).lines if r.by == "waste"} == wasted


def test_a_call_under_way_is_not_wasted_yet(tmp_path: Path) -> None:
    run = a_run(tmp_path, [{"calls": Wire().ok().unanswered(), "open_in": "running"}])
    lock = run.lock()
    try:
        found = spending(run)
    finally:
        run.unlock(lock)
    assert names(found, "outcome") == ["open"]
    assert (found.total.spent.calls, found.total.wasted.calls, found.total.spent.usage_unknown_calls) == (2, 0, 1)


def test_what_is_unknown_is_counted_by_kind_and_said_loudly(tmp_path: Path) -> None:
    cut = {"complete": False, "at_least": Usage(uncached_input=70, output=9)}
    wire = Wire().ok(2).ok(usage=None, cost_usd=None).ok(usage=Usage(output=5), cost_usd=None).ok(cost_usd=None)
    wire.fails(200, "the answer ended without its end marker", **cut).fails(429, "slow down").unanswered().ok()
    found = spending(a_run(tmp_path, [{"calls": wire}, {"calls": Wire().ok(), "prices": None}]))
    spent = found.total.spent
    assert (spent.calls, spent.usage_unknown_calls, spent.refused_calls, spent.unpriced_calls) == (10, 5, 1, 1)
    assert spent.at_least == Usage(uncached_input=70, output=9)
    assert spent.usage == Usage(uncached_input=500, cache_read=250, output=105)
    assert spent.is_lower_bound
    text = shown(found)
    assert "≥ $2.00 at list prices; 10 calls" in text
    assert "UNKNOWN, and not in the sums:" in text
    assert "4 calls without usage; at least 70 in, 9 out" in text
    assert "1 call answered with an error, which providers do not bill" in text
    assert "1 call without a price" in text
    assert "the price list of 1 attempt" in text


def test_a_run_without_any_price_has_no_cost_rather_than_zero(tmp_path: Path) -> None:
    found = spending(a_run(tmp_path, [{"calls": Wire().ok(2, cost_usd=None)}]))
    spent = found.total.spent
    assert (spent.cost_usd, spent.billed_usd, spent.billed_difference_usd, spent.unpriced_calls) == (
        None,
        None,
        None,
        2,
    )
    assert "? at list prices" in shown(found)


def test_refused_calls_alone_make_no_sum_a_lower_bound(tmp_path: Path) -> None:
    found = spending(a_run(tmp_path, [{"calls": Wire().fails(503, "overloaded").ok()}]))
    assert not found.total.spent.is_lower_bound
    assert "$0.50 at list prices" in shown(found) and "≥" not in shown(found)


def test_what_providers_bill_stands_beside_what_was_computed(tmp_path: Path) -> None:
    wire = Wire().ok(2)
    changed(wire, billed_usd=0.75)
    wire.ok()  # says nothing of a bill
    wire.ok(cost_usd=None)
    wire.lines[-1] = wire.lines[-1].model_copy(update={"billed_usd": 2.0})  # has no price
    found = spending(a_run(tmp_path, [{"calls": wire}]))
    spent = found.total.spent
    assert (spent.cost_usd, spent.billed_usd, spent.billed_calls, spent.billed_difference_usd) == (1.5, 3.5, 3, 0.5)
    assert "$3.50 billed by providers for 3 calls, $0.50 more than computed for the same calls" in shown(found)


def test_side_models_and_side_routes_that_cost_something_are_seen(tmp_path: Path) -> None:
    wire = changed(Wire().ok(2), model_asked="large", sent={"model": "large-pinned"})
    small = changed(Wire().ok(), model_asked="small")
    wire.lines += [r.model_copy(update={"call": 3}) for r in small.lines]
    free = Wire().side_route()
    paid = Wire().side_route(usage=USED, cost_usd=0.125)
    wire.lines += [r.model_copy(update={"call": n}) for n, w in ((4, free), (5, paid)) for r in w.lines]
    found = spending(a_run(tmp_path, [{"calls": wire}]))
    assert {n: line(found, "wire_model", n).spent.calls for n in names(found, "wire_model")} == {
        "large-pinned": 2,
        "small": 1,
        "unknown": 1,
    }
    assert (found.total.spent.calls, found.total.spent.cost_usd) == (4, 1.625)


@pytest.mark.parametrize(
    ("apart", "by", "expected"),
    [
        (timedelta(minutes=50), "hour", ["2026-01-02 03:00"]),
        (timedelta(hours=3), "hour", ["2026-01-02 03:00", "2026-01-02 06:00"]),
        (timedelta(days=40), "day", ["2026-01-02", "2026-02-11"]),
    ],
)
def test_time_is_told_by_the_hour_and_of_long_runs_by_the_day(
    tmp_path: Path, apart: timedelta, by: str, expected: list[str]
) -> None:
    late = changed(Wire().ok(), at=START + apart)
    found = spending(a_run(tmp_path, [{"calls": late}, {"calls": changed(Wire().ok(), at=START)}]))
    assert names(found, by) == expected
    assert {"hour", "day"} - {by} == {"hour", "day"} - {r.by for r in found.lines}


def test_an_agent_s_own_count_is_compared_where_both_know(tmp_path: Path) -> None:
    wire = Usage(uncached_input=200, cache_read=100, output=40)
    run = a_run(
        tmp_path,
        [
            {"calls": Wire().ok(2), "outcome": outcome(usage=wire, cost_usd=1.00001)},
            {"calls": Wire().ok(2), "outcome": outcome(usage=Usage(uncached_input=150, output=41, reasoning=7))},
            {"calls": Wire().ok(2, cost_usd=None), "outcome": outcome(cost_usd=3.0)},
            {"calls": Wire().ok(2), "outcome": outcome(cost_usd=3.0)},
            {"calls": Wire(), "outcome": outcome(usage=Usage(uncached_input=9, output=0))},
            {"calls": Wire().ok(2), "outcome": outcome(finished=True)},
            {"calls": Wire().ok(2)},
        ],
    )
    found = spending(run)
    assert [r.agrees for r in found.reconciled] == [True, False, True, False, False]
    _, differs, unpriced, dearer, off_the_wire = found.reconciled
    assert differs.differences == {"uncached_input": -50, "output": 1}
    assert (unpriced.cost_usd, unpriced.cost_difference_usd, unpriced.agent) == (None, None, None)
    assert (dearer.cost_usd, dearer.agent_cost_usd, dearer.cost_difference_usd) == (1.0, 3.0, 2.0)
    assert off_the_wire.differences == {"uncached_input": 9}
    text = shown(found)
    assert "agents' own counts: 5 attempts, 2 agree with the wire" in text
    assert "uncached_input -50, output +1" in text and "$3.00 / $1.00" in text


def test_price_lists_are_named_with_their_version(tmp_path: Path) -> None:
    newer = Prices(source="genai-prices", version="0.0.31")
    run = a_run(tmp_path, [{"calls": Wire().ok()}, {"calls": Wire().ok()}, {"calls": Wire().ok(), "prices": newer}])
    found = spending(run)
    assert [(p.source, p.version, len(p.attempts)) for p in found.prices] == [
        ("genai-prices", "0.0.30", 2),
        ("genai-prices", "0.0.31", 1),
    ]
    assert "prices: genai-prices 0.0.30 (2 attempts), genai-prices 0.0.31 (1 attempt)" in shown(found)


def test_a_damaged_attempt_still_counts_its_calls_and_is_named(tmp_path: Path) -> None:
    run = a_run(tmp_path, [{"calls": Wire().ok(2)}, {"calls": Wire().ok(2)}])
    first, second = run.attempts()
    (first.folder / "attempt.json").write_text("{")
    with (second.folder / "calls.jsonl").open("a") as file:
        file.write('{"kind": "outcome", "call"')
    found = spending(run)
    assert (found.total.spent.calls, found.total.spent.cost_usd) == (4, 2.0)
    assert list(found.unreadable) == [first.name, second.name]
    assert "attempt.json" in found.unreadable[first.name]
    assert found.unreadable[second.name] == "1 damaged line in calls.jsonl"
    assert names(found, "outcome")[0] == "damaged"
    assert "1 damaged line in calls.jsonl" in shown(found)


def test_a_run_that_has_not_begun_spent_nothing(tmp_path: Path) -> None:
    found = spending(build(tmp_path, [(plan("t", "mini", "openai/m"), [])]))
    assert [(r.by, r.attempts, r.spent.calls) for r in found.lines] == [("all", (), 0)]
    assert "$0.00 at list prices; 0 calls" in shown(found)


def test_names_that_an_agent_chose_are_inert_and_cannot_flood_the_terminal(tmp_path: Path) -> None:
    wire = Wire().ok(60)
    for n, record in enumerate(wire.lines):
        name = f"[red]{HOSTILE_TEXT}" if n < 2 else f"made-up-{n // 2}"
        if "model_asked" in type(record).model_fields:
            wire.lines[n] = record.model_copy(update={"model_asked": name})
    text = shown(spending(a_run(tmp_path, [{"calls": wire}])))
    assert "\x1b" not in text and "\x00" not in text and "\u202e" not in text
    assert "[red]<script>" in text
    assert "and 20 more: --json" in text


@given(st.lists(st.tuples(st.none() | st.floats(0, 10), st.none() | st.floats(0, 10), st.booleans()), max_size=8))
def test_no_sum_is_known_when_nothing_in_it_is(
    tmp_path_factory: pytest.TempPathFactory, calls: list[tuple[float | None, float | None, bool]]
) -> None:
    wire = Wire()
    for cost, billed, known in calls:
        wire.ok(usage=USED if known else None, cost_usd=cost if known else None)
        wire.lines[-1] = wire.lines[-1].model_copy(update={"billed_usd": billed})
    spent = spending(a_run(tmp_path_factory.mktemp("run"), [{"calls": wire}])).total.spent
    priced = [c for c, _, known in calls if known and c is not None]
    billed_ones = [b for _, b, _ in calls if b is not None]
    assert (spent.cost_usd is None) == (not priced) and (spent.billed_usd is None) == (not billed_ones)
    assert math.isclose(spent.cost_usd or 0, math.fsum(priced)) and spent.billed_calls == len(billed_ones)
    assert spent.usage_unknown_calls + spent.unpriced_calls + len(priced) == len(calls) == spent.calls


def test_the_command_prints_the_library_s_answer_for_people_and_machines(tmp_path: Path) -> None:
    run = demo_run(tmp_path / "state")
    done = call("cost", "--json", cwd=tmp_path, cache=tmp_path)
    assert Spending.model_validate(json.loads(done.stdout)) == spending(run)
    for words in (("cost",), ("cost", run.id), ("cost", run.id[:6], "--state", "state")):
        said = call(*words, cwd=tmp_path, cache=tmp_path)
        assert said.returncode == 0, said.stderr
        assert "By outcome" in said.stdout and "Wasted, by reason" in said.stdout


def test_the_command_refuses_a_run_that_is_not_there_or_cannot_be_read(tmp_path: Path) -> None:
    run = demo_run(tmp_path / "state")
    done = call("cost", "nothing", cwd=tmp_path, cache=tmp_path)
    assert (done.returncode, run.id in done.stderr) == (2, True)
    (run.folder / "run.json").write_text("{}")
    done = call("cost", cwd=tmp_path, cache=tmp_path)
    assert done.returncode == 2 and "run.json" in done.stderr
    with pytest.raises(RecordError):
        spending(run)


def test_probes_are_in_the_total_of_the_run_on_lines_of_their_own_and_in_no_attempt(tmp_path: Path) -> None:
    run = a_run(tmp_path, [{"calls": Wire().ok(2)}, {"calls": Wire().ok()}])
    without = spending(run)
    assert (without.probes.calls, names(without, "probes")) == (0, [])
    assert "probes" not in shown(without)
    small = changed(Wire().ok(2, cost_usd=0.25), model_asked="small")
    probed(run, "mini · openai/m", small)
    probed(run, "codex · openai/m", Wire().ok(cost_usd=None).fails(429, QUOTA, "insufficient_quota"))
    found = spending(run)
    assert names(found, "probes") == ["mini · openai/m", "codex · openai/m"]
    mini, codex = (line(found, "probes", name).spent for name in names(found, "probes"))
    assert (mini.calls, mini.cost_usd, mini.usage.output) == (2, 0.5, 40)
    assert (codex.calls, codex.cost_usd, codex.unpriced_calls, codex.refused_calls) == (2, None, 1, 1), "never 0"
    assert (found.probes.calls, found.probes.cost_usd, found.probes.unpriced_calls) == (4, 0.5, 1)
    total = found.total
    assert (total.spent.calls, total.spent.cost_usd, total.wasted.calls) == (7, 2.0, 1)
    assert total.attempts == without.total.attempts
    for by in ("task", "agent", "model", "outcome"):
        assert [r for r in found.lines if r.by == by] == [r for r in without.lines if r.by == by]
    for by in ("wire_model", "hour"):
        assert math.fsum(r.spent.cost_usd or 0 for r in found.lines if r.by == by) == 2.0
    assert line(found, "wire_model", "small").attempts == ()
    text = shown(found)
    assert "≥ $2.00 at list prices; 7 calls" in text
    assert "≥ $0.50 of it by probes before the run; 4 calls; 300 in + 150 cached, 60 out" in text
    assert "Probes before the run" in text and "codex · openai/m" in text


def test_the_report_s_sums_hold_the_probes_too(tmp_path: Path) -> None:
    run = a_run(tmp_path, [{"calls": Wire().ok(2)}])
    probed(run, "mini · openai/m", Wire().ok(2, cost_usd=0.25).side_route().unanswered())
    everything, of_probes, *others = costs(rows(run), probes(run))
    assert (of_probes.by, of_probes.name, of_probes.attempts) == ("probes", "mini · openai/m", ())
    assert (of_probes.calls, of_probes.cost_usd, of_probes.cost_unknown_calls, of_probes.wall_s) == (3, 0.5, 1, None)
    assert others == costs(rows(run))[1:]
    spent, whole = spending(run).total.spent, costs(rows(run))[0]
    assert (everything.calls, everything.usage, everything.cost_usd) == (spent.calls, spent.usage, spent.cost_usd)
    assert everything.usage_unknown_calls == spent.usage_unknown_calls == 1
    assert (everything.attempts, everything.wall_s) == (whole.attempts, whole.wall_s)
    report = run_report(run)
    assert report.costs == (everything, of_probes, *others)
    assert "| probes | mini · openai/m | 0 | 3 |" in to_markdown(report)
    console = Console(width=200, file=(said := StringIO()), highlight=False)
    print_report(report, console)
    assert "; 3 calls of it by probes before the run" in said.getvalue()


def test_no_call_of_a_probe_is_lost_with_a_damaged_line_a_missing_file_or_a_damaged_log(tmp_path: Path) -> None:
    run = a_run(tmp_path, [{"calls": Wire().ok(2)}])
    torn, gone, _ = (probed(run, lane, Wire().ok(2)) for lane in ("torn", "gone", "unnamed"))
    torn.write_text("".join(torn.read_text().splitlines(keepends=True)[:2]) + '{"kind": "intent", "ca')
    gone.unlink()
    log = run.folder / "events.jsonl"
    log.write_text(log.read_text().replace('"unnamed"', '"unna'))
    found = spending(run)
    counts = {r.name: (r.spent.calls, r.spent.usage_unknown_calls, r.spent.cost_usd) for r in found.lines}
    assert counts["torn"] == (2, 1, 0.5)
    assert counts["gone"] == (2, 2, None)
    assert (found.probes.calls, found.probes.cost_usd) == (6, 1.5) and counts["all"] == (8, 3, 2.5)
    assert found.total.wasted.calls == 0, "nobody knows how they ended"
    assert found.unreadable == {
        f"{run.id}/probes/001.jsonl": "1 damaged line; 1 of 2 calls are missing",
        f"{run.id}/probes/002.jsonl": "2 of 2 calls are missing",
    }
    assert "probes/002.jsonl: 2 of 2 calls are missing" in shown(found)

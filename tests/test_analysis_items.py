"""Items with several attempts, or none: counted once, none dropped, first attempts and retries apart, money all in."""

import math
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from record_builder import (
    CANCELLED,
    CRASHED,
    GENUINE,
    LOGIN_EXPIRED,
    NO_EFFECT,
    RATE_LIMITED,
    RECOVERED,
    START,
    batch_run,
    build,
    plan,
    tell,
)
from speedproof.analysis import Row, RunReport, Share, costs, funnel, rows, run_report, spending, success_rates
from speedproof.execution.retrying import Retries
from speedproof.execution.schedule import replayed
from speedproof.journal import FailureClass, ItemPlan, RunStore, StopCause
from speedproof.journal.events import (
    AttemptBegan,
    ItemExcluded,
    JudgingBegan,
    LaneClosed,
    LaneOpened,
    RetryPlanned,
    RunBegan,
    RunLimit,
    Stopped,
)

MODEL = "openai/gpt-5"
LATE = START + timedelta(hours=8)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    return batch_run(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def report(run: RunStore) -> RunReport:
    return run_report(run)


def share(report: RunReport, rule: str, which: str = "last") -> Share:
    found: Share = getattr(next(r for r in report.rates if r.rule == rule), which)
    return found


def one(root: Path, *kinds: object) -> tuple[RunStore, ItemPlan]:
    item = plan("a-task", "codex", MODEL)
    return build(root, [(item, list(kinds))]), item  # type: ignore[arg-type]


def lane_opened(*attempts: str, resets: bool = False) -> LaneOpened:
    return LaneOpened(
        at=LATE,
        lane=f"codex · {MODEL}",
        failure=FailureClass.USAGE_LIMIT,
        fingerprint="f",
        message="the plan's limit is reached",
        attempts=attempts,
        resets_at=LATE + timedelta(hours=5) if resets else None,
    )


def test_every_rate_is_given_by_first_attempts_and_after_retries(report: RunReport) -> None:
    for rule in ("recorded", "exit_and_patch", "strict", "confirmed"):
        assert len(share(report, rule, "last").reached) == len(share(report, rule, "first").reached) + 1, rule
    assert (share(report, "proven", "first").rate, share(report, "proven").rate) == (0.0, 1 / 3)
    first, last = next((r.first, r.last) for r in report.funnel.rungs if r.name == "patched")
    assert len(last.reached) == len(first.reached) + 1


def test_an_item_is_counted_once_however_often_it_was_attempted(report: RunReport) -> None:
    items = sum(i.control is None for i in report.items)
    assert len(report.tally.attempts) == 11 and items == report.tally.items == 14
    for rate in report.rates:
        for found in (rate.first, rate.last):
            names = [*found.reached, *found.missed, *found.unknown, *(n for v in found.left_out.values() for n in v)]
            assert len({name.split("/")[1] for name in names}) == len(names) == items
    for rung in report.funnel.rungs[:1]:
        for came in (rung.first, rung.last):
            assert len(came.reached) + len(came.missed) + len(came.unknown) == items == len(report.funnel.items)


def test_a_first_attempt_that_a_kill_cut_off_says_nothing_of_the_agent(tmp_path: Path) -> None:
    found = run_report(one(tmp_path, RECOVERED, CANCELLED, NO_EFFECT)[0])
    (item,) = found.items
    assert [item.first[-2:], item.last[-2:]] == ["03", "03"]
    assert share(found, "strict", "first") == share(found, "strict", "last")
    assert (found.tally.retries, len(found.tally.cut_off)) == ((), 2)


def test_an_item_whose_every_attempt_was_cut_off_is_in_no_rate(tmp_path: Path) -> None:
    found = run_report(one(tmp_path, RECOVERED, CANCELLED)[0])
    for which in ("first", "last"):
        assert list(share(found, "strict", which).left_out) == ["cut off"]
        assert share(found, "strict", which).rate is None


def test_retries_and_interruptions_are_counted_apart(report: RunReport) -> None:
    numbers = [name[-2:] for name in report.tally.retries]
    assert numbers == ["02", "03"], "the attempt after a kill is no retry"
    assert len(report.tally.cut_off) == 2
    assert {s: len(n) for s, n in report.tally.states.items()} == {
        "done": 6,
        "running": 0,
        "retrying": 1,
        "waiting": 2,
        "held": 3,
        "excluded": 2,
    }


def test_what_was_never_attempted_is_in_the_funnel_and_lost_at_its_first_rung(report: RunReport) -> None:
    lost = {name for name in report.funnel.rungs[0].last.missed if name.count("/") == 1}
    assert len(lost) == 6
    assert {i.last for i in report.items if not i.attempts} == lost


def test_a_run_that_ended_early_looks_no_better_than_it_is(report: RunReport) -> None:
    found = share(report, "proven")
    assert {k: len(v) for k, v in found.left_out.items()} == {
        "cut off": 1,
        "excluded": 2,
        "held": 3,
        "not started": 1,
        "provider failed": 4,
    }
    assert found.rate == 1 / 3
    assert (found.at_least, found.at_most) == (1 / 14, 12 / 14)


def test_items_without_an_attempt_say_why_and_what_to_do(report: RunReport) -> None:
    where = {(i.task, i.lane, i.sample): i.standing for i in report.items}
    excluded = where["tomli-loads", f"trae · {MODEL}", 1]
    assert (excluded.state, excluded.why, excluded.next) == (
        "excluded",
        "agent trae is not installed",
        "speedproof agents install trae",
    )
    held = where["sortedlib-merge", f"mini · {MODEL}", 4]
    assert held.state == "held" and "login_expired" in str(held.why) and held.next == f"speedproof resume {report.run}"
    limited = where["tomli-loads", f"openhands · {MODEL}", 1]
    assert (limited.state, limited.why) == ("held", "the run's limit (cost) is used up")
    waiting = where["tomli-loads", f"codex · {MODEL}", 2]
    assert (waiting.state, waiting.why) == ("waiting", "the run was stopped (SIGINT) before its turn came")
    retrying = where["packaging-versions", f"codex · {MODEL}", 2]
    assert (retrying.state, retrying.until) == ("retrying", START + timedelta(hours=9, minutes=9))
    cut_off = where["sortedlib-merge", f"codex · {MODEL}", 2]
    assert (cut_off.state, cut_off.why) == ("waiting", "its last attempt was cut off")


def test_a_lane_that_opened_shows_why_by_which_attempts_and_what_they_spent(report: RunReport) -> None:
    (lane,) = report.lanes
    assert (lane.failure, len(lane.attempts), lane.spent.calls, lane.closed_at) == (
        FailureClass.LOGIN_EXPIRED,
        3,
        3,
        None,
    )
    assert lane.attempts == lane.spent.attempts
    assert len(lane.held) == 2
    assert all(next(r for r in report.rows if r.name == n).folder for n in lane.attempts)


def test_a_lane_that_went_on_holds_nothing_and_says_when_and_why(tmp_path: Path) -> None:
    run, item = one(tmp_path, RATE_LIMITED)
    tell(run, lane_opened(f"{item.id}/01", resets=True))
    (lane,) = run_report(run).lanes
    assert (lane.resets_at, lane.closed_at) == (LATE + timedelta(hours=5), None)
    tell(run, LaneClosed(at=LATE + timedelta(hours=5), lane=f"codex · {MODEL}", why="reset"))
    tell(run, lane_opened())
    first, second = run_report(run).lanes
    assert (first.closed_by, first.held, second.closed_by) == ("reset", (), None)
    assert second.attempts == () and second.spent.cost_usd is None


def test_what_a_process_found_broken_is_forgotten_when_another_takes_the_run_up(tmp_path: Path) -> None:
    run, item = one(tmp_path)
    tell(run, ItemExcluded(at=LATE, item=item.id, why="broken", hint=""), RunLimit(at=LATE, item=item.id, limit="cost"))
    assert run_report(run).items[0].standing.state == "excluded"
    tell(run, Stopped(at=LATE, by="SIGTERM", at_once=False), RunBegan(at=LATE, pid=1, jobs=1, resumed=True))
    standing = run_report(run).items[0].standing
    assert (standing.state, standing.why) == ("waiting", "the run ended before its turn came")


def test_a_run_under_way_promises_nothing_that_it_does_by_itself(tmp_path: Path) -> None:
    run, _ = one(tmp_path)
    lock = run.lock()
    try:
        found = run_report(run)
    finally:
        run.unlock(lock)
    assert found.under_way
    assert (found.items[0].standing.why, found.items[0].standing.next) == ("its turn has not come", None)


def test_an_attempt_under_way_makes_its_item_running(tmp_path: Path) -> None:
    run, _ = one(tmp_path, RATE_LIMITED, CRASHED)
    lock = run.lock()
    try:
        assert run_report(run).items[0].standing.state == "running"
    finally:
        run.unlock(lock)
    standing = run_report(run).items[0].standing
    assert (standing.state, standing.why) == ("waiting", "its last attempt was cut off")


@pytest.mark.parametrize("damage", [None, b"{"])
def test_an_attempt_that_is_neither_told_by_its_record_nor_by_the_log_makes_its_item_not_done(
    tmp_path: Path, damage: bytes | None
) -> None:
    run, item = one(tmp_path, RATE_LIMITED)
    store = run.new_attempt(item.id)
    tell(run, AttemptBegan(at=LATE, item=item.id, number=2))
    if damage is not None:
        (store.folder / "attempt.json").write_bytes(damage)
    with run.held():
        assert run_report(run).items[0].standing.state == "running"
    standing = run_report(run).items[0].standing
    assert (standing.state, standing.why) == ("waiting", "its last attempt was cut off")
    assert standing.next == f"speedproof resume {run.id}"


@pytest.mark.parametrize(("kind", "state"), [(NO_EFFECT, "done"), (CANCELLED, "waiting")])
def test_of_an_attempt_whose_record_is_damaged_the_log_tells_how_it_ended(
    tmp_path: Path, kind: object, state: str
) -> None:
    run, _ = one(tmp_path, kind)
    (folder,) = run.folder.glob("items/*/01")
    for file in (folder / "attempt.json", *folder.glob("derived/*.json")):
        file.write_text("{")
    assert run_report(run).items[0].standing.state == state


def test_money_of_attempts_that_were_made_again_is_spent_and_said(run: RunStore, report: RunReport) -> None:
    total = report.costs[0]
    again = [r for r in report.rows if r.name in report.made_again]
    assert len(again) == 3 and {r.name for r in again} == set(total.again.attempts)
    assert total.again.calls == sum(r.calls or 0 for r in again)
    assert math.isclose(total.again.cost_usd or 0, math.fsum(r.cost_usd or 0 for r in again))
    assert (total.cost_usd or 0) > (total.again.cost_usd or 0) > 0
    for by in ("agent", "model", "task"):
        lines = [line for line in report.costs if line.by == by]
        assert sum(line.again.calls for line in lines) == total.again.calls
        assert sum(len(line.attempts) for line in lines) == len(report.tally.attempts)
    spent = spending(run).total
    assert (spent.again.calls, spent.spent.calls) == (total.again.calls, total.calls)
    assert math.isclose(spent.again.cost_usd or 0, total.again.cost_usd or 0)


def test_a_failure_says_how_many_items_it_hit_and_which_it_stayed_with(report: RunReport) -> None:
    groups = {g.failure: g for g in report.failures}
    limited = groups[FailureClass.RATE_LIMITED]
    assert (len(limited.attempts), limited.items, len(limited.final)) == (3, 2, 1)


def test_a_task_s_proofs_are_those_of_its_items_last_attempts(tmp_path: Path) -> None:
    (task,) = run_report(one(tmp_path, GENUINE, GENUINE, NO_EFFECT)[0]).tasks
    assert (len(task.attempts), task.items, task.proven) == (3, 1, ())


def test_damaged_lines_of_the_log_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    run, item = one(tmp_path)
    tell(run, ItemExcluded(at=LATE, item=item.id, why="broken", hint="mend it"))
    with (run.folder / "events.jsonl").open("ab") as file:
        file.write(b'{"event": "made_up"}\n\x00\xff\n{"event": "item_ex')
    found = run_report(run)
    assert found.items[0].standing.next == "mend it"
    assert found.log_unreadable == "3 damaged lines in events.jsonl"
    (run.folder / "events.jsonl").unlink()
    assert run_report(run).log_unreadable is None


def test_events_of_items_and_attempts_that_are_not_there_change_nothing(tmp_path: Path) -> None:
    run, _ = one(tmp_path, GENUINE)
    tell(
        run,
        ItemExcluded(at=LATE, item="nobody", why="x", hint=""),
        lane_opened("nobody/01", "../../x/01"),
        LaneClosed(at=LATE, lane="no such lane", why="reset"),
        JudgingBegan(at=LATE),
    )
    found = run_report(run)
    assert found.items[0].standing.state == "done"
    assert found.lanes[0].attempts == ()


def test_measurements_beside_agents_are_listed(tmp_path: Path) -> None:
    forced = GENUINE.__class__(**{**GENUINE.__dict__, "machine_shared": True})
    items = [(plan("t", "codex", MODEL, sample=n), [kind]) for n, kind in enumerate((forced, GENUINE), 1)]
    found = run_report(build(tmp_path, items))
    assert found.beside_agents == (found.rows[0].name,)
    assert [r.machine_shared for r in found.rows] == [True, False]


_ENDS = st.sampled_from([GENUINE, NO_EFFECT, RATE_LIMITED, LOGIN_EXPIRED, RECOVERED, CANCELLED])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(_ENDS, max_size=3), min_size=1, max_size=3), st.lists(st.integers(0, 5), max_size=4))
def test_items_stand_where_the_schedule_says(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[list[object]], events: list[int]
) -> None:
    plans = [plan("a-task", "codex", MODEL, sample=n) for n in range(len(kinds))]
    run = build(tmp_path_factory.mktemp("run"), list(zip(plans, kinds, strict=True)))  # type: ignore[arg-type]
    last = plans[-1].id
    choices = (
        ItemExcluded(at=LATE, item=last, why="broken", hint=""),
        RunLimit(at=LATE, item=last, limit=StopCause.COST),
        lane_opened(),
        LaneClosed(at=LATE, lane=plans[0].lane, why="resumed"),
        RunBegan(at=LATE, pid=1, jobs=1, resumed=True),
        RetryPlanned(
            at=LATE, item=last, after=max(1, len(kinds[-1])), failure=FailureClass.RATE_LIMITED, not_before=LATE
        ),
    )
    tell(run, *(choices[n] for n in events))
    schedule = replayed(plans, Retries(), 99, run.events()[0])
    assert [i.standing.state for i in run_report(run).items] == [schedule.state(i) for i in schedule.items.values()]


_CAME = st.lists(st.sampled_from(["completed", "model_error", "cancelled", "crashed"]), max_size=4)


@given(st.lists(_CAME, max_size=6), st.booleans())
def test_rates_over_items_are_whole_whatever_was_attempted(ends: list[list[str]], strict: bool) -> None:
    found = []
    for item, runs in enumerate(ends):
        given = {"item": f"i{item}", "task": "t", "agent": "a", "model": "m", "sample": 1, "control": None}
        nobody = {"name": f"r/i{item}", "number": None, "folder": None, "state": "not_started"}
        made = [
            {"name": f"r/i{item}/{n:02d}", "number": n, "folder": "f", "state": "sealed", "run": run, "strict": strict}
            for n, run in enumerate(runs, 1)
        ]
        found += [Row.model_validate(given | fields) for fields in (made or [nobody])]
    for rate in success_rates(found):
        for one in (rate.first, rate.last):
            parts = [one.reached, one.missed, one.unknown, *one.left_out.values()]
            assert sum(map(len, parts)) == len(ends)
            if one.rate is not None and one.at_least is not None and one.at_most is not None:
                assert one.at_least <= one.rate <= one.at_most + 1e-12
    assert len(funnel(found).items) == len(ends)
    assert costs(found)[0].again.calls_unknown_attempts == sum(max(0, len(runs) - 1) for runs in ends)


def test_rows_of_items_without_an_attempt_say_where_they_stand(run: RunStore) -> None:
    assert {r.standing.state for r in rows(run) if r.standing} == {"excluded", "held", "waiting"}
    assert all((r.standing is None) == (r.state != "not_started") for r in rows(run))

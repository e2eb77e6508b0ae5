"""How far a run is, told from outside: by its events, and where they say nothing, by the attempts' own records."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attempt_writer import Wire
from history_support import START, began, item, sealed, write_attempt, write_run
from speedproof.execution.progress import followed, progress_of
from speedproof.execution.progress_record import Progress
from speedproof.execution.retrying import Retries
from speedproof.execution.tally import Tally
from speedproof.journal import FailureClass, ItemPlan, RunStore, StopCause, Usage
from speedproof.journal.base import now
from speedproof.journal.events import (
    Event,
    ItemExcluded,
    Judged,
    JudgingBegan,
    LaneOpened,
    LaneProbed,
    RetryPlanned,
    RunBegan,
    RunLimit,
    Stopped,
)
from speedproof.journal.files import JsonLines
from speedproof.journal.pace import ProviderDown

HOLDS = """
import fcntl, sys, time
lock = open(sys.argv[1], "w")
fcntl.flock(lock, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
"""
NET = FailureClass.NETWORK


def add(run: RunStore, *events: Event) -> None:
    log = run.open_events()
    for event in events:
        log.append(event)
    log.close()


@contextmanager
def worked_on(run: RunStore) -> Iterator[int]:
    """Another process holds the run; its id."""
    words = [sys.executable, "-c", HOLDS, str(run.folder / ".lock")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline()
        yield process.pid
        process.kill()


def took_up(pid: int, jobs: int = 2, seconds: float = 0) -> RunBegan:
    return RunBegan(at=START + timedelta(seconds=seconds), pid=pid, jobs=jobs, resumed=seconds > 0)


def probed(seconds: float = 0, **facts: Any) -> LaneProbed:
    at = START + timedelta(seconds=seconds)
    known = {"lane": "mini · m", "file": "probes/001.jsonl", "calls": 2, "usage": Usage(), "broken": None}
    return LaneProbed(at=at, **(known | facts))


def retry(of: ItemPlan) -> RetryPlanned:
    return RetryPlanned(at=START, item=of.id, after=1, failure=NET, not_before=START + timedelta(days=9999))


def test_items_are_counted_by_where_they_stand_and_done_ones_by_outcome(tmp_path: Path) -> None:
    plans = [item(f"t{number}") for number in range(7)]
    done, wrong, again, out, first_failed, runs, _ = plans
    run = write_run(tmp_path, plans)
    with worked_on(run) as pid:
        add(run, took_up(pid), ItemExcluded(at=START, item=out.id, why="no base", hint="mend it"))
        for one in (done, wrong):
            add(run, began(one))
        add(run, sealed(done), sealed(wrong, failure=FailureClass.NO_PATCH, run="agent_error", cost_usd=None))
        add(run, began(again), sealed(again, failure=NET, run="model_error"), retry(again))
        add(run, began(first_failed), sealed(first_failed, failure=NET, run="model_error"), retry(first_failed))
        add(run, began(first_failed, 2), sealed(first_failed, 2), began(runs))
        found = progress_of(run)
    assert found.phase == "attempting" and found.pid == pid and found.jobs == 2
    assert found.items == {"waiting": 1, "running": 1, "retrying": 1, "held": 0, "excluded": 1, "done": 3}
    assert found.outcomes == {"completed": 2, "agent_error": 1}
    assert found.failures == {FailureClass.NO_PATCH: 1}
    assert (found.completed_at_first, found.completed, found.attempts) == (1, 2, 6)
    assert [(one.item, one.number, one.calls) for one in found.running] == [(runs.id, 1, 0)]
    assert (found.cost_usd, found.cost_unknown_calls, found.calls) == (2.0, 0, 5)
    assert (found.usage.uncached_input, found.usage.cache_read) == (500, None)
    assert [(one.failure, one.attempts) for one in found.reasons] == [(NET, 2), (FailureClass.NO_PATCH, 1)]
    assert found.excluded[0].model_dump() == {"why": "no base", "hint": "mend it", "items": 1}
    assert found.left_open == () and found.damaged_lines == 0


def test_what_is_not_known_is_null(tmp_path: Path) -> None:
    found = progress_of(write_run(tmp_path, [item()]))
    assert (found.cost_usd, found.usage.total, found.projected_end, found.pid, found.stopped_by) == (None,) * 5


def test_calls_of_a_running_attempt_count_and_those_under_way_are_of_unknown_cost(tmp_path: Path) -> None:
    one = item()
    run = write_run(tmp_path, [one])
    with worked_on(run) as pid:
        add(run, took_up(pid), began(one))
        folder = write_attempt(run, one, state="open")
        log = JsonLines(folder / "calls.jsonl")
        for line in Wire().ok(2).side_route().ok(usage=None, cost_usd=None).unanswered().lines:
            log.append(line.model_dump_json())
        log.close()
        found = progress_of(run)
    assert found.running[0].calls == found.calls == 4
    assert (found.cost_usd, found.cost_unknown_calls, found.usage_unknown_calls) == (1.0, 2, 2)


def test_an_open_lane_says_why_with_its_evidence_and_holds_its_items(tmp_path: Path) -> None:
    good, bad = item("a"), item("a", model="openai/other")
    opened = LaneOpened(
        at=START,
        lane=bad.lane,
        failure=FailureClass.LOGIN_EXPIRED,
        fingerprint="f",
        message="log in",
        attempts=("x/01", "y/01"),
        resets_at=None,
    )
    run = write_run(tmp_path, [good, bad], [opened, RunLimit(at=START, item=good.id, limit=StopCause.COST)])
    down = ProviderDown(at=START, provider="p", failure=FailureClass.LOGIN_EXPIRED, message="m")
    add(run, down)
    found = progress_of(run)
    assert [lane.opened for lane in found.lanes] == [None, opened]
    assert [lane.items["held"] for lane in found.lanes] == [1, 1]
    assert found.limits == (StopCause.COST,) and found.down == (down,)
    add(run, took_up(1, seconds=60))
    assert progress_of(run).limits == () and progress_of(run).down == (), "another process meets them anew, or not"


# What is being done


def test_a_run_whose_process_is_gone_was_killed_and_its_open_attempts_are_left(tmp_path: Path) -> None:
    fresh, again = item("a"), item("b")
    run = write_run(tmp_path, [fresh, again], [began(fresh), began(again)])
    add(run, sealed(again, failure=NET, run="model_error"), retry(again), began(again, 2))
    write_attempt(run, fresh, state="open")
    write_attempt(run, again, 2, state="open")
    found = progress_of(run)
    assert (found.phase, found.at_work, found.running) == ("killed", False, ())
    assert {(one.item, one.number) for one in found.left_open} == {(fresh.id, 1), (again.id, 2)}
    assert found.items["waiting"] == 2, "both get another attempt"
    assert found.attempts == 3


@pytest.mark.parametrize(
    ("events", "held", "gone"),
    [
        ([], "attempting", "killed"),
        ([Stopped(at=START, by="SIGINT", at_once=False)], "stopping", "stopped"),
        ([JudgingBegan(at=START)], "judging", "killed"),
        ([JudgingBegan(at=START), Judged(at=START)], "judging", "ended"),
    ],
)
def test_the_phase_depends_on_whether_its_process_is_there(
    tmp_path: Path, events: Sequence[Event], held: str, gone: str
) -> None:
    run = write_run(tmp_path, [item()])
    with worked_on(run) as pid:
        add(run, took_up(pid), *events)
        assert progress_of(run).phase == held
    assert progress_of(run).phase == gone


def test_a_process_that_holds_the_run_and_has_not_taken_it_up_prepares(tmp_path: Path) -> None:
    run = write_run(tmp_path, [item()], [Stopped(at=START, by="SIGINT", at_once=False)])
    with worked_on(run) as pid:
        found = progress_of(run)
        assert (found.phase, found.pid) == ("preparing", pid)


def test_the_pauses_between_processes_are_no_time_of_work(tmp_path: Path) -> None:
    run = write_run(tmp_path, [item()], [Stopped(at=START + timedelta(seconds=10), by="SIGINT", at_once=False)])
    add(run, took_up(1, seconds=5000), Judged(at=START + timedelta(seconds=5030)))
    assert progress_of(run).elapsed_s == 40


def test_what_comes_before_a_process_takes_the_run_up_again_is_no_time_of_work(tmp_path: Path) -> None:
    plan = item()
    run = write_run(tmp_path, [plan], [Stopped(at=START + timedelta(seconds=10), by="SIGINT", at_once=False)])
    add(run, sealed(plan, recovered=True, at=START + timedelta(seconds=4000)), probed(seconds=4010, cost_usd=0.5))
    add(run, took_up(1, seconds=5000), Judged(at=START + timedelta(seconds=5030)))
    assert progress_of(run).elapsed_s == 40


def test_probes_count_in_what_a_run_has_spent_and_their_unknown_calls_are_counted(tmp_path: Path) -> None:
    run = write_run(tmp_path, [item()])
    add(run, probed(cost_usd=0.5, usage_unknown_calls=0, cost_unknown_calls=1))
    found = progress_of(run)
    assert (found.calls, found.cost_usd, found.usage_unknown_calls, found.cost_unknown_calls) == (2, 0.5, 0, 1)
    add(run, probed(cost_usd=None))
    found = progress_of(run)
    assert (found.calls, found.cost_usd, found.usage_unknown_calls, found.cost_unknown_calls) == (4, 0.5, 2, 3)


def test_the_end_is_projected_from_what_done_items_took_and_how_many_run_at_once(tmp_path: Path) -> None:
    plans = [item(f"t{number}") for number in range(9)]
    run = write_run(tmp_path, plans)
    with worked_on(run) as pid:
        add(run, took_up(pid, jobs=2))
        assert progress_of(run).projected_end is None
        add(run, sealed(plans[0], seconds=100.0))
        found = progress_of(run)
    assert found.projected_end is not None
    assert found.projected_end - found.at == timedelta(seconds=400)
    assert progress_of(run).projected_end is None, "nobody works on it"


# Where the events say nothing


def test_an_attempt_sealed_without_an_event_counts_from_its_record(tmp_path: Path) -> None:
    told, untold, unheard = (item(name) for name in "abc")
    run = write_run(tmp_path, [told, untold, unheard], [began(told), sealed(told), began(untold)])
    write_attempt(run, untold)
    write_attempt(run, unheard, state="open")
    found = progress_of(run)
    assert found.items["done"] == 2 and found.attempts == 3
    assert [one.item for one in found.left_open] == [unheard.id]


def test_damaged_lines_are_counted_and_their_attempts_told_from_their_records(tmp_path: Path) -> None:
    plans = [item(f"t{number}") for number in range(4)]
    run = write_run(tmp_path, plans, [event for plan in plans for event in (began(plan), sealed(plan))])
    for plan in plans:
        write_attempt(run, plan)
    path = run.folder / "events.jsonl"
    whole = progress_of(run)
    lines = path.read_text().splitlines()
    draw = random.Random(7)
    for _ in range(5):
        lost = set(draw.sample(range(1, len(lines)), 3))
        path.write_text("\n".join("{\0" if n in lost else line for n, line in enumerate(lines)) + "\n{torn")
        found = progress_of(run)
        assert found.damaged_lines == 4
        assert (found.items, found.attempts, found.left_open) == (whole.items, whole.attempts, ())


def test_a_record_that_cannot_be_read_is_named_and_the_rest_is_told(tmp_path: Path) -> None:
    one, other = item("a"), item("b")
    run = write_run(tmp_path, [one, other], [began(one), began(other)])
    write_attempt(run, one)
    (run.folder / "items" / other.id / "01" / "attempt.json").write_text("{")
    found = progress_of(run)
    assert found.damaged_attempts == (f"{other.id}/01",)
    assert found.items["done"] == 1


def test_ten_thousand_sealed_items_take_less_than_a_second(tmp_path: Path) -> None:
    first = item()
    plans = [first.model_copy(update={"id": f"{number:012x}"}) for number in range(10_000)]
    run = write_run(tmp_path, plans)
    lines = "".join(event.model_dump_json() + "\n" for event in (began(first), sealed(first)))
    with (run.folder / "events.jsonl").open("a") as file:
        file.writelines(lines.replace(first.id, plan.id) for plan in plans)
    for plan in plans:
        (run.folder / "items" / plan.id).mkdir(parents=True)
    begin = time.process_time()
    assert progress_of(run).items["done"] == 10_000
    assert time.process_time() - begin < 1


# From another terminal


def test_a_run_is_followed_until_nobody_works_on_it(tmp_path: Path) -> None:
    run = write_run(tmp_path, [item()])
    seen: list[Progress] = []
    with worked_on(run) as pid:
        add(run, took_up(pid))
        for progress in followed(run, 0.05):
            seen.append(progress)
            if len(seen) == 2:
                os.kill(pid, 9)
    assert [one.phase for one in seen][:2] == ["attempting"] * 2 and seen[-1].phase == "killed"


STEPS = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["begin", "seal", "fail", "kill", "exclude"])), max_size=40
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_whatever_happens_every_item_is_counted_once_and_every_attempt_is_sealed_or_open(
    steps: list[tuple[int, str]],
) -> None:
    plans = [item(f"t{number}") for number in range(4)]
    tally = Tally(plans, Retries())
    tally.apply(took_up(1))
    numbers = dict.fromkeys(range(4), 0)
    closed = 0
    for which, what in steps:
        one = plans[which]
        runs = one.id in tally.open
        if what == "begin" and not runs:
            numbers[which] += 1
            tally.apply(began(one, numbers[which]))
        elif what in {"seal", "fail"} and runs:
            failure = NET if what == "fail" else None
            tally.apply(sealed(one, numbers[which], failure=failure, run="model_error" if failure else "completed"))
            closed += 1
        elif what == "exclude" and not runs:
            tally.apply(ItemExcluded(at=START, item=one.id, why="w", hint=""))
        elif what == "kill":
            tally.apply(took_up(1, seconds=9))
    found = tally.progress(now(), phase="attempting")
    assert found.total == 4 == sum(lane_items for lane in found.lanes for lane_items in lane.items.values())
    assert sum(found.outcomes.values()) == found.items["done"]
    assert found.attempts == sum(numbers.values()) == closed + len(found.running) + len(found.left_open)
    assert found.calls == closed

"""What is planned again of a run: what is left of it, or what an exact little language chooses from its records."""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attempt_writer import patch, process
from history_support import START, began, item, sealed, write_attempt, write_run
from record_builder import FAST_BUT_WRONG, GENUINE, NO_EFFECT, QUOTA, build
from record_builder import plan as built
from speedproof.errors import InputError
from speedproof.execution.history import read_history
from speedproof.execution.selection import FIELDS, Selection, Subject, parse_where, select
from speedproof.journal import FailureClass, ItemPlan, Method, RunStore
from speedproof.journal.events import ItemExcluded, LaneOpened, RetryPlanned, RunBegan
from speedproof.journal.status import RunStatus

KEY, QUOTA_GONE, CRASH = FailureClass.BAD_KEY, FailureClass.USAGE_LIMIT, FailureClass.AGENT_CRASH
DONE, LOGIN, SPENT, CRASHED, FRESH, OUT, BUSY, AGAIN, REST = (
    item("done"),
    item("login"),
    item("spent", "mini"),
    item("crashed", "mini"),
    item("fresh", "mini"),
    item("out"),
    item("busy", model="openai/n"),
    item("again", model="openai/n"),
    item("rest", "trae"),
)
ITEMS = (DONE, LOGIN, SPENT, CRASHED, FRESH, OUT, BUSY, AGAIN, REST)


@pytest.fixture
def run(tmp_path: Path) -> RunStore:
    """A run that was killed: one item of each kind."""
    events = [
        began(DONE),
        sealed(DONE),
        began(LOGIN),
        sealed(LOGIN, run="model_error", patch="empty", failure=KEY),
        began(SPENT),
        sealed(SPENT, run="model_error", patch="missing", failure=QUOTA_GONE),
        began(CRASHED),
        sealed(CRASHED, run="cancelled", patch="empty", failure=FailureClass.INTERRUPTED),
        began(CRASHED, 2),
        sealed(CRASHED, 2, run="agent_error", failure=CRASH),
        ItemExcluded(at=START, item=OUT.id, why="its base is broken", hint=""),
        began(AGAIN),
        sealed(AGAIN, run="model_error", failure=FailureClass.SERVER_ERROR),
        RetryPlanned(at=START, item=AGAIN.id, after=1, failure=FailureClass.SERVER_ERROR, not_before=START),
        LaneOpened(at=START, lane=REST.lane, failure=KEY, fingerprint="x", message="x", attempts=()),
        began(BUSY),
    ]
    return write_run(tmp_path, ITEMS, events)


def selected(run: RunStore, *where: str) -> Selection:
    return select(read_history(run.folder.parents[1]).run(run.id), where)


def chosen(run: RunStore, *where: str) -> list[str]:
    return [one.task for one in selected(run, *where).items]


def test_without_a_choice_all_that_is_not_done_is_planned(run: RunStore) -> None:
    assert chosen(run) == ["fresh", "out", "busy", "again", "rest"]
    assert selected(run).items == (FRESH, OUT, BUSY, AGAIN, REST), "the very items, with the ids that they had"


@pytest.mark.parametrize(
    ("where", "tasks"),
    [
        (["state=done"], ["done", "login", "spent", "crashed"]),
        (["state=waiting"], ["fresh", "busy"]),
        (["state=held"], ["rest"]),
        (["state=excluded|retrying"], ["out", "again"]),
        (["run=model_error"], ["login", "spent", "again"]),
        (["run=model_error", "failure=model/auth"], ["login"]),
        (["failure=model/quota"], ["spent"]),
        (["failure=model/quota/usage_limit|agent"], ["spent", "crashed"]),
        (["fault=model", "state!=done"], ["again"]),
        (["failure!=none", "fault!=model"], ["crashed"]),
        (["run=none"], ["fresh", "out", "busy", "rest"]),
        (["patch=empty|missing"], ["login", "spent"]),
        (["attempts>=2"], ["crashed"]),
        (["attempts < 1"], ["fresh", "out", "rest"]),
        (["attempts=0|2", "agent=mini"], ["crashed", "fresh"]),
        (["task = done | fresh"], ["done", "fresh"]),
        (["agent!=codex"], ["spent", "crashed", "fresh", "rest"]),
        (["model=openai/n"], ["busy", "again"]),
        (["lane=codex · openai/n"], ["busy", "again"]),
        (["sample=1", "proven=no"], ["login", "spent"]),
        (["proven=none", "run=completed"], ["done"]),
        (["run=limit"], []),
    ],
)
def test_items_are_chosen_by_what_the_records_say(run: RunStore, where: list[str], tasks: list[str]) -> None:
    assert chosen(run, *where) == tasks


@pytest.mark.parametrize(
    ("expression", "says", "names"),
    [
        ("run=modelerror", "run is never 'modelerror'", "model_error"),
        ("failure=model/quta", "failure is never 'model/quta'", "model/quota"),
        ("task=nope", "task is never 'nope'", "login"),
        ("run=", "run is never ''", "completed"),
        ("status=x", "there is no field 'status'", "state, run, patch"),
        ("run", "it is no FIELD=VALUE", "state, run, patch"),
        ("", "it is no FIELD=VALUE", "state, run, patch"),
        ("attempts>=many", "attempts is a number", "attempts>=3"),
        ("attempts>=1|2", ">= takes one number", "attempts>=1"),
        ("run>=limit", "run is no number", "run=VALUE"),
        ("proven=maybe", "proven is never 'maybe'", "yes, no, none"),
    ],
)
def test_what_is_not_understood_is_refused_with_what_there_is(
    run: RunStore, expression: str, says: str, names: str
) -> None:
    with pytest.raises(InputError, match="--where") as caught:
        selected(run, expression)
    assert says in caught.value.what
    assert names in caught.value.hint


def test_every_field_is_told_in_the_documentation() -> None:
    page = (Path(__file__).parents[1] / "docs" / "batch.md").read_text()
    assert not [field for field in FIELDS if f"`{field}`" not in page]


@given(st.text(max_size=40))
def test_no_text_breaks_the_language(text: str) -> None:
    try:
        parse_where(text, ITEMS)
    except InputError as error:
        assert error.hint


@given(st.sampled_from([*get_args(RunStatus), "none"]), st.sampled_from(sorted({i.task for i in ITEMS})))
def test_not_equal_is_the_exact_contrary_of_equal(status: str, task: str) -> None:
    subjects = [Subject(one, "waiting", (), Method(), []) for one in ITEMS]
    for field, value in (("run", status), ("task", task), ("failure", "model"), ("sample", "1")):
        equal, other = (parse_where(f"{field}{sign}{value}", ITEMS) for sign in ("=", "!="))
        assert all(equal(s) != other(s) for s in subjects)


def test_evaluations_by_the_declared_method_are_what_is_asked(tmp_path: Path) -> None:
    kinds = {"fast": GENUINE, "slow": NO_EFFECT, "wrong": FAST_BUT_WRONG, "poor": QUOTA}
    run = build(tmp_path, [(built(task, "codex", "openai/m"), [kind]) for task, kind in kinds.items()])
    assert chosen(run, "proven=yes") == ["fast"]
    assert chosen(run, "proven=no") == ["slow", "wrong", "poor"]
    assert chosen(run, "correctness=fail") == ["wrong"]
    assert chosen(run, "speed=same") == ["slow"]
    assert chosen(run, "speed=none") == ["poor"]
    assert chosen(run, "integrity=clean", "speed=faster", "correctness=pass") == ["fast"]
    assert chosen(run, "failure=model/quota") == ["poor"]
    assert chosen(run) == [], "without a log, the attempts' own records tell that all is done"


def test_a_damaged_evaluation_is_told_and_counts_as_none(tmp_path: Path) -> None:
    run = build(tmp_path, [(built("fast", "codex", "openai/m"), [GENUINE])])
    next(run.folder.glob("items/*/01/evaluations/*.json")).write_text("{")
    found = selected(run, "proven=none")
    assert [one.task for one in found.items] == ["fast"]
    assert "taken as not judged" in found.notes[0] and "damaged record" in found.notes[0]


def test_an_attempt_whose_end_the_log_lost_is_read_from_its_own_record(tmp_path: Path) -> None:
    run = write_run(tmp_path, [DONE, FRESH], [began(DONE), began(FRESH)])
    write_attempt(run, DONE, process=process(0))
    write_attempt(run, FRESH, state="open")
    assert chosen(run) == ["fresh"], "what was cut off says nothing, and is left to do"
    assert chosen(run, "run=crashed") == ["fresh"]
    with (run.folder / "events.jsonl").open("a") as log:
        log.write('{"event": "attempt_sea')
    assert chosen(run) == ["fresh"]


def test_the_last_attempt_counts_even_where_the_log_is_out_of_order(tmp_path: Path) -> None:
    run = write_run(tmp_path, [DONE], [began(DONE, 2), sealed(DONE, 2)])
    write_attempt(run, DONE, 1, state="open")
    assert chosen(run) == []
    assert chosen(run, "attempts=2", "run=completed") == ["done"]


def test_an_attempt_that_was_begun_and_left_nothing_to_read_makes_no_item_done(tmp_path: Path) -> None:
    limited = sealed(AGAIN, run="model_error", failure=FailureClass.RATE_LIMITED)
    retry = RetryPlanned(at=START, item=AGAIN.id, after=1, failure=FailureClass.RATE_LIMITED, not_before=START)
    run = write_run(tmp_path, [AGAIN], [began(AGAIN), limited, retry, began(AGAIN, 2)])
    assert chosen(run) == chosen(run, "state=waiting") == ["again"]


def test_statuses_by_older_rules_are_derived_again(tmp_path: Path) -> None:
    control = item("done", "patch", None)
    ended = sealed(control, run="agent_error", rules="rules-0", failure=CRASH)
    run = write_run(tmp_path, [control], [began(control), ended])
    assert chosen(run, "run=agent_error") == ["done"], "without its record, what the log says stands"
    write_attempt(run, control, process=process(0), patch=patch(), control="noop")
    assert chosen(run, "run=completed") == ["done"]


def test_items_that_a_living_process_works_on_are_not_planned_again(run: RunStore) -> None:
    lock = run.lock()
    try:
        with pytest.raises(InputError, match=r"4 of these items are still worked on: run .* is under way"):
            selected(run)
        assert chosen(run, "state=done", "run=model_error") == ["login", "spent"]
        with pytest.raises(InputError, match="1 of these items"):
            selected(run, "state=running")
    finally:
        run.unlock(lock)


def test_what_a_resumed_run_went_on_with_is_what_is_left(run: RunStore) -> None:
    log = run.open_events()
    for event in (RunBegan(at=START, pid=2, jobs=1, resumed=True), began(BUSY, 2), sealed(BUSY, 2), sealed(AGAIN, 2)):
        log.append(event)
    log.close()
    assert "busy" not in chosen(run)


def test_ten_thousand_items_are_chosen_from_the_log_alone(tmp_path: Path) -> None:
    items: Sequence[ItemPlan] = [item(f"t{n}", task_digest="0") for n in range(200)]
    run = write_run(tmp_path, items, [e for one in items for e in (began(one), sealed(one))])
    for folder in run.folder.glob("items/*/01"):
        (folder / "attempt.json").write_text("not to be opened")
    past = read_history(tmp_path).run(run.id)
    assert past.notes == ()
    assert len(select(past, ["run=completed", "attempts=1", "failure=none"]).items) == 200

"""Every form of the report says what was attempted again, what not at all, and what bounded an attempt."""

import io
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from record_builder import (
    BOUNDS,
    GENUINE,
    HOSTILE_TEXT,
    OUT_OF_MEMORY,
    RATE_LIMITED,
    RECOVERED,
    START,
    batch_run,
    build,
    demo_run,
    plan,
    tell,
)
from speedproof.analysis import RunReport, run_report, spending
from speedproof.journal import FailureClass, RunStore
from speedproof.journal.attempt import BoundFacts
from speedproof.journal.events import ItemExcluded, LaneOpened
from speedproof.report import explain, print_report, print_spending, to_markdown, write_report
from speedproof.report.life import bounded
from test_report_html import check

MODEL = "openai/gpt-5"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    return batch_run(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def report(run: RunStore) -> RunReport:
    return run_report(run)


@pytest.fixture(scope="module")
def page(run: RunStore, tmp_path_factory: pytest.TempPathFactory) -> str:
    return check(write_report(run, tmp_path_factory.mktemp("reports")).html).text


def printed(what: RunReport | RenderableType, width: int = 300) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, highlight=False)
    if isinstance(what, RunReport):
        print_report(what, console)
    else:
        console.print(what)
    return " ".join(out.getvalue().split())


SAID = [
    "14 items: 6 done, 1 retrying, 2 waiting, 3 held, 2 excluded; 11 attempts (2 retries, 2 cut off)",
    "8 of 14 items are not done",
    "agent trae is not installed",
    "speedproof agents install trae",
    "the run's limit (cost) is used up",
    "the run was stopped (SIGINT) before its turn came",
    "may go on 2025-06-01 18:09 UTC",
    "open, holds 2 items; may go on when somebody resumes the run",
    "3 attempts, 3 calls, cost ?, 96.0 s",
    "Attempted more than once",
    "(2 items; the last word on 1)",
]


@pytest.mark.parametrize("words", SAID)
def test_all_forms_say_what_was_repeated_and_what_was_not_attempted(report: RunReport, page: str, words: str) -> None:
    assert words in page
    assert words in printed(report)
    unescaped = to_markdown(report).replace("&#40;", "(").replace("&#41;", ")")
    assert words in " ".join(unescaped.split())


def test_first_attempts_and_retries_stand_side_by_side(report: RunReport, page: str) -> None:
    assert "strict 1 of 2 (50 %) 2 of 3 (67 %) 21 % to 94 % 14 % to 93 %" in printed(report)
    assert "| 1 of 2 (50 %) | 2 of 3 | 67 % (21 % to 94 %) | 14 % to 93 % |" in to_markdown(report)
    assert "patched 1 2 ━" in printed(report)
    assert "3b1c41cd/01 of 250 %" in page and "5ad1fe93/03, 3b1c41cd/01 of 3 67 %21 % to 94 % 14 % to 93 %" in page


def test_attempts_that_were_made_again_say_so_in_the_table(report: RunReport, page: str) -> None:
    assert printed(report).count("(made again)") == 3
    assert page.count("made again as") == 3
    assert to_markdown(report).count(", made again |") == 3


def test_money_spent_on_attempts_that_were_made_again_is_shown(run: RunStore, report: RunReport, page: str) -> None:
    assert "of it $0.0320 and 11 calls in 3 attempts that were made again" in printed(report)
    assert "| $0.0320, 3.2 min |" in to_markdown(report)
    assert "$0.032035ad1fe93/01, 5ad1fe93/02, f3a1a530/01 of 11, 3.2 min" in page
    out = io.StringIO()
    print_spending(spending(run), Console(file=out, width=200))
    assert "$0.0320 of it by attempts that were made again; 11 calls" in out.getvalue()


def test_a_finished_run_without_retries_has_none_of_these_sections(tmp_path: Path) -> None:
    run = build(tmp_path / "state", [(plan("t", "codex", MODEL), [GENUINE])])
    text = check(write_report(run, tmp_path / "out").html).text
    for words in ("Not done", "Lanes that opened", "Attempted more than once", "Unfinished"):
        assert words not in text and words not in printed(run_report(run)) and words not in to_markdown(run_report(run))
    assert "1 item: 1 done; 1 attempt" in text


def test_outcomes_at_the_head_count_items_not_attempts(tmp_path: Path) -> None:
    run = build(tmp_path / "state", [(plan("t", "codex", MODEL), [RATE_LIMITED, RATE_LIMITED, GENUINE])])
    page = write_report(run, tmp_path / "out").html.read_text()
    head = page[page.index('class="outcomes"') : page.index("<nav>")]
    assert head.count("<li") == 1 and "proven" in head


def test_an_attempt_s_detail_tells_its_life_and_its_bounds(page: str, run: RunStore) -> None:
    for words in (
        "stopping 46.0 s (memory)",
        "memory 4,295 MB of 4,295 MB; processes 37 of 512; disk 12 MB of 2,000 MB; files 120, no bound",
        "bounds held by the kernel (cgroup v1)",
        "2 processes ended for want of memory, beyond their bound",
        "3 processes outlived the agent and had to be ended",
    ):
        assert words in page, words
        store = next(a for a in run.attempts() if a.read().bounds)
        assert words in printed(explain(store), 1000), words
    assert "sealed by another process (2025-06-01 10:08 UTC), its own was gone" in page
    assert "attempts of this item: 01, 02, 03 (this one)" in page


def test_bounds_that_are_unknown_are_said_to_be() -> None:
    facts = BoundFacts(enforced_by="watchdog", memory_bytes=None, processes=5, disk_bytes=None, disk_files=None)
    assert bounded(facts) == (
        "memory ?, no bound",
        "processes ? of 5",
        "disk ?, no bound",
        "files ?, no bound",
        "bounds held by a watchdog, which looks again and again",
    )
    machine = BOUNDS.model_copy(update={"memory_peak_bytes": 1 << 20, "out_of_memory_kills": 1, "left_running": None})
    assert "1 process ended for want of memory, because the machine had none left" in bounded(machine)


def test_explain_tells_which_attempt_it_is_and_what_comes_after_it(run: RunStore) -> None:
    stores = [a for a in run.attempts() if len(list(a.folder.parent.iterdir())) == 3]
    first, last = printed(explain(stores[0])), printed(explain(stores[-1]))
    assert "attempt 1 of 3 of its item, made again as 02" in first
    assert "Nothing: it was made again as 02." in first
    assert "attempt 3 of 3 of its item" in last and "Nothing: this is the result." in last


def test_explain_of_an_item_that_goes_on_says_when_and_how(run: RunStore) -> None:
    found = next(a for a in run.attempts() if (a.read().task, a.read().sample) == ("packaging-versions", 2))
    text = printed(explain(found))
    assert "its item is retrying" in text and "may go on 2025-06-01 18:09 UTC" in text
    assert f"next speedproof resume {run.id}" in text


def test_a_measurement_beside_agents_is_a_caveat_everywhere(tmp_path: Path) -> None:
    forced = replace(GENUINE, machine_shared=True)
    run = build(tmp_path / "state", [(plan("t", "codex", MODEL), [forced])])
    text = check(write_report(run, tmp_path / "out").html).text
    said = "Measured beside agents at work, because somebody forced it: 1 attempt."
    assert said in text and said in printed(run_report(run)) and said in to_markdown(run_report(run))
    assert "somebody forced the measurement" in text
    assert "measured beside agents at work" in printed(explain(next(run.attempts())))
    assert "beside agents" not in printed(run_report(demo_run(tmp_path / "other")))


def test_a_log_that_is_damaged_is_said_at_the_head(tmp_path: Path) -> None:
    run = build(tmp_path / "state", [(plan("t", "codex", MODEL), [GENUINE])])
    with (run.folder / "events.jsonl").open("ab") as file:
        file.write(b"\x00{torn")
    said = "Unreadable: 1 damaged line in events.jsonl"
    assert said in check(write_report(run, tmp_path / "out").html).text
    assert said in printed(run_report(run)) and said in to_markdown(run_report(run))


def test_hostile_words_of_the_log_are_text_in_every_form(tmp_path: Path) -> None:
    items = [plan("t", HOSTILE_TEXT, MODEL, sample=n) for n in (1, 2)]
    kind = replace(RATE_LIMITED, diagnosis=HOSTILE_TEXT)
    run = build(tmp_path / "state", [(items[0], [kind, replace(OUT_OF_MEMORY, cause=HOSTILE_TEXT)]), (items[1], [])])
    opened = LaneOpened(
        at=START + timedelta(hours=4),
        lane=items[0].lane,
        failure=FailureClass.USAGE_LIMIT,
        fingerprint=HOSTILE_TEXT,
        message=HOSTILE_TEXT,
        attempts=(HOSTILE_TEXT, f"{items[0].id}/01"),
    )
    tell(run, opened)
    tell(run, ItemExcluded(at=START, item=items[1].id, why=HOSTILE_TEXT, hint=HOSTILE_TEXT))
    check(write_report(run, tmp_path / "out").html)
    report = run_report(run)
    for text in (printed(report), to_markdown(report), printed(explain(next(run.attempts())))):
        assert "\x1b" not in text and "\x00" not in text and "\u202e" not in text
    assert "<script" not in to_markdown(report)
    for block in to_markdown(report).split("\n\n"):
        if block.startswith("| "):
            assert len({line.count("|") for line in block.splitlines()}) == 1, block


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_the_terminal_report_of_a_batch_fits_any_width(report: RunReport, width: int) -> None:
    out = io.StringIO()
    print_report(report, Console(file=out, width=width))
    assert max(map(len, out.getvalue().splitlines())) <= width


def test_many_repeated_items_do_not_flood_the_terminal(tmp_path: Path) -> None:
    items = [(plan("t", "codex", MODEL, sample=n), [RECOVERED, RECOVERED]) for n in range(45)]
    report = run_report(build(tmp_path, items))
    assert "and 5 more: --json" in printed(report)
    assert "45 items: 45 waiting; 90 attempts (90 cut off)" in printed(report)

"""The report in the terminal, in Markdown and by `explain`: each attempt is said for what it is."""

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from record_builder import GENUINE, HOSTILE, HOSTILE_TEXT, build, demo_run, plan
from speedproof.analysis import RunReport, run_report
from speedproof.errors import RecordError
from speedproof.journal import AttemptStore, RunStore
from speedproof.report import explain, print_report, to_markdown
from speedproof.report.verdict import headline


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    return demo_run(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def report(run: RunStore) -> RunReport:
    return run_report(run)


@pytest.fixture
def hostile(tmp_path: Path) -> RunStore:
    return build(tmp_path, [(plan(HOSTILE_TEXT, HOSTILE_TEXT, HOSTILE_TEXT), [HOSTILE])])


def printed(what: RunReport | RenderableType, width: int = 160) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None, highlight=False)
    if isinstance(what, RunReport):
        print_report(what, console)
    else:
        console.print(what)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def attempt(run: RunStore, task: str, agent: str) -> AttemptStore:
    return next(a for a in run.attempts() if (a.read().task, a.read().agent) == (task, agent))


EXPECTED = [
    ("sortedlib-merge", "codex", "proven"),
    ("sortedlib-merge", "mini-swe-agent", "no faster"),
    ("packaging-versions", "codex", "fast but wrong"),
    ("packaging-versions", "mini-swe-agent", "claims success, nothing changed"),
    ("tomli-loads", "codex", "quota exhausted"),
]


@pytest.mark.parametrize(("task", "agent", "words"), EXPECTED)
def test_the_five_kinds_of_the_demo_are_each_said_for_what_they_are(
    report: RunReport, run: RunStore, task: str, agent: str, words: str
) -> None:
    row = next(r for r in report.rows if (r.task, r.agent) == (task, agent))
    assert headline(row).words == words
    assert words in printed(report)
    assert words in to_markdown(report)
    assert words in printed(explain(attempt(run, task, agent)))


def test_a_faster_expert_control_is_not_called_proven(report: RunReport) -> None:
    row = next(r for r in report.rows if r.control == "expert")
    assert row.proven and headline(row).words == "faster, as a control"


def test_open_unstarted_and_failed_attempts_are_in_the_table(report: RunReport) -> None:
    text = printed(report)
    for words in ("open", "not started", "disk full"):
        assert words in text


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_the_terminal_report_fits_any_width(report: RunReport, width: int) -> None:
    lines = printed(report, width).splitlines()
    assert max(map(len, lines)) <= width


def test_explain_says_what_why_where_and_next(run: RunStore) -> None:
    text = printed(explain(attempt(run, "tomli-loads", "codex")), 400)
    assert "4 model calls, 3 failed" in text and "(3 without usage)" in text
    assert "model/quota/exhausted (direct): The provider refused 3 of 4 calls" in text
    assert 'calls.jsonl:4: "status": 429' in text
    assert "Add credit or raise the quota" in text


def test_explain_gives_the_figures_of_a_verdict(run: RunStore) -> None:
    text = printed(explain(attempt(run, "sortedlib-merge", "codex")), 400)
    assert "against base 1.42× [1.38, 1.46] in 18 blocks; the expert 1.57×" in text
    assert "evaluations/" in text and "patch.diff" in text


def test_explain_tells_what_the_gateway_did_for_the_calls(tmp_path: Path) -> None:
    run = build(tmp_path, [(plan("a", "codex", "m"), [GENUINE])])
    store = next(run.attempts())
    lines = [json.loads(line) for line in (store.folder / "calls.jsonl").read_text().splitlines()]
    lines[0]["illegal"] = [{"kind": "output_missing", "call_id": "c1", "entry": 3, "repaired": True}]
    lines[1]["retries"] = [
        {"at": lines[1]["at"], "status": status, "error": "no", "waited_s": 0.5} for status in (429, 503)
    ]
    (store.folder / "calls.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    text = printed(explain(store), 400)
    assert "the gateway tried again 2 times and supplied outputs of tool calls that the agent had left without" in text


def test_explain_of_an_attempt_the_manifest_does_not_name_is_an_error(tmp_path: Path) -> None:
    run = build(tmp_path, [(plan("a", "codex", "m"), [GENUINE])])
    stray = run.new_attempt("0" * 16)
    with pytest.raises(RecordError, match="no such item"):
        explain(stray)


def test_hostile_text_cannot_reach_the_terminal(hostile: RunStore) -> None:
    shown = printed(run_report(hostile), 200) + printed(explain(next(hostile.attempts())), 200)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", shown)
    assert "␛[31m" in shown


def test_square_brackets_of_others_are_not_markup(tmp_path: Path) -> None:
    run = build(tmp_path, [(plan("[bold]x[/nope]", "[link=https://a]", "m"), [GENUINE])])
    assert "[bold]x[/nope]" in printed(run_report(run), 200)


def test_hostile_text_is_inert_in_markdown(hostile: RunStore) -> None:
    text = to_markdown(run_report(hostile))
    outside = re.sub(r"^(`{3,})text\n.*?\n\1$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert "<script" not in outside and "<img" not in outside
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e]", text)


def test_markdown_tables_keep_their_columns(hostile: RunStore) -> None:
    for block in to_markdown(run_report(hostile)).split("\n\n"):
        if block.startswith("| "):
            assert len({line.count("|") for line in block.splitlines()}) == 1, block

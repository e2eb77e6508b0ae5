"""Audits of our own runs, alone and beside archives."""

from dataclasses import replace
from pathlib import Path

import pytest

from archive_builder import imported
from audit_builder import attempt
from record_builder import CRASHED, GENUINE, NO_EFFECT, build, demo_run, plan
from speedproof.analysis.audit import Audit, Audited, audit
from speedproof.analysis.collection import collect
from speedproof.journal import RunStore
from speedproof.journal.attempt import Configured
from speedproof.journal.status import Parameter, Seen

MODEL = "openai/gpt-5"


def audited(state: Path, *rules: str) -> Audit:
    return audit(collect((), state), state, rules)


def one(state: Path, rule: str) -> Audited:
    return audited(state, rule).rules[0]


def run_of(state: Path, *kinds: object) -> RunStore:
    return build(state, [(plan("a-task", "codex", MODEL), list(kinds))])  # type: ignore[arg-type]


def folder(run: RunStore, number: str = "01") -> Path:
    return next((run.folder / "items").glob(f"*/{number}"))


def test_a_run_in_which_all_is_well_has_no_errors(tmp_path: Path) -> None:
    run_of(tmp_path, GENUINE)
    found = audited(tmp_path)
    assert [(each.rule, [f.message for f in each.findings]) for each in found.found] == []
    assert (found.attempts, found.copies) == (1, 0)


def test_controls_are_not_audited_as_attempts(tmp_path: Path) -> None:
    demo_run(tmp_path)
    found = audited(tmp_path)
    assert found.attempts == 8
    names = {name for each in found.found for finding in each.findings for name in finding.attempts}
    assert not any("patch" in name for name in names)


def test_an_attempt_that_was_never_closed_is_found_with_its_record(tmp_path: Path) -> None:
    run = run_of(tmp_path, CRASHED)
    (found,) = one(tmp_path, "attempt-open").findings
    assert found.attempts == (f"{run.id}/{folder(run).parent.name}/01",)
    (spot,) = found.evidence
    assert spot.archive == run.id
    assert (run.folder / spot.file).name == "attempt.json" and (run.folder / spot.file).is_file()


def test_a_run_that_is_under_way_has_open_attempts_by_right(tmp_path: Path) -> None:
    run = run_of(tmp_path, CRASHED)
    with run.held():
        assert one(tmp_path, "attempt-open").findings == ()


def test_torn_lines_of_calls_and_events_are_found(tmp_path: Path) -> None:
    run = run_of(tmp_path, GENUINE)
    assert one(tmp_path, "own-record-damaged").findings == ()
    with (folder(run) / "calls.jsonl").open("a") as calls, (run.folder / "events.jsonl").open("a") as events:
        calls.write('{"torn": ')
        events.write("\x1b[31mno event\n")
    messages = [each.message for each in one(tmp_path, "own-record-damaged").findings]
    assert messages == ["1 torn or damaged line in calls.jsonl", "1 torn or damaged line in events.jsonl"]


@pytest.mark.parametrize("asked", [False, True])
def test_a_configured_setting_that_no_request_had_is_found_at_its_line(tmp_path: Path, asked: bool) -> None:
    run = run_of(tmp_path, GENUINE)
    store = next(iter(run.attempts()))
    status = store.status("rules-3")
    assert status is not None
    configured = Configured(name="parallel_tool_calls", value=False, file="config/agent.yaml", line=7)
    seen = Seen(value=False if asked else None, calls=6, first_call=1)
    parameter = Parameter(name="parallel_tool_calls", configured=configured, asked=(seen,))
    store.write_status(status.model_copy(update={"parameters": (parameter,)}))
    findings = one(tmp_path, "setting-never-asked").findings
    if asked:
        assert findings == ()
        return
    (found,) = findings
    assert found.message == "parallel_tool_calls of codex: configured false, asked null"
    assert (found.evidence[0].file, found.evidence[0].line) == (
        f"items/{store.folder.parent.name}/01/config/agent.yaml",
        7,
    )


def test_identical_patches_of_our_own_attempts_are_found_too(tmp_path: Path) -> None:
    run_of(tmp_path, GENUINE, replace(GENUINE), NO_EFFECT)
    found = one(tmp_path, "patch-identical")
    assert found.count == 2 and all("byte for byte" in each.message for each in found.findings)


def test_runs_and_archives_are_audited_together(tmp_path: Path) -> None:
    state = tmp_path / "state"
    run = run_of(state, CRASHED)
    attempt(tmp_path / "archive")
    store = imported(tmp_path / "archive", state).store
    found = audited(state)
    assert set(found.archives) == {run.id, store.id}
    assert found.attempts == 2
    assert [each.rule for each in found.found if each.severity == "error"] == []
    assert [each.rule for each in found.found if each.severity == "warning"] == ["attempt-open"]

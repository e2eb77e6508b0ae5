"""A folder of runs is read by what its files hold, and every figure is kept with its place."""

import json
from pathlib import Path
from typing import Any

import pytest

from archive_builder import (
    HUMAN,
    NO_OUTPUT,
    PATCH,
    PRE,
    QUOTA,
    WRITTEN,
    attempts,
    imported,
    journal,
    only,
    put,
    trajectory,
    usage,
)
from speedproof.archives import archives, many
from speedproof.archives.listing import Folder
from speedproof.errors import InputError
from speedproof.journal import FailureClass as F
from speedproof.journal.foreign_parts import plain_name

CONSOLE = """Initialising MCP tools...
│ Status      │ ✅ Step 1: Completed
│ Total       │ Input: 100 Output: 10
│ Status      │ ✅ Step 9: Completed
│ Total       │ Input: 900 Output: 90
│ Status      │ ✅ Step 10: Completed
│ Total       │ Input: 1000 Output: 100
"""
BOX = """============================================================
Execution Summary
============================================================
│ Success          │ ✅ Yes                                │
│ Steps            │ 10                                    │
│ Execution Time   │ 95.50s                                │
│ Input Tokens     │ 1100                                  │
│ Output Tokens    │ 110                                   │
"""
BANNER = """OpenAI Codex v0.60.1 (research preview)
--------
workdir: /somewhere
model: gpt-5
provider: openai
--------
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_an_attempt_of_the_earlier_harness_is_read_whatever_its_folders_are_called(root: Path, state: Path) -> None:
    put(
        root / "some" / "where",
        journal__json=journal(),
        model_patch__diff=PATCH,
        trajectory__json=trajectory(usage(1000, 50, 400), usage(2000, 70, 1900)),
        run_summary__json={"schema_version": "1.0", "meta": {"agent": "trae", "model": "gpt-5"}, "agent": {}},
        prediction__jsonl=json.dumps({"instance_id": "vllm-1", "model_patch": PATCH, "model_name_or_path": "o4-mini"}),
    )
    found = only(root, state)
    assert (found.layout, found.folder, found.item, found.task) == (
        "perf-agents-bench",
        "some/where",
        "where",
        "vllm_core",
    )
    assert (found.commit, found.pre, found.recorded.status, found.recorded.success) == (HUMAN, PRE, "success", True)
    assert (found.exit_code, found.signal, found.wall_s, found.budget_s) == (0, None, 100.5, 3600)
    assert found.facts["journal.json:trae.returncode"] == 0
    assert found.facts["journal.json:metrics.patch_size_loc"] == 3
    assert found.facts["run_summary.json:meta.model"] == "gpt-5"
    assert found.facts["prediction.jsonl:[0].model_patch"]["bytes"] == len(PATCH)
    assert (found.agent.value, found.agent.confidence) == ("trae", "direct")
    assert (found.model.value, found.model_asked) == ("gpt-5-2025-08-07", "gpt-5")
    assert found.model.contradicted == ("prediction.jsonl:[0].model_name_or_path",)
    assert found.patch is not None
    assert (found.patch.files, found.patch.added, found.patch.removed) == (("src/core.py",), 2, 1)
    assert (found.usage.uncached_input, found.usage.cache_read, found.usage.output) == (700, 2300, 120)
    assert (found.usages[0].source, found.usages[0].input, found.usages[0].records) == ("trajectory", 3000, 2)
    assert found.exit_and_patch and found.strict and found.confirmed
    assert (found.run_status, found.patch_status, found.diagnosis) == ("completed", "present", None)
    assert {file.kind for file in found.files} == {"journal", "patch", "trajectory", "summary", "prediction"}


def test_times_without_a_zone_are_brought_to_utc_by_the_time_of_the_record(root: Path, state: Path) -> None:
    # the record: 2025-10-14 10:23:32.5 UTC; the agent's end: 15:53:32, five and a half hours ahead
    put(root, journal__json=journal(), trajectory__json=trajectory(usage(1, 1)))
    found = only(root, state)
    assert found.clock.offset_s == 19_800
    assert "UTC+05:30" in found.clock.basis
    assert found.ended is not None and found.ended.isoformat() == "2025-10-14T10:23:32+00:00"
    assert found.written is not None and found.written.timestamp() == WRITTEN


def test_times_that_fit_no_zone_are_not_guessed(root: Path, state: Path) -> None:
    put(root, journal__json=journal(), trajectory__json=trajectory(usage(1, 1), end_time="2025-10-20T01:13:00"))
    assert only(root, state).clock.offset_s is None


def test_every_source_of_tokens_is_kept_and_the_best_one_counts(root: Path, state: Path) -> None:
    put(root, journal__json=journal(), trae_stdout__txt=CONSOLE + BOX)
    found = only(root, state)
    assert [(each.source, each.input, each.line) for each in found.usages] == [
        ("summary_box", 1100, 9),
        ("last_cumulative_line", 1000, 7),
    ]
    assert (found.usage_source, found.usage.output) == ("summary_box", 110)
    assert (found.legacy.first_input, found.legacy.first_output) == (100, 10)
    assert (found.legacy.step_as_text, found.legacy.greatest_step, found.steps) == (9, 10, 10)


def test_more_cached_tokens_than_input_are_called_impossible(root: Path, state: Path) -> None:
    put(root, journal__json=journal(), trajectory__json=trajectory(usage(100, 5, 300), usage(50, 5, 10)))
    found = only(root, state)
    assert found.usages[0].impossible == ("llm_interactions[0]: 300 cached of 100 input tokens",)
    assert "1 of its 2 records cannot be" in found.usage_why
    assert found.usage.uncached_input == 40


def test_a_failed_call_is_one_however_often_the_log_repeats_it(root: Path, state: Path) -> None:
    again = f"openai.BadRequestError: {NO_OUTPUT}\nOpenAI API call failed. Will sleep for 5 seconds and will retry.\n"
    put(
        root,
        journal__json=journal("success", 1),
        trae_stdout__txt=CONSOLE + again * 10,
        openhands_stdout__txt=CONSOLE + again * 10,
        trajectory__json=trajectory(usage(5, 5), error=NO_OUTPUT),
    )
    found = only(root, state)
    assert [(c.failure, c.call_id, c.mentions) for c in found.failed_calls] == [
        (F.TOOL_OUTPUT_MISSING, "call_abc123", 10)
    ]
    assert (found.calls, found.retries, found.legacy.no_tool_output_matches) == (2, 10, 10)
    assert [f.kind for f in found.files if "stdout" in f.path] == ["log", "copy"]
    assert found.diagnosis is not None and found.diagnosis.failure is F.TOOL_OUTPUT_MISSING
    place = found.diagnosis.evidence[0]
    line = (root / place.file).read_text().split("\n")[(place.line or 0) - 1]
    assert place.excerpt[:40] in line and "No tool output found" in line


def test_a_folder_without_a_journal_is_an_attempt_too(root: Path, state: Path) -> None:
    put(root / "a", prompt__json={"task": "t", "constraints": [], "commits": {"pre": PRE, "human": HUMAN}})
    put(root / "b", journal__json="", prompt__json={"task": "t", "constraints": []})
    found = attempts(root, state)
    assert [(a.journal, a.recorded.status, a.run_status) for a in found] == [(False, None, "infra_error")] * 2
    assert all(a.diagnosis and a.diagnosis.failure is F.INTERRUPTED and a.diagnosis.evidence for a in found)
    [problem] = archives(state)[0].problems()
    assert (problem.path, problem.what) == ("b/journal.json", "broken")


def test_the_same_attempt_stored_twice_is_told(root: Path, state: Path) -> None:
    put(root / "x", journal__json=journal(), model_patch__diff=PATCH)
    put(root / "y", journal__json=journal(), model_patch__diff=PATCH, trae_stdout__txt="")
    put(root / "z", journal__json=journal() | {"timestamps": {"written": WRITTEN + 1}})
    first, second, other = attempts(root, state)
    assert (first.duplicate_of, second.duplicate_of, other.duplicate_of) == (second.id, None, None)


@pytest.mark.parametrize(
    ("files", "failure", "run"),
    [
        ({"journal__json": journal("error", None, error="[Errno 32] Broken pipe", error_type="BrokenPipeError")},
         F.INTERRUPTED, "infra_error"),
        ({"journal__json": journal("error", None, error="I/O operation on closed file.", error_type="ValueError")},
         F.DEFECT, "infra_error"),
        ({"journal__json": journal("error", None, error="No module named 'openhands'",
                                   error_type="ModuleNotFoundError")}, F.AGENT_IMPORT_ERROR, "infra_error"),
        ({"journal__json": journal("error", None, error_type="FileNotFoundError",
                                   error="[Errno 2] No such file or directory: '../bench-env/bin/python'")},
         F.AGENT_NOT_FOUND, "infra_error"),
        ({"journal__json": journal("error"), "trajectory__json": trajectory(error=QUOTA)},
         F.QUOTA_EXHAUSTED, "model_error"),
        ({"journal__json": journal("error"), "trajectory__json": trajectory(
            error="Error when retrieving token from sso: Token has expired and refresh failed")},
         F.LOGIN_EXPIRED, "model_error"),
        ({"journal__json": journal("error"), "trajectory__json": trajectory(
            usage(5, 5), error="Unterminated string starting at: line 1 column 33 (char 32)")},
         F.TOOL_ARGS_MALFORMED, "agent_error"),
        ({"journal__json": journal("error"), "trajectory__json": trajectory(
            error="The config profile (Someone-1) could not be found")}, F.CONFIG_INVALID, "infra_error"),
        ({"journal__json": journal("max_steps_exceeded"), "trajectory__json": trajectory(
            usage(5, 5), success=False, final_result="Task execution exceeded maximum steps without completion.")},
         F.LIMIT_STEPS, "limit"),
        ({"journal__json": journal("error", 1), "trae_stdout__txt": "Error: Config file not found.\n"},
         F.CONFIG_MISSING, "infra_error"),
        ({"journal__json": journal("error", 1), "trae_stdout__txt": "Task execution interrupted by user\n"},
         F.INTERRUPTED, "cancelled"),
        ({"journal__json": journal("error", 2), "openhands_stderr__txt": "error: unexpected argument '-a' found\n"},
         F.CONFIG_INVALID, "infra_error"),
        ({"journal__json": journal("error", 1), "codex_stderr__txt": BANNER
          + "Reconnecting... 5/5\nERROR: exceeded retry limit, last status: 401 Unauthorized, request id: 9a\n"},
         F.BAD_KEY, "model_error"),
        ({"journal__json": journal("error", 1), "codex_stderr__txt":
          "ERROR codex_core::codex: failed to initialize rollout recorder: Permission denied (os error 13)\n"
          "Error: internal error; agent loop died unexpectedly\n"}, F.PERMISSION_DENIED, "infra_error"),
        ({"journal__json": journal("error", 1), "codex_stderr__txt": BANNER
          + "ERROR: You've hit your usage limit. Upgrade to Pro or try again at 11:04 PM.\n"},
         F.USAGE_LIMIT, "model_error"),
        ({"journal__json": journal("error", 1), "trae_stderr__txt":
          'Traceback (most recent call last):\n  File "/x/trae-agent/a.py", line 6, in <module>\n'
          "    from trae_agent.agent import Agent\n"}, F.AGENT_IMPORT_ERROR, "infra_error"),
        ({"journal__json": journal("error", -9), "trae_stdout__txt": CONSOLE}, F.KILLED, "agent_error"),
        ({"journal__json": journal("error", -15, trae={"returncode": -15, "duration_s": 3600.2,
                                                       "time_budget_minutes": 60})}, F.LIMIT_TIME, "limit"),
        ({"journal__json": journal("error"), "trae_stdout__txt": "", "trae_stderr__txt": "", "model_patch__diff": ""},
         F.NO_PATCH, "completed"),
        ({"journal__json": journal("error") | {"metrics": {"commit_count": 0}}, "model_patch__diff": PATCH,
          "trajectory__json": trajectory(usage(5, 5))}, F.DEFECT, "completed"),
        ({"journal__json": journal("error", 1, block="claude_code"), "claude_code_stdout__txt": json.dumps(
            {"type": "result", "subtype": "error_during_execution", "is_error": True, "session_id": "s",
             "duration_ms": 0, "errors": ["ENOSPC: no space left on device, write"]})}, F.DISK_FULL, "infra_error"),
    ],
)  # fmt: skip
def test_what_ended_an_attempt_is_found_in_its_files(
    files: dict[str, object], failure: F, run: str, root: Path, state: Path
) -> None:
    put(root, **files)
    found = only(root, state)
    assert found.diagnosis is not None
    assert (found.diagnosis.failure, found.run_status) == (failure, run)
    assert found.diagnosis.evidence and found.fingerprint


def test_a_killed_agent_that_was_still_repeating_a_failed_call_failed_by_that(root: Path, state: Path) -> None:
    again = f"openai.BadRequestError: {NO_OUTPUT}\n"
    put(root, journal__json=journal("error", -9), trae_stdout__txt=CONSOLE + again * 3)
    found = only(root, state)
    assert found.diagnosis is not None and found.diagnosis.failure is F.TOOL_OUTPUT_MISSING


def test_an_agent_is_told_by_what_it_wrote_and_labels_stand_beside(root: Path, state: Path) -> None:
    place = root / "vllm" / "codex" / "gpt-4o" / "2025-11-19_18-10-07" / "vllm_core-0003"
    put(place, journal__json=journal(block="codex"), codex_stdout__txt=CONSOLE + BOX)
    found = only(root, state)
    assert (found.agent.value, found.agent.confidence) == ("trae", "direct")
    assert set(found.agent.contradicted) == {"journal.json:codex", "path"}
    assert (found.model.value, found.model.confidence, found.repository) == ("gpt-4o", "label", "vllm")
    assert found.agent.evidence[0].file == "codex_stdout.txt"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("gpt-5", "gpt-5-2025-08-07"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-45"),
        ("us-anthropic-claude-sonnet-4-5-20250929-v1-0", "claude-sonnet-4-5"),
        ("openai/gpt-4o", "gpt-4o-2024-08-06"),
    ],
)
def test_names_of_one_model_are_the_same(one: str, other: str) -> None:
    assert plain_name(one) == plain_name(other)
    assert plain_name(one) != plain_name("o4-mini")


def test_codex_is_known_by_its_banner_its_model_and_its_one_number_of_tokens(root: Path, state: Path) -> None:
    put(
        root,
        journal__json=journal(block="codex_cli"),
        model_patch__diff=PATCH,
        openhands_stderr__txt=BANNER + "work\ntokens used\n165,451\n",
        openhands_stdout__txt="I made it faster.\n",
    )
    found = only(root, state)
    assert (found.agent.value, found.agent.version, found.model.value) == ("codex", "0.60.1", "gpt-5")
    assert (found.usage_source, found.usages[0].total, found.usage.total) == ("total_only", 165_451, None)
    assert found.outcome is not None and found.outcome.message == "I made it faster."
    assert found.confirmed


def test_a_standing_trajectory_of_trae_is_an_attempt(root: Path, state: Path) -> None:
    put(root, one__json=trajectory(usage(10, 2)), two__json=trajectory(error=QUOTA))
    first, second = attempts(root, state)
    assert (first.layout, first.part, first.run_status, first.exit_code) == ("trae", "one.json", "completed", None)
    assert second.diagnosis is not None and second.diagnosis.failure is F.QUOTA_EXHAUSTED


def test_a_trajectory_that_was_never_closed_was_interrupted(root: Path, state: Path) -> None:
    put(root, one__json=trajectory(usage(10, 2), success=False, end_time="", final_result=None))
    found = only(root, state)
    assert found.diagnosis is not None and found.diagnosis.failure is F.INTERRUPTED
    assert found.diagnosis.evidence[0].line


def lines(*values: object) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


def test_events_of_codex_exec_are_read(root: Path, state: Path) -> None:
    put(
        root,
        out__jsonl=lines(
            {"type": "thread.started", "thread_id": "t"},
            {"type": "item.completed", "item": {"type": "agent_message", "text": "Done."}},
            {
                "type": "turn.completed",
                "usage": {"input_tokens": 100, "cached_input_tokens": 60, "output_tokens": 7},
            },
        ),
    )
    found = only(root, state)
    assert (found.layout, found.agent.value, found.run_status) == ("codex", "codex", "completed")
    assert (found.usage_source, found.usage.uncached_input, found.usage.cache_read) == ("agent_result", 40, 60)
    assert found.usages[0].line == 3


def test_a_failed_turn_of_codex_is_diagnosed(root: Path, state: Path) -> None:
    put(
        root,
        out__jsonl=lines(
            {"type": "thread.started", "thread_id": "t"},
            {"type": "turn.failed", "error": {"message": "unexpected status 401 Unauthorized: Incorrect API key"}},
        ),
    )
    found = only(root, state)
    assert found.diagnosis is not None and found.diagnosis.failure is F.BAD_KEY
    assert found.diagnosis.evidence[0].line == 2


def test_a_rollout_of_codex_is_read(root: Path, state: Path) -> None:
    at = "2025-10-14T10:00:00.000Z"
    count = {"total_token_usage": {"input_tokens": 50, "cached_input_tokens": 20, "output_tokens": 5}}
    put(
        root / "sessions" / "2025",
        **{
            "rollout-x__jsonl": lines(
                {"timestamp": at, "type": "session_meta", "payload": {"id": "x", "cli_version": "0.87.0"}},
                {"timestamp": at, "type": "turn_context", "payload": {"model": "gpt-5-codex"}},
                {"timestamp": at, "type": "response_item", "payload": {"type": "function_call"}},
                {"timestamp": at, "type": "event_msg", "payload": {"type": "token_count", "info": count}},
                {"timestamp": at, "type": "event_msg", "payload": {"type": "task_complete"}},
            )
        },
    )
    found = only(root, state)
    assert (found.agent.value, found.agent.version, found.model.value) == ("codex", "0.87.0", "gpt-5-codex")
    assert (found.usage.uncached_input, found.usage.output, found.steps) == (30, 5, 1)
    assert (found.clock.offset_s, found.run_status) == (0, "completed")


def test_the_result_of_claude_counts_every_model_that_it_used(root: Path, state: Path) -> None:
    counts = {"inputTokens": 10, "outputTokens": 20, "cacheReadInputTokens": 30, "cacheCreationInputTokens": 40}
    put(
        root,
        out__jsonl=lines(
            {"type": "system", "subtype": "init", "session_id": "s", "model": "big", "claude_code_version": "2.0"},
            {
                "type": "result",
                "subtype": "success",
                "is_error": False,
                "session_id": "s",
                "num_turns": 4,
                "duration_ms": 9000,
                "total_cost_usd": 1.25,
                "result": "Faster.",
                "modelUsage": {"big": counts, "small": counts | {"outputTokens": 1}},
            },
        ),
    )
    found = only(root, state)
    assert (found.layout, found.agent.value, found.model.value) == ("claude", "claude", "big")
    assert (found.usage.uncached_input, found.usage.cache_read, found.usage.cache_write) == (20, 60, 80)
    assert set(found.usages[0].models) == {"big", "small"}
    assert (found.billed_usd, found.wall_s, found.steps) == (1.25, 9.0, 4)


def test_a_trajectory_of_mini_swe_agent_is_read(root: Path, state: Path) -> None:
    answer = {"model": "gpt-5", "usage": {"prompt_tokens": 30, "completion_tokens": 4}}
    put(
        root,
        traj__json={
            "instance_id": "django-1",
            "trajectory_format": "mini-swe-agent-1",
            "info": {"exit_status": "LimitsExceeded", "model_stats": {"api_calls": 3}},
            "messages": [{"role": "assistant", "content": "ls", "extra": {"response": answer}}],
        },
    )
    found = only(root, state)
    assert (found.layout, found.item, found.steps, found.usage.output) == ("mini-swe-agent", "django-1", 3, 4)
    assert found.diagnosis is not None and found.diagnosis.failure is F.LIMIT_STEPS


def test_each_line_of_a_prediction_file_is_an_attempt(root: Path, state: Path) -> None:
    row = {"instance_id": "a-1", "model_patch": PATCH, "model_name_or_path": "gpt-5"}
    put(root, preds__jsonl=lines(row, row | {"instance_id": "a-2", "model_patch": ""}))
    put(root / "more", preds__json={"a-3": row | {"instance_id": "a-3"}})
    found = attempts(root, state)
    assert [(a.item, a.patch_status) for a in found] == [("a-1", "present"), ("a-2", "empty"), ("a-3", "present")]
    assert {a.layout for a in found} == {"swe-bench-predictions"}
    assert (found[0].model.value, found[0].model.confidence) == ("gpt-5", "label")


def test_a_second_import_reads_nothing_and_changes_nothing(root: Path, state: Path) -> None:
    for number in range(3):
        put(root / f"i{number}", journal__json=journal() | {"timestamps": {"written": WRITTEN + number}})
    first = imported(root, state)
    before = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in first.store.folder.iterdir()}
    assert imported(root, state).read == 0
    assert {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in first.store.folder.iterdir()} == before


def test_only_what_changed_is_read_again(root: Path, state: Path) -> None:
    for number in range(4):
        put(root / f"i{number}", journal__json=journal() | {"timestamps": {"written": WRITTEN + number}})
    imported(root, state)
    put(root / "i1", journal__json=journal("error", 1))
    put(root / "new", journal__json=journal() | {"timestamps": {"written": 5.0}})
    (root / "i3" / "journal.json").unlink()
    (root / "i3").rmdir()
    done = imported(root, state)
    assert (done.read, done.manifest.attempts) == (2, 4)
    assert {a.folder: a.recorded.status for a in done.store.attempts()} == {
        "i0": "success",
        "i1": "error",
        "i2": "success",
        "new": "success",
    }


def test_records_torn_by_a_kill_are_made_anew(root: Path, state: Path) -> None:
    put(root, journal__json=journal())
    store = imported(root, state).store
    whole = (store.folder / "attempts.jsonl").read_bytes()
    (store.folder / "attempts.jsonl").write_bytes(whole[:100])
    (store.folder / ".attempts.jsonl.1.tmp").write_bytes(b"half")
    assert imported(root, state).read == 1
    assert (store.folder / "attempts.jsonl").read_bytes() == whole
    assert not list(store.folder.glob(".*.tmp"))


def test_importing_the_folder_of_records_is_refused_and_its_state_is_left_out(root: Path) -> None:
    put(root / "a", journal__json=journal())
    state = root / "state"
    assert imported(root, state).manifest.attempts == 1
    assert imported(root, state).read == 0
    with pytest.raises(InputError, match="imported records"):
        imported(state / "archives", state)


def test_a_single_file_can_be_imported(root: Path, state: Path) -> None:
    put(root, preds__jsonl=lines({"instance_id": "a-1", "model_patch": PATCH}), other__json=trajectory())
    assert [a.item for a in attempts(root / "preds.jsonl", state)] == ["a-1"]


def test_secrets_in_an_archive_do_not_enter_the_records(root: Path, state: Path) -> None:
    key = "sk-proj-" + "9abK2FOpQy" * 4
    put(
        root,
        journal__json=journal("error", 1, error=f"Incorrect API key provided: {key}", error_type="AuthError"),
        trae_stderr__txt=f"API key was: {key}\nError code: 401 - Incorrect API key provided: {key}\n",
        trajectory__json=trajectory(error=f"Error code: 401 - Incorrect API key provided: {key}"),
    )
    store = imported(root, state).store
    assert key.encode() not in b"".join(p.read_bytes() for p in store.folder.iterdir())


def test_two_processes_give_what_one_gives(root: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(7):
        put(root / f"i{number}", journal__json=journal() | {"timestamps": {"written": WRITTEN + number}})
    alone = attempts(root, state)
    monkeypatch.setattr("speedproof.archives.many.PAYS_BYTES", 0)
    assert attempts(root, state.with_name("other")) == alone


def test_a_patch_of_comments_or_of_its_own_file_has_no_effect(root: Path, state: Path) -> None:
    own = "diff --git a/model_patch.diff b/model_patch.diff\nnew file mode 100644\nindex 0000000..e69de29\n"
    comment = PATCH.replace("-    return sorted(list(values))", "-# slow").replace(
        "+    values = list(values)\n+    return sorted(values)", "+# fast\n+"
    )
    tests = PATCH.replace("src/core.py", "tests/test_core.py")
    for name, text in {"a": own, "b": own + comment, "c": tests, "d": own + PATCH}.items():
        put(root / name, journal__json=journal(), model_patch__diff=text)
    found = attempts(root, state)
    assert [a.patch_status for a in found] == ["no_effect", "no_effect", "tests_only", "present"]
    assert [a.exit_and_patch for a in found] == [True] * 4
    assert [a.strict for a in found] == [False, False, False, True]
    assert found[3].patch is not None and found[3].patch.own_file


def test_what_a_prompt_shows_of_the_expert_is_noted(root: Path, state: Path) -> None:
    prompt = f"Work in /w/x_{HUMAN[:8]}.\n<example>\n{PATCH}</example>\n 1 file changed, 2 insertions(+)\n"
    put(root, journal__json=journal(), task__txt=prompt, model_patch__diff=PATCH, trae_stdout__txt="quiet\n")
    found = only(root, state)
    assert [(s.what, s.where, s.times, s.evidence.line) for s in found.expert_shown] == [
        ("hash", "prompt", 1, 1),
        ("diff", "prompt", 1, 3),
        ("diffstat", "prompt", 1, 14),
    ]
    assert found.lines_as_shown == 2


def test_keys_in_logs_are_noted_by_kind_and_place_and_never_by_value(root: Path, state: Path) -> None:
    key = "sk-proj-" + "9abK2FOpQy" * 4
    put(root, journal__json=journal(), trae_stderr__txt=f"starting\nAPI key: {key}\nagain {key}\n")
    found = only(root, state)
    assert [(s.kind, s.times, s.evidence.line) for s in found.secrets] == [("provider key", 2, 2)]
    assert "9abK2F" not in found.model_dump_json()


def test_a_key_that_its_provider_masked_is_none_and_one_in_any_file_is(root: Path, state: Path) -> None:
    masked = "sk-proj-" + "*" * 60 + "9abK"
    put(root / "masked", journal__json=journal(), trae_stderr__txt=f"Incorrect API key provided: {masked}\n")
    key = "sk-proj-" + "9abK2FOpQy" * 4
    put(root / "trajectory", journal__json=journal(), trajectory__json=trajectory(error=f"said: {key}"))
    put(root / "other", trajectory__json=trajectory(), console__log=f"Task Details\nAPI key: {key}\n")
    put(root / "glued", journal__json=journal(), trae_stdout__txt=f"é{key}\n")
    found = {a.folder: a for a in attempts(root, state)}
    assert {folder: [s.evidence.file for s in a.secrets] for folder, a in found.items()} == {
        "masked": [],
        "trajectory": ["trajectory.json"],
        "other": ["console.log"],
        "glued": ["trae_stdout.txt"],
    }
    assert not [a for a in found.values() if "9abK2F" in "".join(s.evidence.excerpt for s in a.secrets)]


def test_what_an_ended_helper_has_not_sent_is_read_all_the_same(
    root: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(90):
        put(root / f"i{number:02d}", journal__json=journal() | {"timestamps": {"written": WRITTEN + number}})
    alone = attempts(root, state)

    def ends_early(receiver: Any, sender: Any, archive: str, root: Path, folders: list[Folder]) -> None:
        sender.send([many._read(archive, root, folder) for folder in folders[:20]])

    monkeypatch.setattr(many, "PAYS_BYTES", 0)
    monkeypatch.setattr(many, "_read_and_send", ends_early)
    assert attempts(root, state.with_name("other")) == alone

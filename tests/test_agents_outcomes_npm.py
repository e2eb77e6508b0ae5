"""What opencode, Gemini CLI and Qwen Code say of themselves, read from recorded runs."""

import json
from pathlib import Path
from typing import Any

import pytest

from speedproof.agents.protocol import Left
from speedproof.agents.registry import get_agent
from speedproof.journal import Usage
from speedproof.journal.attempt import AgentOutcome

HALF = Usage(uncached_input=600, cache_read=400, output=50)
REFUSED = "Incorrect API key provided."


def outcome_of(name: str, home: Path, *events: dict[str, Any] | str) -> AgentOutcome:
    lines = [event if isinstance(event, str) else json.dumps(event) for event in events]
    outcome = get_agent(name).outcome(Left(home, [*lines, ""], []))
    assert outcome is not None
    return outcome


def facts(outcome: AgentOutcome) -> tuple[bool | None, bool | None, str | None, int | None]:
    return outcome.finished, outcome.claims_success, outcome.error, outcome.error_line


def step(reason: str, **tokens: Any) -> dict[str, Any]:
    counts = {"input": 600, "output": 50, "reasoning": 0, "cache": {"read": 400, "write": 0}, **tokens}
    return {
        "type": "step_finish",
        "sessionID": "ses_1",
        "part": {"type": "step-finish", "reason": reason, "tokens": counts},
    }


STEP = {"type": "step_start", "sessionID": "ses_1", "part": {"type": "step-start"}}
SAID = {"type": "text", "sessionID": "ses_1", "part": {"type": "text", "text": "All done."}}
TOOL = {"type": "tool_use", "part": {"tool": "bash", "state": {"status": "error", "error": "The command failed."}}}
FAILED = {
    "type": "error",
    "error": {"name": "APIError", "data": {"message": REFUSED, "statusCode": 401, "isRetryable": False}},
}


def test_opencode_whose_last_step_stopped_has_finished_and_its_usage_is_that_of_all_steps(tmp_path: Path) -> None:
    thinking = step("stop", output=40, reasoning=10)
    outcome = outcome_of("opencode", tmp_path, STEP, TOOL, step("tool-calls"), STEP, SAID, thinking)
    assert facts(outcome) == (True, None, None, None)
    assert (outcome.message, outcome.steps) == ("All done.", 2)
    assert outcome.usage == Usage(uncached_input=1200, cache_read=800, cache_write=0, output=100, reasoning=10)


def test_opencode_whose_provider_failed_names_the_line_and_keeps_its_usage(tmp_path: Path) -> None:
    outcome = outcome_of("opencode", tmp_path, STEP, TOOL, step("tool-calls"), FAILED)
    assert facts(outcome) == (False, False, REFUSED, 4)
    assert outcome.error_file == "stdout.log" and outcome.usage is not None and outcome.usage.output == 50


def test_opencode_that_never_reached_its_provider_has_no_usage(tmp_path: Path) -> None:
    outcome = outcome_of("opencode", tmp_path, FAILED)
    assert facts(outcome) == (False, False, REFUSED, 1)
    assert (outcome.usage, outcome.steps) == (None, 0)


@pytest.mark.parametrize("reason", ["tool-calls", "length", "unknown"])
def test_opencode_that_was_ended_or_cut_off_has_not_finished_and_claims_nothing(reason: str, tmp_path: Path) -> None:
    assert facts(outcome_of("opencode", tmp_path, STEP, SAID, step(reason)))[:3] == (False, None, None)
    assert facts(outcome_of("opencode", tmp_path, STEP, step("tool-calls"), STEP))[:3] == (False, None, None)


def test_opencode_that_writes_zeros_does_not_know_its_usage(tmp_path: Path) -> None:
    unknown = step("stop", input=0, output=0, cache={"read": 0, "write": 0})
    assert outcome_of("opencode", tmp_path, STEP, unknown).usage is None


INIT = {"type": "init", "session_id": "ffdd3672", "model": "gemini-x"}
ASKED = {"type": "message", "role": "user", "content": "Make it fast."}
SHELL = {"type": "tool_use", "tool_name": "run_shell_command", "parameters": {"command": "ls"}}
WARNED = {"type": "error", "severity": "warning", "message": "Loop detected, stopping execution"}
GEMINI_FILE = ".gemini/tmp/workspace/chats/session-2026-01-02T03-04-ffdd3672.jsonl"


def part(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": text, "delta": True}


def ended(status: str, **changes: Any) -> dict[str, Any]:
    stats = {"total_tokens": 1060, "input_tokens": 1000, "output_tokens": 50, "cached": 400, "tool_calls": 1}
    return {"type": "result", "status": status, "stats": stats} | changes


def session(home: Path) -> None:
    answer = {
        "id": "a1",
        "type": "gemini",
        "content": "I look.",
        "tokens": {"input": 1000, "output": 45, "cached": 400, "thoughts": 5, "tool": 0, "total": 1050},
    }
    lines = [
        {"sessionId": "ffdd3672", "kind": "main"},
        {"id": "u1", "type": "user"},
        answer,
        answer | {"toolCalls": []},
    ]
    file = home / GEMINI_FILE
    file.parent.mkdir(parents=True)
    file.write_text("\n".join([json.dumps(line) for line in lines] + ['{"torn']))


def test_gemini_that_ended_well_has_finished_and_its_thoughts_are_output(tmp_path: Path) -> None:
    session(tmp_path)
    outcome = outcome_of(
        "gemini", tmp_path, INIT, ASKED, part("I look."), SHELL, part("All "), part("done."), ended("success")
    )
    assert facts(outcome) == (True, None, None, None)
    assert (outcome.message, outcome.steps) == ("All done.", 1)
    assert outcome.usage == Usage(uncached_input=600, cache_read=400, output=60, reasoning=10)


def test_gemini_whose_provider_failed_names_the_line(tmp_path: Path) -> None:
    failure = ended("error", error={"type": "unknown", "message": f"[API Error: {REFUSED}]"})
    outcome = outcome_of("gemini", tmp_path, INIT, ASKED, failure)
    assert facts(outcome) == (False, False, f"[API Error: {REFUSED}]", 3)
    assert outcome.error_file == "stdout.log"


def test_gemini_that_never_reached_its_provider_has_no_usage(tmp_path: Path) -> None:
    unknown = {"total_tokens": 0, "input_tokens": 0, "output_tokens": 0, "cached": 0}
    assert outcome_of("gemini", tmp_path, INIT, ended("error", stats=unknown)).usage is None


def test_gemini_that_was_warned_and_went_on_has_no_error(tmp_path: Path) -> None:
    assert outcome_of("gemini", tmp_path, INIT, WARNED, part("All done."), ended("success")).error is None
    assert outcome_of("gemini", tmp_path, INIT, WARNED).error == WARNED["message"]


def test_gemini_that_was_ended_has_not_finished_and_its_usage_is_in_its_session(tmp_path: Path) -> None:
    session(tmp_path)
    outcome = outcome_of("gemini", tmp_path, INIT, ASKED, part("I look."), '{"type":"resu')
    assert facts(outcome) == (False, None, None, None)
    assert (outcome.message, outcome.steps) == ("I look.", 1)
    assert outcome.usage == HALF.model_copy(update={"reasoning": 5}), "an answer that grew counts once"


QWEN_INIT = {"type": "system", "subtype": "init", "session_id": "ac6fbdd0", "model": "qwen-x"}
QWEN_RETRY = {"type": "system", "subtype": "retry", "data": {"reason": "retry"}}


def answered(text: str, **usage: int) -> dict[str, Any]:
    counts = {"input_tokens": 1000, "output_tokens": 50, "cache_read_input_tokens": 400, **usage}
    content = [{"type": "text", "text": text}]
    return {"type": "assistant", "message": {"role": "assistant", "content": content, "usage": counts}}


def qwen_result(**changes: Any) -> dict[str, Any]:
    usage = {"input_tokens": 1000, "output_tokens": 50, "cache_read_input_tokens": 400, "total_tokens": 1050}
    result = {"type": "result", "subtype": "success", "is_error": False, "num_turns": 2, "usage": usage}
    return result | {"result": "All done."} | changes


def qwen_failure(words: str, **changes: Any) -> dict[str, Any]:
    told = {"subtype": "error_during_execution", "is_error": True, "error": {"message": words}, "result": None}
    return qwen_result(**told, **changes)


def test_qwen_whose_result_is_no_error_has_finished(tmp_path: Path) -> None:
    outcome = outcome_of("qwen", tmp_path, QWEN_INIT, answered("I look."), answered("All done."), qwen_result())
    assert facts(outcome) == (True, None, None, None)
    assert (outcome.message, outcome.steps, outcome.usage) == ("All done.", 2, HALF)


def test_qwen_whose_provider_failed_names_the_line_and_the_error_is_not_its_message(tmp_path: Path) -> None:
    words = f"[API Error: 401 {REFUSED}]"
    nothing = {"input_tokens": 0, "output_tokens": 0}
    refused = [answered(words, **nothing), qwen_failure(words, usage=nothing)]
    outcome = outcome_of("qwen", tmp_path, QWEN_INIT, answered("I look."), QWEN_RETRY, *refused)
    assert facts(outcome) == (False, False, words, 5)
    assert outcome.error_file == "stdout.log" and outcome.message == "I look."
    assert outcome.usage == HALF, "of what was answered before"


def test_qwen_of_older_releases_calls_a_refusal_a_success_and_is_not_believed(tmp_path: Path) -> None:
    words = "[API Error: 400 Bad request]"
    outcome = outcome_of("qwen", tmp_path, QWEN_INIT, answered(words), qwen_result(result=words))
    assert facts(outcome) == (False, False, words, 3)
    assert outcome.message is None


def test_qwen_that_was_ended_has_not_finished_and_its_usage_is_that_of_its_answers(tmp_path: Path) -> None:
    outcome = outcome_of(
        "qwen", tmp_path, QWEN_INIT, answered("I look."), answered("", input_tokens=0, output_tokens=0)
    )
    assert facts(outcome) == (False, None, None, None)
    assert (outcome.message, outcome.steps, outcome.usage) == ("I look.", None, HALF)

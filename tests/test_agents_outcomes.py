"""What each agent's own evidence says, read from recorded runs; and that no hostile evidence breaks the reading."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speedproof.agents.protocol import Agent, Left
from speedproof.agents.registry import get_agent
from speedproof.journal import Usage

CODEX_SESSION = ".codex/sessions/2026/01/02/rollout-2026-01-02T03-04-05-01a2-7bf4.jsonl"
TRAJECTORY = {
    "codex": CODEX_SESSION,
    "claude": ".claude/projects/-workspace/5e55-10f1.jsonl",
    "mini": "mini/trajectory.json",
    "trae": "trae/trajectory.json",
    "aider": "aider/conversation.txt",
    "openhands": ".openhands/conversations/f76c06ff/base_state.json",
    "opencode": ".local/share/opencode/opencode.db",
    "gemini": ".gemini/tmp/workspace/chats/session-2026-01-02T03-04-ffdd3672.jsonl",
    "qwen": ".qwen/projects/-workspace/chats/ac6fbdd0.jsonl",
}


CODEX_START = [
    '{"type":"thread.started","thread_id":"01a2-7bf4"}',
    '{"type":"item.completed","item":{"id":"item_0","type":"error","message":"Model metadata for `x` not found."}}',
    '{"type":"turn.started"}',
]
CODEX_SAID = '{"type":"item.completed","item":{"id":"item_2","type":"agent_message","text":"All done."}}'
CODEX_COMPLETED = (
    '{"type":"turn.completed","usage":{"input_tokens":2000,"cached_input_tokens":800,"cache_write_input_tokens":0,'
    '"output_tokens":100,"reasoning_output_tokens":20}}'
)
CODEX_QUOTA = [
    '{"type":"error","message":"Quota exceeded. Check your plan and billing details."}',
    '{"type":"turn.failed","error":{"message":"Quota exceeded. Check your plan and billing details."}}',
]
CODEX_TOKENS = (
    '{"timestamp":"t","ordinal":10,"type":"token_usage_record","payload":{"thread_id":"01a2-7bf4","usage":{},'
    '"thread_token_usage":{"input_tokens":1000,"cached_input_tokens":400,"cache_write_input_tokens":0,'
    '"output_tokens":50,"reasoning_output_tokens":10,"total_tokens":1050}}}'
)
HALF = Usage(uncached_input=600, cache_read=400, output=50)


def codex(home: Path, *lines: str) -> Left:
    return Left(home, [*CODEX_START, *lines, ""], [])


def put(home: Path, name: str, content: str | bytes) -> Path:
    file = home / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def mini_file(status: str, last: dict[str, Any] | None = None) -> str:
    usage = {
        "completion_tokens": 50,
        "prompt_tokens": 1000,
        "total_tokens": 1050,
        "completion_tokens_details": None,
        "prompt_tokens_details": {"audio_tokens": None, "cached_tokens": 400},
    }
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "You are a helpful assistant that can interact with a computer."},
        {"content": "thinking", "role": "assistant", "extra": {"response": {"usage": usage}, "cost": 0.0}},
    ]
    if last is not None:
        messages.append({"role": "exit", "content": "", "extra": {"exit_status": status, **last}})
    info = {"model_stats": {"instance_cost": 0.0, "api_calls": 2}, "exit_status": status, "submission": ""}
    return json.dumps({"info": info, "messages": messages, "trajectory_format": "mini-swe-agent-1.1"}, indent=2)


def trae_file(**changes: Any) -> str:
    usage = {
        "input_tokens": 1000,
        "output_tokens": 50,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 400,
        "reasoning_tokens": 10,
    }
    answer = {"content": "I look.", "model": "gpt-5", "finish_reason": "completed", "usage": usage}
    step = {"step_number": 1, "state": "completed", "error": None}
    record: dict[str, Any] = {
        "start_time": "2026-01-02T03:04:05",
        "end_time": "2026-01-02T03:05:05",
        "llm_interactions": [{"response": answer}],
        "agent_steps": [step],
        "success": True,
        "final_result": "",
        "execution_time": 60.0,
    }
    return json.dumps(record | changes, indent=2)


def test_codex_a_completed_turn_has_finished_and_warnings_are_no_errors(tmp_path: Path) -> None:
    outcome = get_agent("codex").outcome(codex(tmp_path, CODEX_SAID, CODEX_COMPLETED))
    assert outcome is not None
    assert (outcome.finished, outcome.claims_success, outcome.error) == (True, None, None)
    assert outcome.message == "All done."
    assert outcome.usage == Usage(uncached_input=1200, cache_read=800, cache_write=0, output=100, reasoning=20)


def test_codex_a_failed_turn_names_the_line_and_takes_usage_from_the_session(tmp_path: Path) -> None:
    put(tmp_path, CODEX_SESSION, CODEX_TOKENS + "\n")
    outcome = get_agent("codex").outcome(codex(tmp_path, *CODEX_QUOTA))
    assert outcome is not None
    assert (outcome.finished, outcome.claims_success) == (False, False)
    assert outcome.error == "Quota exceeded. Check your plan and billing details."
    assert (outcome.error_file, outcome.error_line) == ("stdout.log", 5)
    assert outcome.usage == Usage(uncached_input=600, cache_read=400, cache_write=0, output=50, reasoning=10)


def test_codex_that_was_ended_has_not_finished_and_claims_nothing(tmp_path: Path) -> None:
    put(tmp_path, CODEX_SESSION, CODEX_TOKENS + '\n{"torn')
    outcome = get_agent("codex").outcome(codex(tmp_path))
    assert outcome is not None
    assert (outcome.finished, outcome.claims_success, outcome.error) == (False, None, None)
    assert outcome.usage is not None and outcome.usage.output == 50


def test_codex_that_reconnected_and_went_on_has_no_error(tmp_path: Path) -> None:
    again = '{"type":"error","message":"Reconnecting... 1/2 (unexpected status 500)"}'
    outcome = get_agent("codex").outcome(codex(tmp_path, again, CODEX_SAID, CODEX_COMPLETED))
    assert outcome is not None and outcome.finished is True and outcome.error is None


def test_codex_reads_the_session_of_its_own_thread_not_of_another(tmp_path: Path) -> None:
    put(tmp_path, CODEX_SESSION, CODEX_TOKENS)
    put(tmp_path, CODEX_SESSION.replace("rollout-2026-01-02T03-04-05-01a2-7bf4", "rollout-2026-01-01-zzz"), "{}")
    found = get_agent("codex").trajectory(codex(tmp_path))
    assert found is not None and found.name == "rollout-2026-01-02T03-04-05-01a2-7bf4.jsonl"


def test_mini_that_submitted_says_it_succeeded(tmp_path: Path) -> None:
    put(tmp_path, TRAJECTORY["mini"], mini_file("Submitted", {"submission": ""}))
    outcome = get_agent("mini").outcome(Left(tmp_path, [], []))
    assert outcome is not None
    assert (outcome.finished, outcome.claims_success, outcome.error, outcome.steps) == (True, True, None, 2)
    assert outcome.message == "thinking"
    assert outcome.usage == HALF


def test_mini_that_met_an_exception_names_it_and_its_line(tmp_path: Path) -> None:
    words = "litellm.RateLimitError: You exceeded your current quota"
    put(tmp_path, TRAJECTORY["mini"], mini_file("RateLimitError", {"exception_str": words, "traceback": "…"}))
    outcome = get_agent("mini").outcome(Left(tmp_path, [], []))
    assert outcome is not None
    assert (outcome.finished, outcome.claims_success, outcome.error) == (False, False, words)
    assert outcome.error_file == "trajectory.json" and outcome.error_line is not None
    assert "exceeded" in (tmp_path / TRAJECTORY["mini"]).read_text().split("\n")[outcome.error_line - 1]


def test_mini_that_hit_its_own_limit_says_which(tmp_path: Path) -> None:
    put(tmp_path, TRAJECTORY["mini"], mini_file("LimitsExceeded", {"submission": ""}))
    outcome = get_agent("mini").outcome(Left(tmp_path, [], []))
    assert outcome is not None and outcome.error == "LimitsExceeded" and outcome.error_line is not None


def test_mini_that_was_ended_while_it_worked_claims_nothing(tmp_path: Path) -> None:
    put(tmp_path, TRAJECTORY["mini"], mini_file(""))
    outcome = get_agent("mini").outcome(Left(tmp_path, [], []))
    assert outcome is not None and (outcome.finished, outcome.claims_success, outcome.error) == (False, None, None)


def test_trae_that_declared_the_task_done_says_it_succeeded(tmp_path: Path) -> None:
    put(tmp_path, TRAJECTORY["trae"], trae_file())
    outcome = get_agent("trae").outcome(Left(tmp_path, [], []))
    assert outcome is not None
    assert (outcome.finished, outcome.claims_success, outcome.error, outcome.steps) == (True, True, None, 1)
    assert outcome.usage == Usage(uncached_input=600, cache_read=400, output=50, reasoning=10)


def test_trae_whose_provider_failed_is_told_by_its_step_not_by_its_state(tmp_path: Path) -> None:
    step = {"step_number": 1, "state": "completed", "error": "Error code: 401 - Incorrect API key provided"}
    put(tmp_path, TRAJECTORY["trae"], trae_file(success=False, agent_steps=[step], llm_interactions=[]))
    outcome = get_agent("trae").outcome(Left(tmp_path, [], []))
    assert outcome is not None
    assert (outcome.finished, outcome.claims_success, outcome.usage) == (False, False, None)
    assert outcome.error == step["error"] and outcome.error_line is not None
    assert "401" in (tmp_path / TRAJECTORY["trae"]).read_text().split("\n")[outcome.error_line - 1]


def test_trae_that_used_up_its_steps_says_so(tmp_path: Path) -> None:
    words = "Task execution exceeded maximum steps without completion."
    put(tmp_path, TRAJECTORY["trae"], trae_file(success=False, final_result=words))
    outcome = get_agent("trae").outcome(Left(tmp_path, [], []))
    assert outcome is not None and outcome.error == words and outcome.finished is False


def test_trae_that_was_ended_claims_nothing(tmp_path: Path) -> None:
    put(tmp_path, TRAJECTORY["trae"], trae_file(success=False, end_time="", execution_time=0.0))
    outcome = get_agent("trae").outcome(Left(tmp_path, [], []))
    assert outcome is not None and (outcome.finished, outcome.claims_success, outcome.error) == (False, None, None)


def test_trae_usage_of_zero_is_unknown(tmp_path: Path) -> None:
    answer = {"content": "", "usage": {"input_tokens": 0, "output_tokens": 0}}
    put(tmp_path, TRAJECTORY["trae"], trae_file(llm_interactions=[{"response": answer}]))
    outcome = get_agent("trae").outcome(Left(tmp_path, [], []))
    assert outcome is not None and outcome.usage is None


AIDER_SENT = '{"event": "message_send_starting", "properties": {}, "user_id": "cd19", "time": 1795374264}'
AIDER_ANSWERED = (
    '{"event": "message_send", "properties": {"main_model": "openai/REDACTED", "edit_format": "diff", '
    '"prompt_tokens": 2593, "completion_tokens": 18, "total_tokens": 2611, "cost": 0, "total_cost": 0.0}, "time": 1}'
)
AIDER_EXIT = '{"event": "exit", "properties": {"reason": "Completed --message-file"}, "user_id": "cd19", "time": 1}'
AIDER_QUOTA = [
    "Aider v0.86.2",
    "litellm.RateLimitError: RateLimitError: OpenAIException - You exceeded your current quota.",
    "The API provider has rate limited you. Try again later or check your quotas.",
    "",
]


def aider(home: Path, *events: str, stdout: list[str] | None = None) -> Left:
    put(home, "aider/events.jsonl", "\n".join(['{"event": "launched", "properties": {}}', *events, ""]))
    said = "TO LLM 2026-01-02T03:04:05\n-------\nUSER go\nLLM RESPONSE 2026-01-02T03:04:06\nASSISTANT I do.\n"
    said += "ASSISTANT Done.\n"
    put(home, TRAJECTORY["aider"], said)
    return Left(home, stdout or [], [])


def test_aider_whose_last_message_was_answered_has_finished_and_claims_nothing(tmp_path: Path) -> None:
    left = aider(tmp_path, AIDER_SENT, AIDER_ANSWERED, AIDER_SENT, AIDER_ANSWERED, AIDER_EXIT)
    outcome = get_agent("aider").outcome(left)
    assert outcome is not None
    assert (outcome.finished, outcome.claims_success, outcome.error, outcome.steps) == (True, None, None, 2)
    assert outcome.message == "I do.\nDone."
    assert outcome.usage == Usage(output=36), "of the input it does not say what came from the cache"


def test_aider_whose_last_message_had_no_answer_has_failed_and_names_the_line(tmp_path: Path) -> None:
    left = aider(tmp_path, AIDER_SENT, AIDER_ANSWERED, AIDER_SENT, AIDER_EXIT, stdout=AIDER_QUOTA)
    outcome = get_agent("aider").outcome(left)
    assert outcome is not None
    assert (outcome.finished, outcome.claims_success, outcome.steps) == (False, False, 1)
    assert (outcome.error, outcome.error_file, outcome.error_line) == (AIDER_QUOTA[1], "stdout.log", 2)
    assert outcome.usage == Usage(output=18)


def test_aider_that_gave_up_on_edits_that_do_not_apply_has_not_finished(tmp_path: Path) -> None:
    words = "Only 3 reflections allowed, stopping."
    events = [AIDER_SENT, AIDER_ANSWERED] * 4
    outcome = get_agent("aider").outcome(aider(tmp_path, *events, AIDER_EXIT, stdout=["Tokens: 1k sent", words, ""]))
    assert outcome is not None
    assert (outcome.finished, outcome.claims_success, outcome.error, outcome.error_line) == (False, False, words, 2)


def test_aider_that_was_ended_has_not_finished_and_claims_nothing(tmp_path: Path) -> None:
    outcome = get_agent("aider").outcome(aider(tmp_path, AIDER_SENT, stdout=["Aider v0.86.2"]))
    assert outcome is not None and (outcome.finished, outcome.claims_success, outcome.error) == (False, None, None)


OPENHANDS_QUOTA = "litellm.RateLimitError: RateLimitError: OpenAIException - You exceeded your current quota."
OPENHANDS_EVENTS = [
    "Agent is working",
    '{"source": "user", "llm_message": {"content": [{"type": "text", "text": "Fast!"}]}, "kind": "MessageEvent"}',
    '{"source": "agent", "thought": [{"type": "text", "text": "I make a file."}], "kind": "ActionEvent"}',
    '{"source": "environment", "observation": {"is_error": false}, "kind": "ObservationEvent"}',
]


def openhands(home: Path, status: str, *more: str) -> Left:
    tokens = {"prompt_tokens": 1000, "completion_tokens": 50, "cache_read_tokens": 400, "cache_write_tokens": 0}
    unknown = dict.fromkeys(tokens, 0)
    metrics = {
        "agent": {"accumulated_cost": 0.25, "accumulated_token_usage": tokens},
        "condenser": {"accumulated_cost": 0.0, "accumulated_token_usage": unknown},
    }
    state = {"id": "f76c06ff", "execution_status": status, "stats": {"usage_to_metrics": metrics}}
    put(home, TRAJECTORY["openhands"], json.dumps(state))
    return Left(home, [*OPENHANDS_EVENTS, *more, "Conversation ID: f76c06ff", ""], [])


def test_openhands_that_called_its_finish_says_it_succeeded(tmp_path: Path) -> None:
    end = (
        '{"source": "agent", "thought": [{"type": "text", "text": "All done."}], "action": {"message": "All done.", '
        '"kind": "FinishAction"}, "tool_name": "finish", "kind": "ActionEvent"}'
    )
    outcome = get_agent("openhands").outcome(openhands(tmp_path, "finished", end))
    assert outcome is not None
    assert (outcome.finished, outcome.claims_success, outcome.error, outcome.steps) == (True, True, None, 2)
    assert outcome.message == "All done."
    assert outcome.usage == HALF and outcome.cost_usd == 0.25


def test_openhands_whose_provider_failed_names_the_event(tmp_path: Path) -> None:
    event = {"source": "environment", "code": "LLMRateLimitError", "detail": OPENHANDS_QUOTA}
    failed = json.dumps(event | {"kind": "ConversationErrorEvent"})
    outcome = get_agent("openhands").outcome(openhands(tmp_path, "error", failed))
    assert outcome is not None
    assert (outcome.finished, outcome.claims_success, outcome.error) == (False, False, OPENHANDS_QUOTA)
    assert (outcome.error_file, outcome.error_line) == ("stdout.log", 5)
    assert outcome.message == "I make a file."


@pytest.mark.parametrize(("status", "claims"), [("running", None), ("stuck", False), ("paused", None)])
def test_openhands_that_did_not_end_by_itself_has_not_finished(
    status: str, claims: bool | None, tmp_path: Path
) -> None:
    outcome = get_agent("openhands").outcome(openhands(tmp_path, status))
    assert outcome is not None and (outcome.finished, outcome.claims_success) == (False, claims)


def test_openhands_reads_the_conversation_it_names_at_its_end(tmp_path: Path) -> None:
    left = openhands(tmp_path, "finished")
    put(tmp_path, TRAJECTORY["openhands"].replace("f76c06ff", "00000000"), '{"execution_status": "error"}')
    outcome = get_agent("openhands").outcome(left)
    assert outcome is not None and outcome.finished is True


CLAUDE_INIT = '{"type":"system","subtype":"init","session_id":"5e55-10f1","model":"claude-x","tools":["Bash"]}'
CLAUDE_RETRY = (
    '{"type":"system","subtype":"api_retry","attempt":1,"max_retries":2,"retry_delay_ms":578,"error_status":429,'
    '"error":"rate_limit","session_id":"5e55-10f1"}'
)
CLAUDE_SAYS = (
    '{"type":"assistant","message":{"id":"msg_1","model":"claude-x","content":[{"type":"text","text":"I look."},'
    '{"type":"tool_use","id":"toolu_1","name":"Bash","input":{}}],"usage":{"output_tokens":1}}}'
)
CLAUDE_COUNTS = {
    "input_tokens": 600,
    "cache_read_input_tokens": 400,
    "cache_creation_input_tokens": 7,
    "output_tokens": 50,
}


def claude_result(**changes: Any) -> str:
    used = {
        "inputTokens": 600,
        "outputTokens": 50,
        "cacheReadInputTokens": 400,
        "cacheCreationInputTokens": 7,
        "thinkingTokens": 5,
        "costUSD": 0.25,
        "costBasis": "list",
    }
    result: dict[str, Any] = {
        "type": "result",
        "subtype": "success",
        "is_error": False,
        "api_error_status": None,
        "num_turns": 2,
        "result": "All done.",
        "total_cost_usd": 0.25,
        "usage": {"input_tokens": 600, "output_tokens": 50},
        "modelUsage": {"claude-x": used},
    }
    return json.dumps(result | changes)


def claude_failure(status: int, words: str, **changes: Any) -> str:
    return claude_result(is_error=True, api_error_status=status, result=words, **changes)


def claude(home: Path, *lines: str) -> Left:
    blocks = [{"type": "text", "text": "I look."}, {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}}]
    answer = {"id": "msg_1", "model": "claude-x", "usage": CLAUDE_COUNTS}
    own = {"id": "own", "model": "<synthetic>", "content": [], "usage": {"input_tokens": 0, "output_tokens": 0}}
    session = [{"type": "assistant", "message": answer | {"content": [block]}} for block in blocks]
    session.append({"type": "assistant", "message": own})
    put(home, TRAJECTORY["claude"], "\n".join([json.dumps(line) for line in session] + ['{"torn']))
    return Left(home, [CLAUDE_INIT, *lines, ""], ["[claude-code:unrecognized_model] {}"])


def test_claude_whose_result_is_no_error_has_finished_and_its_usage_is_that_of_all_models(tmp_path: Path) -> None:
    side = {"inputTokens": 1, "outputTokens": 2, "cacheReadInputTokens": 0, "cacheCreationInputTokens": 0}
    models = json.loads(claude_result())["modelUsage"] | {"claude-small": side}
    outcome = get_agent("claude").outcome(claude(tmp_path, CLAUDE_SAYS, claude_result(modelUsage=models)))
    assert outcome is not None
    assert (outcome.finished, outcome.claims_success, outcome.error, outcome.steps) == (True, None, None, 2)
    assert outcome.message == "All done."
    assert outcome.usage == Usage(uncached_input=601, cache_read=400, cache_write=7, output=52, reasoning=5)
    assert outcome.cost_usd == 0.25


def test_claude_whose_provider_failed_is_told_by_its_error_not_by_its_subtype(tmp_path: Path) -> None:
    words = "API Error: Request rejected (429) · You exceeded your current quota."
    left = claude(tmp_path, CLAUDE_SAYS, CLAUDE_RETRY, claude_failure(429, words))
    outcome = get_agent("claude").outcome(left)
    assert outcome is not None
    assert (outcome.finished, outcome.claims_success, outcome.error) == (False, False, words)
    assert (outcome.error_file, outcome.error_line) == ("stdout.log", 4)
    assert outcome.message == "I look."
    assert outcome.usage is not None and outcome.usage.output == 50


def test_claude_that_never_reached_its_provider_has_no_usage_and_no_cost(tmp_path: Path) -> None:
    refused = claude_failure(401, "Failed to authenticate. API Error: 401", modelUsage={}, total_cost_usd=0)
    outcome = get_agent("claude").outcome(claude(tmp_path, refused))
    assert outcome is not None
    assert (outcome.finished, outcome.usage, outcome.cost_usd) == (False, None, None)


def test_claude_that_used_up_its_turns_says_so(tmp_path: Path) -> None:
    limit = claude_result(subtype="error_max_turns", result=None)
    outcome = get_agent("claude").outcome(claude(tmp_path, CLAUDE_SAYS, limit))
    assert outcome is not None and (outcome.finished, outcome.error) == (False, "error_max_turns")


def test_claude_that_was_ended_has_not_finished_and_its_usage_is_in_its_session(tmp_path: Path) -> None:
    outcome = get_agent("claude").outcome(claude(tmp_path, CLAUDE_SAYS, CLAUDE_RETRY))
    assert outcome is not None
    assert (outcome.finished, outcome.claims_success, outcome.cost_usd) == (False, None, None)
    assert (outcome.error, outcome.error_line) == ("API Error: 429 rate_limit", 3)
    assert outcome.usage == Usage(uncached_input=600, cache_read=400, cache_write=7, output=50)


def test_claude_that_tried_again_and_went_on_has_no_error(tmp_path: Path) -> None:
    left = claude(tmp_path, CLAUDE_RETRY, CLAUDE_SAYS)
    ended = get_agent("claude").outcome(left)
    assert ended is not None and ended.error is None and ended.finished is False
    left = claude(tmp_path, CLAUDE_RETRY, CLAUDE_SAYS, claude_result())
    outcome = get_agent("claude").outcome(left)
    assert outcome is not None and outcome.error is None and outcome.finished is True


def test_claude_guesses_the_price_of_a_model_that_it_does_not_know(tmp_path: Path) -> None:
    used = json.loads(claude_result())["modelUsage"]["claude-x"] | {"costBasis": "unknown"}
    outcome = get_agent("claude").outcome(claude(tmp_path, claude_result(modelUsage={"script": used})))
    assert outcome is not None and outcome.cost_usd is None and outcome.usage is not None


@pytest.mark.parametrize("cost", ["10" * 200, "-1", "NaN", "1e999", "true", '"1"', "null"])
def test_claude_whose_cost_is_none_that_can_be_has_none(cost: str, tmp_path: Path) -> None:
    line = claude_result().replace('"total_cost_usd": 0.25', f'"total_cost_usd": {cost}')
    outcome = get_agent("claude").outcome(claude(tmp_path, line))
    assert outcome is not None and outcome.finished is True and outcome.cost_usd is None


def test_claude_reads_the_session_it_names_not_another(tmp_path: Path) -> None:
    left = claude(tmp_path)
    put(tmp_path, ".claude/projects/-workspace/0000.jsonl", "{}")
    found = get_agent("claude").trajectory(left)
    assert found is not None and found.name == "5e55-10f1.jsonl"


@pytest.mark.parametrize("name", list(TRAJECTORY))
def test_an_agent_that_left_nothing_has_no_outcome(name: str, tmp_path: Path) -> None:
    left = Left(tmp_path, [], ["Killed"])
    assert get_agent(name).outcome(left) is None
    assert get_agent(name).trajectory(left) is None


@pytest.mark.parametrize("name", list(TRAJECTORY))
def test_a_trajectory_behind_a_link_is_not_read(name: str, tmp_path: Path) -> None:
    secret = put(tmp_path, "outside/secret.json", mini_file("Submitted", {"submission": ""}))
    home = tmp_path / "home"
    trajectory = home / TRAJECTORY[name]
    trajectory.parent.mkdir(parents=True)
    trajectory.symlink_to(secret)
    agent, left = get_agent(name), Left(home, [], [])
    assert agent.trajectory(left) is None and agent.outcome(left) is None

    trajectory.unlink()
    trajectory.parent.rmdir()
    put(tmp_path, f"outside/{trajectory.name}", mini_file("Submitted", {"submission": ""}))
    trajectory.parent.symlink_to(tmp_path / "outside")
    assert agent.trajectory(left) is None and agent.outcome(left) is None


@pytest.mark.parametrize("name", list(TRAJECTORY))
def test_a_pipe_or_a_folder_in_place_of_the_trajectory_is_not_read(name: str, tmp_path: Path) -> None:
    for number, make in enumerate((os.mkfifo, os.mkdir)):
        home = tmp_path / str(number)
        (home / TRAJECTORY[name]).parent.mkdir(parents=True)
        make(home / TRAJECTORY[name])
        left = Left(home, [], [])
        assert get_agent(name).trajectory(left) is None and get_agent(name).outcome(left) is None


@pytest.mark.parametrize("name", list(TRAJECTORY))
def test_a_trajectory_of_many_gigabytes_is_neither_read_nor_kept(name: str, tmp_path: Path) -> None:
    with put(tmp_path, TRAJECTORY[name], "{").open("r+b") as file:
        file.truncate(20_000_000_000)  # sparse
    left = Left(tmp_path, [], [])
    assert get_agent(name).trajectory(left) is None and get_agent(name).outcome(left) is None


def test_deeply_nested_json_is_no_evidence(tmp_path: Path) -> None:
    put(tmp_path, TRAJECTORY["mini"], "[" * 200_000)
    assert get_agent("mini").outcome(Left(tmp_path, [], [])) is None
    assert get_agent("codex").outcome(Left(tmp_path, ['{"type":' * 100_000], [])) is None


KEYS = st.sampled_from(
    [
        "info",
        "messages",
        "exit_status",
        "extra",
        "exception_str",
        "role",
        "content",
        "response",
        "usage",
        "prompt_tokens",
        "completion_tokens",
        "prompt_tokens_details",
        "cached_tokens",
        "model_stats",
        "api_calls",
        "success",
        "end_time",
        "agent_steps",
        "error",
        "llm_interactions",
        "input_tokens",
        "output_tokens",
        "cache_read_input_tokens",
        "final_result",
        "type",
        "item",
        "text",
        "message",
        "thread_id",
        "payload",
        "thread_token_usage",
        "total_token_usage",
        "cached_input_tokens",
        "event",
        "properties",
        "completion_tokens",
        "kind",
        "thought",
        "execution_status",
        "stats",
        "usage_to_metrics",
        "accumulated_token_usage",
        "accumulated_cost",
        "subtype",
        "is_error",
        "result",
        "modelUsage",
        "inputTokens",
        "total_cost_usd",
        "error_status",
        "part",
        "reason",
        "tokens",
        "cache",
        "data",
        "status",
        "num_turns",
        "id",
    ]
)
WORDS = st.sampled_from(
    [
        "assistant",
        "exit",
        "Submitted",
        "turn.completed",
        "turn.failed",
        "error",
        "item.completed",
        "agent_message",
        "result",
        "success",
        "system",
        "init",
        "api_retry",
        "step_start",
        "step_finish",
        "stop",
        "gemini",
    ]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | WORDS | st.just("\ud800")
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(), inner, max_size=5)
)


def _read_all(trajectory: bytes, lines: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for name in (*TRAJECTORY.values(), "aider/events.jsonl"):
            put(home, name, trajectory)
        agents: list[Agent] = [get_agent(n) for n in TRAJECTORY]
        for agent in [*agents, get_agent("patch", patch=b"")]:
            outcome = agent.outcome(Left(home, lines, lines))
            agent.trajectory(Left(home, lines, lines))
            if outcome is not None:
                outcome.model_dump_json()
                assert len(outcome.message or "") <= 2000 and len(outcome.error or "") <= 2000


@settings(max_examples=150, deadline=None)
@given(VALUES, st.lists(st.dictionaries(KEYS, VALUES, max_size=4) | VALUES, max_size=4))
def test_json_of_any_shape_is_read_without_an_error(value: Any, events: list[Any]) -> None:
    _read_all(json.dumps(value).encode(), [json.dumps(e) for e in events])


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=400), st.lists(st.text(st.characters(exclude_categories=()), max_size=80), max_size=4))
def test_bytes_of_any_kind_are_read_without_an_error(data: bytes, lines: list[str]) -> None:
    _read_all(data, lines)
    _read_all(b'{"info": {"exit_status": "' + data + b'"}}', lines)

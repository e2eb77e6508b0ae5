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
TRAJECTORY = {"mini": "mini/trajectory.json", "trae": "trae/trajectory.json", "codex": CODEX_SESSION}

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


@pytest.mark.parametrize("name", ["codex", "mini", "trae"])
def test_an_agent_that_left_nothing_has_no_outcome(name: str, tmp_path: Path) -> None:
    left = Left(tmp_path, [], ["Killed"])
    assert get_agent(name).outcome(left) is None
    assert get_agent(name).trajectory(left) is None


@pytest.mark.parametrize("name", ["codex", "mini", "trae"])
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


@pytest.mark.parametrize("name", ["codex", "mini", "trae"])
def test_a_pipe_or_a_folder_in_place_of_the_trajectory_is_not_read(name: str, tmp_path: Path) -> None:
    for number, make in enumerate((os.mkfifo, os.mkdir)):
        home = tmp_path / str(number)
        (home / TRAJECTORY[name]).parent.mkdir(parents=True)
        make(home / TRAJECTORY[name])
        left = Left(home, [], [])
        assert get_agent(name).trajectory(left) is None and get_agent(name).outcome(left) is None


@pytest.mark.parametrize("name", ["codex", "mini", "trae"])
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
    ]
)
WORDS = st.sampled_from(
    ["assistant", "exit", "Submitted", "turn.completed", "turn.failed", "error", "item.completed", "agent_message"]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | WORDS | st.just("\ud800")
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(), inner, max_size=5)
)


def _read_all(trajectory: bytes, lines: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for name in TRAJECTORY.values():
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

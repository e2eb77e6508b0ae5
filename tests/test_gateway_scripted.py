"""The scripted model plays a strict provider, for whatever tools an agent offers."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway_support import CHAT_BASH, RESPONSES_SHELL, Place, chat, in_loop, place, responses, scripted
from speedproof.gateway.protocols import DIALECTS
from speedproof.gateway.sse import EventParser

TEXT = {"type": "string"}
STORY = '  - say: "Let me look."\n    run: "ls é"\n  - run: make\n  - finish: "3x faster."\n'


def tool(name: str, required: list[str] | None = None, **properties: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": required or list(properties)}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def chat_turn(answer: dict[str, Any], output: str = "ok") -> list[dict[str, Any]]:
    """What an agent adds to its conversation after an answer."""
    message = answer["choices"][0]["message"]
    results = [{"role": "tool", "tool_call_id": c["id"], "content": output} for c in message.get("tool_calls", [])]
    return [message, *results]


def responses_turn(answer: dict[str, Any], output: str = "ok") -> list[dict[str, Any]]:
    calls = [item for item in answer["output"] if item["type"] == "function_call"]
    results = [{"type": "function_call_output", "call_id": c["call_id"], "output": output} for c in calls]
    return [*answer["output"], *results]


async def command(agent: Place, offered: list[Any]) -> tuple[str, Any]:
    """Name and arguments of the call that a script's first turn makes of the tools offered."""
    status, answer = await agent.post("/v1/chat/completions", chat(tools=offered))
    assert status == 200, answer
    function = answer["choices"][0]["message"]["tool_calls"][0]["function"]
    return function["name"], json.loads(function["arguments"])


@in_loop
async def test_a_chat_conversation_goes_through_the_script(tmp_path: Path) -> None:
    choice, _ = scripted(tmp_path, STORY)
    async with place(tmp_path, choice) as agent:
        history: list[dict[str, Any]] = []
        seen = []
        for _ in range(4):
            _, answer = await agent.post("/v1/chat/completions", chat(*history))
            message = answer["choices"][0]["message"]
            calls = [json.loads(c["function"]["arguments"])["command"] for c in message.get("tool_calls", [])]
            seen.append((message["content"], calls, answer["choices"][0]["finish_reason"]))
            history += [*chat_turn(answer), *([] if calls else [{"role": "user", "content": "go on"}])]
        assert seen == [
            ("Let me look.", ["ls é"], "tool_calls"),
            (None, ["make"], "tool_calls"),
            ("3x faster.", [], "stop"),
            ("3x faster.", [], "stop"),
        ]


@in_loop
async def test_a_responses_conversation_goes_through_the_script(tmp_path: Path) -> None:
    choice, _ = scripted(tmp_path, STORY)
    async with place(tmp_path, choice) as agent:
        history: list[dict[str, Any]] = []
        seen = []
        for _ in range(3):
            _, answer = await agent.post("/v1/responses", responses(*history))
            seen.append([item.get("arguments") or item["content"][0]["text"] for item in answer["output"]])
            history += responses_turn(answer)
        assert seen == [["Let me look.", '{"cmd": "ls é"}'], ['{"cmd": "make"}'], ["3x faster."]]


@in_loop
async def test_a_repeated_request_gets_the_same_answer(tmp_path: Path) -> None:
    choice, _ = scripted(tmp_path, STORY)
    async with place(tmp_path, choice) as agent:
        answers = [(await agent.post("/v1/responses", responses()))[1] for _ in range(2)]
        assert answers[0]["output"] == answers[1]["output"]


@pytest.mark.parametrize(
    ("offered", "name", "arguments"),
    [
        ([tool("read", path={"type": "string"}), CHAT_BASH], "bash", {"command": "ls"}),
        ([tool("shell", command={"type": "array"})], "shell", {"command": ["bash", "-lc", "ls"]}),
        (
            [tool("exec_command", ["cmd"], cmd=TEXT, yield_time_ms={"type": "number"})],
            "exec_command",
            {"cmd": "ls", "yield_time_ms": 30000},
        ),
        (
            [tool("bash", command=TEXT, restart={"type": ["boolean", "null"]})],
            "bash",
            {"command": "ls", "restart": None},
        ),
        (
            [tool("execute_bash", command=TEXT, risk={"enum": ["LOW", "HIGH"]}, timeout={"type": "number"})],
            "execute_bash",
            {"command": "ls", "risk": "LOW", "timeout": 600},
        ),
        (
            [tool("bash", code={"type": "integer"}), tool("run_command", command=TEXT)],
            "run_command",
            {"command": "ls"},
        ),
    ],
)
def test_a_command_is_put_into_the_shell_tool_that_is_offered(
    tmp_path: Path, offered: list[Any], name: str, arguments: dict[str, Any]
) -> None:
    @in_loop
    async def run() -> None:
        choice, _ = scripted(tmp_path, "  - run: ls\n")
        async with place(tmp_path, choice) as agent:
            assert await command(agent, offered) == (name, arguments)

    run()


@in_loop
async def test_a_freeform_tool_gets_the_bare_command(tmp_path: Path) -> None:
    choice, _ = scripted(tmp_path, "  - run: ls\n")
    async with place(tmp_path, choice) as agent:
        free = {"type": "custom", "name": "shell", "description": "runs it"}
        _, answer = await agent.post("/v1/responses", responses(tools=[free]))
        assert answer["output"][0]["type"] == "custom_tool_call"
        assert answer["output"][0]["input"] == "ls"
        _, answer = await agent.post(
            "/v1/chat/completions", chat(tools=[{"type": "custom", "custom": {"name": "shell"}}])
        )
        assert answer["choices"][0]["message"]["tool_calls"][0]["custom"] == {"name": "shell", "input": "ls"}


@in_loop
async def test_without_a_shell_tool_the_provider_names_what_is_offered(tmp_path: Path) -> None:
    choice, _ = scripted(tmp_path, "  - run: ls\n")
    async with place(tmp_path, choice) as agent:
        status, answer = await agent.post(
            "/v1/chat/completions", chat(tools=[tool("read_file", path={"type": "string"})])
        )
        assert status == 400
        assert "read_file" in answer["error"]["message"]


@in_loop
async def test_the_end_is_declared_in_the_agents_own_way(tmp_path: Path) -> None:
    choice, _ = scripted(tmp_path, '  - finish: "Faster."\n')
    async with place(tmp_path, choice) as agent:
        name, arguments = await command(agent, [CHAT_BASH, tool("finish", message={"type": "string"})])
        assert (name, arguments) == ("finish", {"message": "Faster."})
        mini = {"role": "system", "content": "issue `echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT` at the end"}
        _, answer = await agent.post("/v1/chat/completions", chat(mini))
        message = answer["choices"][0]["message"]
        assert message["content"] == "Faster."
        assert "echo COMPLETE_TASK" in message["tool_calls"][0]["function"]["arguments"]


@in_loop
async def test_a_command_that_still_runs_is_waited_for(tmp_path: Path) -> None:
    choice, _ = scripted(tmp_path, "  - run: sleep\n  - run: next\n")
    poll = {
        "type": "function",
        "name": "write_stdin",
        "parameters": {"type": "object", "properties": {"session_id": {"type": "number"}}, "required": ["session_id"]},
    }
    async with place(tmp_path, choice) as agent:
        tools = [RESPONSES_SHELL, poll]
        _, first = await agent.post("/v1/responses", responses(tools=tools))
        history = responses_turn(first, "Process running with session ID 71\n")
        _, second = await agent.post("/v1/responses", responses(*history, tools=tools))
        assert second["output"][0]["name"] == "write_stdin"
        assert json.loads(second["output"][0]["arguments"])["session_id"] == 71
        history += responses_turn(second, "Process exited with code 0")
        _, third = await agent.post("/v1/responses", responses(*history, tools=tools))
        assert json.loads(third["output"][0]["arguments"])["cmd"] == "next"


@in_loop
async def test_faults_pass_after_their_number_of_times(tmp_path: Path) -> None:
    choice, model = scripted(
        tmp_path,
        "  - fail: {status: 429, code: rate_limit_exceeded, message: slow, retry_after_s: 0.5, times: 2}\n"
        "  - finish: done\n",
    )
    async with place(tmp_path, choice) as agent:
        seen = []
        for _ in range(3):
            async with agent.client.post(
                agent.url + "/v1/responses", json=responses(), headers=agent.headers
            ) as answer:
                seen.append((answer.status, answer.headers.get("Retry-After")))
                body = await answer.json()
        assert seen == [(429, "0.5"), (429, "0.5"), (200, None)]
        assert body["output"][0]["content"][0]["text"] == "done"
        assert [(entry.status, entry.usage is None) for entry in model.ledger] == [
            (429, True),
            (429, True),
            (200, False),
        ]


@in_loop
async def test_a_lasting_quota_error_has_the_providers_form(tmp_path: Path) -> None:
    choice, _ = scripted(tmp_path, "  - fail: {status: 429, code: insufficient_quota, message: no more}\n")
    async with place(tmp_path, choice) as agent:
        for _ in range(3):
            assert await agent.post("/v1/chat/completions", chat()) == (
                429,
                {
                    "error": {
                        "message": "no more",
                        "type": "insufficient_quota",
                        "param": None,
                        "code": "insufficient_quota",
                    }
                },
            )
        calls = await agent.calls(3)
        assert [outcome.error_code for _, outcome in calls if outcome] == ["insufficient_quota"] * 3


@in_loop
async def test_sessions_do_not_share_faults(tmp_path: Path) -> None:
    choice, _ = scripted(tmp_path, "  - fail: {status: 500, times: 1}\n  - finish: done\n")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        async with place(tmp_path / name, choice) as agent:
            assert [(await agent.post("/v1/responses", responses()))[0] for _ in range(2)] == [500, 200]


@in_loop
async def test_a_tool_call_without_output_is_refused_as_openai_does(tmp_path: Path) -> None:
    choice, _ = scripted(tmp_path, STORY)
    async with place(tmp_path, choice) as agent:
        _, answer = await agent.post("/v1/responses", responses())
        call = answer["output"][-1]["call_id"]
        status, error = await agent.post(
            "/v1/responses", responses(*answer["output"], {"role": "user", "content": "?"})
        )
        assert (status, error["error"]["message"]) == (400, f"No tool output found for function call {call}.")
        stray = {"type": "function_call_output", "call_id": "call_x", "output": ""}
        status, error = await agent.post("/v1/responses", responses(stray))
        assert (status, "call_x" in error["error"]["message"]) == (400, True)

        _, answer = await agent.post("/v1/chat/completions", chat())
        call = answer["choices"][0]["message"]["tool_calls"][0]["id"]
        open_call = chat_turn(answer)[:1]
        for after in ([], [{"role": "user", "content": "?"}]):
            status, error = await agent.post("/v1/chat/completions", chat(*open_call, *after))
            assert (status, call in error["error"]["message"]) == (400, True)
        stray = {"role": "tool", "tool_call_id": "call_x", "content": ""}
        assert (await agent.post("/v1/chat/completions", chat(stray)))[0] == 400


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"model": 3},
        {"model": "m"},
        {"model": "m", "messages": "x", "input": 7},
        {"model": "m", "messages": [1], "input": [1]},
        {"model": "m", "messages": [{"role": "robot"}], "input": [], "tools": "x"},
        {"model": "m", "messages": [], "input": [], "tools": [1]},
        {"model": "m", "messages": [{"role": "assistant", "tool_calls": 5}], "input": [{"type": 5}], "tools": [{}]},
    ],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
def test_nonsense_is_a_client_error_never_a_crash(tmp_path: Path, body: Any, path: str) -> None:
    @in_loop
    async def run() -> None:
        choice, _ = scripted(tmp_path, STORY)
        async with place(tmp_path, choice) as agent:
            status, answer = await agent.post(path, body)
            assert status in {200, 400}
            assert status == 200 or answer["error"]["message"]

    run()


@in_loop
async def test_streams_say_the_same_as_whole_answers(tmp_path: Path) -> None:
    choice, _ = scripted(tmp_path, '  - say: "' + "long é " * 40 + '"\n    run: "echo ' + "x" * 200 + '"\n')
    async with place(tmp_path, choice) as agent:
        for path, body in (("/v1/chat/completions", chat()), ("/v1/responses", responses())):
            protocol = "chat" if "chat" in path else "responses"
            _, whole = await agent.post(path, body)
            _, raw = await agent.stream(path, body | {"stream": True, "stream_options": {"include_usage": True}})
            events = EventParser().feed(raw)
            streamed, plain = DIALECTS[protocol].reader(), DIALECTS[protocol].reader()  # type: ignore[arg-type]
            for event in events:
                streamed.read_event(event)
            plain.read_json(json.dumps(whole).encode(), 200)
            assert streamed.complete
            assert plain.complete
            assert (streamed.text, streamed.tool_calls) == (plain.text, plain.tool_calls)
            assert streamed.usage is not None
            assert streamed.usage.output == plain.usage.output  # type: ignore[union-attr]
            if protocol == "responses":
                decoded = [json.loads(event.data) for event in events]
                assert [d["sequence_number"] for d in decoded] == list(range(len(decoded)))
                assert all(event.name == d["type"] for event, d in zip(events, decoded, strict=True))
                deltas = [d["delta"] for d in decoded if d["type"] == "response.function_call_arguments.delta"]
                assert "".join(deltas) == whole["output"][-1]["arguments"]
            else:
                pieces = [json.loads(e.data)["choices"] for e in events[:-2]]
                deltas = [p[0]["delta"].get("tool_calls") for p in pieces]
                arguments = "".join(d[0]["function"]["arguments"] for d in deltas if d)
                assert arguments == whole["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]


@in_loop
async def test_what_was_read_before_is_billed_as_cached(tmp_path: Path) -> None:
    choice, model = scripted(tmp_path, STORY)
    async with place(tmp_path, choice) as agent:
        _, first = await agent.post("/v1/responses", responses())
        await agent.post("/v1/responses", responses(*responses_turn(first)))
        one, two = (entry.usage for entry in model.ledger)
        assert one is not None
        assert two is not None
        assert one.cache_read == 0
        assert two.cache_read == one.uncached_input
        calls = await agent.calls(2)
        assert [outcome.usage for _, outcome in calls if outcome] == [
            u.model_copy(update={"cache_write": None}) for u in (one, two)
        ]


@in_loop
async def test_models_are_listed_and_other_routes_are_not_there(tmp_path: Path) -> None:
    choice, _ = scripted(tmp_path, STORY)
    async with (
        place(tmp_path, choice) as agent,
        agent.client.get(agent.url + "/v1/models", headers=agent.headers) as answer,
    ):
        assert (await answer.json())["data"][0]["id"] == "script"

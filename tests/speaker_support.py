"""An agent's side of every protocol: the requests of a conversation, and what it adds to it after an answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway_support import chat, responses
from speedproof.gateway.protocols import DIALECTS
from speedproof.gateway.protocols.answer import AnswerReader
from speedproof.gateway.sse import EventParser

COMMAND = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
MESSAGES_BASH = {"name": "bash", "description": "runs it", "input_schema": COMMAND}
GEMINI_SHELL = {
    "name": "run_shell_command",
    "parameters": {"type": "OBJECT", "properties": {"command": {"type": "STRING"}}, "required": ["command"]},
}


def messages(*more: dict[str, Any], tools: list[Any] | None = None, **parameters: Any) -> dict[str, Any]:
    """A Messages request that offers a bash tool."""
    given = [MESSAGES_BASH] if tools is None else tools
    start = [{"role": "user", "content": "Make it fast."}]
    body = {"model": "m", "max_tokens": 1000, "messages": [*start, *more], **parameters}
    return body | ({"tools": given} if given else {})


def gemini(*more: dict[str, Any], tools: list[Any] | None = None, **parameters: Any) -> dict[str, Any]:
    """A generateContent request that offers Gemini CLI's shell tool."""
    given = [{"functionDeclarations": [GEMINI_SHELL]}] if tools is None else tools
    start = [{"role": "user", "parts": [{"text": "Make it fast."}]}]
    return {"contents": [*start, *more], **({"tools": given} if given else {}), **parameters}


_BODIES = {"chat": chat, "responses": responses, "messages": messages, "gemini": gemini}
_PATHS = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}


@dataclass(frozen=True)
class Speaker:
    """An agent that speaks one protocol."""

    protocol: str

    def path(self, *, stream: bool = False) -> str:
        """Where it asks, with the query."""
        if self.protocol == "gemini":
            return f"/v1beta/models/m:{'streamGenerateContent?alt=sse' if stream else 'generateContent'}"
        return _PATHS[self.protocol]

    def body(self, history: Sequence[Any] = (), *, stream: bool = False, tools: bool = True) -> dict[str, Any]:
        """A request with this conversation."""
        more = {"stream": True} if stream and self.protocol != "gemini" else {}
        return _BODIES[self.protocol](*history, tools=None if tools else [], **more)

    def turn(self, answer: dict[str, Any], output: str = "ok") -> list[dict[str, Any]]:
        """What it adds to the conversation after an answer."""
        match self.protocol:
            case "chat":
                message = answer["choices"][0]["message"]
                calls = message.get("tool_calls", [])
                return [message, *({"role": "tool", "tool_call_id": c["id"], "content": output} for c in calls)]
            case "responses":
                calls = [item["call_id"] for item in answer["output"] if item["type"] == "function_call"]
                results = [{"type": "function_call_output", "call_id": call, "output": output} for call in calls]
                return [*answer["output"], *results]
            case "messages":
                calls = [block["id"] for block in answer["content"] if block["type"] == "tool_use"]
                blocks = [{"type": "tool_result", "tool_use_id": call, "content": output} for call in calls]
                said = {"role": "assistant", "content": answer["content"]}
                return [said, *([{"role": "user", "content": blocks}] if blocks else [])]
            case _:
                content = answer["candidates"][0]["content"]
                calls = [part["functionCall"] for part in content["parts"] if "functionCall" in part]
                parts = [
                    {"functionResponse": {"id": c["id"], "name": c["name"], "response": {"output": output}}}
                    for c in calls
                ]
                return [content, *([{"role": "user", "parts": parts}] if parts else [])]

    def user(self, text: str) -> dict[str, Any]:
        """A word of the user."""
        return (
            {"role": "user", "parts": [{"text": text}]}
            if self.protocol == "gemini"
            else {"role": "user", "content": text}
        )

    def read(self, raw: bytes, *, stream: bool, status: int = 200) -> AnswerReader:
        """An answer as the gateway reads it."""
        reader = DIALECTS[self.protocol].reader()
        if stream:
            parser = EventParser()
            for event in parser.feed(raw):
                reader.read_event(event)
            if (rest := parser.finish()) is not None:
                reader.read_event(rest)
        else:
            reader.read_json(raw, status)
        return reader


SPEAKERS = [Speaker(name) for name in ("chat", "responses", "messages", "gemini")]

"""Google's Gemini generateContent. Its JSON takes every field's name in camelCase and in snake_case; so do we."""

import re
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import count
from typing import Any
from urllib.parse import quote

from speedproof.gateway.protocols.answer import AnswerReader, mapping
from speedproof.gateway.protocols.dialect import (
    Conversation,
    Dialect,
    Entry,
    Tool,
    ToolResult,
    ToolUse,
    Unreadable,
)
from speedproof.gateway.protocols.gemini_answer import GeminiReader
from speedproof.journal.call import Illegal, IllegalKind, Protocol

_PATH = re.compile(r"/models/([A-Za-z0-9][\w.@-]*):(generateContent|streamGenerateContent|countTokens)", re.ASCII)
_ROLES = {"user", "model", "function"}
_LOCAL_TOOLS = {"functionDeclarations", "function_declarations", "computerUse", "computer_use"}
_STATUS = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    504: "DEADLINE_EXCEEDED",
}
_SCHEMA_DEPTH = 5


class Gemini(Dialect):
    """POST /v1beta/models/NAME:generateContent and :streamGenerateContent. A stream is one of events with alt=sse, and
    one JSON array without."""

    name: Protocol = "gemini"
    content = frozenset(
        {
            "contents",
            "systemInstruction",
            "system_instruction",
            "tools",
            "generateContentRequest",
            "generate_content_request",
        }
    )
    places = {
        "temperature": ("generationConfig", "temperature"),
        "top_p": ("generationConfig", "topP"),
        "top_k": ("generationConfig", "topK"),
        "max_output": ("generationConfig", "maxOutputTokens"),
        "seed": ("generationConfig", "seed"),
        "reasoning_effort": ("generationConfig", "thinkingConfig", "thinkingLevel"),
    }
    recalled = frozenset({"cachedContent", "cached_content"})
    remote_names = recalled | {"fileData", "file_data"}

    def asks_model(self, path: str) -> bool:
        found = _PATH.fullmatch(path)
        return found is not None and found[2] != "countTokens"

    def side_route(self, path: str) -> bool:
        found = _PATH.fullmatch(path)
        return found is not None and found[2] == "countTokens"

    def model(self, body: Mapping[str, Any], path: str) -> str | None:  # noqa: ARG002
        found = _PATH.fullmatch(path)
        return found[1] if found else None

    def with_model(self, body: dict[str, Any], path: str, model: str) -> str:
        name = f"models/{model}"
        if "model" in body:
            body["model"] = name
        for key in ("generateContentRequest", "generate_content_request"):
            if isinstance(body.get(key), dict):
                body[key] = body[key] | {"model": name}
        return f"/models/{quote(model, safe='')}:{path.rpartition(':')[2]}"

    def streams(self, body: Mapping[str, Any], path: str) -> bool:  # noqa: ARG002
        return path.endswith(":streamGenerateContent")

    def conversation(self, body: Mapping[str, Any]) -> Conversation:
        body = mapping(_field(body, "generateContentRequest")) or body  # so countTokens may be asked
        contents = _listed(body.get("contents"))
        if not contents:
            raise Unreadable("* GenerateContentRequest.contents: contents is not specified", "contents")
        entries = []
        open_ = _Open()
        for index, content in enumerate(contents):
            role, parts = _content(index, content)
            results = tuple(_result(mapping(value), open_) for value in _parts(parts, "functionResponse"))
            if not results:
                open_ = _Open()
            calls = [mapping(value) for value in _parts(parts, "functionCall")] if role == "model" else []
            for call in calls:
                open_.add(_id(call), _name(call))
            entries.append(Entry(role == "model", content, tuple(map(_use, calls)), results))
        return Conversation([body.get("tools"), _field(body, "systemInstruction")], tuple(entries))

    def tools(self, body: Mapping[str, Any]) -> tuple[Tool, ...]:
        found: list[Tool] = []
        for tool in _listed(body.get("tools")):
            if not isinstance(tool, dict):
                found.append(Tool(str(tool)[:200], "own"))
                continue
            for kind, value in tool.items():
                if kind in {"functionDeclarations", "function_declarations"}:
                    found += [_declared(mapping(declaration)) for declaration in _listed(value)]
                else:
                    found.append(Tool(kind[:200], "own"))
        return tuple(found)

    def drop_hosted_tools(self, body: dict[str, Any]) -> list[str]:
        hosted: list[str] = []
        kept: list[dict[str, Any]] = []
        for tool in _listed(body.get("tools")):
            if not isinstance(tool, dict):
                hosted.append(str(tool)[:200])
                continue
            hosted += [kind[:200] for kind in tool if kind not in _LOCAL_TOOLS]
            if own := {kind: value for kind, value in tool.items() if kind in _LOCAL_TOOLS}:
                kept.append(own)
        if hosted:
            body["tools"] = kept
        return hosted

    def is_remote(self, name: str, value: Any) -> bool:
        if name in self.recalled:
            return value is not None
        return name in {"fileData", "file_data"} and bool(_field(mapping(value), "fileUri"))

    def get(self, body: Mapping[str, Any], name: str) -> Any:
        node: Any = body
        for key in self.places.get(name, (name,)):
            node = _field(node, key) if isinstance(node, Mapping) else None
        return node

    def set(self, body: dict[str, Any], name: str, value: Any) -> None:
        *way, last = self.places.get(name, (name,))
        node = body
        for key in way:
            inner = _field(node, key)
            node.pop(_snake(key), None)
            node[key] = dict(inner) if isinstance(inner, dict) else {}
            node = node[key]
        node.pop(_snake(last), None)
        node[last] = value

    def supply(self, body: dict[str, Any], missing: Illegal, text: str) -> None:
        contents = body["contents"] = list(_listed(body["contents"]))
        calls = _parts(_listed(contents[missing.entry].get("parts")), "functionCall")
        call = next(mapping(c) for c in calls if (_id(mapping(c)) or _name(mapping(c)))[:200] == missing.call_id)
        given = {key: call[key] for key in ("id", "name") if key in call}
        part = {"functionResponse": given | {"response": {"output": text}}}
        after = missing.entry + 1
        if after < len(contents):
            parts = _listed(contents[after].get("parts"))
            if any(_parts(parts, "functionResponse")):
                contents[after] = contents[after] | {"parts": [*parts, part]}
                return
        contents.insert(after, {"role": "user", "parts": [part]})

    def refusal(self, illegal: Illegal) -> Unreadable:
        where = f"contents[{illegal.entry}]"
        if illegal.kind is IllegalKind.CALL_MISSING:
            return Unreadable(
                "Please ensure that function response turn comes immediately after a function call turn.", where
            )
        if illegal.kind is IllegalKind.ARGUMENTS_MALFORMED:
            return Unreadable(
                f"Invalid value at '{where}.parts.function_call.args' (type.googleapis.com/google.protobuf.Struct)",
                where,
            )
        return Unreadable(
            "Please ensure that the number of function response parts is equal to the number of function call parts "
            "of the function call turn.",
            where,
        )

    def reader(self) -> AnswerReader:
        return GeminiReader()

    def error(self, status: int, message: str, kind: str | None, code: str | None, param: str | None) -> dict[str, Any]:
        if kind is None or not kind.isupper():  # another protocol's type says nothing here
            kind = _STATUS.get(status, "UNAVAILABLE" if status >= 500 else "INVALID_ARGUMENT")
        details: list[dict[str, Any]] = []
        if code is not None:
            domain = "googleapis.com" if code.isupper() else "speedproof"
            details.append({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": code, "domain": domain})
        if param is not None:
            violation = {"field": param, "description": message}
            details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]})
        error: dict[str, Any] = {"code": status, "message": message, "status": kind}
        return {"error": error | ({"details": details} if details else {})}


@cache
def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", name)


def _field(node: Mapping[str, Any], name: str) -> Any:
    """A field in either spelling."""
    value = node.get(name)
    return node.get(_snake(name)) if value is None else value


def _listed(value: Any) -> list[Any]:
    """A repeated field; a single value may stand for a list of one."""
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def _content(index: int, content: Any) -> tuple[str, list[Any]]:
    """Role and parts of a content. Raises Unreadable."""
    where = f"contents[{index}]"
    if not isinstance(content, dict):
        raise Unreadable(
            f"Invalid value at '{where}' (type.googleapis.com/google.ai.generativelanguage.Content)", where
        )
    role = str(content.get("role") or "user")
    if role not in _ROLES:
        raise Unreadable("Please use a valid role: user, model.", f"{where}.role")
    parts = _listed(content.get("parts"))
    if not all(isinstance(part, dict) for part in parts):
        raise Unreadable(f"Invalid value at '{where}.parts'", f"{where}.parts")
    return role, parts


def _parts(parts: list[Any], kind: str) -> Iterator[Any]:
    """What the parts of one kind hold."""
    return (value for part in parts if (value := _field(mapping(part), kind)) is not None)


def _id(part: Mapping[str, Any]) -> str | None:
    """Id of a call or of its response; most have none."""
    return str(part["id"]) if part.get("id") else None


def _name(part: Mapping[str, Any]) -> str:
    return str(part.get("name") or "")


def _use(call: dict[str, Any]) -> ToolUse:
    args = call.get("args")
    return ToolUse(_id(call) or _name(call), _name(call), args is not None and not isinstance(args, dict))


class _Open:
    """Calls of a turn without a response so far."""

    def __init__(self) -> None:
        self._next = count()
        self._calls: dict[int, tuple[str | None, str]] = {}
        self._places: dict[tuple[str, str], deque[int]] = defaultdict(deque)

    def add(self, own: str | None, name: str) -> None:
        number = next(self._next)
        self._calls[number] = (own, name)
        for place in (("name", name), ("unnumbered", name) if own is None else ("id", own)):
            self._places[place].append(number)

    def close(self, own: str | None, name: str) -> tuple[str | None, str] | None:
        """The call that a response belongs to, closed: the one with its id, or likewise without, else the first with
        its name, provided that one of the two has no id."""
        own_kind = ("unnumbered", name) if own is None else ("id", own)
        for place in (own_kind, ("name", name) if own is None else ("unnumbered", name)):
            numbers = self._places.get(place, deque())
            while numbers:
                if (call := self._calls.pop(numbers.popleft(), None)) is not None:
                    return call
        return None


def _result(response: dict[str, Any], open_: _Open) -> ToolResult:
    """A response under the id of its call, or its name where it has none."""
    own, name = _id(response), _name(response)
    call = open_.close(own, name)
    return ToolResult(own or name) if call is None else ToolResult(call[0] or call[1])


def _declared(declaration: dict[str, Any]) -> Tool:
    schema = _field(declaration, "parametersJsonSchema") or declaration.get("parameters")
    return Tool(_name(declaration)[:200], "function", mapping(_plain(schema, _SCHEMA_DEPTH)))


def _plain(schema: Any, depth: int) -> Any:
    """A schema with the types of JSON Schema: Google spells them in capitals. What lies deeper is left out."""
    if isinstance(schema, list):
        return [_plain(item, depth) for item in schema] if depth else []
    if not isinstance(schema, dict):
        return schema
    if not depth:
        return {}
    inner = {key: _plain(value, depth - 1) for key, value in schema.items()}
    if isinstance(schema.get("type"), str):
        inner["type"] = schema["type"].lower()
    return inner

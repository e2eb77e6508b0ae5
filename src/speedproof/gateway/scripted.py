"""The scripted model: plays a provider whose model follows a script (docs/scripted-model.md)."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from multidict import CIMultiDict

from speedproof.gateway.conversation import Conversation, IllegalRequest, Protocol, read_conversation
from speedproof.gateway.script import Fault, Script
from speedproof.gateway.scripted_wire import Reply, chat_json, chat_stream, responses_json, responses_stream
from speedproof.gateway.tools import finish_call, poll_call, shell_call
from speedproof.gateway.upstream import Answer, Request
from speedproof.journal import Usage

MINI_END = "COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"
_CHARACTERS_A_TOKEN = 4
_PROTOCOLS: dict[str, Protocol] = {"/chat/completions": "chat", "/responses": "responses"}
_TYPES = {401: "invalid_request_error", 403: "invalid_request_error", 429: "requests"}


@dataclass(frozen=True)
class LedgerEntry:
    """One model request as the scripted provider would bill it."""

    session: str
    """Token of the session."""
    digest: str
    """SHA-256 of the request body as the provider received it."""
    status: int
    """HTTP status of the answer."""
    usage: Usage | None
    """What it billed; null for refused requests."""


@dataclass
class _Memory:
    """What a provider keeps of a session: how often a turn has failed, and the cached beginnings of conversations."""

    failures: Counter[int] = field(default_factory=Counter)
    cached: set[bytes] = field(default_factory=set)

    def cached_characters(self, parts: Iterable[str]) -> int:
        """Length of the longest known beginning; every beginning is known from now on."""
        digest = hashlib.sha256()
        total, hit = 0, True
        for part in parts:
            digest.update(part.encode(errors="replace") + b"\0")
            key = digest.digest()
            hit = hit and key in self.cached
            total += len(part) if hit else 0
            self.cached.add(key)
        return total


def _tokens(characters: int) -> int:
    return math.ceil(characters / _CHARACTERS_A_TOKEN)


async def _one(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _each(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


class ScriptedModel:
    """An upstream that needs no network and no key. The turn to play is read from each request's conversation, so
    a request that is repeated gets the same answer; only faults that pass are counted, per session."""

    def __init__(self, script: Script, name: str) -> None:
        self.script = script
        self.name = name
        self.ledger: list[LedgerEntry] = []
        """Every model request in order, for tests that compare it with what was recorded."""
        self._memories: dict[str, _Memory] = {}

    @property
    def secrets(self) -> tuple[str, ...]:
        return ()

    def forget(self, session: str) -> None:
        """Drop what is remembered of a session."""
        self._memories.pop(session, None)

    @asynccontextmanager
    async def answer(self, request: Request, client: aiohttp.ClientSession) -> AsyncIterator[Answer]:
        del client  # nothing leaves this process
        yield self._answer(request)

    def _answer(self, request: Request) -> Answer:
        digest = hashlib.sha256(request.body).hexdigest()
        headers = CIMultiDict({"Content-Type": "application/json", "x-request-id": f"req_{digest[:24]}"})
        if request.method == "GET" and request.path == "/models":
            models = {"object": "list", "data": [{"id": self.name, "object": "model", "owned_by": "speedproof"}]}
            return Answer(200, headers, _one(json.dumps(models).encode()))
        protocol = _PROTOCOLS.get(request.path)
        if protocol is None or request.method != "POST":
            error = _error_body(f"Invalid URL ({request.method} {request.path})", "invalid_request_error")
            return Answer(404, headers, _one(error))
        try:
            body = json.loads(request.body)
        except (ValueError, RecursionError):
            body = None
        memory = self._memories.setdefault(request.session, _Memory())
        try:
            conversation = read_conversation(protocol, body)
            fault = self._fault(conversation, memory)
            reply = None if fault else self._reply(conversation, memory, digest)
        except IllegalRequest as error:
            self.ledger.append(LedgerEntry(request.session, digest, 400, None))
            text = _error_body(error.message, "invalid_request_error", error.param, error.code)
            return Answer(400, headers, _one(text))
        if fault is not None:
            self.ledger.append(LedgerEntry(request.session, digest, fault.status, None))
            if fault.retry_after_s is not None:
                headers["Retry-After"] = f"{fault.retry_after_s:g}"
            return Answer(fault.status, headers, _one(_error_body(fault.message, _type(fault), None, fault.code)))
        assert reply is not None
        self.ledger.append(LedgerEntry(request.session, digest, 200, reply.usage))
        if not conversation.stream:
            whole = (chat_json if protocol == "chat" else responses_json)(reply, conversation.model)
            return Answer(200, headers, _one(whole))
        headers["Content-Type"] = "text/event-stream; charset=utf-8"
        chunks = chat_stream(reply, conversation) if protocol == "chat" else responses_stream(reply, conversation.model)
        return Answer(200, headers, _each(chunks))

    def _fault(self, conversation: Conversation, memory: _Memory) -> Fault | None:
        """The fault that this request meets, if one is left before its turn."""
        if not conversation.tools:
            return None
        passed = memory.failures[conversation.turns]
        for fault in self.script.step(conversation.turns).faults:
            if fault.times is None or passed < fault.times:
                memory.failures[conversation.turns] += 1
                return fault
            passed -= fault.times
        return None

    def _reply(self, conversation: Conversation, memory: _Memory, digest: str) -> Reply:
        """The turn that this request asks for, put into calls of the tools it offers."""
        turn = self.script.step(conversation.turns).turn
        text, call = turn.say or "", None
        if not conversation.tools:
            text = text or turn.finish or "Understood."
        elif conversation.running is not None:
            text, call = "", poll_call(conversation.tools, conversation.running)
        elif turn.run is not None:
            call = shell_call(conversation.tools, turn.run)
            if call is None:
                offered = ", ".join(conversation.tool_names[:20])
                raise IllegalRequest(
                    f"The script wants to run a command, but no shell tool is offered: {offered}", "tools"
                )
        elif turn.finish is not None:
            call = finish_call(conversation.tools, turn.finish)
            text = "\n\n".join(t for t in (turn.say, turn.finish) if t)
            if call is None and conversation.mentions(MINI_END):
                call = shell_call(conversation.tools, f"echo {MINI_END}")
        asked = sum(map(len, conversation.parts))
        cached = _tokens(memory.cached_characters(conversation.parts))
        answered = len(text) + (len(call.tool.name) + len(call.input) if call else 0)
        usage = Usage(
            uncached_input=max(0, _tokens(asked) - cached),
            cache_read=cached,
            output=max(1, _tokens(answered)),
            reasoning=0,
        )
        return Reply(digest[:24], text, call, usage)


def _type(fault: Fault) -> str:
    if fault.type is not None:
        return fault.type
    if fault.code == "insufficient_quota":
        return fault.code
    return "server_error" if fault.status >= 500 else _TYPES.get(fault.status, "invalid_request_error")


def _error_body(message: str, kind: str, param: str | None = None, code: str | None = None) -> bytes:
    error: dict[str, Any] = {"message": message, "type": kind, "param": param, "code": code}
    return json.dumps({"error": error}).encode()

"""The scripted model: plays a provider whose model follows a script (docs/scripted-model.md)."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
from multidict import CIMultiDict

from speedproof.gateway.protocols import route
from speedproof.gateway.protocols.answer import parsed
from speedproof.gateway.protocols.chat import Chat
from speedproof.gateway.protocols.dialect import Dialect, Unreadable
from speedproof.gateway.scripted.asked import Asked, read_asked
from speedproof.gateway.scripted.chat import ChatWriter
from speedproof.gateway.scripted.delivery import faulty, in_pieces, silence, whole
from speedproof.gateway.scripted.gemini import GeminiWriter
from speedproof.gateway.scripted.messages import MessagesWriter
from speedproof.gateway.scripted.reply import Reply, Writer
from speedproof.gateway.scripted.responses import ResponsesWriter
from speedproof.gateway.scripted.script import Fault, Script
from speedproof.gateway.scripted.tools import finish_call, poll_call, shell_call
from speedproof.gateway.upstream import Answer, Request
from speedproof.journal import Usage
from speedproof.journal.call import Protocol

MINI_END = "COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"
_CHARACTERS_A_TOKEN = 4
_WRITERS: dict[Protocol, Writer] = {
    "chat": ChatWriter(),
    "responses": ResponsesWriter(),
    "messages": MessagesWriter(),
    "gemini": GeminiWriter(),
}


@dataclass(frozen=True)
class LedgerEntry:
    """One model request as the scripted provider would bill it."""

    session: str
    """Token of the session."""
    digest: str
    """SHA-256 of the request body as the provider received it."""
    status: int | None
    """HTTP status of the answer; null when it gave none."""
    usage: Usage | None
    """What it billed; null for refused requests."""
    complete: bool = True
    """Whether it sent its answer to the end, so that the client could see what is billed; false for one that a fault
    kept back, broke off or garbled."""


@dataclass
class _Memory:
    """What a provider keeps of a session."""

    failures: Counter[tuple[bool, int]] = field(default_factory=Counter)
    """How often a turn has failed, by whether tools were offered, and its number."""
    tools: bool = False
    """Whether any request has offered tools."""
    said: set[str] = field(default_factory=set)
    """Texts that answered requests without tools."""
    cached: set[bytes] = field(default_factory=set)
    """Digests of the beginnings of conversations that it has read."""

    def turn(self, asked: Asked) -> int:
        """Number of the script's answer that a request asks for. Where nobody offers tools, agents put examples into
        the conversation as the model's words: only what this model said counts there."""
        if self.tools:
            return asked.turns
        return sum(1 for entry in asked.said if not self.said.isdisjoint(_texts(entry)))

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


def _texts(entry: Any) -> Iterator[str]:
    """The strings in an entry of a conversation."""
    pending = [entry]
    while pending:
        node = pending.pop()
        if isinstance(node, str):
            yield node.strip()
        elif isinstance(node, list | dict):
            pending += node if isinstance(node, list) else node.values()


def _tokens(characters: int) -> int:
    return math.ceil(characters / _CHARACTERS_A_TOKEN)


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
    def protocols(self) -> frozenset[Protocol]:
        """The protocols it takes."""
        return frozenset(_WRITERS)

    @property
    def secrets(self) -> tuple[str, ...]:
        return ()

    def expires_at(self) -> None:
        """It needs no login."""

    def forget(self, session: str) -> None:
        """Drop what is remembered of a session."""
        self._memories.pop(session, None)

    @asynccontextmanager
    async def answer(self, request: Request, client: aiohttp.ClientSession) -> AsyncIterator[Answer]:
        del client  # nothing leaves this process
        yield await self._answer(request)

    async def _answer(self, request: Request) -> Answer:
        digest = hashlib.sha256(request.body).hexdigest()
        headers = CIMultiDict({"Content-Type": "application/json", "x-request-id": f"req_{digest[:24]}"})

        def plain(status: int, value: Any) -> Answer:
            return Answer(status, headers, whole([json.dumps(value).encode()]))

        if request.method == "GET" and request.path == "/models":
            data = [{"id": self.name, "object": "model", "owned_by": "speedproof"}]
            return plain(200, {"object": "list", "data": data})
        where = route(request.method, request.path)
        dialect = where.dialect
        if dialect is None or dialect.name not in _WRITERS:
            message = f"Invalid URL ({request.method} {request.path})"
            return plain(404, (dialect or Chat()).error(404, message, None, None, None))
        writer = _WRITERS[dialect.name]
        memory = self._memories.setdefault(request.session, _Memory())
        try:
            asked = read_asked(where, dialect, request)
            if not where.model_call:
                return plain(200, writer.count(_tokens(sum(map(len, asked.parts)))))
            memory.tools = memory.tools or bool(asked.tools)
            turn = memory.turn(asked)
            fault = self._fault(asked, turn, memory)
            if fault is not None and fault.kind in {"status", "hang"}:
                self.ledger.append(LedgerEntry(request.session, digest, fault.status, None, fault.kind == "status"))
                return await _failed(fault, dialect, headers)
            reply = self._reply(asked, turn, memory, digest)
        except Unreadable as refused:
            if where.model_call:
                self.ledger.append(LedgerEntry(request.session, digest, 400, None))
            return plain(400, dialect.error(400, refused.message, None, refused.code, refused.param))
        if fault is not None and fault.usage is not None:
            reply = replace(reply, usage=Usage(**fault.usage.model_dump()))
        answered = fault is None or fault.answers
        self.ledger.append(LedgerEntry(request.session, digest, 200, reply.usage, answered))
        if asked.stream:
            headers["Content-Type"] = "text/event-stream; charset=utf-8"
            chunks = list(writer.stream(reply, asked.body))
        else:
            chunks = [writer.whole(reply)] if fault is None else in_pieces(writer.whole(reply))
        passing = whole(chunks) if fault is None else faulty(chunks, fault, stream=asked.stream)
        return Answer(200, headers, passing)

    def _fault(self, asked: Asked, turn: int, memory: _Memory) -> Fault | None:
        """The fault that this request meets, if one is left before its turn. A request without tools beside others
        that offer some (an agent asks for a title) meets none."""
        if memory.tools and not asked.tools:
            return None
        key = (bool(asked.tools), turn)
        passed = memory.failures[key]
        for fault in self.script.step(turn).faults:
            if fault.times is None or passed < fault.times:
                memory.failures[key] += 1
                return fault
            passed -= fault.times
        return None

    def _reply(self, asked: Asked, number: int, memory: _Memory, digest: str) -> Reply:
        """The turn that this request asks for, put into calls of the tools it offers."""
        turn = self.script.step(number).turn
        tools = asked.tools
        text, call = turn.say or "", None
        if not tools:
            text = "\n\n".join(t for t in (turn.say, turn.finish) if t) or "Understood."
            memory.said.add(text.strip())
        elif asked.running is not None:
            text, call = "", poll_call(tools, asked.running)
        elif turn.run is not None:
            call = shell_call(tools, turn.run)
            if call is None:
                offered = ", ".join(tool.name for tool in tools[:20])
                raise Unreadable(f"The script wants to run a command, but no shell tool is offered: {offered}", "tools")
        elif turn.finish is not None:
            call = finish_call(tools, turn.finish)
            text = "\n\n".join(t for t in (turn.say, turn.finish) if t)
            if call is None and any(MINI_END in part for part in asked.parts):
                call = shell_call(tools, f"echo {MINI_END}")
        length = sum(map(len, asked.parts))
        cached = _tokens(memory.cached_characters(asked.parts))
        answered = len(text) + (len(call.tool.name) + len(call.input) if call else 0)
        usage = Usage(
            uncached_input=max(0, _tokens(length) - cached),
            cache_read=cached,
            output=max(1, _tokens(answered)),
            reasoning=0,
        )
        return Reply(digest[:24], asked.model, text, call, usage)


async def _failed(fault: Fault, dialect: Dialect, headers: CIMultiDict[str]) -> Answer:
    """An error in the place of an answer, or none at all. Raises ConnectionResetError after a bounded silence."""
    if fault.status is None:
        await silence(fault.hang_s)
    if fault.retry_after_s is not None:
        headers["Retry-After"] = f"{fault.retry_after_s:g}"
    if fault.body is not None and parsed(fault.body) is None:
        headers["Content-Type"] = "text/html; charset=utf-8"
    headers.update(fault.headers)
    own = dialect.error(fault.status, fault.message, fault.type, fault.code, None)
    body = json.dumps(own) if fault.body is None else fault.body
    return Answer(fault.status, headers, whole([body.encode()]))

"""A provider in a process of its own, for runs that are killed: it outlives them, and its ledger says all it was asked.

It answers Chat Completions, Responses and Messages as the scripted model does, a shell command that edits a file and
the end, and meets each item with the fate that a seed draws for it: answered well, or one of the faults that providers
have, some once, some for ever. It may refuse what comes too fast. Each request that it answers, or leaves without an
answer, is a line of the ledger, written before a byte of the answer is sent.

usage: uv run python benchmarks/batch_provider.py LEDGER [--port N] [--seed N] [--fates NAME,…] [--per-second N]
"""

import argparse
import asyncio
import contextvars
import hashlib
import json
import os
import random
import re
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web

from speedproof.execution.probe import FILE
from speedproof.gateway.protocols import route
from speedproof.gateway.protocols.chat import Chat
from speedproof.gateway.scripted import LedgerEntry, ScriptedModel
from speedproof.gateway.scripted.faults import EDIT, FAULTS, Expected, fault_script
from speedproof.gateway.scripted.script import Claim, Fault, Script, Turn
from speedproof.gateway.upstream import Request
from speedproof.journal.call import Protocol
from speedproof.journal.failure import FailureClass as F

CASE = re.compile(rb"case-\d{4}")
"""What the instructions of a task hold, so that the provider knows whom it serves."""
PROBE = "probe"
"""What the ledger calls the task of a preflight's calls, which belong to no attempt."""
RATE_LIMIT = "rate_limit"
"""What the ledger calls a request that came too fast."""
ANSWERS_AFTER_S = 0.02
"""Seconds that a model takes to think."""
RESETS_IN_S = 3
"""Seconds after which the used-up plan of the fate `usage_limit_once` can be used again."""


@dataclass(frozen=True)
class Fate:
    """How the provider meets an item."""

    weight: int
    """How often, of the sum of all."""
    turns: tuple[Turn, ...] = ()
    """What it does; empty: the fault of the fault matrix that has its name."""
    met: Expected = field(default_factory=lambda: Expected("completed"))
    """What must become of an attempt whose last request met its fault, where that is not kept from the agent."""


def _once(fault: Fault) -> tuple[Turn, ...]:
    return (Turn(run=EDIT), Turn(fail=fault), Turn(finish="Done."))


_USED_UP = {
    "type": "usage_limit_reached",
    "message": "The usage limit has been reached",
    "resets_in_seconds": RESETS_IN_S,
}
_CLAIM = Claim(uncached_input=70_000, cache_read=5_000, output=900, reasoning=300)
_BROKEN = Expected("model_error", F.STREAM_BROKEN)

FATES: Mapping[str, Fate] = {
    "well": Fate(60, (Turn(run=EDIT), Turn(run="ls"), Turn(finish="Done."))),
    "idle": Fate(3, (Turn(finish="Done."),)),
    "gives_up": Fate(2, (Turn(run="ls"), Turn(finish="I give up."))),
    "slow": Fate(3, _once(Fault(drip_s=0.05))),
    "claims": Fate(3, _once(Fault(usage=_CLAIM, times=1))),
    "limited": Fate(4, _once(Fault(status=429, retry_after_s=0.2, code="rate_limit_exceeded", times=2))),
    "limited_plain": Fate(3, _once(Fault(status=429, code="rate_limit_exceeded", times=1))),
    "failing_once": Fate(3, _once(Fault(status=500, times=1))),
    "overloaded_once": Fate(2, _once(Fault(status=503, times=1))),
    "silent_once": Fate(2, _once(Fault(hang=True, hang_s=0.5, times=1)), Expected("model_error", F.NETWORK)),
    "cut_once": Fate(3, _once(Fault(cut=2, times=1)), _BROKEN),
    "stall_once": Fate(2, _once(Fault(stall=2, hang_s=0.5, times=1)), _BROKEN),
    "malformed_once": Fate(2, _once(Fault(malformed=True, times=1)), _BROKEN),
    "usage_limit_once": Fate(
        1,
        _once(Fault(status=429, body=json.dumps({"error": _USED_UP}), times=1)),
        Expected("model_error", F.USAGE_LIMIT),
    ),
} | {
    name: Fate(1, (), FAULTS[name])
    for name in ("bad_key", "bad_request", "forbidden", "quota", "login_expired", "rate_limited", "malformed", "cut")
}
"""Fates by name. Those that are met once pass: the item is done at the end, if need be by another attempt."""


def fate_of(seed: int, item: str, names: Sequence[str]) -> str:
    """The fate of an item among these, the same in every process."""
    return random.Random(f"{seed}/{item}").choices(names, [FATES[name].weight for name in names])[0]


def script_of(fate: str, protocol: Protocol) -> Script:
    """What a provider with this fate plays."""
    turns = FATES[fate].turns
    return Script(format="speedproof/script/1", turns=turns) if turns else fault_script(fate, protocol)


_ASKED: contextvars.ContextVar[Callable[[LedgerEntry], None]] = contextvars.ContextVar("_ASKED")


class _Ledger(list[LedgerEntry]):
    """The scripted model's ledger, whose entries are written down as they are made."""

    def append(self, entry: LedgerEntry) -> None:
        _ASKED.get()(entry)


class Provider:
    """All items' conversations, and the ledger."""

    def __init__(self, ledger: Path, seed: int, fates: Sequence[str], per_second: float | None) -> None:
        self._file = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._seed, self._fates, self._per_second = seed, fates, per_second
        self._models: dict[str, tuple[str, ScriptedModel]] = {}
        self._asked = 0
        self._begun: deque[float] = deque()

    async def serve(self, port: int) -> None:
        """Serve on loopback until SIGTERM; the address is printed once it is there."""
        async with aiohttp.ClientSession() as self._client:  # which the scripted model does not use
            await self._serve(port)

    async def _serve(self, port: int) -> None:
        runner = web.ServerRunner(web.Server(self._handle, handler_cancellation=True), shutdown_timeout=0.5)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port, backlog=512)
        await site.start()
        ended = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        print(runner.addresses[0][1], flush=True)
        await ended.wait()
        await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        self._asked += 1
        name = f"req_{os.getpid()}_{self._asked:06d}"
        where = route(request.method, request.path)
        dialect = where.dialect or Chat()
        digest = hashlib.sha256(body).hexdigest()
        item, fate, model = self._conversation(body, dialect.name)

        def write(entry: LedgerEntry, fault: str | None = None) -> None:
            bad = fate if entry.status != 200 or not entry.complete else None
            usage = None if entry.usage is None else entry.usage.model_dump(exclude_none=True)
            told = {"id": name, "at": time.time(), "item": item, "protocol": where.protocol, "digest": entry.digest}
            told |= {
                "status": entry.status,
                "complete": entry.complete,
                "usage": usage,
                "fate": fate,
                "fault": fault or bad,
            }
            os.write(self._file, json.dumps(told).encode() + b"\n")

        headers = {"x-request-id": name}
        asked = Request(item, request.method, where.path, request.query_string, tuple(request.headers.items()), body)
        if where.model_call and self._too_fast():
            error = dialect.error(429, "Too many requests.", None, "rate_limit_exceeded", None)
            write(LedgerEntry(item, digest, 429, None), RATE_LIMIT)
            return web.json_response(error, status=429, headers=headers | {"Retry-After": "1"})
        _ASKED.set(write)
        try:
            await asyncio.sleep(ANSWERS_AFTER_S)
            async with model.answer(asked, self._client) as answer:
                response = web.StreamResponse(status=answer.status, headers={**answer.headers, **headers})
                await response.prepare(request)
                async for chunk in answer.chunks:
                    await response.write(chunk)
                return response
        except ConnectionResetError:  # a fault that breaks the connection, or a client that is gone
            if request.transport is not None:
                request.transport.abort()
            return web.Response()

    def _conversation(self, body: bytes, protocol: Protocol) -> tuple[str, str, ScriptedModel]:
        """Whom a request belongs to, told by the task in its prompt, its model and the agent's own name or protocol."""
        case = CASE.search(body)
        whose = case[0].decode() if case else PROBE if FILE.encode() in body else "?"
        try:
            told = json.loads(body)
        except ValueError:
            told = {}
        told = told if isinstance(told, dict) else {}
        item = f"{whose}/{told.get('model')}/{told.get('user', protocol)}"
        if item not in self._models:
            fate = fate_of(self._seed, item, self._fates) if case else "well"
            model = ScriptedModel(script_of(fate, protocol), str(told.get("model")))
            model.ledger = _Ledger()
            self._models[item] = (fate, model)
        return item, *self._models[item]

    def _too_fast(self) -> bool:
        """Whether there were as many requests within the last second as there may be."""
        if self._per_second is None:
            return False
        now = time.monotonic()
        while self._begun and self._begun[0] < now - 1:
            self._begun.popleft()
        if len(self._begun) >= self._per_second:
            return True
        self._begun.append(now)
        return False


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ledger", type=Path)
    parser.add_argument("--port", type=int, default=0, help="default: any; it is printed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fates", default=",".join(FATES), help="those that items may have; default: all")
    parser.add_argument("--per-second", type=float, help="requests that it answers a second; default: any number")
    given = parser.parse_args()
    fates = given.fates.split(",")
    if unknown := set(fates) - set(FATES):
        parser.error(f"no such fate: {', '.join(sorted(unknown))}; there are: {', '.join(FATES)}")
    asyncio.run(Provider(given.ledger, given.seed, fates, given.per_second).serve(given.port))


if __name__ == "__main__":
    main()

"""Replay at the gateway: recorded calls are answered from their record, and the first request that differs is named."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from gateway_support import Place, chat, in_loop, place, provider, real, scripted
from replay_support import change_answer
from speedproof.errors import InputError, RecordError
from speedproof.gateway import ModelChoice, Rules
from speedproof.gateway.models import SCRIPTED
from speedproof.gateway.patience import Patience
from speedproof.gateway.replayed import Difference, ReplayedModel
from speedproof.journal import AttemptStore

TURNS = "  - say: I look.\n  - say: I think.\n  - finish: Done.\n"
PROTOCOLS = ["chat", "responses", "messages", "gemini"]
CHAT = "/v1/chat/completions"


def uuid(run: str, number: int) -> str:
    """An id that is another one in each run."""
    digits = hashlib.sha256(f"{run} {number}".encode()).hexdigest()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))


class Speaker:
    """Talks to a model in one protocol as an agent does, with ids and times of its own in each run."""

    def __init__(self, place: Place, protocol: str, *, stream: bool, run: str) -> None:
        self.place, self.protocol, self.stream, self.run = place, protocol, stream, run
        self.said: list[dict[str, Any]] = []

    async def say(self, text: str, answer: str = "") -> tuple[int, bytes]:
        """Say something, and hear status and body of the answer; `answer` is what will be remembered of it."""
        text = f"{text} It took {len(self.run)}.25 s until {2020 + len(self.run)}-11-22T19:26:52Z."
        self.said.append(self._entry("user", text))
        heard = await self._ask()
        self.said.append(self._entry("assistant", answer))
        return heard

    def _entry(self, role: str, text: str) -> dict[str, Any]:
        match self.protocol:
            case "responses":
                kind = "output_text" if role == "assistant" else "input_text"
                ids = {"id": f"msg_{uuid(self.run, len(self.said))}", "type": "message"}
                return ids | {"role": role, "content": [{"type": kind, "text": text}]}
            case "gemini":
                return {"role": "model" if role == "assistant" else role, "parts": [{"text": text}]}
            case _:
                return {"role": role, "content": text}

    async def _ask(self) -> tuple[int, bytes]:
        named: dict[str, Any] = {"model": "m", "stream": self.stream, "metadata": {"user": uuid(self.run, 99)}}
        match self.protocol:
            case "chat":
                return await self.place.stream(CHAT, named | {"messages": self.said})
            case "responses":
                return await self.place.stream("/v1/responses", named | {"input": self.said})
            case "messages":
                return await self.place.stream("/v1/messages", named | {"messages": self.said, "max_tokens": 9})
            case _:
                action = "streamGenerateContent?alt=sse" if self.stream else "generateContent"
                body = {"contents": self.said, "labels": {"user": uuid(self.run, 99)}}
                return await self.place.stream(f"/v1beta/models/m:{action}", body)


@asynccontextmanager
async def replay(
    recorded: Path, *, cut_short: bool = False, rules: Rules | None = None
) -> AsyncIterator[tuple[Place, ReplayedModel]]:
    """An agent's place at a gateway that replays what was recorded in a folder."""
    folder = recorded / "replay"
    folder.mkdir()
    model = ReplayedModel(AttemptStore(recorded), cut_short=cut_short)
    model.read(rules or Rules())
    async with place(folder, ModelChoice("p/m", SCRIPTED, "m", model), rules=rules) as there:
        yield there, model


async def converse(speaker: Speaker, second: str = "Go on.") -> list[tuple[int, bytes]]:
    """A conversation of three calls."""
    answers = [await speaker.say("Make it fast.", "I look."), await speaker.say(second, "I think.")]
    return [*answers, await speaker.say("And now?", "Done.")]


@pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_is_asked_again_gets_the_recorded_answers(tmp_path: Path, protocol: str, stream: bool) -> None:
    @in_loop
    async def both() -> None:
        model, _ = scripted(tmp_path, TURNS)
        async with place(tmp_path, model) as there:
            recorded = await converse(Speaker(there, protocol, stream=stream, run="first"))
        assert [status for status, _ in recorded] == [200] * 3
        async with replay(tmp_path) as (there, replayed):
            again = await converse(Speaker(there, protocol, stream=stream, run="another"))
            assert again == recorded
            assert replayed.finish() is None
            assert (replayed.recorded, replayed.answered) == (3, 3)
            calls = await there.calls(3)
            assert all(outcome is not None and outcome.complete and outcome.usage for _, outcome in calls)

    both()


@pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_first_request_that_differs_is_named_with_its_entry(tmp_path: Path, protocol: str, stream: bool) -> None:
    @in_loop
    async def both() -> None:
        model, _ = scripted(tmp_path, TURNS)
        async with place(tmp_path, model) as there:
            await converse(Speaker(there, protocol, stream=stream, run="first"))
        async with replay(tmp_path) as (there, replayed):
            answers = await converse(Speaker(there, protocol, stream=stream, run="another"), "Stop here.")
            assert [status for status, _ in answers] == [200, 400, 400]
            assert "recorded call 2 at entry 2" in json.dumps(json.loads(answers[1][1])["error"])
            assert replayed.over.is_set()
            found = replayed.finish()
            assert found is not None
            assert (found.kind, found.call, found.entry) == ("changed", 2, 2)
            assert (found.expected or "").startswith("Go on. It took ‹duration› until ‹time›")
            assert (found.got or "").startswith("Stop here. It took ‹duration›")

    both()


@in_loop
async def test_conversations_that_interleave_do_not_get_in_each_other_s_way(tmp_path: Path) -> None:
    model, _ = scripted(tmp_path, TURNS)
    async with place(tmp_path, model) as there:
        main, side = (Speaker(there, "chat", stream=False, run="first") for _ in range(2))
        recorded = {
            "main 1": await main.say("Make it fast.", "I look."),
            "side 1": await side.say("Find a title.", "A title."),
            "main 2": await main.say("Go on.", "I think."),
            "side 2": await side.say("A shorter one.", "Title."),
        }
    async with replay(tmp_path) as (there, replayed):
        main, side = (Speaker(there, "chat", stream=False, run="another") for _ in range(2))
        again = {
            "side 1": await side.say("Find a title.", "A title."),
            "side 2": await side.say("A shorter one.", "Title."),
            "main 1": await main.say("Make it fast.", "I look."),
        }
        assert all(recorded[name] == answer for name, answer in again.items())
        assert replayed.difference is None
        await main.say("Go off.", "I think.")
        found = replayed.finish()
        assert found is not None and (found.call, found.entry, found.kind) == (3, 2, "changed")


@in_loop
async def test_a_request_that_was_repeated_gets_its_answers_in_order(tmp_path: Path) -> None:
    statuses = iter([429, 500, 200])

    async def handle(request: web.Request) -> web.Response:
        status = next(statuses)
        error = {"error": {"message": f"no {status}", "type": "x", "code": "y"}}
        return web.json_response(
            error if status >= 400 else {"choices": [{"message": {"content": "yes"}}]}, status=status
        )

    async with provider(handle) as url, place(tmp_path, real(url)) as there:
        recorded = [await there.post(CHAT, chat()) for _ in range(3)]
    assert [status for status, _ in recorded] == [429, 500, 200]
    async with replay(tmp_path) as (there, replayed):
        assert [await there.post(CHAT, chat()) for _ in range(3)] == recorded
        assert replayed.finish() is None
        status, body = await there.post(CHAT, chat())
        assert status == 400 and body["error"]["code"] == "speedproof_replay_differs"
        assert replayed.finish() == Difference(kind="repeated", call=3)


@in_loop
async def test_what_the_gateway_itself_tried_again_is_answered_at_once(tmp_path: Path) -> None:
    statuses = iter([500, 429, 200])

    async def handle(request: web.Request) -> web.Response:
        return web.json_response({"choices": [{"message": {"content": "yes"}}]}, status=next(statuses))

    async with provider(handle) as url, place(tmp_path, real(url), patience=Patience(first_wait_s=0.01)) as there:
        recorded = await there.post(CHAT, chat())
        ((_, outcome),) = await there.calls(1)
        assert outcome is not None and len(outcome.retries) == 2
    async with replay(tmp_path) as (there, replayed):
        assert await there.post(CHAT, chat()) == recorded
        assert replayed.finish() is None


@in_loop
async def test_an_answer_that_was_cut_is_cut_again_at_the_same_byte(tmp_path: Path) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b'data: {"choices":[{"delta":{"content":"half"}}]}\n\n')
        assert request.transport is not None
        request.transport.abort()
        return response

    async with provider(handle) as url, place(tmp_path, real(url)) as there:
        recorded = await read_to_the_cut(there)
        await there.calls(1)
    assert b"half" in recorded
    async with replay(tmp_path) as (there, replayed):
        assert await read_to_the_cut(there) == recorded
        assert replayed.finish() is None
        ((_, outcome),) = await there.calls(1)
        assert outcome is not None and not outcome.complete


async def read_to_the_cut(there: Place) -> bytes:
    """What arrives of an answer whose connection breaks."""
    heard = b""
    with pytest.raises(aiohttp.ClientError):
        async with there.client.post(there.url + CHAT, json=chat(stream=True), headers=there.headers) as answer:
            async for chunk in answer.content.iter_any():
                heard += chunk
    return heard


@in_loop
async def test_a_call_that_the_agent_gave_up_waits_until_it_gives_up_again(tmp_path: Path) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    async def give_up(there: Place) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(there.post(CHAT, chat()), 0.3)
        await there.calls(1)

    async with provider(handle) as url, place(tmp_path, real(url)) as there:
        await give_up(there)
    async with replay(tmp_path) as (there, replayed):
        await give_up(there)
        assert not replayed.over.is_set()
        assert replayed.finish() is None


@in_loop
async def test_a_call_under_way_when_the_attempt_ended_is_the_end_of_the_replay(tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        asked.set()
        await asyncio.sleep(60)
        return web.Response()

    async with provider(handle) as url, place(tmp_path, real(url)) as there:
        waiting = asyncio.create_task(there.post(CHAT, chat()))
        await asked.wait()
        await there.gateway.close(there.session)
        with pytest.raises(aiohttp.ClientError):
            await waiting
    async with replay(tmp_path, cut_short=True) as (there, replayed):
        waiting = asyncio.create_task(there.post(CHAT, chat()))
        await asyncio.wait_for(replayed.over.wait(), 10)
        assert replayed.finish() is None
        waiting.cancel()


@in_loop
async def test_a_provider_that_was_not_reached_is_not_reached_again(tmp_path: Path) -> None:
    async with provider(lambda _: asyncio.sleep(0, web.Response())) as url:
        pass
    async with place(tmp_path, real(url)) as there:
        status, recorded = await there.post(CHAT, chat())
        assert status == 502
    async with replay(tmp_path) as (there, replayed):
        assert await there.post(CHAT, chat()) == (502, recorded)
        assert replayed.finish() is None


@in_loop
async def test_what_is_not_asked_again_is_missing_and_what_is_asked_beyond_the_end_is_extra(tmp_path: Path) -> None:
    model, _ = scripted(tmp_path, TURNS)
    async with place(tmp_path, model) as there:
        first = Speaker(there, "chat", stream=False, run="first")
        await first.say("Make it fast.", "I look.")
        await first.say("Go on.", "I think.")
    async with replay(tmp_path) as (there, replayed):
        await Speaker(there, "chat", stream=False, run="another").say("Make it fast.", "I look.")
        assert replayed.finish() == Difference(kind="missing", call=2)
    (tmp_path / "replay").rename(tmp_path / "missing")
    async with replay(tmp_path) as (there, replayed):
        await converse(Speaker(there, "chat", stream=False, run="another"))
        assert replayed.finish() == Difference(kind="extra", call=2)


@in_loop
async def test_an_agent_that_the_harness_ended_may_go_on_where_its_record_ends(tmp_path: Path) -> None:
    model, _ = scripted(tmp_path, TURNS)
    async with place(tmp_path, model) as there:
        await Speaker(there, "chat", stream=False, run="first").say("Make it fast.", "I look.")
    async with replay(tmp_path, cut_short=True) as (there, replayed):
        answers = await converse(Speaker(there, "chat", stream=False, run="another"))
        assert [status for status, _ in answers] == [200, 400, 400]
        assert replayed.over.is_set()
        assert replayed.finish() is None


@in_loop
async def test_side_routes_and_pins_are_replayed_too(tmp_path: Path) -> None:
    rules = Rules(pins={"temperature": 0, "max_output": 77})
    model, _ = scripted(tmp_path, TURNS)

    async def ask(there: Place) -> list[Any]:
        counted = {"model": "m", "messages": [{"role": "user", "content": "How long?"}]}
        async with there.client.get(there.url + "/v1/models", headers=there.headers) as listed:
            models = await listed.json()
        return [models, await there.post("/v1/messages/count_tokens", counted), await there.post(CHAT, chat())]

    async with place(tmp_path, model, rules=rules) as there:
        recorded = await ask(there)
    async with replay(tmp_path, rules=rules) as (there, replayed):
        assert await ask(there) == recorded
        assert replayed.finish() is None
        assert replayed.answered == 3


@in_loop
async def test_a_stream_s_usage_is_recorded_though_the_agent_did_not_ask_for_it(tmp_path: Path) -> None:
    model, _ = scripted(tmp_path, TURNS)
    async with place(tmp_path, model) as there:
        _, recorded = await there.stream(CHAT, chat(stream=True))
        assert b"prompt_tokens" not in recorded
    async with replay(tmp_path) as (there, _):
        assert await there.stream(CHAT, chat(stream=True)) == (200, recorded)
        ((_, outcome),) = await there.calls(1)
        assert outcome is not None and outcome.usage is not None


@in_loop
async def test_a_changed_answer_reaches_the_agent(tmp_path: Path) -> None:
    model, _ = scripted(tmp_path, TURNS)
    async with place(tmp_path, model) as there:
        await there.post(CHAT, chat())
    change_answer(tmp_path, 1, b"I look.", b"I sleep.")
    async with replay(tmp_path) as (there, _):
        _, answer = await there.post(CHAT, chat())
        assert answer["choices"][0]["message"]["content"] == "I sleep."


@in_loop
async def test_what_the_model_took_up_has_its_name_of_the_replay(tmp_path: Path) -> None:
    def shown(commit: str, number: int) -> dict[str, Any]:
        return chat(
            {"role": "user", "content": f"[main {commit}] Faster\nProcess running with session ID {number}\n"},
        )

    async def handle(request: web.Request) -> web.Response:
        text = "I look at 4f2a9c1 and poll 47110, not 947110."
        return web.json_response({"choices": [{"message": {"content": text}}]})

    async with provider(handle) as url, place(tmp_path, real(url)) as there:
        await there.post(CHAT, shown("4f2a9c1", 47110))
    async with replay(tmp_path) as (there, replayed):
        _, answer = await there.post(CHAT, shown("0be77d3", 12345))
        assert replayed.difference is None
        assert answer["choices"][0]["message"]["content"] == "I look at 0be77d3 and poll 12345, not 947110."


@in_loop
async def test_what_no_dialect_can_read_is_compared_as_it_is(tmp_path: Path) -> None:
    async def handle(request: web.Request) -> web.Response:
        return web.json_response({"error": {"message": "messages"}}, status=400)

    body = {"model": "m", "messages": "none at all"}
    async with provider(handle) as url, place(tmp_path, real(url)) as there:
        recorded = await there.post(CHAT, body)
        await there.client.post(there.url + CHAT, data=b"{", headers=there.headers)
    async with replay(tmp_path) as (there, replayed):
        assert await there.post(CHAT, body) == recorded
        await there.client.post(there.url + CHAT, data=b"{", headers=there.headers)
        assert replayed.finish() is None
        await there.post(CHAT, body | {"messages": "something else"})
        found = replayed.finish()
        assert found is not None and found.kind == "extra"


def test_an_attempt_without_bodies_cannot_be_replayed_and_says_what_to_do(tmp_path: Path) -> None:
    @in_loop
    async def record() -> None:
        model, _ = scripted(tmp_path, TURNS)
        async with place(tmp_path, model) as there:
            await there.post(CHAT, chat())

    record()
    (tmp_path / "bodies.zst").unlink()
    with pytest.raises(InputError, match="--no-bodies"):
        ReplayedModel(AttemptStore(tmp_path), cut_short=False).read(Rules())


def test_a_record_that_is_damaged_is_not_replayed(tmp_path: Path) -> None:
    @in_loop
    async def record() -> None:
        model, _ = scripted(tmp_path, TURNS)
        async with place(tmp_path, model) as there:
            await converse(Speaker(there, "chat", stream=False, run="first"))

    record()
    file = tmp_path / "bodies.zst"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RecordError, match="a body of call"):
        ReplayedModel(AttemptStore(tmp_path), cut_short=False).read(Rules())
    file.write_bytes(whole)
    calls = tmp_path / "calls.jsonl"
    calls.write_text(calls.read_text().replace('"kind":"outcome"', '"kind":"nothing"', 1))
    with pytest.raises(RecordError, match="damaged"):
        ReplayedModel(AttemptStore(tmp_path), cut_short=False).read(Rules())

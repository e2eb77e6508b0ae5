"""What goes wrong at a provider goes wrong for the agent in the same way, and the record says what was seen of it."""

import asyncio
import contextlib
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway_support import Place, in_loop, place, scripted
from speaker_support import SPEAKERS, Speaker
from speedproof.gateway import Script, ScriptedModel
from speedproof.gateway.scripted.faults import FAULTS, fault_script
from speedproof.gateway.scripted.script import Turn
from speedproof.gateway.upstream import Request
from speedproof.journal import CallIntent, CallOutcome, Usage
from speedproof.journal.base import now
from speedproof.journal.failure import FailureClass
from speedproof.journal.provider import classify_answer, classify_outcome
from speedproof.journal.reset import resets_at

BOTH = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
EVERY = pytest.mark.parametrize("speaker", SPEAKERS, ids=[s.protocol for s in SPEAKERS])
LONG = "a sentence with quite a number of words in it, " * 12


def plain(usage: Usage | None) -> Usage | None:
    """Usage without what a protocol does not carry."""
    return None if usage is None else usage.model_copy(update={"cache_write": None, "reasoning": None})


async def ask(agent: Place, speaker: Speaker, history: Any = (), *, stream: bool) -> tuple[int, bytes]:
    """Status and bytes of an answer; a broken connection raises."""
    path, body = speaker.path(stream=stream), speaker.body(history, stream=stream)
    async with agent.client.post(agent.url + path, json=body, headers=agent.headers) as answer:
        return answer.status, await answer.read()


async def record(agent: Place, number: int = 1) -> tuple[CallIntent, CallOutcome]:
    """The record of a call."""
    intent, outcome = (await agent.calls(number))[number - 1]
    assert outcome is not None
    return intent, outcome


@EVERY
@BOTH
def test_a_cut_answer_is_incomplete_and_its_usage_unknown(tmp_path: Path, speaker: Speaker, stream: bool) -> None:
    @in_loop
    async def run() -> None:
        choice, model = scripted(tmp_path, f"  - fail: {{cut: 6, times: 1}}\n  - say: {LONG}\n")
        async with place(tmp_path, choice) as agent:
            with pytest.raises(aiohttp.ClientError):
                await ask(agent, speaker, stream=stream)
            _, outcome = await record(agent)
            status, raw = await ask(agent, speaker, stream=stream)
        entry, after = model.ledger
        assert (entry.status, entry.complete, entry.usage is None) == (200, False, False)
        assert (outcome.status, outcome.complete, outcome.usage, outcome.cost_usd) == (200, False, None, None)
        assert outcome.response_bytes > 0
        assert classify_outcome(outcome) is FailureClass.STREAM_BROKEN
        if outcome.at_least is not None:
            assert (outcome.at_least.output or 0) <= (entry.usage.output or 0)  # type: ignore[union-attr]
        elif stream:
            pytest.fail("a stream that was cut after some text has a lower bound")
        assert (status, after.complete) == (200, True)
        assert speaker.read(raw, stream=stream).complete

    run()


@EVERY
@BOTH
def test_a_stalled_answer_lasts_until_the_agent_goes_away(tmp_path: Path, speaker: Speaker, stream: bool) -> None:
    @in_loop
    async def run() -> None:
        choice, model = scripted(tmp_path, f"  - say: {LONG}\n  - fail: {{stall: 2}}\n")
        async with place(tmp_path, choice) as agent:
            _, raw = await ask(agent, speaker, stream=False)
            history = [*speaker.turn(json.loads(raw)), speaker.user("go on")]
            path, body = speaker.path(stream=stream), speaker.body(history, stream=stream)
            got = b""
            with pytest.raises(TimeoutError):
                async with (
                    asyncio.timeout(0.6),
                    agent.client.post(agent.url + path, json=body, headers=agent.headers) as answer,
                ):
                    async for chunk, _ in answer.content.iter_chunks():
                        got += chunk
            assert got
            _, outcome = await record(agent, 2)
        assert (outcome.status, outcome.complete, outcome.usage) == (200, False, None)
        assert not model.ledger[1].complete
        assert outcome.response_bytes == len(got)

    run()


@EVERY
@BOTH
def test_a_silence_ends_with_the_connection_where_the_script_bounds_it(
    tmp_path: Path, speaker: Speaker, stream: bool
) -> None:
    @in_loop
    async def run() -> None:
        choice, model = scripted(tmp_path, "  - fail: {stall: 1, hang_s: 0.1}\n")
        async with place(tmp_path, choice) as agent:
            with pytest.raises(aiohttp.ClientError):
                await ask(agent, speaker, stream=stream)
            _, outcome = await record(agent)
        assert not outcome.complete
        assert classify_outcome(outcome) is FailureClass.STREAM_BROKEN
        assert len(model.ledger) == 1

    run()


@EVERY
def test_a_provider_that_hangs_never_sends_a_header(tmp_path: Path, speaker: Speaker) -> None:
    @in_loop
    async def run() -> None:
        choice, model = scripted(tmp_path, "  - fail: {hang: true, times: 1}\n  - finish: done\n")
        async with place(tmp_path, choice) as agent:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await ask(agent, speaker, stream=True)
            _, outcome = await record(agent)
            assert (await ask(agent, speaker, stream=True))[0] == 200
        assert (outcome.status, outcome.complete, outcome.usage, outcome.at_least) == (None, False, None, None)
        assert [(e.status, e.complete, e.usage is None) for e in model.ledger] == [
            (None, False, True),
            (200, True, False),
        ]

    run()


@EVERY
@BOTH
def test_a_malformed_answer_has_no_end(tmp_path: Path, speaker: Speaker, stream: bool) -> None:
    @in_loop
    async def run() -> None:
        choice, model = scripted(tmp_path, f"  - fail: {{malformed: true, times: 1}}\n  - say: {LONG}\n")
        async with place(tmp_path, choice) as agent:
            status, raw = await ask(agent, speaker, stream=stream)
            _, outcome = await record(agent)
        assert status == 200
        last = raw.split(b"data: ")[-1] if stream else raw
        with pytest.raises(json.JSONDecodeError):
            json.loads(last)
        assert (outcome.complete, outcome.usage, model.ledger[0].complete) == (False, None, False)
        assert classify_outcome(outcome) is FailureClass.STREAM_BROKEN

    run()


@EVERY
@BOTH
def test_the_record_holds_what_the_provider_claims(tmp_path: Path, speaker: Speaker, stream: bool) -> None:
    @in_loop
    async def run() -> None:
        claim = "{uncached_input: 7, cache_read: 1000, output: 90000, reasoning: 80000}"
        choice, model = scripted(tmp_path, f"  - fail: {{usage: {claim}, times: 1}}\n  - run: ls\n  - finish: done\n")
        async with place(tmp_path, choice) as agent:
            first = await ask(agent, speaker, stream=stream)
            await ask(agent, speaker, stream=stream)
            outcomes = [outcome for _, outcome in await agent.calls(2)]
        assert first[0] == 200
        assert speaker.read(first[1], stream=stream).tool_calls
        claimed, honest = (entry.usage for entry in model.ledger)
        assert claimed == Usage(uncached_input=7, cache_read=1000, output=90000, reasoning=80000)
        assert honest is not None
        assert honest.output != 90000
        assert [plain(o.usage) for o in outcomes if o] == [plain(claimed), plain(honest)]

    run()


@EVERY
@BOTH
def test_a_slow_answer_is_right(tmp_path: Path, speaker: Speaker, stream: bool) -> None:
    @in_loop
    async def run() -> None:
        choice, model = scripted(tmp_path, f"  - fail: {{drip_s: 0.05}}\n  - say: {LONG}\n")
        async with place(tmp_path, choice) as agent:
            started = time.monotonic()
            _, raw = await ask(agent, speaker, stream=stream)
            taken = time.monotonic() - started
            _, outcome = await record(agent)
        assert taken > 0.3
        assert outcome.first_byte_s is not None
        assert outcome.first_byte_s < taken / 2
        assert speaker.read(raw, stream=stream).complete
        assert plain(outcome.usage) == plain(model.ledger[0].usage)
        assert model.ledger[0].complete

    run()


@EVERY
def test_an_errors_body_may_be_given_word_for_word(tmp_path: Path, speaker: Speaker) -> None:
    @in_loop
    async def run() -> None:
        page = "<html>403 Forbidden</html>"
        choice, _ = scripted(tmp_path, f'  - fail: {{status: 403, body: "{page}", headers: {{x-edge: "1"}}}}\n')
        async with place(tmp_path, choice) as agent:
            path, body = speaker.path(), speaker.body()
            async with agent.client.post(agent.url + path, json=body, headers=agent.headers) as answer:
                assert (answer.status, await answer.text(), answer.content_type) == (403, page, "text/html")
                assert answer.headers["x-edge"] == "1"
            _, outcome = await record(agent)
        assert outcome.error == page

    run()


FAULT = st.sampled_from(
    [
        "status: 403",
        "cut: 3",
        "malformed: true",
        "stall: 2, hang_s: 0.01",
        "usage: {uncached_input: 5, cache_read: 3, output: 11}",
        "drip_s: 0.001",
    ]
)
STORY = st.lists(
    st.sampled_from(["run: ls", f"say: {LONG}"]) | FAULT.map(lambda f: f"fail: {{{f}, times: 1}}"), max_size=6
)


@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
@given(STORY, st.sampled_from(SPEAKERS), st.lists(st.booleans(), min_size=8, max_size=8))
def test_the_record_and_the_ledger_agree_on_every_call(story: list[str], speaker: Speaker, streams: list[bool]) -> None:
    @in_loop
    async def run() -> None:
        with tempfile.TemporaryDirectory() as name:
            choice, model = scripted(Path(name), "".join(f"  - {turn}\n" for turn in [*story, "finish: done"]))
            honest = ScriptedModel(Script(format=model.script.format, turns=turns_without_faults(model)), "m")
            async with place(Path(name), choice) as agent:
                history: list[Any] = []
                for stream in streams:
                    with contextlib.suppress(aiohttp.ClientError):
                        await ask(agent, speaker, history, stream=stream)
                    if model.ledger[-1].complete and model.ledger[-1].status == 200:
                        _, _, raw = await met(honest, speaker, speaker.body(history))
                        history += [*speaker.turn(json.loads(raw)), *next_word(speaker, raw)]
                calls = await agent.calls(len(streams))
        assert [intent.sent_sha256 for intent, _ in calls] == [entry.digest for entry in model.ledger]
        for (_, outcome), entry in zip(calls, model.ledger, strict=True):
            assert outcome is not None
            assert (outcome.status, outcome.complete) == (entry.status, entry.complete)
            if entry.complete:
                assert plain(outcome.usage) == plain(entry.usage)
            else:
                assert (outcome.usage, outcome.cost_usd) == (None, None)
                assert entry.usage is not None
                least = outcome.at_least or Usage()
                assert (least.output or 0) <= (entry.usage.output or 0)
                assert (least.total or 0) <= (entry.usage.total or 0)

    run()


def turns_without_faults(model: ScriptedModel) -> tuple[Turn, ...]:
    return tuple(turn for turn in model.script.turns if turn.fail is None)


def next_word(speaker: Speaker, raw: bytes) -> list[dict[str, Any]]:
    """What the user says after an answer that calls no tool."""
    return [] if speaker.read(raw, stream=False).tool_calls else [speaker.user("go on")]


async def met(model: ScriptedModel, speaker: Speaker, body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the scripted provider's answer to a request."""
    path, _, query = speaker.path().partition("?")
    path = path.removeprefix("/v1beta").removeprefix("/v1")
    request = Request("token", "POST", path, query, (), json.dumps(body).encode())
    async with aiohttp.ClientSession() as client, model.answer(request, client) as answer:
        return answer.status, dict(answer.headers), b"".join([chunk async for chunk in answer.chunks])


async def at_fault(name: str, speaker: Speaker) -> tuple[ScriptedModel, dict[str, Any]]:
    """A named fault's model after its first turn, and the request that meets the fault."""
    model = ScriptedModel(fault_script(name, speaker.protocol), "m")  # type: ignore[arg-type]
    _, _, first = await met(model, speaker, speaker.body())
    assert "edited.py" in first.decode()
    return model, speaker.body(speaker.turn(json.loads(first)))


@EVERY
@pytest.mark.parametrize("name", sorted(set(FAULTS) - {"hang", "stall", "cut", "malformed"}))
def test_every_named_error_has_its_class_in_its_providers_words(name: str, speaker: Speaker) -> None:
    @in_loop
    async def run() -> None:
        expected = FAULTS[name]
        model, body = await at_fault(name, speaker)
        statuses = []
        for _ in range(3):
            status, headers, raw = await met(model, speaker, body)
            statuses.append(status)
            if status < 400:
                assert expected.run == "completed"
                break
            failure = classify_answer(status, headers, raw)
            reader = speaker.read(raw, stream=False, status=status)
            assert reader.error
            assert reader.error_code != str(status)
            outcome = CallOutcome(
                call=1,
                at=now(),
                status=status,
                error=reader.error,
                error_code=reader.error_code,
                complete=True,
                resets_at=resets_at(headers, raw, now()) if failure is FailureClass.USAGE_LIMIT else None,
                duration_s=1,
            )
            assert classify_outcome(outcome) is failure
            if expected.failure is not None:
                assert failure is expected.failure
            if name == "usage_limit":
                assert outcome.resets_at is not None
                assert 2.9 < (outcome.resets_at - now()).total_seconds() / 3600 < 3.1
        passing = {"rate_limited_twice": [429, 429, 200], "server_error_once": [500, 200]}
        assert statuses == passing.get(name, statuses[:1] * 3)

    run()


@EVERY
@pytest.mark.parametrize("name", ["stall", "cut", "malformed"])
def test_every_named_break_lasts(name: str, speaker: Speaker, tmp_path: Path) -> None:
    @in_loop
    async def run() -> None:
        model, body = await at_fault(name, speaker)
        for _ in range(2):
            try:
                async with asyncio.timeout(0.2):
                    _, _, raw = await met(model, speaker, body)
                assert name == "malformed"
                assert not speaker.read(raw, stream=False).complete
            except TimeoutError:
                assert name == "stall"
            except ConnectionResetError:
                assert name == "cut"
        assert [entry.complete for entry in model.ledger] == [True, False, False]
        assert FAULTS[name].failure is FailureClass.STREAM_BROKEN

    run()


def test_a_named_fault_can_come_first_for_an_agent_without_tools() -> None:
    script = fault_script("rate_limited_twice", "chat", edit=None)
    assert [fault.status for fault in script.step(0).faults] == [429]
    assert script.step(0).turn.finish == "Done."


# -- agents that offer no tools


@EVERY
def test_an_agent_without_tools_is_played_the_whole_script(tmp_path: Path, speaker: Speaker) -> None:
    @in_loop
    async def run() -> None:
        choice, model = scripted(
            tmp_path,
            "  - say: first\n  - fail: {status: 403, times: 1}\n  - run: ls\n  - say: last\n    finish: words\n",
        )
        example = speaker.turn(json.loads(EXAMPLES[speaker.protocol]))
        async with place(tmp_path, choice) as agent:
            history = [*example, speaker.user("now the real work")]
            said, statuses = [], []
            for _ in range(4):
                status, answer = await agent.post(speaker.path(), speaker.body(history, tools=False))
                statuses.append(status)
                if status == 200:
                    said.append(speaker.read(json.dumps(answer).encode(), stream=False).text)
                    history += [*speaker.turn(answer), speaker.user("go on")]
        assert statuses == [200, 403, 200, 200]
        assert said == ["first", "Understood.", "last\n\nwords"]
        assert [entry.usage is None for entry in model.ledger] == [False, True, False, False]

    run()


EXAMPLES = {
    "chat": '{"choices": [{"message": {"role": "assistant", "content": "Ok."}}]}',
    "responses": '{"output": [{"type": "message", "role": "assistant", "content": "Ok."}]}',
    "messages": '{"content": [{"type": "text", "text": "Ok."}]}',
    "gemini": '{"candidates": [{"content": {"role": "model", "parts": [{"text": "Ok."}]}}]}',
}
"""An answer that an agent made up as an example."""


@EVERY
def test_a_side_request_of_an_agent_with_tools_meets_no_fault(tmp_path: Path, speaker: Speaker) -> None:
    @in_loop
    async def run() -> None:
        choice, _ = scripted(tmp_path, "  - run: ls\n  - fail: {status: 403, times: 1}\n  - finish: done\n")
        async with place(tmp_path, choice) as agent:
            _, first = await agent.post(speaker.path(), speaker.body())
            history = speaker.turn(first)
            status, _ = await agent.post(speaker.path(), speaker.body(history, tools=False))
            assert status == 200
            assert [(await agent.post(speaker.path(), speaker.body(history)))[0] for _ in range(2)] == [403, 200]

    run()


@EVERY
def test_a_side_request_that_comes_first_uses_up_no_fault(tmp_path: Path, speaker: Speaker) -> None:
    @in_loop
    async def run() -> None:
        choice, _ = scripted(tmp_path, "  - fail: {status: 403, times: 1}\n  - finish: done\n")
        async with place(tmp_path, choice) as agent:
            await agent.post(speaker.path(), speaker.body(tools=False))
            assert [(await agent.post(speaker.path(), speaker.body()))[0] for _ in range(2)] == [403, 200]

    run()

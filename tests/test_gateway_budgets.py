"""No more is spent than a budget allows: of an attempt, and of a run with several attempts at once."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from gateway_support import ONCE, REAL_KEY, Handler, chat, in_loop, provider, real, scripted
from speaker_support import SPEAKERS, Speaker
from speedproof.errors import InputError
from speedproof.gateway import Budget, Gateway, HttpUpstream, Meter, ModelChoice, Rules, Session
from speedproof.journal import StopCause, Usage

USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 60}}
ANSWER = {"model": "gpt-5", "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}], "usage": USAGE}
CHAT = "/v1/chat/completions"
RETRIED = {408, 409, 429, *range(500, 600)}
"""Statuses that the clients of OpenAI, Anthropic and Google try again."""
EVERY = pytest.mark.parametrize("speaker", SPEAKERS, ids=[s.protocol for s in SPEAKERS])


class Priced(HttpUpstream):
    """A provider on loopback whose prices are OpenAI's."""

    @property
    def listed_at(self) -> str:
        return "https://api.openai.com/v1"


def priced(url: str) -> ModelChoice:
    """A model with a price."""
    return ModelChoice("openai/gpt-5", "openai", "gpt-5", Priced(url, REAL_KEY))


PRICE = priced("http://127.0.0.1:1").price(Usage(uncached_input=40, cache_read=60, output=20)) or 0.0
"""US dollars of one call."""


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@dataclass
class Agents:
    """Attempts of one run at one gateway."""

    sessions: list[Session]
    urls: list[str]
    client: aiohttp.ClientSession
    run: Meter

    async def post(self, which: int, path: str, body: Any) -> tuple[int, Any, Any]:
        """Status, headers and JSON of a call."""
        headers = {"Authorization": f"Bearer {self.sessions[which].token}"}
        async with self.client.post(self.urls[which] + path, json=body, headers=headers) as answer:
            raw = await answer.read()
            return answer.status, answer.headers, json.loads(raw) if raw.startswith(b"{") else None

    async def calls(self, which: int, number: int) -> list[int]:
        """Statuses of calls one after the other."""
        return [(await self.post(which, CHAT, chat()))[0] for _ in range(number)]


@asynccontextmanager
async def agents(
    folder: Path,
    choice: ModelChoice,
    number: int = 1,
    *,
    each: Budget | None = None,
    run: Budget | None = None,
    rules: Rules | None = None,
) -> AsyncIterator[Agents]:
    meter = Meter(run or Budget())
    async with Gateway(patience=ONCE) as gateway, aiohttp.ClientSession() as client:
        sessions = [
            gateway.open(folder / f"{n}.jsonl", choice, each or Budget(), rules or Rules(model=choice.model), run=meter)
            for n in range(number)
        ]
        urls = [f"http://127.0.0.1:{await gateway.listen(session)}" for session in sessions]
        yield Agents(sessions, urls, client, meter)


async def answers(request: web.Request) -> web.StreamResponse:
    return web.json_response(ANSWER)


LIMITS = [
    (Budget(steps=3), StopCause.STEPS),
    (Budget(tokens=360), StopCause.TOKENS),
    (Budget(tokens=241), StopCause.TOKENS),
    (Budget(input_tokens=300), StopCause.TOKENS),
    (Budget(output_tokens=60), StopCause.TOKENS),
    (Budget(cost_usd=PRICE * 3), StopCause.COST),
    (Budget(cost_usd=PRICE * 2.1), StopCause.COST),
]


@pytest.mark.parametrize(("budget", "cause"), LIMITS)
def test_an_attempt_s_limit_ends_that_attempt_alone(tmp_path: Path, budget: Budget, cause: StopCause) -> None:
    @in_loop
    async def run() -> None:
        async with provider(answers) as url, agents(tmp_path, priced(url), 2, each=budget) as both:
            assert await both.calls(0, 5) == [200, 200, 200, 400, 400]
            assert (both.sessions[0].stopped, both.sessions[0].stopped_by_run) == (cause, False)
            assert both.sessions[0].stop_event.is_set()
            assert (both.sessions[1].stopped, both.sessions[1].stop_event.is_set()) == (None, False)
            assert await both.calls(1, 4) == [200, 200, 200, 400]
        assert (both.run.steps, both.run.input, both.run.output) == (6, 600, 120)
        assert both.run.cost_usd == pytest.approx(6 * PRICE)

    run()


@pytest.mark.parametrize(("budget", "cause"), LIMITS)
def test_a_run_s_limit_ends_all_its_attempts(tmp_path: Path, budget: Budget, cause: StopCause) -> None:
    @in_loop
    async def run() -> None:
        async with provider(answers) as url, agents(tmp_path, priced(url), 3, run=budget) as three:
            statuses = [await three.calls(n, 1) for n in (0, 1, 2)]
            assert statuses == [[200]] * 3
            for n in (2, 0, 1):
                status, _, answer = await three.post(n, CHAT, chat())
                assert (status, answer["error"]["code"]) == (400, "speedproof_budget_exhausted")
                assert answer["error"]["message"].startswith("The run's limit of ")
                assert (three.sessions[n].stopped, three.sessions[n].stopped_by_run) == (cause, True)
            assert three.run.exhausted() is cause

    run()


@EVERY
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("whose", ["attempt", "run"])
def test_at_the_limit_the_next_call_gets_the_provider_s_own_error(
    tmp_path: Path, speaker: Speaker, stream: bool, whose: str
) -> None:
    @in_loop
    async def run() -> None:
        choice, model = scripted(tmp_path, "  - say: hello\n")
        budget = {"each" if whose == "attempt" else "run": Budget(steps=1)}
        async with agents(tmp_path, choice, **budget) as one:  # type: ignore[arg-type]
            path, body = speaker.path(stream=stream), speaker.body(stream=stream)
            assert (await one.post(0, path, body))[0] == 200
            status, headers, answer = await one.post(0, path, body)
        assert len(model.ledger) == 1
        assert status == 400 and status not in RETRIED
        assert headers["x-should-retry"] == "false" and "Retry-After" not in headers
        assert headers["Content-Type"].startswith("application/json")
        error = answer["error"]
        assert error["message"] == f"The {whose}'s limit of model calls is used up; the attempt ends here."
        match speaker.protocol:
            case "messages":
                assert (answer["type"], error["type"]) == ("error", "invalid_request_error")
            case "gemini":
                assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
                assert error["details"][0]["reason"] == "speedproof_budget_exhausted"
            case _:
                assert (error["type"], error["code"]) == ("invalid_request_error", "speedproof_budget_exhausted")

    run()


def held(go_on: asyncio.Event, status: int = 200) -> Handler:
    """A provider that answers when it is told to."""

    async def handle(request: web.Request) -> web.StreamResponse:
        await go_on.wait()
        return await answers(request) if status == 200 else web.json_response({"error": {}}, status=status)

    return handle


@pytest.mark.parametrize(
    "budget",
    [Budget(steps=4), Budget(tokens=4_000), Budget(input_tokens=4_000), Budget(cost_usd=4_000 * 1.25e-6)],
)
def test_calls_in_flight_are_reserved_over_all_attempts_of_a_run(tmp_path: Path, budget: Budget) -> None:
    @in_loop
    async def run() -> None:
        go_on = asyncio.Event()
        body = chat({"role": "user", "content": "x" * 4_000})  # a thousand tokens and a little
        async with provider(held(go_on)) as url, agents(tmp_path, priced(url), 3, run=budget) as three:
            calls = [asyncio.create_task(three.post(n % 3, CHAT, body)) for n in range(9)]
            done, _ = await asyncio.wait(calls, timeout=1)
            assert [task.result()[0] for task in done] == [400] * 5, "four are under way, and no more may be"
            go_on.set()
            assert sorted([(await task)[0] for task in calls]) == [200] * 4 + [400] * 5
        assert (three.run.steps, three.run.input, three.run.output) == (4, 400, 80)

    run()


@in_loop
async def test_a_call_that_is_refused_gives_back_what_was_reserved_for_it(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    body = chat({"role": "user", "content": "x" * 4_000})
    async with provider(held(go_on, 400)) as url, agents(tmp_path, priced(url), 2, run=Budget(tokens=900)) as both:
        first = asyncio.create_task(both.post(0, CHAT, body))
        while both.sessions[0].calls_in_flight == 0:
            await asyncio.sleep(0.01)
        assert both.run.exhausted() is StopCause.TOKENS
        go_on.set()
        assert (await first)[0] == 400
        assert both.run.exhausted() is None
        assert (both.run.steps, both.run.input, both.run.cost_usd) == (1, 0, 0)


@pytest.mark.parametrize(
    ("protocol", "path"),
    [
        ("responses", "/v1/responses/input_tokens"),
        ("messages", "/v1/messages/count_tokens"),
        ("gemini", "/v1beta/models/m:countTokens"),
    ],
)
def test_counting_tokens_costs_nothing(tmp_path: Path, protocol: str, path: str) -> None:
    speaker = Speaker(protocol)

    @in_loop
    async def run() -> None:
        choice, _ = scripted(tmp_path, "  - say: hello\n")
        async with agents(tmp_path, choice, each=Budget(steps=1, tokens=30)) as one:
            for _ in range(20):
                assert (await one.post(0, path, speaker.body()))[0] == 200
            assert (one.run.steps, one.run.input, one.run.output) == (0, 0, 0)
            assert (await one.post(0, speaker.path(), speaker.body()))[0] == 200

    run()


@EVERY
def test_who_hangs_up_before_the_end_is_counted_with_what_it_got(tmp_path: Path, speaker: Speaker) -> None:
    @in_loop
    async def run() -> None:
        choice, model = scripted(tmp_path, f"  - say: {'word ' * 400}\n")
        async with agents(tmp_path, choice, each=Budget(output_tokens=500)) as one:
            headers = {"Authorization": f"Bearer {one.sessions[0].token}"}
            url, body = one.urls[0] + speaker.path(stream=True), speaker.body(stream=True)
            for _ in range(50):
                async with one.client.post(url, json=body, headers=headers) as answer:
                    if answer.status == 400:
                        break
                    got = b""
                    while got.count(b"word") < 300:  # not its end, which says what was used
                        piece = await answer.content.readany()
                        assert piece
                        got += piece
                while one.sessions[0].calls_in_flight:
                    await asyncio.sleep(0.005)
            else:
                pytest.fail("hanging up is no way round a limit")
        assert len(model.ledger) <= 3
        used = sum(entry.usage.output or 0 for entry in model.ledger if entry.usage is not None)
        assert 500 <= one.run.output <= used

    run()


@pytest.mark.parametrize("limits", [Budget(cost_usd=1, tokens=9), Budget(cost_usd=1, output_tokens=9), Budget(steps=1)])
def test_a_cost_limit_may_stand_beside_one_on_tokens_where_there_is_no_price(tmp_path: Path, limits: Budget) -> None:
    @in_loop
    async def run() -> None:
        async with agents(tmp_path, real("http://127.0.0.1:1/v1"), each=limits, run=limits):
            pass

    run()


@pytest.mark.parametrize("whose", ["each", "run"])
@pytest.mark.parametrize("side", [False, True], ids=["its own model", "a side model"])
def test_a_cost_limit_that_cannot_be_kept_is_refused_before_anything_is_asked(
    tmp_path: Path, whose: str, side: bool
) -> None:
    choice = (priced if side else real)("http://127.0.0.1:1/v1")
    rules = Rules(model="gpt-5", side={"nobody-knows-it": {}} if side else {"gpt-5-mini": {}})
    name = "nobody-knows-it" if side else "p/gpt-5"

    @in_loop
    async def run() -> None:
        with pytest.raises(InputError, match=f"{name} has no known price"):
            async with agents(tmp_path, choice, rules=rules, **{whose: Budget(cost_usd=1, steps=5)}):  # type: ignore[arg-type]
                pass

    run()

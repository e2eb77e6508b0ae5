"""What is recorded is what the provider's own ledger says, whatever goes wrong between the two and the agents."""

import asyncio
import contextlib
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from gateway_support import in_loop
from speaker_support import SPEAKERS, Speaker
from speedproof.gateway import Budget, Gateway, Meter, ModelChoice, Patience, Rules, Script, ScriptedModel, Session
from speedproof.gateway.budget import least_input
from speedproof.gateway.refusal import BUDGET_CODE
from speedproof.gateway.scripted import LedgerEntry
from speedproof.gateway.scripted.script import Claim, Fault, Turn
from speedproof.journal import AttemptStore, CallIntent, CallOutcome, Usage
from speedproof.journal.bodies import read_bodies

QUICK = Patience(most_tries=3, first_wait_s=0.01, longest_wait_s=0.05)
TURNS = 5
TIMES = st.integers(1, 3)
SIDE = {
    "responses": "/v1/responses/input_tokens",
    "messages": "/v1/messages/count_tokens",
    "gemini": "/v1beta/models/m:countTokens",
}
"""Routes that count a request's tokens: nothing is billed for them."""
FAULTS = st.one_of(
    st.builds(
        Fault,
        status=st.sampled_from([400, 401, 403, 404, 429, 500, 503, 529]),
        times=TIMES,
        message=st.sampled_from(["no", "quota exceeded: insufficient_quota", "Your session token has expired"]),
        retry_after_s=st.sampled_from([None, 0.01, 30.0]),
    ),
    st.builds(Fault, status=st.just(502), body=st.just("<html>bad gateway</html>"), times=TIMES),
    st.builds(Fault, hang=st.just(True), hang_s=st.just(0.03), times=TIMES),
    st.builds(Fault, stall=st.integers(0, 6), hang_s=st.just(0.03), times=TIMES),
    st.builds(Fault, cut=st.integers(0, 8), times=TIMES),
    st.builds(Fault, malformed=st.just(True), times=TIMES),
    st.builds(
        Fault,
        usage=st.builds(
            Claim,
            uncached_input=st.integers(1, 10**9),
            cache_read=st.integers(0, 10**9),
            output=st.integers(40, 10**6),
            reasoning=st.integers(0, 40),
        ),
        times=TIMES,
    ),
    st.builds(Fault, drip_s=st.just(0.002), times=TIMES),
)
SCRIPTS = st.lists(st.lists(FAULTS, max_size=2), min_size=TURNS, max_size=TURNS).map(
    lambda stations: Script(
        format="speedproof/script/1",
        turns=tuple(
            turn
            for number, faults in enumerate(stations)
            for turn in (*(Turn(fail=fault) for fault in faults), Turn(say=f"Part {number}. " + "word " * 60))
        ),
    )
)


@dataclass(frozen=True)
class Ask:
    """One call of an agent."""

    session: int
    speaker: Speaker
    stream: bool
    turn: int
    side: bool
    """Whether it asks for a count of its tokens first."""
    leaves: int | None
    """Bytes of the answer after which it hangs up; null: it reads to the end."""
    starts_s: float

    def body(self, number: int) -> dict[str, Any]:
        """Its request, unlike any other."""
        said = {
            "chat": {"role": "assistant", "content": "word"},
            "responses": {"role": "assistant", "content": [{"type": "output_text", "text": "word"}]},
            "messages": {"role": "assistant", "content": "word"},
            "gemini": {"role": "model", "parts": [{"text": "word"}]},
        }[self.speaker.protocol]
        history = [said if i % 2 == 0 else self.speaker.user("on") for i in range(2 * self.turn)]
        return self.speaker.body([*history, self.speaker.user(f"call {number}")], stream=self.stream)


ASKS = st.builds(
    Ask,
    session=st.integers(0, 2),
    speaker=st.sampled_from(SPEAKERS),
    stream=st.booleans(),
    turn=st.integers(0, TURNS - 1),
    side=st.booleans(),
    leaves=st.sampled_from([None, None, None, 0, 1, 300, 900]),
    starts_s=st.sampled_from([0.0, 0.0, 0.01, 0.03]),
)


@dataclass(frozen=True)
class Plan:
    """What three attempts do at one gateway."""

    script: Script
    asks: list[Ask]
    steps: int | None
    """Limit of the first attempt's calls."""
    closes_s: float | None
    """When the second attempt is ended, whatever it has in flight; null: after its calls."""


PLANS = st.builds(
    Plan,
    script=SCRIPTS,
    asks=st.lists(ASKS, min_size=12, max_size=30),
    steps=st.sampled_from([None, 2, 6]),
    closes_s=st.sampled_from([None, 0.02, 0.05]),
)


@dataclass(frozen=True)
class Told:
    """What is left of an attempt."""

    token: str
    folder: Path
    meter: Meter


async def play(plan: Plan, folder: Path) -> tuple[list[Told], list[LedgerEntry], Meter]:
    """The attempts, the provider's ledger, and the meter of their run."""
    model = ScriptedModel(plan.script, "script")
    choice = ModelChoice("scripted:x", "scripted", "script", model)
    run = Meter(Budget())
    async with Gateway(patience=QUICK) as gateway, aiohttp.ClientSession() as client:
        sessions: list[tuple[Session, str, Path]] = []
        for number in range(3):
            place = folder / str(number)
            place.mkdir()
            budget = Budget(steps=plan.steps if number == 0 else None)
            session = gateway.open(
                place / "calls.jsonl", choice, budget, Rules(model="script"), run=run, bodies=place / "bodies.zst"
            )
            sessions.append((session, f"http://127.0.0.1:{await gateway.listen(session)}", place))

        ended = asyncio.Event()

        async def ask(number: int, one: Ask) -> None:
            await asyncio.sleep(one.starts_s)
            session, url, _ = sessions[one.session]
            headers = {"Authorization": f"Bearer {session.token}"}
            body = one.body(number)
            side = SIDE.get(one.speaker.protocol) if one.side else None
            with contextlib.suppress(aiohttp.ClientError, ConnectionError, asyncio.IncompleteReadError):
                for path, leaves in ((side, None), (one.speaker.path(stream=one.stream), one.leaves)):
                    if path is None or (one.session == 1 and ended.is_set()):
                        continue
                    async with client.post(url + path, json=body, headers=headers) as answer:
                        if leaves is None:
                            await answer.read()
                        else:  # the client closes the connection of an answer that was not read to its end
                            await answer.content.readexactly(leaves)

        async def end() -> None:
            if plan.closes_s is not None:
                await asyncio.sleep(plan.closes_s)
                ended.set()
                await asyncio.sleep(0.01)  # a connection accepted while its server closes hangs in CPython 3.11
                await gateway.close(sessions[1][0])

        await asyncio.gather(end(), *(ask(n, one) for n, one in enumerate(plan.asks)))
        for session, _, _ in sessions:
            while session.handlers:
                await asyncio.sleep(0.005)
    told = [Told(session.token, place, session.meters[0]) for session, _, place in sessions]
    return told, model.ledger, run


def read(told: Told) -> list[tuple[CallIntent, CallOutcome]]:
    """The record of an attempt: every call has one intent and, after it, one outcome."""
    lines, bad = AttemptStore(told.folder).calls()
    assert not bad
    intents: dict[int, CallIntent] = {}
    outcomes: dict[int, CallOutcome] = {}
    for _, line in lines:
        if isinstance(line, CallIntent):
            assert line.call not in intents
            intents[line.call] = line
        else:
            assert line.call in intents and line.call not in outcomes
            outcomes[line.call] = line
    assert sorted(intents) == sorted(outcomes) == list(range(1, len(intents) + 1))
    return [(intent, outcomes[number]) for number, intent in intents.items()]


def compare(intent: CallIntent, outcome: CallOutcome, billed: list[LedgerEntry]) -> None:
    """One call with what the ledger says of its digest."""
    tries = [retry.status for retry in outcome.retries]
    assert [entry.status for entry in billed[: len(tries)]] == tries
    last = billed[len(tries) :]
    assert len(last) <= 1, "nothing twice"
    if outcome.answered_by == "gateway":
        event(f"answered by the gateway: {outcome.error_code}")
        assert [entry.status for entry in last] == ([None] if outcome.error_code == "upstream_unreachable" else [])
        assert outcome.usage is None and outcome.at_least is None
        return
    if outcome.status is None:  # cut before anything came: on its way, waiting, or at the provider
        event("cut before the answer")
        assert not outcome.complete and outcome.usage is None and outcome.at_least is None
        return
    (entry,) = last
    assert entry.status == outcome.status
    if outcome.complete:
        event("whole" if outcome.status == 200 else "an error")
        assert entry.complete
        assert outcome.usage == entry.usage
        return
    event("cut, with a bound" if outcome.at_least else "cut, without a bound")
    assert outcome.usage is None and outcome.cost_usd is None
    assert entry.usage is not None
    for name, least in (outcome.at_least or Usage()).model_dump(exclude_none=True).items():
        assert least <= (getattr(entry.usage, name) or 0), (name, outcome.at_least, entry.usage)


def counted(told: Told, calls: list[tuple[CallIntent, CallOutcome]]) -> None:
    """The meter of an attempt against the sum over its calls."""
    bodies = read_bodies(told.folder / "bodies.zst")
    steps, exact_in, exact_out, most_in, most_out = 0, 0, 0, 0, 0
    for intent, outcome in calls:
        sent = intent.protocol != "other" and outcome.error_code != BUDGET_CODE
        if not sent:
            continue
        steps += 1
        if outcome.usage is not None:
            exact_in += outcome.usage.input
            exact_out += outcome.usage.output or 0
        elif outcome.answered_by == "provider" and (outcome.status or 0) < 400:
            header = bodies.header(intent.sent_sha256 or "")
            assert header is not None
            least = outcome.at_least or Usage()
            most_in += max(least_input(header.size), least.input)
            most_out += max(least.output or 0, outcome.response_bytes // 4)
            exact_out += least.output or 0
    assert told.meter.steps == steps
    assert told.meter.input == exact_in + most_in
    assert exact_out <= told.meter.output <= exact_out + most_out
    assert told.meter.exhausted() is None or told.meter.budget.steps == steps


@settings(
    max_examples=100,
    deadline=None,
    phases=[
        Phase.explicit,
        Phase.reuse,
        Phase.generate,
    ],  # shrinking would take long: concurrent calls differ each time
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(PLANS)
def test_every_ledger_entry_is_in_the_record_and_every_call_in_the_ledger(plan: Plan) -> None:
    @in_loop
    async def run() -> None:
        with tempfile.TemporaryDirectory() as name:
            attempts, ledger, meter = await play(plan, Path(name))
            rest = defaultdict(list)
            for entry in ledger:
                rest[entry.session, entry.digest].append(entry)
            for told in attempts:
                calls = read(told)
                for intent, outcome in calls:
                    if intent.protocol != "other":
                        compare(intent, outcome, rest.pop((told.token, intent.sent_sha256 or ""), []))
                counted(told, calls)
            assert not rest, "the provider was asked for nothing else"
            for figure in ("steps", "input", "output", "cost_usd"):
                assert getattr(meter, figure) == sum(getattr(told.meter, figure) for told in attempts)

    run()

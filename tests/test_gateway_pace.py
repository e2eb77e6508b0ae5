"""A rate limit slows every attempt on a provider, answers bring the pace back, and no place is ever lost."""

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from speedproof.gateway.pace import Pace, Paces, Slot
from speedproof.journal.failure import FailureClass as F
from speedproof.journal.pace import PaceChange, ProviderDown


class _Selector(selectors.SelectSelector):
    """Never waits: the time that would be waited has passed at once."""

    elapsed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everybody waits for ever"
        self.elapsed += max(0.0, timeout)
        return super().select(0)


class InstantLoop(asyncio.SelectorEventLoop):
    """An event loop whose sleeps take no time, though its clock moves as if they did."""

    def __init__(self) -> None:
        self.moved = _Selector()
        super().__init__(self.moved)

    def time(self) -> float:
        return self.moved.elapsed


def instantly(test: Callable[[], Awaitable[None]]) -> None:
    with asyncio.Runner(loop_factory=InstantLoop) as runner:

        async def bounded() -> None:
            await test()

        runner.run(bounded())


class Heard:
    """What a run is told."""

    def __init__(self) -> None:
        self.changes: list[PaceChange] = []
        self.downs: list[ProviderDown] = []
        self.paces = Paces(self.changes.append, self.downs.append)
        self.pace = self.paces.of("openai api.openai.com")


class Call:
    """A call that holds its place until it is ended."""

    def __init__(self, pace: Pace, order: list["Call"] | None = None) -> None:
        self.end = asyncio.Event()
        self.slot: Slot | None = None
        self.beyond = False
        """Whether it was let through beyond the window."""
        self._order = order
        self.task = asyncio.ensure_future(self._run(pace))

    async def _run(self, pace: Pace) -> None:
        with await pace.slot() as slot:
            self.slot = slot
            self.beyond = pace.window is not None and pace.in_flight > pace.window
            if self._order is not None:
                self._order.append(self)
            await self.end.wait()

    async def finish(self) -> None:
        self.end.set()
        await self.task


async def settle() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


def test_until_the_first_rate_limit_every_call_goes_at_once_and_nothing_is_recorded() -> None:
    async def run() -> None:
        heard = Heard()
        calls = [Call(heard.pace) for _ in range(200)]
        await settle()
        assert heard.pace.in_flight == 200
        for call in calls:
            assert call.slot is not None
            call.slot.answered()
            await call.finish()
        assert (heard.pace.window, heard.pace.in_flight, heard.changes) == (None, 0, [])

    instantly(run)


def test_one_rate_limit_of_many_in_the_same_round_trip_halves_the_calls_under_way_once() -> None:
    async def run() -> None:
        heard = Heard()
        calls = [Call(heard.pace) for _ in range(16)]
        await asyncio.sleep(1)
        for call in calls[:5]:
            assert call.slot is not None
            call.slot.slowed("rate_limited")
            await call.finish()
        assert heard.pace.window == 8.0
        assert [(c.why, c.window, c.not_before, c.in_flight) for c in heard.changes] == [
            ("rate_limited", 8.0, None, 16)
        ]
        late = Call(heard.pace)
        await settle()
        assert late.slot is None  # 11 are still under way
        for call in calls[5:]:
            assert call.slot is not None
            call.slot.answered()
            await call.finish()
        assert heard.pace.window == 8.0  # they were sent before the fall, and say nothing about what came after
        assert late.slot is not None
        late.slot.slowed("overloaded")
        await late.finish()
        assert heard.pace.window == 4.0

    instantly(run)


def test_answers_add_one_call_per_window_while_calls_wait() -> None:
    async def run() -> None:
        heard = Heard()
        first = [Call(heard.pace) for _ in range(4)]
        await asyncio.sleep(1)
        assert first[0].slot is not None
        first[0].slot.slowed("rate_limited")
        for call in first:
            await call.finish()
        assert heard.pace.window == 2.0
        order: list[Call] = []
        calls = [Call(heard.pace, order) for _ in range(30)]
        await settle()
        assert heard.pace.in_flight == 2
        seen = []
        for number in range(12):
            slot = order[number].slot
            assert slot is not None
            slot.answered()
            await order[number].finish()
            await settle()
            seen.append(heard.pace.in_flight)
        assert seen == [2, 2, 3, 3, 3, 4, 4, 4, 4, 4, 5, 5]
        recorded = [(c.why, int(c.window or 0)) for c in heard.changes]
        assert recorded == [("rate_limited", 2), ("answered", 3), ("answered", 4), ("answered", 5)]
        for call in calls:
            call.end.set()
        await asyncio.gather(*(call.task for call in calls))
        assert order == calls  # in the order in which they came
        assert heard.pace.in_flight == 0

    instantly(run)


def test_a_window_that_holds_nothing_back_does_not_grow() -> None:
    async def run() -> None:
        heard = Heard()
        calls = [Call(heard.pace) for _ in range(20)]
        await asyncio.sleep(1)
        assert calls[0].slot is not None
        calls[0].slot.slowed("rate_limited")
        for call in calls:
            await call.finish()
        for _ in range(100):
            with await heard.pace.slot() as slot:
                slot.answered()
        assert heard.pace.window == 10.0

    instantly(run)


def test_a_wait_that_the_provider_asks_of_one_call_holds_for_all_and_is_recorded() -> None:
    async def run() -> None:
        heard = Heard()
        loop = asyncio.get_running_loop()
        with await heard.pace.slot() as slot:
            slot.slowed("rate_limited", 30.0)
            slot.slowed("rate_limited", 5.0)  # the shorter one is past before
        start = loop.time()
        with await heard.pace.slot():
            assert loop.time() - start == pytest.approx(30, abs=0.01)
        other = heard.paces.of("anthropic api.anthropic.com")
        with await other.slot():
            assert loop.time() - start == pytest.approx(30, abs=0.01)
        [change] = heard.changes
        assert change.not_before is not None
        assert (change.not_before - change.at).total_seconds() == pytest.approx(30, abs=0.01)
        assert change.provider == "openai api.openai.com"

    instantly(run)


def test_a_call_cancelled_while_it_waits_gives_way_to_the_next() -> None:
    async def run() -> None:
        heard = Heard()
        with await heard.pace.slot() as slot:
            slot.slowed("rate_limited")
            calls = [Call(heard.pace) for _ in range(3)]
            await settle()
            calls[0].task.cancel()
        calls[1].task.cancel()  # let through and cancelled in the same moment
        await settle()
        assert (calls[2].slot is not None, heard.pace.in_flight, heard.pace.waiting) == (True, 1, 0)
        await calls[2].finish()
        assert heard.pace.in_flight == 0

    instantly(run)


def test_a_call_that_comes_when_a_wait_has_just_ended_does_not_overtake_those_that_waited() -> None:
    async def run() -> None:
        heard = Heard()
        with await heard.pace.slot() as slot:
            slot.slowed("rate_limited", 30.0)
        order: list[Call] = []
        calls = [Call(heard.pace, order)]
        await settle()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, InstantLoop)
        loop.moved.elapsed += 31
        calls += [Call(heard.pace, order)]
        await settle()
        assert order == calls[:1]
        for call in calls:
            await call.finish()
        assert order == calls

    instantly(run)


def test_the_run_is_told_once_that_a_provider_is_down_and_again_after_it_had_answered() -> None:
    async def run() -> None:
        heard = Heard()
        for _ in range(20):
            heard.pace.report_down(F.USAGE_LIMIT, "limit " * 1_000, None)
        assert [(d.failure, len(d.message), d.provider) for d in heard.downs] == [
            (F.USAGE_LIMIT, 2_000, "openai api.openai.com")
        ]
        assert heard.pace.down is heard.downs[0]
        heard.pace.report_down(F.LOGIN_EXPIRED, "expired", None)
        with await heard.pace.slot() as slot:
            slot.answered()
        assert heard.pace.down is None
        heard.pace.report_down(F.LOGIN_EXPIRED, "expired", None)
        assert [d.failure for d in heard.downs] == [F.USAGE_LIMIT, F.LOGIN_EXPIRED, F.LOGIN_EXPIRED]

    instantly(run)


def test_a_provider_has_one_pace_however_often_it_is_asked_for() -> None:
    paces = Paces(lambda change: None, lambda down: None)
    assert paces.of("openai a") is paces.of("openai a")
    assert paces.of("openai a") is not paces.of("openai b")


class PaceMachine(RuleBasedStateMachine):
    """Any order of calls, answers, limits, waits and cancellations."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=InstantLoop)
        self.heard = Heard()
        self.started: list[Call] = []
        self.order: list[Call] = []
        self.cancelled: set[Call] = set()

    def on_loop(self, act: Callable[[], Any]) -> None:
        async def run() -> None:
            act()
            await settle()

        self.runner.run(run())

    @property
    def held(self) -> list[Call]:
        return [c for c in self.order if not c.task.done()]

    @rule(count=st.integers(1, 6))
    def calls_come(self, count: int) -> None:
        self.on_loop(lambda: self.started.extend(Call(self.heard.pace, self.order) for _ in range(count)))

    @precondition(lambda self: self.held)
    @rule(data=st.data(), end=st.sampled_from(["answered", "slowed", "held", "failed"]), hold=st.floats(0.01, 60))
    def a_call_ends(
        self, data: st.DataObject, end: Literal["answered", "slowed", "held", "failed"], hold: float
    ) -> None:
        call = data.draw(st.sampled_from(self.held))

        def act() -> None:
            assert call.slot is not None
            if end == "answered":
                call.slot.answered()
            elif end in {"slowed", "held"}:
                call.slot.slowed("rate_limited", hold if end == "held" else None)
            call.end.set()

        self.on_loop(act)

    @precondition(lambda self: any(not c.task.done() for c in self.started))
    @rule(data=st.data(), also_end=st.booleans())
    def calls_are_cancelled(self, data: st.DataObject, also_end: bool) -> None:
        open_calls = [c for c in self.started if not c.task.done()]
        chosen = data.draw(st.lists(st.sampled_from(open_calls), min_size=1, unique=True))
        self.cancelled.update(chosen)

        def act() -> None:
            if also_end:  # frees a place in the very moment in which those that wait for it are cancelled
                for call in self.held[:1]:
                    call.end.set()
            for call in chosen:
                call.task.cancel()

        self.on_loop(act)

    @rule(seconds=st.floats(0.001, 40))
    def time_passes(self, seconds: float) -> None:
        async def run() -> None:
            await asyncio.sleep(seconds)
            await settle()

        self.runner.run(run())

    @invariant()
    def what_is_under_way_is_counted(self) -> None:
        assert self.heard.pace.in_flight == len(self.held)
        assert self.heard.pace.waiting == len([c for c in self.started if not c.task.done() and c.slot is None])

    @invariant()
    def the_window_is_at_least_one_and_nobody_waits_for_a_free_place(self) -> None:
        pace = self.heard.pace
        assert pace.window is None or pace.window >= 1
        free = pace.window is None or pace.in_flight + 1 <= pace.window
        held_back = self.runner.get_loop().time() < pace._not_before
        assert not pace.waiting or not free or held_back

    @invariant()
    def nobody_is_let_through_beyond_the_window(self) -> None:
        assert not any(call.beyond for call in self.order)

    @invariant()
    def nobody_overtakes(self) -> None:
        came = {call: number for number, call in enumerate(self.started)}
        numbers = [came[call] for call in self.order]
        assert numbers == sorted(numbers)

    def teardown(self) -> None:
        async def run() -> None:
            for call in self.started:
                call.end.set()
            await asyncio.sleep(100)  # longer than any wait that was asked for

        self.runner.run(run())
        assert self.heard.pace.in_flight == 0
        assert all(call.task.done() for call in self.started)
        assert all(call in self.cancelled or call.slot is not None for call in self.started)
        self.runner.close()


TestPace = PaceMachine.TestCase
TestPace.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)

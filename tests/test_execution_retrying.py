"""Which failed attempt is made again and when: by the class of its failure, bounded in number and time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schedule_support import START, later, sealed
from speedproof.execution.retrying import Retries
from speedproof.journal import FailureClass as F

RETRIES = Retries()
TRANSIENT = [c for c in F if c.info.transient]
PERMANENT = [c for c in F if not c.info.transient]
DRAWS = st.floats(0, 1, exclude_max=True)
PLANS = st.builds(
    Retries,
    most=st.integers(1, 9),
    first_wait_s=st.floats(0.1, 1000),
    growth=st.floats(1, 10),
    longest_wait_s=st.floats(1, 10_000),
    longest_total_s=st.floats(1, 100_000),
)


def test_by_default_an_item_may_fail_three_times_within_four_hours() -> None:
    assert (RETRIES.most, RETRIES.longest_total_s) == (3, 4 * 3600)
    failed = sealed("i", run="model_error", failure=F.STREAM_BROKEN)
    waits = []
    for failures in (1, 2, 3):
        at = RETRIES.next_at(failed, failures=failures, began_at=START, draw=lambda: 0.5)
        waits.append(None if at is None else (at - START).total_seconds())
    assert waits == [15, 60, None]


@pytest.mark.parametrize("failure", PERMANENT)
def test_what_does_not_pass_is_never_attempted_again(failure: F) -> None:
    for run in ("agent_error", "model_error", "infra_error"):
        failed = sealed("i", run=run, failure=failure)
        assert RETRIES.next_at(failed, failures=0, began_at=START) is None


@pytest.mark.parametrize("failure", [None, *F])
def test_what_the_agent_made_of_its_chance_stands(failure: F | None) -> None:
    for run in ("completed", "limit"):
        assert RETRIES.next_at(sealed("i", run=run, failure=failure), failures=1, began_at=START) is None


@pytest.mark.parametrize("failure", TRANSIENT)
def test_what_may_pass_is_attempted_again(failure: F) -> None:
    for run in ("agent_error", "model_error", "infra_error"):
        assert RETRIES.next_at(sealed("i", run=run, failure=failure), failures=1, began_at=START) is not None


@given(PLANS, st.integers(1, 12), st.floats(0, 200_000), st.none() | st.floats(-1000, 100_000), DRAWS)
def test_waits_are_bounded_and_grow_and_begin_when_a_limit_resets(
    retries: Retries, failures: int, ended_s: float, resets_s: float | None, drawn: float
) -> None:
    ended = later(ended_s)
    resets_at = None if resets_s is None else later(ended_s + resets_s)
    failed = sealed("i", at=ended, run="model_error", failure=F.USAGE_LIMIT, resets_at=resets_at)
    at = retries.next_at(failed, failures=failures, began_at=START, draw=lambda: drawn)
    total_s = (ended - START).total_seconds()
    if failures >= retries.most or total_s > retries.longest_total_s:
        assert at is None
        return
    assert at is not None
    waited = (at - max(ended, resets_at or ended)).total_seconds()
    longest = min(retries.longest_wait_s, retries.first_wait_s * retries.growth ** (failures - 1))
    assert -1e-5 <= waited <= longest + 1e-5
    assert waited == pytest.approx(drawn * longest, abs=1e-5)
    assert resets_at is None or at >= resets_at
    again = retries.next_at(failed, failures=failures + 1, began_at=START, draw=lambda: drawn)
    assert again is None or again >= at


def test_items_that_failed_together_do_not_come_back_together() -> None:
    failed = sealed("i", run="model_error", failure=F.RATE_LIMITED)
    moments = {RETRIES.next_at(failed, failures=1, began_at=START) for _ in range(50)}
    assert len(moments) > 40

"""What the tests of a run's schedule share: plans, sealed attempts, and a clock."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from speedproof.journal import FailureClass, ItemPlan, Usage
from speedproof.journal.events import AttemptSealed
from speedproof.journal.status import PatchStatus, RunStatus

START = datetime(2026, 1, 1, tzinfo=UTC)


def later(seconds: float) -> datetime:
    """So many seconds after the start."""
    return START + timedelta(seconds=seconds)


def plans(*lanes: tuple[str, str | None, int]) -> list[ItemPlan]:
    """Items of these lanes (agent, model, how many), taken in turn as a plan has them."""
    most = max(count for _, _, count in lanes)
    return [
        ItemPlan(
            id=f"{agent}-{model or 'none'}-{number}",
            task=f"task-{number}",
            task_digest="0" * 8,
            agent=agent,
            model=model,
            control="noop" if model is None else None,
            sample=1,
        )
        for number in range(most)
        for agent, model, count in lanes
        if number < count
    ]


def sealed(
    item: str,
    number: int = 1,
    *,
    at: datetime = START,
    run: RunStatus = "completed",
    failure: FailureClass | None = None,
    message: str = "it failed",
    patch: PatchStatus = "applied",
    answered: bool = True,
    resets_at: datetime | None = None,
    recovered: bool = False,
) -> AttemptSealed:
    """The event of a sealed attempt."""
    return AttemptSealed(
        at=at,
        item=item,
        number=number,
        rules="rules-3",
        run=run,
        patch=patch,
        failure=failure,
        fingerprint=None if failure is None else f"{failure.value}: {message}",
        message=None if failure is None else message,
        answered=answered,
        resets_at=resets_at,
        seconds=1.0,
        calls=int(answered),
        usage=Usage(),
        usage_unknown_calls=0,
        cost_usd=None,
        cost_unknown_calls=0,
        recovered=recovered,
    )


def names(items: Sequence[ItemPlan]) -> list[str]:
    """Their ids."""
    return [item.id for item in items]

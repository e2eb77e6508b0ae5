"""What the scheduler's log says of a sealed attempt."""

from datetime import datetime

from speedproof.diagnosis.fingerprint import fingerprint
from speedproof.journal import AttemptStore, CallOutcome, Status
from speedproof.journal.base import now
from speedproof.journal.events import AttemptSealed


def sealed_event(store: AttemptStore, status: Status) -> AttemptSealed:
    """The event of an attempt whose facts are sealed and whose status is derived. Raises RecordError when damaged."""
    attempt = store.read()
    ended = attempt.sealed_at or attempt.opened_at
    diagnosis = status.diagnosis
    return AttemptSealed(
        at=now(),
        item=attempt.item,
        number=attempt.number,
        rules=status.rules,
        run=status.run,
        patch=status.patch,
        failure=None if diagnosis is None else diagnosis.failure,
        fingerprint=None if diagnosis is None else fingerprint(diagnosis),
        message=None if diagnosis is None else diagnosis.message,
        answered=status.calls > status.failed_calls,
        resets_at=_resets_at(store) if diagnosis is not None and diagnosis.failure.fault == "model" else None,
        seconds=(ended - attempt.opened_at).total_seconds(),
        calls=status.calls,
        usage=status.usage,
        usage_unknown_calls=status.usage_unknown_calls,
        cost_usd=status.cost_usd,
        cost_unknown_calls=status.cost_unknown_calls,
        recovered=attempt.recovered_at is not None,
    )


def _resets_at(store: AttemptStore) -> datetime | None:
    """When the limit resets that the last call met; null when it met none."""
    outcomes = [line for _, line in store.calls()[0] if isinstance(line, CallOutcome)]
    return outcomes[-1].resets_at if outcomes else None

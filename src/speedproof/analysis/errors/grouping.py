"""Attempts in groups by what went wrong with them."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from speedproof.analysis.collection import Collection, Entry
from speedproof.analysis.errors.calls import call_groups
from speedproof.analysis.errors.example import example
from speedproof.analysis.errors.lost import Successes, lost
from speedproof.analysis.errors.records import By, ErrorGroup, Errors, Judging, Untold
from speedproof.analysis.founded import CONFIDENCES, best_founded
from speedproof.diagnosis import fingerprint
from speedproof.journal.failure import Diagnosis, FailureClass

_Value = TypeVar("_Value")
_Failed = tuple[Entry, Diagnosis]
_KEYS: dict[By, Callable[[Entry, Diagnosis], str | None]] = {
    "class": lambda _, d: d.failure.value,
    "fingerprint": lambda e, d: (d is e.attempt.diagnosis and e.attempt.fingerprint) or fingerprint(d),
    "fault": lambda _, d: d.failure.fault,
    "run": lambda e, _: e.attempt.run,
    "agent": lambda e, _: e.attempt.agent.value,
    "model": lambda e, _: e.attempt.model.value,
}
_WITHIN: dict[By, By] = {"class": "fingerprint", "fault": "class", "run": "class", "agent": "class", "model": "class"}


def errors(collection: Collection, by: By = "class") -> Errors:
    """Everything that went wrong in these attempts."""
    failed: list[_Failed] = []
    completed: list[_Failed] = []
    for entry in collection.entries:
        attempt = entry.attempt
        if attempt.diagnosis is not None:
            (completed if attempt.run_status == "completed" else failed).append((entry, attempt.diagnosis))
    successes = Successes(collection.whole or collection)
    controls = collection.controls if collection.whole is None else ()  # nobody chose among them
    return Errors(
        by=by,
        archives=collection.archives,
        attempts=len(collection.entries),
        failed=lost([entry for entry, _ in failed]),
        groups=_Grouping(failed, successes).groups(failed, by),
        completed=_Grouping(completed, successes).groups(completed, by),
        judging=_judging(collection.entries, controls, successes, by),
        calls=call_groups(collection.entries),
        unlisted_calls=sum(max(0, (e.attempt.failed or 0) - len(e.attempt.failed_calls)) for e in collection.entries),
        recorded_failures=_untold([e for e in collection.entries if e.recorded is False]),
        unread=(*collection.unread, *(f"{e.name}: {e.unread}" for e in (*collection.entries, *controls) if e.unread)),
    )


def _judging(entries: Sequence[Entry], controls: Sequence[Entry], successes: Successes, by: By) -> Judging:
    judged, given = ([(e, e.judging) for e in every if e.judging is not None] for every in (entries, controls))
    return Judging(
        tasks=tuple(dict.fromkeys(e.attempt.task for e, _ in (*judged, *given) if e.attempt.task is not None)),
        groups=_Grouping(judged, successes).groups(judged, by),
        ended=tuple(e.name for e, _ in judged if e.attempt.diagnosis and e.attempt.run_status != "completed"),
        controls=_Grouping(given, successes).groups(given, by),
    )


class _Grouping:
    """Groups of some failures, in the order of what they hurt."""

    def __init__(self, found: Sequence[_Failed], successes: Successes) -> None:
        self._attempts = len(found)
        self._whole = lost([entry for entry, _ in found])
        self._successes = successes

    def groups(self, found: Sequence[_Failed], by: By) -> tuple[ErrorGroup, ...]:
        """Groups of `found`, and groups within them."""
        members: dict[str | None, list[_Failed]] = {}
        for entry, diagnosis in found:
            members.setdefault(_KEYS[by](entry, diagnosis), []).append((entry, diagnosis))
        groups = [self._group(by, name, some) for name, some in members.items()]
        return tuple(sorted(groups, key=lambda g: (-self._share(g), -len(g.attempts), g.name or "")))

    def _share(self, group: ErrorGroup) -> float:
        """The largest of a group's shares in all attempts, dollars and seconds: what it hurt most."""
        pairs = (
            (len(group.attempts), self._attempts),
            (group.lost.cost_usd, self._whole.cost_usd),
            (group.lost.wall_s, self._whole.wall_s),
        )
        return max(part / whole for part, whole in pairs if part is not None and whole)

    def _group(self, by: By, name: str | None, found: Sequence[_Failed]) -> ErrorGroup:
        entries = [entry for entry, _ in found]
        classes = dict.fromkeys(diagnosis.failure for _, diagnosis in found)
        one = next(iter(classes)) if len(classes) == 1 else None
        times = [entry.at for entry in entries if entry.at is not None]
        calls = [call for entry in entries for call in entry.attempt.failed_calls if call.failure in classes]
        best, best_diagnosis = best_founded(found)
        counts = Counter(diagnosis.confidence for _, diagnosis in found)
        within = _WITHIN.get(by)
        return ErrorGroup(
            by=by,
            name=name,
            failure=one,
            fault=_same(failure.fault for failure in classes),
            transient=_same(failure.info.transient for failure in classes),
            next=() if one is None else tuple(dict.fromkeys(_step(entry, diagnosis) for entry, diagnosis in found)),
            attempts=tuple(entry.name for entry in entries),
            items=len({(e.attempt.run, e.attempt.item) for e in entries}),
            commits=len({e.attempt.commit for e in entries if e.attempt.commit}),
            runs=len({e.attempt.run for e in entries}),
            first=min(times, default=None),
            last=max(times, default=None),
            undated=len(entries) - len(times),
            recorded_success=tuple(entry.name for entry in entries if entry.recorded),
            made_up=self._successes.after(entries),
            confidence={each: counts[each] for each in CONFIDENCES},
            lost=lost(entries),
            calls=len(calls),
            mentions=sum(call.mentions for call in calls),
            example=example(
                best, best_diagnosis.message, best_diagnosis.evidence, of_run=best_diagnosis is best.judging
            ),
            groups=() if within is None else self.groups(found, within),
        )


def _same(values: Iterable[_Value]) -> _Value | None:
    every = set(values)
    return every.pop() if len(every) == 1 else None


def _step(entry: Entry, diagnosis: Diagnosis) -> str:
    if diagnosis is entry.judging and diagnosis.failure is FailureClass.INTERRUPTED:
        return "Run `speedproof evaluate` to judge the patch."  # the attempt itself was not cut off
    return diagnosis.failure.next_step(own=entry.attempt.own is not None)


def _untold(entries: Sequence[Entry]) -> Untold:
    silent = [e for e in entries if not e.attempt.recorded.error]
    counts = Counter(e.attempt.diagnosis.confidence for e in silent if e.attempt.diagnosis)
    return Untold(
        attempts=tuple(e.name for e in entries),
        without_text=tuple(e.name for e in silent),
        causes={each: counts[each] for each in CONFIDENCES},
        no_cause=tuple(e.name for e in silent if e.attempt.diagnosis is None),
    )

"""What earlier runs say: every attempt in the state folder, those of damaged and half-written runs among them.

The scheduler's log is read first; an attempt's own record is opened only where the log does not tell of its end.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from speedproof.diagnosis import RULES, derive
from speedproof.errors import RecordError
from speedproof.execution.sealing import sealed_event
from speedproof.journal import AttemptStore, ItemPlan, Record, RunManifest, RunStore, Status
from speedproof.journal.events import AttemptBegan, AttemptSealed, Event

T = TypeVar("T")


@dataclass(frozen=True)
class Past:
    """One attempt of an earlier run, or of one that is under way."""

    run: str
    item: str
    number: int
    store: AttemptStore
    sealed: AttemptSealed | None
    """How it ended; null while it is under way, and where its record cannot be read."""

    @property
    def cost_usd(self) -> float | None:
        """Known US dollars; null when no cost of any of its calls is known. Without a call it cost nothing."""
        if self.sealed is None:
            return None
        return 0.0 if self.sealed.calls == 0 else self.sealed.cost_usd

    @property
    def tokens(self) -> int | None:
        """Known tokens, input and output; null when those of no call are known."""
        if self.sealed is None:
            return None
        return 0 if self.sealed.calls == 0 else self.sealed.usage.total


class Before(Record):
    """Attempts that have been made already, in all runs of the state folder."""

    attempts: int
    """How many, whatever became of them."""
    runs: tuple[str, ...]
    """The runs that they were made in, oldest first."""
    cost_usd: float | None
    """Sum of the known costs in US dollars; null when there were attempts and no cost is known."""
    cost_unknown_calls: int
    """Calls whose cost is unknown and not in the sum."""
    cost_unknown_attempts: int
    """Attempts that are under way, or whose record cannot be read, so that not even their calls are known."""


def before(pasts: Iterable[Past]) -> Before:
    """Count attempts, and the money spent on them."""
    found = list(pasts)
    costs = [past.cost_usd for past in found]
    known = [cost for cost in costs if cost is not None]
    return Before(
        attempts=len(found),
        runs=tuple(sorted({past.run for past in found})),  # ids begin with the time
        cost_usd=sum(known) if known or not found else None,
        cost_unknown_calls=sum(past.sealed.cost_unknown_calls for past in found if past.sealed is not None),
        cost_unknown_attempts=sum(past.sealed is None for past in found),
    )


@dataclass(frozen=True)
class RunPast:
    """One run, as far as its records can be read."""

    run: RunStore
    manifest: RunManifest | None
    """Null when it is missing or damaged."""
    events: tuple[Event, ...]
    """The scheduler's log; ends of attempts that it does not tell are filled in from their records."""
    attempts: tuple[Past, ...]
    """Every attempt, item by item, oldest first."""
    notes: tuple[str, ...]
    """What could not be read, in sentences."""

    @cached_property
    def by_item(self) -> Mapping[str, Sequence[Past]]:
        """The attempts of each item, oldest first."""
        return _grouped(self.attempts, lambda past: past.item)


@dataclass(frozen=True)
class History:
    """All runs of a state folder, oldest first."""

    runs: tuple[RunPast, ...]

    def run(self, name: str) -> RunPast:
        """The run of this id, which must be there."""
        return next(past for past in self.runs if past.run.id == name)

    @property
    def attempts(self) -> Iterator[Past]:
        """Every attempt, run by run."""
        return (past for run in self.runs for past in run.attempts)

    @cached_property
    def items(self) -> Mapping[str, ItemPlan]:
        """What each item was, by its id, from every manifest that can be read."""
        return {item.id: item for run in self.runs if run.manifest is not None for item in run.manifest.items}

    @cached_property
    def by_item(self) -> Mapping[str, Sequence[Past]]:
        """The attempts of each item in all runs, oldest first."""
        return _grouped(self.attempts, lambda past: past.item)

    @cached_property
    def by_task(self) -> Mapping[tuple[str, str], Sequence[Past]]:
        """The attempts of each task in all runs, by its name and its digest."""
        known = (past for past in self.attempts if past.item in self.items)
        return _grouped(known, lambda past: (self.items[past.item].task, self.items[past.item].task_digest))

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be read of any run."""
        return tuple(note for run in self.runs for note in run.notes)


def read_history(state: Path) -> History:
    """Every run of the state folder; none where there is no such folder. What is damaged is in the notes."""
    runs = state / "runs"
    if not runs.is_dir():
        return History(())
    return History(tuple(read_run(RunStore(folder)) for folder in sorted(runs.iterdir()) if folder.is_dir()))


def read_run(run: RunStore) -> RunPast:
    """One run from its records; what is missing, torn or damaged is in the notes, never fatal."""
    notes: list[str] = []
    manifest = _attempted(run.manifest, notes)
    events, bad = _attempted(run.events, notes) or ([], [])
    if bad:
        torn = ", torn by a kill" if bad[-1].torn else ""
        notes.append(f"events.jsonl: {len(bad)} lines cannot be read (the last: line {bad[-1].line}{torn})")
    told = {(event.item, event.number): event for event in events if isinstance(event, AttemptSealed)}
    folders = dict(_attempted(lambda: list(_folders(run.folder / "items")), notes) or [])
    filled: dict[tuple[str, int], AttemptSealed] = {}
    unread = [key for key in folders if key not in told]
    if unread:
        alive = _attempted(run.is_locked, notes) is not False  # when nobody can tell, nothing is said of open attempts
        unreadable: list[str] = []
        for key in unread:
            sealed = _attempted(lambda store=folders[key]: _sealed(store, alive=alive), unreadable)  # type: ignore[misc]
            if sealed is not None:
                filled[key] = sealed
        if unreadable:
            notes.append(f"{len(unreadable)} attempts cannot be read, and what they cost is unknown ({unreadable[0]})")
    if gone := [key for key in told if key not in folders]:
        notes.append(f"{len(gone)} attempts that events.jsonl tells of have no folder (the first: {gone[0][0]})")
    attempts = [
        Past(run.id, *key, folders.get(key) or _store(run, *key), told.get(key) or filled.get(key))
        for key in sorted({*folders, *told})
    ]
    return RunPast(
        run, manifest, tuple(_filled(events, filled)), tuple(attempts), tuple(f"run {run.id}: {n}" for n in notes)
    )


def _folders(items: Path) -> Iterator[tuple[tuple[str, int], AttemptStore]]:
    """Every attempt's folder by item and number."""
    if not items.is_dir():
        return
    with os.scandir(items) as found:
        folders = [item for item in found if item.is_dir()]
    for item in folders:
        with os.scandir(item) as found:
            numbers = [entry for entry in found if entry.name.isdecimal()]
        for entry in numbers:
            yield (item.name, int(entry.name)), AttemptStore(Path(entry.path))


def _store(run: RunStore, item: str, number: int) -> AttemptStore:
    return AttemptStore(run.folder / "items" / item / f"{number:02d}")


def status_of(store: AttemptStore) -> Status:
    """The status of an attempt by today's rules: as derived before, or now. Raises RecordError when damaged."""
    return store.status(RULES) or derive(store, alive=False)


def _sealed(store: AttemptStore, *, alive: bool) -> AttemptSealed | None:
    """How an attempt ended, from its own record; null when it is under way."""
    if alive and store.read().state == "open":
        return None
    return sealed_event(store, status_of(store))


def _filled(events: Sequence[Event], missing: Mapping[tuple[str, int], AttemptSealed]) -> Iterator[Event]:
    """The events, with the ends of attempts that they lack where those attempts began, else after all others."""
    left = dict(missing)
    for event in events:
        yield event
        if isinstance(event, AttemptBegan) and (sealed := left.pop((event.item, event.number), None)) is not None:
            yield sealed
    yield from (left[key] for key in sorted(left))


def _attempted(read: Callable[[], T], notes: list[str]) -> T | None:
    """What `read` gives; when the records refuse, null, and the reason becomes a note."""
    try:
        return read()
    except RecordError as error:
        notes.append(f"{error.file}: {error.what}" if error.file else error.what)
    except OSError as error:
        notes.append(f"{error.filename}: {error.strerror}")
    return None


K = TypeVar("K")


def _grouped(pasts: Iterable[Past], key: Callable[[Past], K]) -> dict[K, list[Past]]:
    groups: defaultdict[K, list[Past]] = defaultdict(list)
    for past in pasts:
        groups[key(past)].append(past)
    return dict(groups)

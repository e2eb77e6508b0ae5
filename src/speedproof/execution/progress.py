"""How far a run is, for whoever asks from outside: from its manifest, its events and its lock. Writes nothing."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

from pydantic import TypeAdapter, ValidationError

from speedproof.diagnosis import RULES, derive
from speedproof.errors import RecordError
from speedproof.execution.holder import holder_of, is_known_as
from speedproof.execution.progress_record import Progress
from speedproof.execution.retrying import Retries
from speedproof.execution.sealing import sealed_event
from speedproof.execution.tally import Calls, Tally
from speedproof.journal import AttemptStore, RunManifest, RunStore
from speedproof.journal.base import now
from speedproof.journal.events import AttemptBegan, Event
from speedproof.journal.files import BadLine

_RETRIES: TypeAdapter[Retries] = TypeAdapter(Retries)


def progress_of(run: RunStore) -> Progress:
    """How far the run is now. Raises RecordError when its manifest cannot be read.

    One pass over its events. A record is opened only of an attempt that they do not call sealed, so 10,000 sealed items
    take less than half a second. Where lines of the events are damaged, every attempt that no whole line calls sealed
    is told from its own record.
    """
    manifest = run.manifest()
    held, events, bad = _read(run)
    tally = Tally(manifest.items, _retries(manifest))
    for event in events:
        tally.apply(event)
    damaged = _catch_up(tally, run, every=bool(bad))
    for owed in list(tally.schedule.owed()):
        tally.apply(owed)
    recorded = None if tally.session is None else tally.session.pid
    pid = holder_of(run, recorded) if held else None
    phase = tally.phase(at_work=held)
    if pid is not None and (recorded is None or not is_known_as(pid, recorded)):
        phase = "preparing"
    return tally.progress(
        now(),
        phase=phase,
        run=run.id,
        suite=manifest.suite,
        pid=pid,
        calls={item: _calls(run, began) for item, began in tally.open.items()},
        damaged_lines=len(bad),
        damaged_attempts=damaged,
    )


def followed(run: RunStore, pause_s: float = 1.0) -> Iterator[Progress]:
    """How far the run is, again and again, until nobody works on it any more; the last one says how it ended.

    `pause_s`: seconds between two looks; longer where looking would take more than a tenth of the time. Raises
    RecordError when its manifest cannot be read.
    """
    while True:
        begin = time.monotonic()
        progress = progress_of(run)
        yield progress
        if not progress.at_work:
            return
        time.sleep(max(pause_s, 9 * (time.monotonic() - begin)))


def _read(run: RunStore) -> tuple[bool, list[Event], list[BadLine]]:
    """Whether a process holds the run, and its events: of one moment, so that no run is called killed that has ended
    in between."""
    held = run.is_locked()
    while True:
        events, bad = run.events()
        if (after := run.is_locked()) == held:
            return held, events, bad
        held = after


def _retries(manifest: RunManifest) -> Retries:
    """The run's retries; the rest of its setup, which takes long to load, says nothing of where it stands."""
    try:
        return _RETRIES.validate_python(manifest.setup.get("retries", {}))
    except ValidationError as error:
        raise RecordError(
            f"the setup of run {manifest.id} is damaged at retries: {error.errors()[0]['msg']}"
        ) from error


def _catch_up(tally: Tally, run: RunStore, *, every: bool) -> list[str]:
    """Take in attempts that the events do not call sealed, from their own records. Returns those that are damaged.

    `every`: look at all items; otherwise at those only that may have such an attempt: a done one gets no more.
    """
    folder = run.folder / "items"
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    damaged = []
    for name, item in tally.schedule.items.items():
        if name not in there or (tally.schedule.state(item) == "done" and not every):
            continue
        sealed = {event.number for event in item.sealed}
        numbers = sorted(int(path.name) for path in (folder / name).iterdir() if path.name.isdigit())
        for number in numbers:
            if number in sealed:
                continue
            store = AttemptStore(folder / name / f"{number:02d}")
            try:
                _take(tally, store, name, number)
            except RecordError:
                damaged.append(f"{name}/{number:02d}")
    return damaged


def _take(tally: Tally, store: AttemptStore, item: str, number: int) -> None:
    if not (store.folder / "attempt.json").exists():  # nothing is known of it yet but that it began
        attempt, began_at = None, datetime.fromtimestamp(store.folder.stat().st_mtime, UTC)
    else:
        attempt = store.read()
        began_at = attempt.opened_at
    known = tally.open.get(item)
    if known is None or known.number != number:
        tally.apply(AttemptBegan(at=began_at, item=item, number=number))
    if attempt is not None and attempt.state == "sealed":
        tally.apply(sealed_event(store, store.status(RULES) or derive(store)))


def _calls(run: RunStore, began: AttemptBegan) -> Calls:
    lines, _ = AttemptStore(run.folder / "items" / began.item / f"{began.number:02d}").calls()
    return [line for _, line in lines]

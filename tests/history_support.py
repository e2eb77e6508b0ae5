"""Earlier runs made by hand: a manifest, a log of events, and folders of attempts, as a scheduler leaves them."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from speedproof.diagnosis import RULES
from speedproof.execution.host import host_facts
from speedproof.journal import Attempt, FailureClass, ItemPlan, Method, RunManifest, RunStore, Store, Usage, digest_of
from speedproof.journal.events import AttemptBegan, AttemptSealed, Event, RunBegan
from speedproof.tasks.suite import LoadedSuite

START = datetime(2026, 1, 1, tzinfo=UTC)


def item(
    task: str = "t", agent: str = "codex", model: str | None = "openai/m", sample: int = 1, **more: Any
) -> ItemPlan:
    """An item whose id depends on what it is."""
    given = {"task_digest": digest_of(task, 16), "control": "noop" if model is None else None} | more
    name = digest_of([task, agent, model, sample, given], 12)
    return ItemPlan(id=name, task=task, agent=agent, model=model, sample=sample, **given)


def sealed(of: ItemPlan, number: int = 1, *, failure: FailureClass | None = None, **more: Any) -> AttemptSealed:
    """The event of a sealed attempt: one call that cost $0.50, 10 seconds, unless told otherwise."""
    given: dict[str, Any] = {
        "at": START + timedelta(minutes=number),
        "rules": RULES,
        "run": "completed",
        "patch": "applied",
        "failure": failure,
        "fingerprint": None if failure is None else failure.value,
        "message": None if failure is None else "it failed",
        "answered": True,
        "seconds": 10.0,
        "calls": 1,
        "usage": Usage(uncached_input=100, output=20),
        "usage_unknown_calls": 0,
        "cost_usd": 0.5,
        "cost_unknown_calls": 0,
    }
    return AttemptSealed(item=of.id, number=number, **(given | more))


def began(of: ItemPlan, number: int = 1) -> AttemptBegan:
    return AttemptBegan(at=START, item=of.id, number=number)


def write_run(
    state: Path,
    items: Sequence[ItemPlan],
    events: Iterable[Event] = (),
    name: str = "20260101-000000-000aaaa",
    *,
    suite: LoadedSuite | None = None,
    method: Method | None = None,
) -> RunStore:
    """A run with these events, and the folder of each attempt that they tell of."""
    manifest = RunManifest(
        id=name,
        created_at=START,
        speedproof="0",
        suite="small" if suite is None else suite.suite.name,
        suite_file="suite.yaml" if suite is None else str(suite.file),
        suite_digest="0",
        host=host_facts(),
        settings={},
        method=method or Method(),
        items=tuple(items),
    )
    run = Store(state).create_run(manifest)
    log = run.open_events()
    log.append(RunBegan(at=START, pid=1, jobs=1, resumed=False))
    for event in events:
        if isinstance(event, AttemptBegan | AttemptSealed):
            (run.folder / "items" / event.item / f"{event.number:02d}").mkdir(parents=True, exist_ok=True)
        log.append(event)
    log.close()
    return run


def write_attempt(run: RunStore, of: ItemPlan, number: int = 1, *, state: str = "sealed", **more: Any) -> Path:
    """An attempt's own record; its folder."""
    folder = run.folder / "items" / of.id / f"{number:02d}"
    folder.mkdir(parents=True, exist_ok=True)
    attempt = Attempt(
        run=run.id,
        item=of.id,
        number=number,
        task=of.task,
        agent=of.agent,
        model=of.model,
        sample=of.sample,
        state=state,  # type: ignore[arg-type]
        opened_at=START,
        sealed_at=START + timedelta(seconds=30) if state == "sealed" else None,
        **more,
    )
    (folder / "attempt.json").write_text(attempt.model_dump_json())
    return folder

"""Makes attempts of a collection with only what a comparison looks at."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from speedproof.analysis.collection import Collection, Entry
from speedproof.journal import Diagnosis, FailureClass, Usage
from speedproof.journal.foreign import ForeignAttempt
from speedproof.journal.foreign_parts import Clock, Recorded, Told

START = datetime(2025, 10, 8, 9, tzinfo=UTC)
_NUMBERS = count(1)


def entry(
    task: str | None,
    /,
    *,
    model: str | None = "gpt-5",
    agent: str | None = "trae",
    ok: bool = False,
    hours: float = 0.0,
    run: str = "one",
    confidence: str = "direct",
    failure: FailureClass | None = None,
    proven: bool | None = None,
    usd: float | None = 1.0,
    tokens: int | None = 1000,
    **more: Any,
) -> Entry:
    """One attempt: `ok` by every rule but proven, at `task`, `hours` after the start."""
    began = START + timedelta(hours=hours)
    number = next(_NUMBERS)
    given: dict[str, Any] = {
        "reader": "test",
        "id": f"{number:012x}",
        "archive": "old-archive",
        "folder": f"{run}/{number}",
        "layout": "trae",
        "files": (),
        "recorded": Recorded(success=ok),
        "journal": True,
        "run": run,
        "item": f"item-{number}",
        "commit": task,
        "agent": Told(value=agent, version="1", confidence="direct" if agent else "none"),
        "model": Told(value=model, confidence=confidence if model else "none"),  # type: ignore[arg-type]
        "began": began,
        "written": began + timedelta(hours=1),
        "clock": Clock(offset_s=0, basis="test"),
        "wall_s": 3600.0,
        "budget_s": 7200.0,
        "steps": 10,
        "usage": Usage(uncached_input=tokens, output=0 if tokens is not None else None),
        "prompt_sha256": "a" * 64,
        "prompt_template_sha256": "b" * 64,
        "config_sha256": "c" * 64,
        "pre": "d" * 40,
        "run_status": "infra_error" if failure else "completed",
        "patch_status": "present",
        "diagnosis": failure
        and Diagnosis(failure=failure, message="it failed", stage="run", confidence="direct", evidence=()),
        "exit_and_patch": ok,
        "strict": ok,
        "confirmed": ok,
    }
    return Entry(ForeignAttempt(**(given | more)), f"{run}/item-{number}", wire_usd=usd, proven=proven)


def pool(*entries: Entry) -> Collection:
    return Collection.of(entries, ["old-archive"])


def side_by_side(outcomes: list[tuple[bool, bool]], **more: Any) -> Collection:
    """One attempt of gpt-4o and of gpt-5 at each task, in one run, alike in everything else."""
    found = []
    for number, (a, b) in enumerate(outcomes):
        task = f"{number:040x}"
        found += [entry(task, model="gpt-4o", ok=a, **more), entry(task, model="gpt-5-2025-08-07", ok=b, **more)]
    return pool(*found)

"""What one process makes of a run: many attempts at once, others' measuring, failures that end it."""

import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from shell_agent import Shell, finds
from small_project import METHOD, load_small
from speedproof.errors import RecordError
from speedproof.execution import preflight
from speedproof.execution.engine import execute_run
from speedproof.execution.plan import Lane, plan_items
from speedproof.execution.retrying import Retries
from speedproof.execution.setup import Setup
from speedproof.journal import AttemptStore, RunStore, Status, Store
from speedproof.journal.events import AttemptBegan, AttemptSealed
from speedproof.workspace.machine import stopwatch
from test_execution_engine import ASK, SAY, Place, place

__all__ = ["place"]


def carry_out(place: Place, command: str, samples: int, setup: Setup, **task: Any) -> RunStore:
    """A run of this many samples of a shell agent."""
    place.monkeypatch.setattr(preflight, "get_agent", finds(Shell(command)))
    (place.folder / "script.yaml").write_text(SAY)
    loaded = load_small(place.folder / "suite", place.project, **{"workloads": [], "tests": [], **task})
    items = plan_items(loaded, loaded.suite.tasks, [Lane("shell", f"scripted:{place.folder}/script.yaml")], samples)
    return execute_run(
        loaded,
        items,
        replace(setup, retries=Retries(most=1)),
        state=place.state,
        cache=place.cache,
        method=METHOD,
        settings={},
        audience=place.audience,
    )


def ends(run: RunStore) -> list[str]:
    return [event.run for event in run.events()[0] if isinstance(event, AttemptSealed)]


def test_more_attempts_at_once_than_there_are_threads_all_end_at_their_limit(place: Place) -> None:
    run = carry_out(place, f"{ASK}\nsleep 600", 9, Setup(jobs=9), limits={"wall_s": 2, "idle_s": 60})
    assert ends(run) == ["limit"] * 9
    seconds = [event.seconds for event in run.events()[0] if isinstance(event, AttemptSealed)]
    assert max(seconds) < 60, "600 s is what they would take by themselves"


def test_no_attempt_begins_while_somebody_measures_on_the_machine(place: Place) -> None:
    measured_until: list[float] = []
    measuring = threading.Event()

    def measure() -> None:
        with stopwatch(place.cache, "somebody"):
            measuring.set()
            time.sleep(2)
            measured_until.append(time.time())

    thread = threading.Thread(target=measure)
    thread.start()
    assert measuring.wait(10)
    run = carry_out(place, ASK, 2, Setup(jobs=2))
    thread.join()
    began = [event.at.timestamp() for event in run.events()[0] if isinstance(event, AttemptBegan)]
    assert len(began) == 2 and min(began) >= measured_until[0]
    assert any("somebody" in said for said in place.audience.heard), "it is told for whom they wait"
    assert ends(run) == ["completed"] * 2


def test_a_record_that_cannot_be_written_ends_the_run_with_the_other_attempts_sealed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[str] = []
    write_status = AttemptStore.write_status

    def refuse(store: AttemptStore, status: Status) -> None:
        if len(refused) < 2 and "probe" not in str(store.folder):
            refused.append(store.name)
            raise OSError(28, "No space left on device")
        write_status(store, status)

    monkeypatch.setattr(AttemptStore, "write_status", refuse)
    with pytest.raises((RecordError, OSError), match="No space left"):
        carry_out(place, f"{ASK}\nsleep $((RANDOM % 2))", 4, Setup(jobs=4))
    run = Store(place.state).run("latest")
    attempts = [store.read() for store in run.attempts()]
    assert len(refused) == 2 and attempts
    assert {attempt.state for attempt in attempts} == {"sealed"}, "no attempt under way is abandoned"

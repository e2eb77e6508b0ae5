"""A run's limits end what is under way with its work kept, and what was not begun is not begun, for all to see."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from shell_agent import Shell, finds
from small_project import METHOD, load_small
from speedproof.cli.show import Show
from speedproof.errors import InputError
from speedproof.execution import preflight
from speedproof.execution.engine import execute_run
from speedproof.execution.plan import Lane, plan_items
from speedproof.execution.setup import Setup
from speedproof.execution.wire import Wire
from speedproof.execution.work import Audience
from speedproof.gateway import Budget
from speedproof.journal import ItemPlan, RunStore, StopCause
from speedproof.journal.files import BadLine, read_jsonl
from test_execution_engine import ASK, SAY, Place, place, read

__all__ = ["place"]

EDIT_AND_ASK = f"echo 'kept = 1' >> tools.py\nwhile :; do\n{ASK}done\n"


def run_all(
    place: Place,
    command: str,
    audience: Callable[[Sequence[ItemPlan]], Audience] | None,
    budget: Budget,
    *,
    samples: int = 3,
    **task: Any,
) -> tuple[RunStore, list[ItemPlan]]:
    """A run of samples of a shell agent, and a control that needs no model."""
    place.monkeypatch.setattr(preflight, "get_agent", finds(Shell(command)))
    (place.folder / "script.yaml").write_text(SAY)
    loaded = load_small(place.folder / "suite", place.project, **{"workloads": [], "tests": [], **task})
    model = f"scripted:{place.folder}/script.yaml"
    items = plan_items(loaded, loaded.suite.tasks, [Lane("shell", model)], samples)
    items += plan_items(loaded, loaded.suite.tasks, [Lane("patch", None, "expert")])
    run = execute_run(
        loaded,
        items,
        Setup(sandbox=place.sandbox.kind, wire=Wire(budget=budget)),
        state=place.state,
        cache=place.cache,
        method=METHOD,
        settings={},
        audience=place.audience if audience is None else audience(items),
    )
    return run, list(items)


@pytest.mark.parametrize(
    ("budget", "cause"),
    [
        (Budget(steps=2), StopCause.STEPS),
        (Budget(tokens=50), StopCause.TOKENS),
        (Budget(input_tokens=30), StopCause.TOKENS),
        (Budget(output_tokens=4), StopCause.TOKENS),
    ],
)
def test_at_a_run_s_limit_the_attempt_ends_its_patch_is_kept_and_the_rest_is_not_begun(
    place: Place, budget: Budget, cause: StopCause
) -> None:
    said = io.StringIO()
    shows: list[Show] = []

    class Both(Show):
        def __init__(self, items: Sequence[ItemPlan]) -> None:
            super().__init__(items, Console(file=said, width=200, force_terminal=False))
            shows.append(self)

    run, items = run_all(place, EDIT_AND_ASK, Both, budget)
    first, control = run.attempts()
    attempt, status = read(first)
    assert attempt.process is not None and attempt.process.stopped_by is cause
    assert (status.run, status.patch) == ("limit", "applied")
    assert b"+kept = 1" in (first.folder / "patch.diff").read_bytes()
    assert status.diagnosis is not None
    assert status.diagnosis.failure.value.startswith("agent/limit/")
    assert any("The run's limit of" in evidence.excerpt for evidence in status.diagnosis.evidence)
    assert read(control)[1].patch == "applied", "a control needs no model, so no budget"
    left = [item.id for item in items[1:3]]
    lines = [entry[1] for entry in read_jsonl(run.folder / "events.jsonl") if not isinstance(entry, BadLine)]
    not_begun = [line for line in lines if line["event"] == "run_limit"]
    assert [(line["item"], line["limit"]) for line in not_begun] == [(item, cause.value) for item in left]
    assert f"not begun: the run's limit ({cause.value}) is used up" in said.getvalue()
    table = Console(file=io.StringIO(), width=200, record=True)
    table.print(shows[0])
    assert table.export_text().count("not begun: the run's limit") == 2, "it stays on the screen"


@pytest.mark.parametrize("limits", [{"input_tokens": 30}, {"output_tokens": 4}])
def test_an_attempt_s_limit_leaves_the_others_alone(place: Place, limits: dict[str, int]) -> None:
    run, _ = run_all(place, EDIT_AND_ASK, None, Budget(), samples=2, limits={"wall_s": 60, "idle_s": 30, **limits})
    first, second, _ = run.attempts()
    for store in (first, second):
        attempt, status = read(store)
        assert attempt.process is not None and attempt.process.stopped_by is StopCause.TOKENS
        assert (status.run, status.patch) == ("limit", "applied")


@pytest.mark.parametrize("whose", ["attempt", "run"])
def test_a_cost_limit_on_a_model_without_a_price_is_refused_before_anything_begins(
    place: Place, whose: str, tmp_path: Path
) -> None:
    place.monkeypatch.setattr(preflight, "get_agent", finds(Shell("true")))
    limits = {"limits": {"wall_s": 60, "idle_s": 30, "cost_usd": 1.0}} if whose == "attempt" else {}
    loaded = load_small(place.folder / "suite", place.project, **{"workloads": [], "tests": [], **limits})
    items = plan_items(loaded, loaded.suite.tasks, [Lane("shell", "own/m")])

    def start(budget: Budget) -> None:
        execute_run(
            loaded,
            items,
            Setup(sandbox=place.sandbox.kind, base_url="http://127.0.0.1:1/v1", wire=Wire(budget=budget)),
            state=place.state,
            cache=place.cache,
            method=METHOD,
            settings={},
            audience=place.audience,
        )

    with pytest.raises(InputError, match="own/m has no known price"):
        start(Budget(cost_usd=1.0) if whose == "run" else Budget())
    assert not place.state.exists()
    if whose == "run":
        start(Budget(cost_usd=1.0, tokens=1_000))
        assert place.state.exists()

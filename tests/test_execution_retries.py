"""How often a call is tried is a setting of the run, and what the tries met is in the record."""

from pathlib import Path

import pytest

from shell_agent import Shell, finds
from small_project import METHOD, Project, load_small
from speedproof.execution import preflight
from speedproof.execution.engine import execute_run
from speedproof.execution.plan import Lane, plan_items
from speedproof.execution.retrying import Retries
from speedproof.execution.setup import Setup
from speedproof.execution.wire import Wire
from speedproof.execution.work import Audience
from speedproof.gateway import Patience
from speedproof.journal import CallOutcome
from speedproof.workspace.cache import Cache
from test_execution_engine import ASK, Quiet

SCRIPT = """\
format: speedproof/script/1
turns:
  - fail: {status: 503, message: Overloaded., times: 1}
  - say: Hello.
"""


@pytest.mark.parametrize(("tries", "status", "before"), [(1, 503, []), (2, 200, [503])])
def test_a_run_says_how_often_a_call_is_tried(
    tmp_path: Path,
    cache: Cache,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    tries: int,
    status: int,
    before: list[int],
) -> None:
    monkeypatch.setattr(preflight, "get_agent", finds(Shell(ASK)))
    (tmp_path / "script.yaml").write_text(SCRIPT)
    loaded = load_small(tmp_path / "suite", project, workloads=[], tests=[])
    audience: Audience = Quiet()
    run = execute_run(
        loaded,
        plan_items(loaded, loaded.suite.tasks, [Lane("shell", f"scripted:{tmp_path}/script.yaml")]),
        Setup(wire=Wire(patience=Patience(most_tries=tries, first_wait_s=0.01)), retries=Retries(most=1)),
        state=tmp_path / "state",
        cache=cache,
        method=METHOD,
        settings={},
        audience=audience,
    )
    (store,) = run.attempts()
    outcomes = [line for _, line in store.calls()[0] if isinstance(line, CallOutcome)]
    assert [(o.status, [r.status for r in o.retries]) for o in outcomes] == [(status, before)]

"""Real agents whose provider fails, or who forget a tool call: what a run makes of it is what happened."""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from speedproof.agents.command import Command, load_template
from speedproof.agents.protocol import Agent, Launch, LaunchContext, Setting
from speedproof.agents.registry import INSTALLED, get_agent
from speedproof.analysis import rows
from speedproof.analysis.parameters import parameter_lines
from speedproof.diagnosis import RULES
from speedproof.errors import InputError
from speedproof.execution import preflight
from speedproof.execution.engine import execute_run
from speedproof.execution.fault_table import BEGIN, END, NEVER, cell_text, read_table, refresh
from speedproof.execution.faults import NAMES, OPEN_CALL, Cell, expected, make_suite, meets, try_faults
from speedproof.execution.plan import Lane, plan_items
from speedproof.execution.retrying import Retries
from speedproof.execution.setup import Setup
from speedproof.execution.wire import Wire
from speedproof.execution.work import Audience
from speedproof.journal import AttemptStore, CallIntent, CallOutcome, FailureClass, Method, RunStore, Status
from speedproof.journal.call import Watched
from speedproof.journal.events import Event
from speedproof.sandbox import Bubblewrap
from speedproof.tasks.models import Limits
from speedproof.tasks.suite import load_suite
from speedproof.workspace.cache import Cache
from test_agents_driven import IN_CI

PAGE = Path(__file__).parents[1] / "docs" / "agents.md"
SANDBOXED = [
    pytest.mark.agents,
    pytest.mark.sandbox,
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed"),
]
TRAE = pytest.mark.skipif(
    not os.environ.get("SPEEDPROOF_TRAE"),
    reason="TRAE is not on a package index: set SPEEDPROOF_TRAE to a built checkout of it",
)
LIMITS = Limits(wall_s=90, idle_s=25)
AT_ONCE = 7
EDIT = "  - run: echo 'FAST = True' >> squares.py\n"
TEMPLATE = """\
format: speedproof/agent/1
name: small
protocol: chat
argv: [python3, /opt/agent/small_agent.py, "{prompt_file}", "{home}/report.jsonl"]
env: {BASE_URL: "{base_url}", KEY: "{token}", MODEL: "{model}", BEHAVIOUR: BEHAVES}
files: {settings.toml: "parallel_tool_calls = false"}
mounts: {/opt/agent: program}
outcome: {file: report.jsonl, finished: {field: result.status, equals: done}, error: result.error}
"""


class Silent(Audience):
    """Hears nothing."""

    def stage(self, what: str) -> None: ...

    def event(self, event: Event) -> None: ...

    def judging(self, task: str, what: str) -> None: ...


class Unheard(Command):
    """A program that is configured with a parameter, and never sends it."""

    parameters = ("parallel_tool_calls",)

    def launch(self, context: LaunchContext) -> Launch:
        setting = Setting(False, "settings.toml", "parallel_tool_calls")
        return replace(super().launch(context), configured={"parallel_tool_calls": setting})


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Mapping[str, Cell]]:
    """The cells of an agent, by fault: all of its attempts are made the first time one is asked for."""

    @cache
    def cells(agent: str) -> Mapping[str, Cell]:
        folder = tmp_path_factory.mktemp(agent)
        found = try_faults(agent, NAMES, sandbox=Bubblewrap(), folder=folder, limits=LIMITS, at_once=AT_ONCE)
        return {cell.fault: cell for cell in found}

    return cells


def require(name: str) -> Agent:
    """The agent where its faults are to be tested: fourteen attempts take minutes, so most agents are to be named."""
    if name == "trae":
        if not os.environ.get("SPEEDPROOF_TRAE"):
            pytest.skip("TRAE is not on a package index: set SPEEDPROOF_TRAE to a built checkout of it")
    elif name not in (*IN_CI, *os.environ.get("SPEEDPROOF_TEST_AGENTS", "").split(",")):
        pytest.skip(f"only where named: SPEEDPROOF_TEST_AGENTS={name}")
    return get_agent(name)


@pytest.fixture
def small(tmp_path: Path) -> Callable[[str], str]:
    """The name of a small agent that behaves in this way."""
    (tmp_path / "program").mkdir()
    shutil.copy(Path(__file__).parent / "small_agent.py", tmp_path / "program")

    def named(behaviour: str = "") -> str:
        file = tmp_path / "small.yaml"
        file.write_text(TEMPLATE.replace("BEHAVES", f'"{behaviour}"'))
        return f"command:{file}"

    return named


def run(folder: Path, agent: str, turns: str, wire: Wire) -> tuple[RunStore, AttemptStore, Status]:
    """One attempt of a run, on the matrix's task."""
    script = folder / "play.yaml"
    script.write_text(f"format: speedproof/script/1\nturns:\n{turns}")
    loaded = load_suite(make_suite(folder, Cache()))
    store = execute_run(
        loaded,
        plan_items(loaded, loaded.suite.tasks, [Lane(agent, f"scripted:{script}")]),
        Setup(wire=wire, retries=Retries(most=1)),
        state=folder / "state",
        cache=Cache(),
        method=Method(),
        settings={},
        audience=Silent(),
    )
    (attempt,) = store.attempts()
    status = attempt.status(RULES)
    assert status is not None
    return store, attempt, status


def intents(attempt: AttemptStore) -> list[CallIntent]:
    return [line for _, line in attempt.calls()[0] if isinstance(line, CallIntent) and line.protocol != "other"]


@pytest.mark.parametrize("fault", NAMES)
@pytest.mark.parametrize("agent", [pytest.param(name, marks=SANDBOXED) for name in INSTALLED])
def test_an_attempt_whose_provider_fails_says_so_and_ends(
    matrix: Callable[[str], Mapping[str, Cell]], agent: str, fault: str
) -> None:
    if not meets(require(agent), fault):
        pytest.skip("it cannot be brought to leave a tool call open")
    cell = matrix(agent)[fault]
    assert cell.wrong == (), cell.message


FORGETFUL = [
    pytest.param("trae", "  - finish: Done.\n", {"must_patch": True, "max_retries": 1}, 2, marks=[*SANDBOXED, TRAE]),
    pytest.param("small", "  - run: ls\n", {}, 4, marks=SANDBOXED),
]


@pytest.mark.parametrize(("agent", "first", "configured", "refused"), FORGETFUL)
def test_a_call_left_open_is_diagnosed_once_and_where_it_first_was(
    tmp_path: Path, small: Callable[[str], str], agent: str, first: str, configured: dict[str, Any], refused: int
) -> None:
    name = small("forgets repeats") if agent == "small" else agent
    _, attempt, status = run(tmp_path, name, first, Wire(configured=configured))
    made, *repeated = intents(attempt)
    assert made.illegal == ()
    assert len(repeated) == refused
    (open_call,) = repeated[0].illegal
    assert {one.illegal for one in repeated} == {(open_call,)}
    assert (status.run, status.patch, status.failed_calls) == ("agent_error", "empty", refused)
    diagnosis = status.diagnosis
    assert diagnosis is not None
    assert diagnosis.failure is FailureClass.TOOL_OUTPUT_MISSING
    assert diagnosis.failure.value == "agent/protocol/tool_output_missing"
    assert open_call.call_id in diagnosis.message
    assert "call 2 is illegal" in diagnosis.message
    assert f"refused {refused} times" in diagnosis.message
    assert diagnosis.evidence[0].file == "calls.jsonl"
    line = dict(attempt.calls()[0])[diagnosis.evidence[0].line or 0]
    assert line == repeated[0], "the evidence is the first request with the open call"


@pytest.mark.parametrize(("agent", "first", "configured", "refused"), FORGETFUL)
def test_a_call_left_open_is_repaired_on_request_and_the_attempt_goes_on(
    tmp_path: Path, small: Callable[[str], str], agent: str, first: str, configured: dict[str, Any], refused: int
) -> None:
    name = small("forgets repeats") if agent == "small" else agent
    turns = f"{first}{EDIT}  - finish: Now it is faster.\n"
    _, attempt, status = run(tmp_path, name, turns, Wire(configured=configured, repair=True))
    assert (status.run, status.patch, status.diagnosis, status.failed_calls) == ("completed", "applied", None, 0)
    made, *after = intents(attempt)
    assert made.illegal == ()
    assert after
    assert all([one.repaired for one in call.illegal] == [True] for call in after)


@pytest.mark.parametrize(("agent", "first", "configured", "refused"), FORGETFUL)
def test_a_call_left_open_ends_the_attempt_on_request(
    tmp_path: Path, small: Callable[[str], str], agent: str, first: str, configured: dict[str, Any], refused: int
) -> None:
    name = small("forgets lingers") if agent == "small" else agent
    _, attempt, status = run(tmp_path, name, first, Wire(configured=configured, stop=True))
    outcomes = [line for _, line in attempt.calls()[0] if isinstance(line, CallOutcome)]
    assert [outcome.answered_by for outcome in outcomes] == ["provider", "gateway"], "the provider is not even asked"
    assert status.diagnosis is not None
    assert status.diagnosis.failure is FailureClass.TOOL_OUTPUT_MISSING
    process = attempt.read().process
    assert process is not None and process.stopped_by == "protocol"


@pytest.mark.parametrize("pinned", [False, True], ids=["configured", "pinned"])
@pytest.mark.parametrize(
    ("agent", "asks"),
    [
        pytest.param("trae", None, marks=[*SANDBOXED, TRAE]),
        pytest.param("mini", False, marks=SANDBOXED),
        pytest.param("small", None, marks=SANDBOXED),
    ],
)
def test_a_configured_parameter_is_shown_as_asked_and_as_sent_for_each_call(
    tmp_path: Path,
    small: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    agent: str,
    asks: bool | None,
    pinned: bool,
) -> None:
    name = agent
    if agent == "small":
        name = small()
        monkeypatch.setattr(preflight, "get_agent", finds_unheard(name))
    wire = Wire(configured={"parallel_tool_calls": False}, pins={"": {"parallel_tool_calls": False}} if pinned else {})
    store, attempt, status = run(tmp_path, name, f"{EDIT}  - finish: Faster.\n", wire)
    assert status.run == "completed"
    sent = False if pinned else asks
    watched = [call.watched["parallel_tool_calls"] for call in intents(attempt)]
    assert watched == [Watched(asked=asks, sent=sent, pinned=pinned)] * status.calls
    (line,) = [one for one in parameter_lines(rows(store)) if one.name == "parallel_tool_calls"]
    (configured,) = line.configured
    assert configured.value is False
    text = (attempt.folder / configured.file).read_text().split("\n")
    assert "parallel_tool_calls" in text[(configured.line or 0) - 1], "the finding names file and line"
    assert [(one.value, one.calls) for one in line.asked] == [(asks, status.calls)]
    assert [(one.value, one.calls) for one in line.sent] == [(sent, status.calls)]
    assert line.never_asked == ((attempt.name,) if asks is None else ())


def finds_unheard(name: str) -> Callable[..., Any]:
    """What stands in for registry.get_agent: the template behind an adapter that configures it."""
    agent = Unheard(load_template(Path(name.removeprefix("command:"))))

    def get(asked: str, *arguments: Any, **options: Any) -> Any:
        return agent if asked == name else get_agent(asked, *arguments, **options)

    return get


def test_the_table_in_the_docs_has_every_agent_and_fault_and_what_must_become_of_them() -> None:
    table = read_table(PAGE)
    assert list(table) == list(INSTALLED)
    for name, (title, *texts) in table.items():
        version = {"claude": "2.1.", "trae": "0.1.0"}.get(name, INSTALLED[name].version)
        assert title.startswith(f"{name} {version}"), "make the table anew: benchmarks/fault_matrix.py --write"
        agent = get_agent(name)
        should = [(expected(fault), meets(agent, fault)) for fault in NAMES]
        assert texts == [cell_text(e.run, e.failure) if met else NEVER for e, met in should]
    assert INSTALLED["trae"].version in table["trae"][0]


def cell(agent: str, fault: str, **changes: Any) -> Cell:
    should = expected(fault)
    whole = {
        "agent": agent,
        "version": "1.0",
        "fault": fault,
        "run": should.run,
        "failure": should.failure,
        "message": "it failed",
        "patch": "empty" if fault == OPEN_CALL else "applied",
        "seconds": 1.0,
        "exit_code": 0,
        "stopped_by": None,
        "wall_limit_s": 60.0,
        "calls": 2,
        "failed_calls": 1,
        "retries": 0,
        "left_running": 0,
        "attempt": "run/item/01",
    }
    return Cell.model_validate(whole | changes)


def test_a_row_of_the_table_is_made_anew_and_the_others_stay(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\n{END}\nafter\n")
    refresh(page, [cell("mini", fault) for fault in NAMES if fault != OPEN_CALL])
    refresh(page, [cell("codex", fault) for fault in NAMES if fault != OPEN_CALL])
    text = refresh(page, [cell("mini", fault, version="2.0") for fault in NAMES])
    table = read_table(page)
    assert [row[0] for row in table.values()] == ["codex 1.0", "mini 2.0"]
    assert table["codex"][-1] == NEVER
    assert table["mini"][-1] == "agent_error<br>protocol/tool_output_missing"
    assert text.startswith("before\n") and text.endswith("\nafter\n")
    page.write_text("nothing here\n")
    with pytest.raises(InputError, match="marks"):
        refresh(page, [])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ()),
        ({"run": "completed", "failure": None}, ("run is completed, not", "diagnosed as nothing, not")),
        ({"failure": FailureClass.SERVER_ERROR}, ("diagnosed as model/server_error, not model/auth/bad_key",)),
        ({"failed_calls": 0}, ("it never met the fault",)),
        ({"seconds": 75.0}, ("it took 75.0 s",)),
        ({"seconds": None}, ("it took None s",)),
        ({"left_running": 2}, ("2 processes were left",)),
        ({"patch": "empty"}, ("its patch is empty, not applied",)),
    ],
)
def test_a_cell_that_is_not_as_it_must_be_says_why(changes: dict[str, Any], said: tuple[str, ...]) -> None:
    wrong = cell("codex", "bad_key", **changes).wrong
    assert len(wrong) == len(said)
    assert all(words in one for words, one in zip(said, wrong, strict=True))

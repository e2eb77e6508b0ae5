"""A run seen and steered from another terminal: status, watch, stop, the live table, exit codes; and at once."""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
import typer
from rich.console import Console

from command_line import WITH_SHELL_AGENT, Running, call, environment, run
from history_support import START, began, item, sealed, write_run
from small_project import Project, task_of, write_suite
from speedproof.analysis import Row
from speedproof.cli.app import app
from speedproof.cli.exit_code import exit_code
from speedproof.cli.show import Show
from speedproof.execution.progress import progress_of
from speedproof.execution.progress_record import Progress
from speedproof.journal import FailureClass, ItemPlan
from speedproof.journal.events import (
    Event,
    ItemExcluded,
    Judged,
    JudgingBegan,
    LaneOpened,
    RunBegan,
)
from speedproof.workspace.cache import Cache

SCRIPT = "format: speedproof/script/1\nturns:\n  - finish: Done.\n"


@pytest.fixture
def under_way(tmp_path: Path, cache: Cache, project: Project) -> Iterator[Running]:
    """A run of two items whose agent ignores the request to end."""
    write_suite(tmp_path, task_of(project, workloads=None, tests=[]))
    (tmp_path / "script.yaml").write_text(SCRIPT)
    words = ["run", "suite.yaml", "--agent", "shell", "--model", "scripted:script.yaml", "--samples", "2"]
    env = {"SHELL_AGENT": "trap '' TERM; echo '# so far' >> tools.py; while :; do sleep 0.1; done"}
    command = Running(*words, cwd=tmp_path, cache=cache.root, program=WITH_SHELL_AGENT, env=env)
    command.wait_for("script.yaml: running")
    yield command
    command.process.kill()
    command.process.communicate()


def test_a_run_is_seen_from_another_terminal_and_stopped_with_all_sealed(
    tmp_path: Path, cache: Cache, under_way: Running
) -> None:
    def said(*words: str) -> subprocess.CompletedProcess[str]:
        return call(*words, cwd=tmp_path, cache=cache.root)

    found = Progress.model_validate_json(said("status", "--json").stdout)
    assert (found.phase, found.pid) == ("attempting", under_way.process.pid)
    assert (found.items["running"], found.items["waiting"], found.total) == (1, 1, 2)
    table = said("status").stdout
    assert "attempting" in table and f"process {found.pid}" in table and "shell · scripted:script.yaml" in table
    assert f"{found.running[0].item}/01" in table

    watching = Running("watch", cwd=tmp_path, cache=cache.root)
    assert watching.process.stdout is not None
    assert watching.process.stdout.readline().startswith("attempting: 0 of 2 done, 1 running, 1 waiting")
    watching.process.send_signal(signal.SIGINT)
    left, _ = watching.process.communicate(timeout=20)
    assert watching.process.returncode == 0 and "the run goes on" in left
    assert under_way.process.poll() is None

    stopped = said("stop", "--now")
    assert stopped.returncode == 0, stopped.stderr
    assert "is stopped: 1 attempt sealed meanwhile, 0 of 2 items done" in stopped.stdout
    assert under_way.process.wait(30) == 130
    ended = Progress.model_validate_json(said("status", "--json").stdout)
    assert (ended.phase, ended.running, ended.left_open, ended.attempts) == ("stopped", (), (), 1)
    assert ended.items["waiting"] == 2, "what was cut off says nothing, and is attempted again"
    assert f"speedproof resume {ended.run}" in said("status").stdout


def test_nobody_is_signalled_when_nobody_works_on_the_run(tmp_path: Path, cache: Cache) -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        store = write_run(tmp_path / "state", [item()])
        log = store.open_events()
        log.append(RunBegan(at=START, pid=stranger.pid, jobs=1, resumed=True))
        log.close()
        done = call("stop", cwd=tmp_path, cache=cache.root)
        assert done.returncode == 2
        assert f"nobody works on run {store.id}: it is killed" in done.stderr and "speedproof status" in done.stderr
        holder = store.lock()
        try:
            assert progress_of(store).pid == os.getpid(), "whoever holds it, not whoever has its number"
        finally:
            store.unlock(holder)
        assert stranger.poll() is None
        stranger.kill()


def test_a_run_that_does_not_exist_is_bad_input(tmp_path: Path, cache: Cache) -> None:
    for words in (["status"], ["watch"], ["stop"], ["status", "--state", "elsewhere"]):
        done = call(*words, cwd=tmp_path, cache=cache.root)
        assert done.returncode == 2 and "there are no runs here" in done.stderr


def test_hostile_text_in_the_events_does_not_reach_the_terminal(tmp_path: Path, cache: Cache) -> None:
    one = item("t\x1b[2J")
    bad = LaneOpened(
        at=START,
        lane=one.lane,
        failure=FailureClass.NETWORK,
        fingerprint="f",
        message="[red]\x1b]0;x\x07 [/nonsense] \x00 " + "x" * 5000,
        attempts=(),
    )
    write_run(
        tmp_path / "state", [one], [began(one), sealed(one, failure=FailureClass.NETWORK, message="\x1b[1m"), bad]
    )
    shown = call("status", cwd=tmp_path, cache=cache.root)
    assert shown.returncode == 0 and "[/nonsense]" in shown.stdout
    assert "\x1b" not in shown.stdout and "\0" not in shown.stdout and len(shown.stdout) < 5000


# The live table


def show_of(
    items: Sequence[ItemPlan], events: Sequence[Event], *, terminal: bool, earlier: Sequence[Event] = ()
) -> str:
    """What a show says of a run: line by line, or its table at the end."""
    said = io.StringIO()
    show = Show(items, Console(file=said, width=150, force_terminal=terminal, color_system=None), earlier)
    for event in events:
        show.event(event)
    if terminal:
        show.console.print(show)
    return said.getvalue()


def many() -> tuple[list[ItemPlan], list[Event]]:
    items = [item(f"t{number}", sample=sample) for number in range(100) for sample in (1, 2, 3)]
    events: list[Event] = [RunBegan(at=START, pid=1, jobs=2, resumed=False)]
    for plan in items[:40]:
        events += [began(plan), sealed(plan)]
    opened = LaneOpened(
        at=START,
        lane=items[0].lane,
        failure=FailureClass.LOGIN_EXPIRED,
        fingerprint="f",
        message="log in",
        attempts=("x/01",),
    )
    return items, [*events, began(items[40]), began(items[41]), opened]


def test_three_hundred_items_are_shown_by_lane_with_what_runs() -> None:
    items, events = many()
    shown = show_of(items, events, terminal=True)
    assert len(shown.splitlines()) < 25
    assert f"{items[40].id}/01" in shown and f"{items[41].id}/01" in shown and items[60].id not in shown
    assert "40 completed" in shown and "40 of 300 items done" in shown
    assert "is open since" in shown and "log in" in shown
    assert "cost of sealed attempts: $20.00" in shown and "projected end" in shown


def test_a_resumed_run_is_shown_with_what_was_done_before() -> None:
    items, events = many()
    resumed = RunBegan(at=START + timedelta(hours=1), pid=2, jobs=2, resumed=True)
    shown = show_of(items, [resumed], terminal=True, earlier=events)
    assert "40 of 300 items done" in shown
    assert show_of(items, [resumed], terminal=False, earlier=events) == "", "it is not said again"


def test_a_few_items_are_shown_each() -> None:
    items = [item(f"t{number}") for number in range(3)]
    shown = show_of(items, [began(items[0]), sealed(items[0]), began(items[1])], terminal=True)
    assert [line.split()[-1] for line in shown.splitlines()[1:4]] == ["calls", "running", "waiting"]


def test_without_a_terminal_each_event_is_a_line() -> None:
    one, out = item("a"), item("b")
    excluded = ItemExcluded(at=START, item=out.id, why="no base", hint="mend it")
    lines = show_of([one, out], [excluded, began(one), sealed(one)], terminal=False).splitlines()
    assert lines == [
        "b · codex · openai/m: not begun: no base; next: mend it",
        "a · codex · openai/m: running",
        "a · codex · openai/m: completed, patch applied, 1 calls",
    ]


# Exit codes


def over(tmp_path: Path, items: Sequence[ItemPlan], events: Sequence[Event]) -> Progress:
    run = write_run(tmp_path, items, [*events, JudgingBegan(at=START), Judged(at=START)])
    return progress_of(run)


def row(of: ItemPlan, number: int, proven: bool | None) -> Row:
    return Row(
        name=f"r/{of.id}/{number:02d}",
        item=of.id,
        number=number,
        folder=None,
        state="sealed",
        task=of.task,
        agent=of.agent,
        model=of.model,
        sample=1,
        control=of.control,
        proven=proven,
    )


def test_the_exit_code_says_all_proven_some_not_or_infrastructure_failed(tmp_path: Path) -> None:
    one, other, control = item("a"), item("b"), item("a", agent="patch", model=None)
    done = [sealed(one), sealed(other), sealed(control)]
    whole = over(tmp_path / "1", [one, other, control], done)
    good = [row(one, 1, True), row(other, 1, None), row(other, 2, True), row(control, 1, False)]
    assert exit_code(good, whole) == 0
    assert exit_code([row(one, 1, True), row(other, 1, False)], whole) == 1
    assert exit_code([row(one, 1, None)], whole) == 1
    assert exit_code([row(control, 1, False)], over(tmp_path / "2", [control], [sealed(control)])) == 0

    failed = sealed(other, failure=FailureClass.BAD_KEY, run="model_error")
    assert exit_code(good, over(tmp_path / "3", [one, other], [sealed(one), failed])) == 3
    excluded = ItemExcluded(at=START, item=other.id, why="w", hint="")
    assert exit_code(good, over(tmp_path / "4", [one, other], [sealed(one), excluded])) == 3
    again = [failed, sealed(other, 2)]
    assert exit_code(good, over(tmp_path / "5", [one, other], [sealed(one), *again])) == 0, "a retry mended it"


# At once


def test_help_lists_every_command_with_the_line_that_it_says_itself(tmp_path: Path) -> None:
    done = run("--help", cwd=tmp_path, cache=tmp_path)
    lines = done.stdout.split("Commands:\n")[1].splitlines()
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert [line.split()[0] for line in lines] == list(commands)
    for line, command in zip(lines, commands.values(), strict=True):
        shown = line.split(maxsplit=1)[1]
        assert " ".join(command.help.split()).startswith(shown.removesuffix("...")), line
        assert shown


@pytest.mark.parametrize("words", ["--version", "--help", "status"])
def test_what_should_answer_at_once_loads_neither_the_gateway_nor_what_measures(tmp_path: Path, words: str) -> None:
    write_run(tmp_path / "state", [item()])
    code = (
        "import sys; from speedproof.cli import main\n"
        "try: main()\n"
        "except SystemExit as ended: assert not ended.code, ended\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, words],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.split(".")[0] for name in done.stderr.split()} | set(done.stderr.split())
    assert not loaded & {"aiohttp", "numpy", "genai_prices", "jinja2", "requests", "bs4", "ruamel"}
    assert "speedproof.gateway" not in loaded and "speedproof.evaluation" not in loaded

"""Runs of many items: killed and resumed, several at once, with an agent that cannot start."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from command_line import call
from small_project import Project, task_of, write_suite
from speedproof.execution.probe import FILE
from speedproof.journal import RunStore, Store
from speedproof.journal.events import AttemptBegan, LaneOpened
from speedproof.journal.failure import FailureClass
from speedproof.workspace.cache import Cache

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
QUICK = "well,idle,gives_up,slow,claims,limited,failing_once,silent_once,bad_request,forbidden"
"""What a provider does that needs no second attempt, whose wait is long."""


def benchmark(*words: object) -> dict[str, Any]:
    """Figures of benchmarks/batch.py, which has found nothing wrong."""
    command = [sys.executable, str(BENCHMARKS / "batch.py"), "--agents", "none", "--fates", QUICK, "--json"]
    done = subprocess.run([*command, *map(str, words)], capture_output=True, text=True, check=False, timeout=200)
    assert done.stdout, done.stderr
    figures: dict[str, Any] = json.loads(done.stdout)
    assert figures["findings"] == [], (figures, done.stderr)
    assert done.returncode == 0, done.stderr
    return figures


@pytest.mark.sandbox
def test_a_run_that_is_killed_at_random_moments_and_resumed_loses_nothing() -> None:
    figures = benchmark("--items", 16, "--kills", 3)
    assert figures["items"] == figures["items_done"] == 16
    assert figures["kills"] == 3


@pytest.mark.sandbox
def test_several_at_once_through_a_provider_that_limits_its_rate_end_as_one_at_a_time() -> None:
    figures = benchmark("--items", 12, "--jobs", 4, "--per-second", 10, "--equivalence")
    assert figures["items"] == figures["attempts_with_1_jobs"] == figures["attempts_with_4_jobs"] == 12
    assert figures["refused_for_their_rate_with_4_jobs"] > 0


AGENT = f"""\
import os, sys
sys.path.insert(0, "/opt/agent")
if "{FILE}" not in open(sys.argv[1]).read():  # it was still there when the run was made ready
    print("starting up")
    sys.exit("Error: Config file not found: /opt/agent/config.yaml")
import batch_agent
"""
TEMPLATE = """\
format: speedproof/agent/1
name: forgetful
protocol: chat
argv: [python3, /opt/agent/agent.py, "{prompt_file}", "{home}/report.jsonl", forgetful]
env: {BASE_URL: "{base_url}", KEY: "{token}", MODEL: "{model}"}
mounts: {/opt/agent/agent.py: agent.py, /opt/agent/batch_agent.py: batch_agent.py}
"""
SCRIPT = f"format: speedproof/script/1\nturns:\n  - run: echo ok > {FILE}\n  - finish: Done.\n"


@pytest.mark.sandbox
def test_an_agent_that_cannot_start_spends_three_items_and_the_event_names_the_evidence(
    tmp_path: Path, cache: Cache, project: Project
) -> None:
    write_suite(tmp_path, task_of(project, workloads=None, tests=None, environment=None))
    (tmp_path / "agent.py").write_text(AGENT)
    (tmp_path / "batch_agent.py").write_text((BENCHMARKS / "batch_agent.py").read_text())
    (tmp_path / "forgetful.yaml").write_text(TEMPLATE)
    (tmp_path / "script.yaml").write_text(SCRIPT)
    words = ["--agent", "command:forgetful.yaml", "--agent", "patch:noop", "--model", "scripted:script.yaml"]
    done = call("run", "suite.yaml", *words, "--samples", 6, "--jobs", 2, cwd=tmp_path, cache=cache.root)
    assert done.returncode != 2, done.stderr
    run = Store(tmp_path / "state").run("latest")
    opened = check_opened(run)
    assert opened.message in done.stderr + done.stdout

    again = call("resume", run.id, cwd=tmp_path, cache=cache.root)
    assert again.returncode != 2, again.stderr
    events, _ = run.events()
    assert sum(isinstance(event, LaneOpened) for event in events) == 2
    assert spent(run) == 6, "whoever resumes it lets three more try"


def spent(run: RunStore) -> int:
    agents = {item.id: item.agent for item in run.manifest().items}
    return sum(isinstance(e, AttemptBegan) and agents[e.item] != "patch" for e in run.events()[0])


def check_opened(run: RunStore) -> LaneOpened:
    events, _ = run.events()
    (opened,) = [event for event in events if isinstance(event, LaneOpened)]
    assert opened.failure is FailureClass.CONFIG_MISSING
    assert "Config file not found" in opened.message
    assert spent(run) == len(opened.attempts) == 3
    for name in opened.attempts:
        store = next(store for store in run.attempts() if store.name == f"{run.id}/{name}")
        assert any("Config file not found" in line for line in store.log_lines("stderr.log.zst"))
    controls = [store for store in run.attempts() if store.read().agent == "patch"]
    assert len(controls) == 6, "the other lane goes on"
    return opened

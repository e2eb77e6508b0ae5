"""Real agents, installed as a user's are, against the real gateway and a scripted model."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from agent_runner import Driven, drive
from speedproof.agents.aider import edit_block
from speedproof.agents.protocol import Agent
from speedproof.agents.registry import INSTALLED, get_agent
from speedproof.execution.agents import find_agent
from speedproof.sandbox import Bubblewrap
from speedproof.workspace.cache import silent

pytestmark = pytest.mark.agents

SUCCESS = """
format: speedproof/script/1
turns:
  - run: echo quick > made.txt
    say: I make a file.
  - finish: It is three times faster now.
"""
QUOTA = """
format: speedproof/script/1
turns:
  - run: echo half > made.txt
  - fail: {status: 429, code: insufficient_quota, type: insufficient_quota, message: You exceeded your current quota.}
"""
BAD_KEY = """
format: speedproof/script/1
turns:
  - fail: {status: 401, code: invalid_api_key, message: Incorrect API key provided.}
"""
NOTES = "Names begin with a capital.\n"
NASTY_PROMPT = "Make «it» 🚀 fast: {{ not_a_template }} \x85\u2028\x7f 'q' \"q\" %s $HOME\n" + "long line " * 12_000


IN_CI = ("codex", "claude", "mini")
"""Small and quick to install; the others are driven where they are installed, or SPEEDPROOF_TEST_AGENTS names them."""
TRAPS = ("rich", "packaging", "json", "openai", "idna")
"""Modules that agents import while they work."""
NO_CLAIM = ("codex", "claude", "opencode", "aider", "gemini", "qwen")
"""Agents that never say that they succeeded."""
NO_TRAJECTORY = ("opencode",)
"""Agents whose only account is what they print."""
PATIENT = ("opencode", "qwen")
"""Agents that ask five or six times again after a 429, for over a minute unless they are told how long to wait."""
IN_WORDS = {
    SUCCESS: edit_block("made.txt", "", "quick\n"),
    QUOTA: edit_block("made.txt", "", "half\n") + "\n" + edit_block("made.txt", "not there\n", "half\n"),
}
"""What the first turn of a script says to an agent that takes no tool calls."""


def _agent(name: str) -> Agent:
    if name == "trae" and not os.environ.get("SPEEDPROOF_TRAE"):
        pytest.skip("TRAE is not on a package index: set SPEEDPROOF_TRAE to a built checkout of it")
    named = os.environ.get("SPEEDPROOF_TEST_AGENTS", "").split(",")
    if name not in (*IN_CI, *named, "trae") and not find_agent(name).installed:
        pytest.skip(f"{name} is not installed: speedproof agents install {name}, or SPEEDPROOF_TEST_AGENTS={name}")
    return get_agent(name)


@pytest.fixture(params=list(INSTALLED))
def agent(request: pytest.FixtureRequest) -> Agent:
    return _agent(request.param)


def _for(agent: Agent, script: str) -> str:
    """The script as it is played for this agent."""
    if agent.name in PATIENT:
        script = script.replace("status: 429,", "status: 429, retry_after_s: 0.01,")
    if agent.name != "aider" or script not in IN_WORDS:
        return script
    document = YAML(typ="safe").load(script)
    document["turns"][0] = {"say": IN_WORDS[script]}
    return json.dumps(document)


def _tree(driven: Driven) -> list[str]:
    return sorted(p.name for p in driven.workspace.iterdir() if p.name != ".git")


def test_an_agent_that_finishes_says_so_and_its_usage_agrees_with_the_wire(agent: Agent, tmp_path: Path) -> None:
    driven = drive(agent, _for(agent, SUCCESS), tmp_path)
    outcome = agent.outcome(driven.left)
    assert _tree(driven) == ["made.txt"]
    assert outcome is not None
    assert outcome.finished is True
    assert outcome.claims_success is (None if agent.name in NO_CLAIM else True)
    assert outcome.error is None
    assert outcome.message
    wire = [o["usage"] for o in driven.outcomes]
    assert len(wire) >= (1 if agent.name == "aider" else 2)
    assert outcome.usage is not None
    assert outcome.usage.output == sum(u["output"] for u in wire)
    if agent.name != "aider":  # of its input it does not say which part came from the cache
        assert outcome.usage.uncached_input == sum(u["uncached_input"] for u in wire)
    assert {i["protocol"] for i in driven.intents} == {agent.protocol}
    if agent.name not in NO_TRAJECTORY:
        trajectory = agent.trajectory(driven.left)
        assert trajectory is not None and trajectory.stat().st_size > 1000


def test_a_quota_that_is_gone_for_good_is_told_with_its_line(agent: Agent, tmp_path: Path) -> None:
    driven = drive(agent, _for(agent, QUOTA), tmp_path)
    outcome = agent.outcome(driven.left)
    assert _tree(driven) == ["made.txt"], "what was done before the fault stays"
    assert outcome is not None
    assert outcome.finished is False
    assert outcome.claims_success is False
    assert outcome.error is not None and "quota" in outcome.error.lower()
    assert "quota" in _line(driven, agent, outcome.error_file, outcome.error_line).lower()
    assert outcome.usage is not None and outcome.usage.output == driven.outcomes[0]["usage"]["output"]


def test_a_refused_key_is_told_as_such(agent: Agent, tmp_path: Path) -> None:
    driven = drive(agent, BAD_KEY, tmp_path)
    outcome = agent.outcome(driven.left)
    assert _tree(driven) == []
    assert outcome is not None
    assert outcome.finished is False
    assert outcome.error is not None and "Incorrect API key provided" in outcome.error
    assert "Incorrect API key" in _line(driven, agent, outcome.error_file, outcome.error_line)
    assert outcome.usage is None


def test_a_prompt_of_a_hundred_kilobytes_arrives_whole_with_every_character(agent: Agent, tmp_path: Path) -> None:
    driven = drive(agent, _for(agent, SUCCESS), tmp_path, NASTY_PROMPT)
    outcome = agent.outcome(driven.left)
    assert outcome is not None and outcome.finished is True
    assert driven.intents[0]["request_bytes"] > len(NASTY_PROMPT)
    assert any(NASTY_PROMPT.strip() in text for text in _strings(driven.asked))


def test_the_agents_own_modules_are_not_taken_from_the_workspace(agent: Agent, tmp_path: Path) -> None:
    trap = "raise SystemExit('imported from the workspace')\n"
    (tmp_path / "trap.py").write_text(trap)
    copies = "; ".join(f"cp {tmp_path}/trap.py {name}.py" for name in TRAPS)
    script = SUCCESS.replace("echo quick > made.txt", copies)
    if agent.name == "aider":
        blocks = [edit_block(f"{name}.py", "", trap) for name in TRAPS]
        script = json.dumps({"format": "speedproof/script/1", "turns": [{"say": "\n".join(blocks)}]})
    driven = drive(agent, script, tmp_path)
    outcome = agent.outcome(driven.left)
    assert outcome is not None and outcome.finished is True


def test_claude_reads_the_notes_of_a_repository_but_none_of_its_settings(tmp_path: Path) -> None:
    hook = {"hooks": [{"type": "command", "command": "touch hooked"}]}
    redirected = {"env": {"ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}, "permissions": {"deny": ["Bash"]}}
    files = {
        "CLAUDE.md": NOTES,
        ".claude/settings.json": json.dumps(redirected | {"hooks": {"SessionStart": [hook]}}),
        ".mcp.json": json.dumps({"mcpServers": {"theirs": {"command": "touch", "args": ["served"]}}}),
    }
    driven = drive(_agent("claude"), SUCCESS, tmp_path, files=files)
    assert _tree(driven) == [".claude", ".mcp.json", "CLAUDE.md", "made.txt"]
    assert any(NOTES.strip() in text for text in _strings(driven.asked))


THEIR_HOOK = {"hooks": [{"type": "command", "command": "touch hooked"}]}
THEIR_SERVER = {"theirs": {"command": "touch", "args": ["served"]}}
ELSEWHERE = "http://127.0.0.1:9"
THEIRS: dict[str, dict[str, Any]] = {
    "opencode": {
        "AGENTS.md": NOTES,
        "opencode.json": {
            "model": "other/model",
            "provider": {"gateway": {"options": {"baseURL": ELSEWHERE}}},
            "mcp": {"theirs": {"type": "local", "command": ["touch", "served"], "enabled": True}},
            "permission": {"bash": "deny"},
        },
    },
    "gemini": {
        "GEMINI.md": NOTES,
        ".gemini/settings.json": {
            "model": {"name": "other"},
            "mcpServers": THEIR_SERVER,
            "hooks": {"SessionStart": [THEIR_HOOK]},
            "tools": {"exclude": ["run_shell_command"]},
        },
        ".env": f"GOOGLE_GEMINI_BASE_URL={ELSEWHERE}\n",
    },
    "qwen": {
        "QWEN.md": NOTES,
        ".qwen/settings.json": {
            "env": {"OPENAI_BASE_URL": ELSEWHERE},
            "model": {"name": "other"},
            "modelProviders": {"openai": [{"id": "script", "baseUrl": ELSEWHERE, "envKey": "OPENAI_API_KEY"}]},
            "mcpServers": THEIR_SERVER,
            "hooks": {"SessionStart": [THEIR_HOOK]},
        },
    },
}
"""What a repository could bring: notes, and settings that would change how an agent is launched."""


@pytest.mark.parametrize("name", THEIRS)
def test_the_notes_of_a_repository_are_read_and_its_settings_are_not(name: str, tmp_path: Path) -> None:
    files = {path: one if isinstance(one, str) else json.dumps(one) for path, one in THEIRS[name].items()}
    agent = _agent(name)
    driven = drive(agent, SUCCESS, tmp_path, files=files)
    outcome = agent.outcome(driven.left)
    assert outcome is not None and outcome.finished is True
    assert set(_tree(driven)) == {path.split("/")[0] for path in files} | {"made.txt"}
    assert {i["model_asked"] for i in driven.intents} == {"script"}
    assert any(NOTES.strip() in text for text in _strings(driven.asked))


@pytest.mark.sandbox
@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
def test_an_agent_works_the_same_in_the_sandbox(agent: Agent, tmp_path: Path) -> None:
    driven = drive(agent, _for(agent, SUCCESS), tmp_path, sandbox=Bubblewrap())
    outcome = agent.outcome(driven.left)
    assert outcome is not None, driven.left.stderr
    assert outcome.finished is True
    assert _tree(driven) == ["made.txt"]
    assert (agent.trajectory(driven.left) is None) == (agent.name in NO_TRAJECTORY)


def test_the_version_is_the_programs_own(agent: Agent) -> None:
    found = agent.locate(silent)
    others = {"trae": "0.1.0", "claude": "2.1.330"}  # a checkout's revision, and a package's that brings the program
    expected = others.get(agent.name, INSTALLED[agent.name].version)
    assert found.version is not None and found.version.startswith(expected)
    assert found.executable.is_file()
    assert all(m.source.is_dir() and not m.writable for m in found.mounts)


def _line(driven: Driven, agent: Agent, file: str | None, line: int | None) -> str:
    assert file is not None and line is not None
    if file == "stdout.log":
        return driven.left.stdout[line - 1]
    trajectory = agent.trajectory(driven.left)
    assert trajectory is not None and file == "trajectory" + trajectory.suffix
    return trajectory.read_text().split("\n")[line - 1]


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)

"""speedproof agents: which are there, installing them, and whether one works."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from command_line import call, run
from speedproof.agents.registry import INSTALLED
from speedproof.execution.agents import list_agents
from speedproof.workspace.cache import Cache
from test_agents_command import TEMPLATE, written

REFUSES = """\
format: speedproof/script/1
turns:
  - fail: {status: 400, code: unsupported_parameter, message: "Unsupported parameter: 'temperature' is not supported."}
"""
NEEDS_PYTHON = pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="there is no Python of the system")


def checked(*words: object, cwd: Path, code: int) -> list[dict[str, Any]]:
    """What `agents check … --json` says, without a sandbox."""
    result = call("agents", "check", *words, "--sandbox", "none", "--json", cwd=cwd, cache=cwd / "cache")
    assert result.returncode == code, result.stderr
    return list(json.loads(result.stdout))


def findings(one: dict[str, Any]) -> dict[str, str]:
    return {f["what"]: f["said"] for f in one["findings"] if not f["ok"]}


def test_the_list_installs_nothing_and_names_every_agent_with_its_pinned_version(tmp_path: Path) -> None:
    result = call("agents", "list", "--json", cwd=tmp_path, cache=tmp_path / "cache")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert [f["name"] for f in found] == list(INSTALLED)
    assert all(f["pinned"] and not f["installed"] for f in found)
    assert not (tmp_path / "cache/environments").exists()
    for name in INSTALLED:
        assert name in call("agents", "list", cwd=tmp_path, cache=tmp_path / "cache").stdout


def test_what_stands_at_a_path_is_looked_at_there(tmp_path: Path) -> None:
    found = {f.name: f for f in list_agents({"codex": tmp_path}, Cache(tmp_path / "cache"))}
    assert not found["codex"].installed and "no program of Codex" in found["codex"].said
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/codex").write_text("#!/bin/sh\necho codex-cli 9.8.7\n")
    (tmp_path / "bin/codex").chmod(0o755)
    found = {f.name: f for f in list_agents({"codex": tmp_path}, Cache(tmp_path / "cache"))}
    assert found["codex"].installed and found["codex"].version == "9.8.7"
    assert found["codex"].sha256 is not None and len(found["codex"].sha256) == 64


@pytest.mark.parametrize("name", ["codxe", "patch:noop", "command:x.yaml", "codex@", "codex@../0.1", "codex:fast"])
def test_what_cannot_be_installed_is_refused_with_what_can(name: str, tmp_path: Path) -> None:
    result = call("agents", "install", name, cwd=tmp_path, cache=tmp_path / "cache")
    assert result.returncode == 2
    assert "next:" in result.stderr


def test_a_version_that_does_not_exist_is_told_in_the_installers_words(tmp_path: Path) -> None:
    result = call("agents", "install", "codex@0.0.0.1", cwd=tmp_path, cache=tmp_path / "cache")
    assert result.returncode == 2
    assert "openai-codex-cli-bin==0.0.0.1" in result.stderr


@NEEDS_PYTHON
def test_several_agents_are_checked_and_one_that_fails_makes_the_exit_code_1(tmp_path: Path) -> None:
    good = written(tmp_path)
    bad = tmp_path / "bad.yaml"
    bad.write_text(TEMPLATE.replace('BEHAVIOUR: ""', "BEHAVIOUR: idles"))
    first, second = checked(f"command:{good}", f"command:{bad}", cwd=tmp_path, code=1)
    assert first["ok"] and not second["ok"]
    assert "0 calls" in findings(second)["called the model"]
    (only,) = checked(f"command:{good}", cwd=tmp_path, code=0)
    assert only["ok"] and only["seconds"] > 0 and only["model"] == "scripted:check"
    assert (only["calls"], only["cost_usd"], only["cost_unknown_calls"]) == (2, 0.0, 0)
    told = call("agents", "check", f"command:{good}", "--sandbox", "none", cwd=tmp_path, cache=tmp_path / "cache")
    assert "s, 2 calls: " in told.stdout and "cost $0.00)" in told.stdout
    shown = call("agents", "check", f"command:{bad}", "--sandbox", "none", cwd=tmp_path, cache=tmp_path / "cache")
    assert shown.returncode == 1
    assert "does not work" in shown.stdout and "called the model" in shown.stdout


@NEEDS_PYTHON
def test_a_pin_is_shown_as_sent_and_one_that_the_model_refuses_is_named(tmp_path: Path) -> None:
    agent = f"command:{written(tmp_path)}"
    (taken,) = checked(agent, "--pin", "temperature=0", cwd=tmp_path, code=0)
    said = next(f["said"] for f in taken["findings"] if f["what"] == "pin temperature")
    assert said == "0 sent in 2 of 2 calls, not refused"
    (tmp_path / "refuses.yaml").write_text(REFUSES)
    words = (agent, "--model", "scripted:refuses.yaml", "--pin", "temperature=0", "--pin", "seed=1")
    (refused,) = checked(*words, cwd=tmp_path, code=1)
    bad = findings(refused)
    assert "refuses it: Unsupported parameter" in bad["pin temperature"]
    assert "pin seed" not in bad
    assert "400" not in bad["tool ran"] and "Unsupported parameter" in bad["called the model"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("codxe",), "there is no agent"),
        (("command:none.yaml",), "does not exist"),
        (("codex", "--pin", "temperature"), "is no NAME=VALUE"),
        (("codex", "--set", "colour=red"), "cannot be configured with colour"),
        (("codex", "--model", "nobody/m"), "nobody"),
        (("codex", "--sandbox", "cardboard"), "no sandbox"),
        (("codex@0.1", "--agent-path", "codex=."), "asks for a version"),
    ],
)
def test_bad_input_to_a_check_is_refused_before_anything_runs(
    words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    result = call("agents", "check", *words, cwd=tmp_path, cache=tmp_path / "cache")
    assert result.returncode == 2, result.stdout
    assert said in result.stderr


@pytest.mark.agents
@pytest.mark.sandbox
@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
def test_the_agents_of_the_package_index_work_in_the_sandbox(tmp_path: Path) -> None:
    result = run("agents", "check", "codex", "mini", "--json", cwd=tmp_path, cache=Cache().root)
    assert result.returncode == 0, result.stdout + result.stderr
    codex, mini = json.loads(result.stdout)
    for one in (codex, mini):
        assert one["ok"] and one["version"]
        assert one["seconds"] < 60

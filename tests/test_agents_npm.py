"""Agents that are npm packages: installed by the Node that comes along, from the registry, by version alone."""

import json
import platform
import re
from pathlib import Path

import pytest

from speedproof.agents import npm
from speedproof.agents.npm import Node, npm_modules
from speedproof.agents.protocol import LaunchContext
from speedproof.agents.registry import get_agent
from speedproof.errors import AgentError, EnvironmentFailed, InputError
from speedproof.workspace.cache import Cache, silent

NAMES = ["opencode", "gemini", "qwen"]
WANTED = {
    "temperature": 0.25,
    "top_p": 0.75,
    "top_k": 11,
    "max_output": 12345,
    "seed": 4321,
    "parallel_tool_calls": False,
    "reasoning_effort": "low",
}


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in the place of Node, which the test writes."""
    program = tmp_path / "bin" / "node"
    program.parent.mkdir()
    monkeypatch.setattr(npm, "find_node", lambda _cache, _progress: Node(program.parent))
    return program


def write(program: Path, *lines: str) -> None:
    program.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    program.chmod(0o755)


@pytest.mark.parametrize("version", ["latest", "https://example.org/x.tgz", "1", "^1.2.3", "1.2.3 other@1.0.0", ""])
def test_a_package_is_installed_by_its_version_never_by_address_or_tag(version: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no version"):
        npm_modules("@some/package", version, Cache(tmp_path), silent)


def test_a_package_is_installed_once_and_none_of_its_scripts_run(node: Path, tmp_path: Path) -> None:
    write(node, 'echo "$@" >> "$(dirname "$0")/called"', "mkdir node_modules")
    cache = Cache(tmp_path / "cache")
    modules = npm_modules("@some/package", "1.2.3", cache, silent)
    assert modules.is_dir() and npm_modules("@some/package", "1.2.3", cache, silent) == modules
    [call] = (node.parent / "called").read_text().splitlines()
    assert "--ignore-scripts" in call and call.endswith(" @some/package@1.2.3")


def test_what_npm_says_is_told_without_the_registrys_login(node: Path, tmp_path: Path) -> None:
    write(node, "echo 'npm error 404 https://me:hunter2@registry.example/@some%2fpackage' >&2", "exit 1")
    with pytest.raises(EnvironmentFailed) as caught:
        npm_modules("@some/package", "9.9.9", Cache(tmp_path / "cache"), silent)
    assert "npm cannot install @some/package@9.9.9" in str(caught.value) and "404" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert not list((tmp_path / "cache" / "agents").glob("npm-*"))


def test_a_machine_that_opencode_has_no_program_for_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(AgentError, match="no program for riscv64"):
        get_agent("opencode", cache=Cache(tmp_path)).locate(silent)


@pytest.mark.parametrize("name", NAMES)
def test_each_configured_parameter_stands_in_the_file_that_is_named(name: str) -> None:
    agent = get_agent(name)
    given = {parameter: WANTED[parameter] for parameter in agent.parameters}
    launch = agent.launch(
        LaunchContext("p", "/workspace", "/home/agent", "m", "http://127.0.0.1:8765", "t", parameters=given)
    )
    assert {parameter: setting.value for parameter, setting in launch.configured.items()} == given
    for setting in launch.configured.values():
        assert f'"{setting.spelling}": {json.dumps(setting.value)}' in launch.files[setting.file]


@pytest.mark.parametrize("name", NAMES)
def test_without_parameters_none_is_configured(name: str) -> None:
    launch = get_agent(name).launch(LaunchContext("p", "/w", "/h", "m", "http://127.0.0.1:8765", "t"))
    text = "".join(launch.files.values())
    assert not launch.configured
    assert not any(word in text for word in ("temperature", "seed", "effort", "thinking"))


@pytest.mark.parametrize("name", NAMES)
def test_small_tasks_are_the_side_models_and_the_attempts_own_without_one(name: str) -> None:
    own = LaunchContext("p", "/w", "/h", "big", "http://127.0.0.1:8765", "t")
    beside = LaunchContext("p", "/w", "/h", "big", "http://127.0.0.1:8765", "t", side_model="small")
    assert "small" not in _models(name, own) and "small" in _models(name, beside)
    assert "big" in _models(name, own) & _models(name, beside)


def _models(name: str, context: LaunchContext) -> set[str]:
    """The models that an agent's configuration names."""
    text = "".join(get_agent(name).launch(context).files.values())
    return set(re.findall(r'"(?:gateway/)?(big|small)"', text))

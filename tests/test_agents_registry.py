"""Naming agents, finding them, and the patch agent."""

import subprocess
from pathlib import Path

import pytest

from speedproof.agents import trae
from speedproof.agents.installed import pinned, yaml_text
from speedproof.agents.protocol import LaunchContext, Left
from speedproof.agents.registry import INSTALLED, agent_name, get_agent, parse_agent
from speedproof.errors import AgentError, InputError
from speedproof.tasks.suite import load_yaml
from speedproof.workspace.cache import Cache, silent

CONTEXT = LaunchContext("Make it fast.", "/workspace", "/home/agent", "m", "http://127.0.0.1:8765", "token-of-attempt")


@pytest.mark.parametrize(
    ("spec", "parsed"),
    [
        ("codex", ("codex", None)),
        ("mini", ("mini", None)),
        ("trae", ("trae", None)),
        ("patch:expert", ("patch", "expert")),
        ("patch:noop", ("patch", "noop")),
        ("patch:some/where:else.diff", ("patch", "some/where:else.diff")),
        ("codex@0.150.0", ("codex@0.150.0", None)),
        ("trae@e839e559ac61", ("trae@e839e559ac61", None)),
        ("command:some/where@home:x.yaml", ("command:some/where@home:x.yaml", None)),
    ],
)
def test_an_agent_is_named_by_its_name_and_the_patch_agent_by_its_patch(
    spec: str, parsed: tuple[str, str | None]
) -> None:
    assert parse_agent(spec) == parsed
    assert agent_name(parsed[0]) == spec.split(":")[0].split("@")[0]


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "claud",
        "patch",
        "patch:",
        "codex:fast",
        "codex:",
        "Codex",
        "command",
        "command:",
        "codex@",
        "codex@-x",
        "codex@../x",
        "mini@1 2",
    ],
)
def test_an_agent_that_does_not_exist_is_refused_with_what_to_write(spec: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_agent(spec)
    assert caught.value.hint


def test_every_name_gives_its_agent(tmp_path: Path) -> None:
    for name in INSTALLED:
        for agent in (get_agent(name, cache=Cache(tmp_path)), get_agent(f"{name}@1.2.3", cache=Cache(tmp_path))):
            assert agent.name == name
            assert agent.uses_model and agent.protocol != "none"
    patch = get_agent("patch", cache=Cache(tmp_path), patch=b"x")
    assert (patch.name, patch.uses_model, patch.protocol) == ("patch", False, "none")


@pytest.mark.parametrize("name", list(INSTALLED))
def test_an_agent_is_looked_for_where_its_path_says(name: str, tmp_path: Path) -> None:
    with pytest.raises(AgentError) as caught:
        get_agent(name, tmp_path, cache=Cache(tmp_path / "cache")).locate(silent)
    assert caught.value.file == str(tmp_path)
    assert f"--agent-path {name}=" in caught.value.hint


def test_a_path_and_a_version_contradict_each_other(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="asks for a version"):
        get_agent("codex@0.150.0", tmp_path)


def test_what_is_not_installed_is_not_found_by_a_path(tmp_path: Path) -> None:
    for name in ("patch", "command:x.yaml"):
        with pytest.raises(InputError, match="not found by a path"):
            get_agent(name, tmp_path, patch=b"")
    with pytest.raises(InputError):
        get_agent("patch")


@pytest.mark.parametrize("name", list(INSTALLED))
def test_the_key_an_agent_gets_is_the_attempts_own_and_never_on_its_command_line(name: str) -> None:
    launch = get_agent(name).launch(CONTEXT)
    assert CONTEXT.token in launch.env.values()
    assert not any(CONTEXT.token in word for word in launch.argv)
    assert not any(CONTEXT.prompt in word for word in launch.argv), "a long prompt does not fit a command line"
    assert all(not f.startswith("/") and ".." not in f for f in launch.files)


@pytest.mark.parametrize("text", ["plain", "é 🚀 \x7f \x85 \u2028 \ufeff \t\n\r", '\\ud83d \\" {{x}}', "a: b # c"])
def test_what_is_written_as_yaml_is_read_back_the_same(text: str, tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(yaml_text({"text": text}))
    assert load_yaml(file) == {"text": text}


@pytest.mark.parametrize(
    ("name", "package"), [("mini", "mini-swe-agent"), ("aider", "aider-chat"), ("openhands", "openhands")]
)
def test_every_requirement_is_pinned_and_names_no_address(name: str, package: str) -> None:
    listed = pinned(name)
    assert f"{package}=={INSTALLED[name].version}" in listed
    assert all("==" in r for r in listed)
    assert not any("://" in r or r.startswith("-") for r in listed)


def test_a_folder_that_is_no_checkout_of_trae_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="no checkout of TRAE"):
        get_agent("trae", tmp_path, cache=Cache(tmp_path / "cache")).locate(silent)


def test_a_checkout_of_trae_without_its_environment_is_refused(tmp_path: Path) -> None:
    (tmp_path / "trae_agent").mkdir()
    (tmp_path / "trae_agent/cli.py").touch()
    with pytest.raises(AgentError, match="environment is not built") as caught:
        get_agent("trae", tmp_path, cache=Cache(tmp_path / "cache")).locate(silent)
    assert "uv sync" in caught.value.hint


def test_trae_that_cannot_be_fetched_is_named_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPEEDPROOF_TRAE", raising=False)
    monkeypatch.setattr(trae, "SOURCE", str(tmp_path / "nowhere"))
    cache = Cache(tmp_path / "cache")
    with pytest.raises(AgentError) as caught:
        get_agent("trae", cache=cache).locate(silent)
    if "needs Python" in caught.value.what:
        pytest.skip("no Python 3.12 here: TRAE cannot be built at all")
    assert "not reachable" in caught.value.what
    assert "--agent-path trae=DIR" in caught.value.hint
    assert not [p for p in (tmp_path / "cache/agents").iterdir() if p.is_dir()], "nothing half-made is left"


def apply(patch: bytes, workspace: Path) -> Left:
    launch = get_agent("patch", patch=patch).launch(CONTEXT)
    done = subprocess.run(
        launch.argv,
        input=launch.stdin,
        cwd=workspace,
        env={"PATH": "/usr/bin:/bin", "HOME": str(workspace), **launch.env},
        capture_output=True,
        check=False,
    )
    return Left(workspace, [], done.stderr.decode(errors="replace").split("\n"))


PATCH = b"--- a/slow.py\n+++ b/slow.py\n@@ -1 +1 @@\n-slow = '\xe9'\n+fast = '\xe9'\n"


def test_the_patch_agent_applies_its_patch_byte_for_byte(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_bytes(b"slow = '\xe9'\n")
    agent = get_agent("patch", patch=PATCH)
    outcome = agent.outcome(apply(PATCH, tmp_path))
    assert (tmp_path / "slow.py").read_bytes() == b"fast = '\xe9'\n"
    assert outcome is not None and outcome.finished is True and outcome.claims_success is None
    assert agent.locate(silent).version


def test_a_patch_that_does_not_apply_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_bytes(b"other\n")
    left = apply(PATCH, tmp_path)
    outcome = get_agent("patch", patch=PATCH).outcome(left)
    assert outcome is not None and outcome.finished is False
    assert outcome.error is not None and outcome.error.startswith("error: patch failed: slow.py:1")
    assert outcome.error_file == "stderr.log" and outcome.error_line is not None
    assert left.stderr[outcome.error_line - 1].startswith(outcome.error)


def test_an_empty_patch_changes_nothing_and_is_no_error(tmp_path: Path) -> None:
    left = apply(b"", tmp_path)
    assert get_agent("patch", patch=b"").outcome(left) is None
    assert not list(tmp_path.iterdir())

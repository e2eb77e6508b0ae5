"""Any program as an agent, by a template."""

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from command_line import call
from speedproof.agents.command import Command, LoadedTemplate, Template, load_template
from speedproof.agents.protocol import LaunchContext, Left
from speedproof.agents.registry import get_agent
from speedproof.errors import AgentError, InputError
from speedproof.execution.agents import check_agent
from speedproof.execution.plan import Lane
from speedproof.journal import Usage
from speedproof.sandbox import Bubblewrap, HostSandbox
from speedproof.workspace.cache import Cache, silent

CONTEXT = LaunchContext("Make «it» fast.\n", "/workspace", "/home/agent", "m-1", "http://127.0.0.1:8765", "a-token")
TEMPLATE = """\
format: speedproof/agent/1
name: small
protocol: chat
argv: [python3, /opt/agent/small_agent.py, "{prompt_file}", "{home}/small/report.jsonl"]
env: {BASE_URL: "{base_url}", KEY: "{token}", MODEL: "{model}", BEHAVIOUR: ""}
files: {small/settings.json: '{"model": "{model}", "other": {"braces": "{stay}"}}'}
mounts: {/opt/agent: program}
outcome:
  file: small/report.jsonl
  finished: {field: result.status, equals: done}
  message: result.words
  error: result.error
  usage: {input: usage.in, cache_read: usage.cached, output: usage.out}
"""


def written(folder: Path, text: str = TEMPLATE) -> Path:
    """The template beside its program."""
    (folder / "program").mkdir(exist_ok=True)
    shutil.copy(Path(__file__).parent / "small_agent.py", folder / "program")
    file = folder / "small.yaml"
    file.write_text(text)
    return file


def changed(**fields: Any) -> Template:
    whole = {"format": "speedproof/agent/1", "name": "x", "protocol": "chat", "argv": ["x", "{prompt_file}"]}
    return Template.model_validate(whole | fields)


def test_placeholders_are_replaced_and_every_other_brace_stays(tmp_path: Path) -> None:
    launch = get_agent(f"command:{written(tmp_path)}").launch(CONTEXT)
    prompt_file = launch.argv[2].removeprefix("/home/agent/")
    assert launch.files[prompt_file] == CONTEXT.prompt
    assert launch.argv[3] == "/home/agent/small/report.jsonl"
    assert launch.env == {"BASE_URL": CONTEXT.base_url, "KEY": "a-token", "MODEL": "m-1", "BEHAVIOUR": ""}
    assert launch.files["small/settings.json"] == '{"model": "m-1", "other": {"braces": "{stay}"}}'
    assert launch.stdin == b""


def test_a_prompt_can_come_on_standard_input() -> None:
    agent = Command(LoadedTemplate(changed(argv=["x"], stdin="prompt"), Path("x.yaml")))
    assert agent.launch(CONTEXT).stdin == CONTEXT.prompt.encode()


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("protocol: chat", "protocol: telepathy", 3, "protocol"),
        ("name: small", "name: ../small", 2, "name"),
        ("argv: [python3", "argv: []\nold: [python3", 4, "argv"),
        ("outcome:", "outcomes:", 8, "outcomes"),
        ("{/opt/agent: program}", "{/workspace: program}", 1, "stands neither at nor below /opt/agent"),
        ("{/opt/agent: program}", "{/opt/agent/../../etc: program}", 1, "stands neither at nor below /opt/agent"),
        ("{small/settings.json:", "{/etc/passwd:", 1, "no path below the agent's home"),
        ("{small/settings.json:", "{../outside:", 1, "no path below the agent's home"),
        ("file: small/report.jsonl", "file: ../../etc/passwd", 1, "no path below the agent's home"),
        ('"{prompt_file}"', '"{promt_file}"', 1, "the prompt reaches it nowhere"),
        ("BEHAVIOUR:", '"A=B":', 1, "no name of a variable"),
        ("[python3,", '["python3\\0",', 1, "NUL"),
        ("format: speedproof/agent/1", "format: speedproof/agent/9", 1, "format"),
        ("{field: result.status, equals: done}", "{field: result.status}", 10, "equals"),
    ],
)
def test_a_mistake_in_a_template_is_told_with_file_and_line(
    old: str, new: str, line: int, words: str, tmp_path: Path
) -> None:
    assert old in TEMPLATE
    file = written(tmp_path, TEMPLATE.replace(old, new))
    with pytest.raises(InputError) as caught:
        load_template(file)
    assert (caught.value.file, caught.value.line) == (str(file), line)
    assert words in caught.value.what


@pytest.mark.parametrize("text", ["", "[]", "a: [", "\x00", "word"])
def test_a_file_that_is_no_template_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        load_template(written(tmp_path, text))


def test_the_schema_fits_the_template_as_it_is_written(tmp_path: Path) -> None:
    result = call("schema", "agent", cwd=tmp_path, cache=tmp_path / "cache")
    checks = jsonschema.Draft202012Validator(json.loads(result.stdout))
    whole = YAML(typ="safe").load(TEMPLATE)
    checks.validate(whole)
    assert not checks.is_valid(whole | {"outcomes": {}})
    assert not checks.is_valid(whole | {"protocol": "telepathy"})


def test_what_is_mounted_must_be_there(tmp_path: Path) -> None:
    file = written(tmp_path, TEMPLATE.replace("program}", "elsewhere}"))
    with pytest.raises(AgentError, match="does not exist"):
        get_agent(f"command:{file}").locate(silent)


def test_a_program_that_is_not_there_is_refused_with_what_to_do(tmp_path: Path) -> None:
    agent = Command(LoadedTemplate(changed(argv=["no-such-program-here", "{prompt_file}"]), tmp_path / "x.yaml"))
    with pytest.raises(AgentError, match="does not exist inside") as caught:
        agent.locate(silent)
    assert "mounts" in caught.value.hint


def test_the_program_and_its_version_are_found_through_the_mounts(tmp_path: Path) -> None:
    version = "version: [python3, /opt/agent/version.py]\n"
    file = written(tmp_path, TEMPLATE + version)
    (tmp_path / "program/version.py").write_text("print('small agent 1.2.3')\n")
    found = get_agent(f"command:{file}").locate(silent)
    assert found.executable == (tmp_path / "program/small_agent.py").resolve()
    assert found.version == "1.2.3"
    assert [m.target for m in found.mounts] == ["/opt/agent"] and not found.mounts[0].writable


def test_a_template_is_what_it_says_not_what_it_is_called(tmp_path: Path) -> None:
    first, second = written(tmp_path), tmp_path / "copy.yaml"
    shutil.copy(first, second)
    same = [Lane(f"command:{file}", None).identity("t") for file in (first, second)]
    assert same[0] == same[1]
    second.write_text(TEMPLATE.replace("small/report", "other/report"))
    assert Lane(f"command:{second}", None).identity("t") != same[0]
    with pytest.raises(InputError, match="template does not exist"):
        Lane(f"command:{tmp_path}/none.yaml", None).identity("t")


def read(outcome: dict[str, Any], home: Path, text: str, lines: list[str] | None = None) -> Any:
    (home / "out").write_text(text)
    agent = Command(LoadedTemplate(changed(outcome=outcome), Path("x.yaml")))
    return agent.outcome(Left(home, lines or [], [])), agent


def test_the_last_line_that_has_a_field_counts(tmp_path: Path) -> None:
    fields = {
        "finished": {"field": "type", "equals": "end"},
        "error": "error.message",
        "usage": {"input": "u.i", "output": "u.o"},
    }
    lines = ['{"type": "go", "u": {"i": 5, "o": 1}}', "noise", '{"error": {"message": "odd"}}', '{"type": "end"}', ""]
    for outcome, _ in (
        read({"file": "out", **fields}, tmp_path, "\n".join(lines)),
        read({"file": "stdout", **fields}, tmp_path, "", lines),
    ):
        assert outcome.finished is True and outcome.claims_success is True
        assert (outcome.error, outcome.error_line) == ("odd", 3)
        assert outcome.usage == Usage(uncached_input=5, output=1)


def test_one_object_is_read_as_such(tmp_path: Path) -> None:
    fields = {"file": "out", "format": "json", "finished": {"field": "ok", "equals": True}, "message": "said"}
    outcome, agent = read(fields, tmp_path, '{\n "ok": false,\n "said": "no"\n}\n')
    assert outcome.finished is False and outcome.message == "no"
    assert agent.trajectory(Left(tmp_path, [], [])) == tmp_path / "out"


def test_without_evidence_nothing_is_known(tmp_path: Path) -> None:
    agent = Command(LoadedTemplate(changed(), Path("x.yaml")))
    left = Left(tmp_path, ['{"type": "end"}'], [])
    assert agent.outcome(left) is None and agent.trajectory(left) is None
    silent_one, _ = read({"file": "out", "finished": {"field": "type", "equals": "end"}}, tmp_path, "")
    assert silent_one is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
)


@given(st.lists(VALUES, max_size=4))
def test_evidence_of_any_shape_is_read_without_an_error(values: list[Any]) -> None:
    fields = {
        "file": "stdout",
        "finished": {"field": "a", "equals": 1},
        "message": "a.b",
        "error": "b",
        "usage": {"input": "a", "output": "b.c", "cache_read": "c"},
    }
    agent = Command(LoadedTemplate(changed(outcome=fields), Path("x.yaml")))
    outcome = agent.outcome(Left(Path("/nowhere"), [json.dumps(v) for v in values], []))
    if outcome is not None:
        outcome.model_dump_json()


@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="the sandbox shows no Python of the system")
@pytest.mark.parametrize("kind", ["none", pytest.param("bubblewrap", marks=[pytest.mark.sandbox])])
def test_a_program_by_template_works_as_agents_do(kind: str, tmp_path: Path) -> None:
    if kind == "bubblewrap" and shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    sandbox = HostSandbox() if kind == "none" else Bubblewrap()
    checked = check_agent(f"command:{written(tmp_path)}", None, None, sandbox, cache=Cache(tmp_path / "cache"))
    assert {f.what: f.ok for f in checked.findings} == dict.fromkeys(
        (
            "installed",
            "launched",
            "called the model",
            "protocol",
            "tool ran",
            "finished",
            "usage",
            "processes",
        ),
        True,
    ), checked.findings
    assert checked.ok


@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="there is no Python of the system")
@pytest.mark.parametrize(
    ("old", "new", "bad"),
    [
        ('BEHAVIOUR: ""', "BEHAVIOUR: idles", {"called the model", "protocol", "tool ran", "finished"}),
        ('BEHAVIOUR: ""', "BEHAVIOUR: miscounts", {"usage"}),
        ('BEHAVIOUR: ""', "BEHAVIOUR: leaves", {"processes"}),
        ("protocol: chat", "protocol: messages", {"protocol"}),
        ("equals: done", "equals: perfect", {"finished"}),
        ("small_agent.py,", "absent.py,", {"launched", "called the model", "protocol", "tool ran", "finished"}),
    ],
)
def test_a_check_says_what_does_not_work(old: str, new: str, bad: set[str], tmp_path: Path) -> None:
    file = written(tmp_path, TEMPLATE.replace(old, new))
    checked = check_agent(f"command:{file}", None, None, HostSandbox(), cache=Cache(tmp_path / "cache"))
    assert {f.what for f in checked.findings if not f.ok} == bad, checked.findings
    assert not checked.ok
    assert all(f.said for f in checked.findings)

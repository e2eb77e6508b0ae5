"""The prompt says what to do and how to work, and nothing of the expert; the schema fits suites as they are written."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from speedproof.sandbox import HostSandbox, Mount
from speedproof.tasks.models import Environment, GitSource, Limits, Task, Workload
from speedproof.tasks.prompt import render_prompt
from speedproof.tasks.schema import suite_schema


def make(**fields: Any) -> Task:
    content: dict[str, Any] = {
        "name": "project-deadbeef",
        "source": GitSource(git="https://example.org/p", expert="deadbeef" * 5, base="cafebabe" * 5),
        "instructions": "Make parse() faster.\n",
        "environment": Environment(),
        "workloads": (Workload(name="work", command="python /task/work.py", files=("deep/work.py",)),),
        "tests": (
            {"command": "python -m pytest tests"},
            {"command": "python hidden.py", "files": ("hidden.py",)},
        ),
    }
    return Task(**{**content, **fields})


def test_the_prompt_says_what_to_do_where_and_how_it_is_judged() -> None:
    prompt = render_prompt(make(limits=Limits(wall_s=90, idle_s=None, steps=7)))
    for words in (
        "Make parse() faster.",
        "/workspace",
        "/opt/env",
        "python /task/work.py",
        "/task/work.py",
        "`**/conftest.py`",
        "No commit is needed",
        "python -m pytest tests",
        "90 seconds in all",
        "7 model calls",
    ):
        assert words in prompt
    assert "None" not in prompt


def test_the_prompt_holds_nothing_of_the_expert_or_of_hidden_tests() -> None:
    prompt = render_prompt(make())
    for words in ("deadbeef", "cafebabe", "example.org", "hidden.py", "expert"):
        assert words not in prompt


def test_a_hidden_workload_is_not_in_the_prompt() -> None:
    prompt = render_prompt(make(show_workload=False))
    assert "/task/work.py" not in prompt
    assert "The workload" not in prompt


def test_a_task_with_instructions_alone_has_a_prompt() -> None:
    prompt = render_prompt(make(environment=None, workloads=(), tests=(), limits=Limits(wall_s=None, idle_s=None)))
    assert "/opt/env" not in prompt
    assert "## Limits" not in prompt
    assert "\n\n\n" not in prompt


def test_without_a_sandbox_the_prompt_names_the_paths_of_the_host() -> None:
    mounts = [Mount(Path("/w"), "/workspace"), Mount(Path("/t"), "/task"), Mount(Path("/e"), "/opt/env")]
    prompt = HostSandbox().as_seen(render_prompt(make()), mounts)
    assert "/t/work.py" in prompt
    assert "/workspace" not in prompt
    assert "/opt/env" not in prompt


def test_instructions_are_text_and_no_template() -> None:
    assert "{{ task }} {% if %} <b>&" in render_prompt(make(instructions="{{ task }} {% if %} <b>&"))


TASK = {"name": "t", "source": {"git": ".", "expert": "abcdef0"}}


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(suite_schema())


def test_the_schema_lets_defaults_say_what_a_task_must_say() -> None:
    validator = jsonschema.Draft202012Validator(suite_schema())
    assert validator.is_valid({"name": "s", "tasks": [{**TASK, "instructions": "x"}]})
    assert validator.is_valid({"name": "s", "defaults": {"instructions": "x"}, "tasks": [TASK]})


@pytest.mark.parametrize(
    "suite",
    [
        {"name": "s", "tasks": [TASK]},
        {"name": "s", "tasks": []},
        {"name": "s", "defaults": {"name": "x"}, "tasks": [{**TASK, "instructions": "x"}]},
        {"name": "s", "tasks": [{**TASK, "instructions": "x", "worloads": []}]},
        {"name": "s", "tasks": [{"name": "t", "instructions": "x", "source": {"svn": "."}}]},
        {"tasks": [{**TASK, "instructions": "x"}]},
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(suite: dict[str, Any]) -> None:
    assert not jsonschema.Draft202012Validator(suite_schema()).is_valid(suite)


def test_the_schema_describes_every_field() -> None:
    schema = suite_schema()
    for name, definition in schema["$defs"].items():
        for field, content in definition.get("properties", {}).items():
            assert content.get("description"), f"{name}.{field}"

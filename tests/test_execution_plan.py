"""The plan: which items there are, and that an item's id depends on what it is and on nothing else."""

import copy
from pathlib import Path
from typing import Any

import pytest

from small_project import Project, task_of, write_suite
from speedproof.errors import InputError
from speedproof.execution.plan import Lane, chosen_tasks, lanes_of, plan_items
from speedproof.tasks.suite import load_suite

SCRIPT = "format: speedproof/script/1\nturns:\n  - finish: Done.\n"


def ids(file: Path, *lanes: Lane, samples: int = 1) -> dict[str, str]:
    """Item id by task."""
    loaded = load_suite(file)
    items = plan_items(loaded, loaded.suite.tasks, lanes or (Lane("patch", None, "expert"),), samples)
    return {item.task: item.id for item in items}


def test_an_item_has_the_same_id_in_every_plan(tmp_path: Path, project: Project) -> None:
    task = task_of(project)
    other = task_of(project, name="other", instructions="Something else.\n")
    alone = ids(write_suite(tmp_path / "a", task))
    limits = {**task, "name": "renamed", "limits": {"wall_s": 5, "steps": 3}}
    among = ids(write_suite(tmp_path / "b", other, limits))
    assert among["renamed"] == alone["unique"]
    assert among["other"] != among["renamed"]
    assert ids(tmp_path / "a" / "suite.yaml", samples=3)["unique"] != alone["unique"], (
        "the third sample is another item"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"instructions": "Do it well.\n"},
        {"build": "true"},
        {"tests": None},
        {"environment": None},
        {"show_workload": False},
        {"protected": ["tests/**"]},
    ],
)
def test_another_content_of_the_task_is_another_item(tmp_path: Path, project: Project, change: dict[str, Any]) -> None:
    one = ids(write_suite(tmp_path / "a", task_of(project)))
    assert ids(write_suite(tmp_path / "b", task_of(project, **change))) != one


def test_another_content_of_a_workload_s_file_is_another_item(tmp_path: Path, project: Project) -> None:
    one = ids(write_suite(tmp_path / "a", task_of(project)))
    assert ids(write_suite(tmp_path / "b", task_of(project), workload="pass")) != one


def test_agent_model_sample_and_control_make_the_item(tmp_path: Path, project: Project) -> None:
    file = write_suite(tmp_path / "a", task_of(project))
    loaded = load_suite(file)
    lanes = lanes_of(["codex", "mini", "patch:expert", "patch:noop"], ["openai/gpt-5", "openai/gpt-4"])
    items = plan_items(loaded, loaded.suite.tasks, lanes, 2)
    assert len(items) == (2 * 2 + 2) * 2
    assert len({item.id for item in items}) == len(items)
    assert [item.sample for item in items[:4]] == [1, 2, 1, 2]


def test_a_script_and_a_patch_count_by_content_not_by_name(tmp_path: Path, project: Project) -> None:
    file = write_suite(tmp_path / "a", task_of(project))
    for name, text in (("one", SCRIPT), ("two", SCRIPT), ("three", SCRIPT + "description: another\n")):
        (tmp_path / f"{name}.yaml").write_text(text)
        (tmp_path / f"{name}.diff").write_text(text)
    found = {
        name: (
            ids(file, Lane("codex", f"scripted:{tmp_path}/{name}.yaml")),
            ids(file, Lane("patch", None, f"{tmp_path}/{name}.diff")),
        )
        for name in ("one", "two", "three")
    }
    assert found["one"] == found["two"]
    assert found["one"][0] != found["three"][0]
    assert found["one"][1] != found["three"][1]


def test_a_folder_of_patches_gives_each_task_its_own(tmp_path: Path, project: Project) -> None:
    file = write_suite(tmp_path / "a", task_of(project))
    (tmp_path / "patches").mkdir()
    with pytest.raises(InputError, match=r"patches/unique\.diff: the patch does not exist"):
        ids(file, Lane("patch", None, f"{tmp_path}/patches"))
    (tmp_path / "patches" / "unique.diff").write_text("x")
    assert ids(file, Lane("patch", None, f"{tmp_path}/patches"))


def test_the_same_item_twice_is_refused(tmp_path: Path, project: Project) -> None:
    task = task_of(project)
    file = write_suite(tmp_path / "a", task, {**copy.deepcopy(task), "name": "again"})
    with pytest.raises(InputError, match="the same item twice: unique and again"):
        ids(file)


@pytest.mark.parametrize(
    ("agents", "models", "says"),
    [
        (["kodex"], ["openai/x"], "there is no agent 'kodex'"),
        (["codex"], [], "the agent codex needs a model"),
        (["patch"], [], "the patch agent needs a patch"),
        (["codex:fast"], ["openai/x"], "codex takes nothing after its name"),
    ],
)
def test_agents_that_cannot_be_planned_are_named(agents: list[str], models: list[str], says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        lanes_of(agents, models)
    assert caught.value.hint


def test_an_unknown_task_is_told_which_there_are(tmp_path: Path, project: Project) -> None:
    loaded = load_suite(write_suite(tmp_path / "a", task_of(project)))
    with pytest.raises(InputError, match="no task is named 'nope'; there are: unique"):
        chosen_tasks(loaded, ["nope"])

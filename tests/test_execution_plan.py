"""The plan: which items there are, and that an item's id depends on what it is and on nothing else."""

import copy
from pathlib import Path
from typing import Any

import pytest

from command_line import call, read_json
from history_support import began, sealed, write_run
from small_project import Project, git, make_project, task_of, write_suite
from speedproof.errors import InputError
from speedproof.execution.plan import Lane, chosen_tasks, lanes_of, plan_items, require_same
from speedproof.execution.planned import Plan, make_plan
from speedproof.journal import FailureClass, ItemPlan, Method, RunStore, digest_of
from speedproof.tasks.suite import LoadedSuite, load_suite
from speedproof.workspace.cache import Cache

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


# A plan worked out


def worked_out(loaded: LoadedSuite, items: tuple[ItemPlan, ...], state: Path, **more: Any) -> Plan:
    return make_plan(loaded, items, state=state, cache=Cache(state / "cache"), method=Method(), **more)


def controls(file: Path) -> tuple[LoadedSuite, tuple[ItemPlan, ...]]:
    loaded = load_suite(file)
    return loaded, plan_items(loaded, loaded.suite.tasks, lanes_of(["patch:expert", "patch:noop"], []))


def with_source(folder: Path, project: Project, **source: Any) -> Path:
    given = {"git": str(project.path), "expert": project.expert}
    return write_suite(folder, task_of(project, source=given | source))


@pytest.mark.parametrize("name", ["full", "short", "main", "v1"])
def test_commits_are_resolved_to_their_full_ids(tmp_path: Path, name: str) -> None:
    project = make_project(tmp_path / "tools")
    git(project.path, "tag", "v1")
    expert = {"full": project.expert, "short": project.expert[:9]}.get(name, name)
    plan = worked_out(*controls(with_source(tmp_path, project, expert=expert)), tmp_path)
    assert [(t.base, t.expert) for t in plan.tasks] == [(project.base, project.expert)]
    assert not (tmp_path / "cache").exists(), "nothing is copied"


def test_what_only_the_network_can_tell_stays_unknown(tmp_path: Path, project: Project) -> None:
    url = "https://git.example.invalid/tools.git"
    pair = {"package": "tools", "base": {"version": "1"}, "expert": {"version": "2"}}
    tasks = [
        task_of(project, name="far", source={"git": url, "expert": project.expert}),
        task_of(project, name="index", source={"pypi": pair}),
    ]
    plan = worked_out(*controls(write_suite(tmp_path, *tasks)), tmp_path)
    assert [(t.base, t.expert) for t in plan.tasks] == [(None, None)] * 2


def test_a_copy_in_the_cache_tells_what_is_named_by_its_id(tmp_path: Path, project: Project) -> None:
    url = "https://git.example.invalid/tools.git"
    file = with_source(tmp_path, project, git=url)
    git(tmp_path, "clone", "--quiet", "--bare", str(project.path), "copy")
    (tmp_path / "cache" / "repositories").mkdir(parents=True)
    (tmp_path / "copy").rename(tmp_path / "cache" / "repositories" / digest_of(["git/1", url], 32))
    plan = worked_out(*controls(file), tmp_path)
    assert (plan.tasks[0].base, plan.tasks[0].expert) == (project.base, project.expert)
    for unknown in ("main", "0" * 40):  # the branch may have moved since, the commit may be new
        plan = worked_out(*controls(with_source(tmp_path, project, git=url, expert=unknown)), tmp_path)
        assert plan.tasks[0].expert is None


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ({"expert": "0123456789" * 4}, "commit '0123456789012345678901234567890123456789' is not in the repository"),
        ({"expert": "no-such"}, "commit 'no-such' is not in the repository"),
        ({"expert": "origin/main"}, "commit 'origin/main' is not in the repository"),
        ({"base": "ffffffff"}, "commit 'ffffffff' is not in the repository"),
        ({"expert": "HEAD~1"}, "has no parent"),
        ({"base": "main"}, "base and expert hold the same files"),
        ({"git": "no/such/place"}, "the repository 'no/such/place' does not exist"),
        ({"git": "/usr/share"}, "/usr/share is not a git repository"),
    ],
)
def test_a_commit_that_is_not_there_is_named_with_its_line(tmp_path: Path, source: dict[str, str], says: str) -> None:
    project = make_project(tmp_path / "tools")
    git(project.path, "update-ref", "refs/remotes/origin/main", project.expert)
    file = with_source(tmp_path / "suite", project, **source)
    with pytest.raises(InputError, match="task unique: ") as caught:
        worked_out(*controls(file), tmp_path)
    assert says in caught.value.what
    lines = file.read_text().splitlines()
    assert caught.value.file == str(file) and "source:" in lines[(caught.value.line or 0) - 1]


def test_attempts_of_an_item_are_counted_in_all_runs_and_named_past_a_limit(tmp_path: Path, project: Project) -> None:
    loaded, items = controls(write_suite(tmp_path, task_of(project)))
    for day in range(1, 4):
        ends = [sealed(items[0], number, cost_usd=0.1) for number in range(1, 8)]
        write_run(tmp_path, items, [e for end in ends for e in (began(items[0], end.number), end)], f"2026010{day}")
    plan = worked_out(loaded, items, tmp_path)
    assert [p.before.attempts for p in plan.items] == [21, 0]
    (warned,) = plan.warnings
    assert (warned.item, warned.task, warned.lane) == (items[0].id, "unique", "patch:expert")
    assert warned.before.runs == ("20260101", "20260102", "20260103")
    assert warned.before.cost_usd == pytest.approx(2.1)
    assert plan.tasks[0].before.attempts == 21
    assert not worked_out(loaded, items, tmp_path, warn_after=21).warnings, "21 are not past 21"
    changed, others = controls(write_suite(tmp_path, task_of(project, instructions="Make it faster.")))
    plan = worked_out(changed, others, tmp_path)
    assert (plan.tasks[0].before.attempts, plan.tasks[0].before_changed.attempts) == (0, 21)
    assert not plan.warnings


def test_a_plan_says_what_it_will_take_and_how_much_of_that_is_unknown(tmp_path: Path, project: Project) -> None:
    loaded, items = controls(write_suite(tmp_path, task_of(project, limits={"wall_s": 100})))
    nothing = worked_out(loaded, items, tmp_path).totals
    assert (nothing.duration_s.expected, nothing.wall_s.at_most, nothing.wall_s.unknown) == (None, 200, 2)
    assert (nothing.cost_usd.expected, nothing.cost_usd.at_most) == (0, 0), "controls call no model"
    write_run(tmp_path, items, [e for one in items for e in (began(one), sealed(one, seconds=30))])
    for jobs, seconds in ((1, 60), (2, 30)):
        plan = worked_out(loaded, items, tmp_path, jobs=jobs)
        assert (plan.totals.wall_s.expected, plan.totals.duration_s.expected) == (60, seconds)
        assert (plan.totals.wall_s.unknown, plan.totals.judging_s.unknown, plan.totals.duration_s.unknown) == (0, 1, 1)
    assert Plan.model_validate_json(plan.model_dump_json()) == plan


def test_a_damaged_run_is_told_in_the_plan(tmp_path: Path, project: Project) -> None:
    loaded, items = controls(write_suite(tmp_path, task_of(project)))
    run = write_run(tmp_path, items, [began(items[0]), sealed(items[0])])
    (run.folder / "run.json").write_text("{}")
    plan = worked_out(loaded, items, tmp_path)
    assert plan.items[0].before.attempts == 1
    assert "run.json: damaged record" in plan.notes[0]


# From a run


@pytest.fixture
def earlier(tmp_path: Path, project: Project) -> RunStore:
    """A run of two items in `tmp_path/state`: one failed for want of a login, one was never begun."""
    loaded, items = controls(write_suite(tmp_path, task_of(project)))
    failed = sealed(items[0], run="model_error", failure=FailureClass.LOGIN_EXPIRED)
    return write_run(tmp_path / "state", items, [began(items[0]), failed], suite=loaded)


def test_what_is_left_of_a_run_is_planned_with_the_same_ids(earlier: RunStore, tmp_path: Path, cache: Cache) -> None:
    failed, fresh = earlier.manifest().items
    for words, expected in (((), fresh), (("--where", "failure=model/auth"), failed)):
        done = call("plan", "--from", "latest", *words, "--json", cwd=tmp_path, cache=cache.root)
        assert done.returncode == 0, done.stderr
        plan = Plan.model_validate(read_json(done.stdout))
        assert [p.item for p in plan.items] == [expected]
        assert (plan.origin, plan.where) == (earlier.id, words[1:])
    shown = call("plan", "--from", earlier.id, cwd=tmp_path, cache=cache.root)
    assert fresh.id in shown.stdout and f"1 item of 1 tasks, of run {earlier.id}" in shown.stdout
    none = call("plan", "--from", earlier.id, "--where", "run=limit", cwd=tmp_path, cache=cache.root)
    assert none.returncode == 0 and "0 items of 0 tasks" in none.stdout


def test_a_suite_that_has_moved_is_named(earlier: RunStore, tmp_path: Path, cache: Cache) -> None:
    (tmp_path / "elsewhere").mkdir()
    for name in ("suite.yaml", "work.py"):
        (tmp_path / name).rename(tmp_path / "elsewhere" / name)
    done = call("plan", "--from", "latest", cwd=tmp_path, cache=cache.root)
    assert done.returncode == 2 and "the suite of this run is gone" in done.stderr
    done = call("plan", "elsewhere/suite.yaml", "--from", "latest", cwd=tmp_path, cache=cache.root)
    assert done.returncode == 0, done.stderr


def test_a_task_that_has_changed_since_is_not_planned_as_the_same(
    earlier: RunStore, tmp_path: Path, cache: Cache, project: Project
) -> None:
    write_suite(tmp_path, task_of(project, instructions="Something else."))
    done = call("plan", "--from", "latest", cwd=tmp_path, cache=cache.root)
    assert done.returncode == 2
    assert f"suite.yaml:3: task unique is not what it was when run {earlier.id} was planned" in done.stderr


def test_a_script_that_has_changed_since_is_told(tmp_path: Path, project: Project) -> None:
    loaded = load_suite(write_suite(tmp_path, task_of(project)))
    script = tmp_path / "script.yaml"
    script.write_text(SCRIPT)
    items = plan_items(loaded, loaded.suite.tasks, [Lane("codex", f"scripted:{script}")])
    require_same(loaded, items, "r")
    script.write_text(SCRIPT + "description: another\n")
    with pytest.raises(
        InputError, match=r"item \w+ of run r is another one now: a file that codex · scripted:.* names"
    ):
        require_same(loaded, items, "r")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--from", "latest", "--agent", "codex"], "--from takes its items from a run\n  next: choose among them"),
        (["--from", "latest", "--where", "run=bad"], "--where 'run=bad': run is never 'bad'\n  next: it is one of"),
        (["--from", "1999"], "no run is called '1999'"),
        (["suite.yaml", "--agent", "patch:noop", "--where", "run=limit"], "--where chooses among the items of a run"),
        (["suite.yaml"], "there is no agent"),
        ([], "there is no suite"),
        (["suite.yaml", "--agent", "patch:noop", "--jobs", "many"], "neither auto nor a number"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(
    earlier: RunStore, tmp_path: Path, cache: Cache, words: list[str], says: str
) -> None:
    done = call("plan", *words, cwd=tmp_path, cache=cache.root)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert says in " ".join(done.stderr.split()) or says in done.stderr


def test_what_was_attempted_before_is_shown(earlier: RunStore, tmp_path: Path, cache: Cache) -> None:
    failed = earlier.manifest().items[0]
    ends = [sealed(failed, number, seconds=50, cost_unknown_calls=1) for number in range(1, 7)]
    write_run(tmp_path / "state", [failed], [e for end in ends for e in (began(failed, end.number), end)], "2027")
    (tmp_path / "state" / "runs" / "2028").mkdir()
    words = ("suite.yaml", "--agent", "patch:expert", "--jobs", "auto")
    shown = call("plan", *words, cwd=tmp_path, cache=cache.root).stdout
    assert "1 item of 1 tasks" in shown
    assert " 50.0 s " in shown and "6 of this item" in shown
    assert f"item {failed.id} (unique, patch:expert) has had 7 attempts in 2 runs, for $3.50 and 6 calls of" in shown
    assert "note: run 2028: " in shown and "the record is missing" in shown
    calm = call("plan", *words, "--warn-after", "7", cwd=tmp_path, cache=cache.root)
    assert "warning" not in calm.stdout

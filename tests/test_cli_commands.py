"""The commands as a person types them: each is a function of the library, and machines can read the answers."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer

from command_line import PROGRAM, call, environment, read_json, run
from small_project import EXPERT, Project, git, make_project, task_of, write_suite
from speedproof.analysis import RunReport, run_report, spending
from speedproof.analysis.audit import audit
from speedproof.analysis.catalog import asked, build_catalog
from speedproof.analysis.claims import check_claims
from speedproof.analysis.comparison import compare
from speedproof.analysis.errors import errors
from speedproof.analysis.measures import measured
from speedproof.analysis.scores.run_scores import scores
from speedproof.analysis.survey import survey
from speedproof.analysis.verdicts import run_verdicts
from speedproof.archives import import_archive
from speedproof.archives.export import export_run
from speedproof.cli.app import app
from speedproof.execution.agents import check_agent, install_agent, list_agents
from speedproof.execution.demo import demo_plan
from speedproof.execution.doctor import Finding, examine
from speedproof.execution.engine import execute_run, resume_run
from speedproof.execution.housekeeping import keep_house
from speedproof.execution.judging import evaluate_run
from speedproof.execution.planned import Plan, make_plan
from speedproof.execution.progress import followed, progress_of
from speedproof.execution.qualifying import qualify_suite
from speedproof.execution.replay import replay_attempt
from speedproof.execution.signing import sign
from speedproof.execution.single import single_suite
from speedproof.execution.stopping import stop_run
from speedproof.journal import Method, Store
from speedproof.report import explain, write_report
from speedproof.tasks.commits import suite_from_commits
from speedproof.tasks.schema import suite_schema
from speedproof.tasks.suite import load_suite
from speedproof.workspace.cache import Cache

LIBRARY: dict[str, Callable[..., Any]] = {
    "agents check": check_agent,
    "agents install": install_agent,
    "agents list": list_agents,
    "analyze": survey,
    "audit": audit,
    "catalog": build_catalog,
    "claims check": check_claims,
    "compare": compare,
    "cost": spending,
    "demo": demo_plan,
    "doctor": examine,
    "errors": errors,
    "evaluate": evaluate_run,
    "explain": explain,
    "export": export_run,
    "gc": keep_house,
    "import": import_archive,
    "judge": single_suite,
    "measures": measured,
    "plan": make_plan,
    "qualify": qualify_suite,
    "replay": replay_attempt,
    "report": write_report,
    "resume": resume_run,
    "review": sign,
    "run": execute_run,
    "schema": suite_schema,
    "scores": scores,
    "sql": asked,
    "status": progress_of,
    "stop": stop_run,
    "suite from-commits": suite_from_commits,
    "verdicts": run_verdicts,
    "watch": followed,
}


def commands() -> dict[str, Any]:
    """Every command by its words."""
    found: dict[str, Any] = {}

    def walk(command: Any, words: str) -> None:
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, f"{words} {name}".strip())
        if not hasattr(command, "commands"):
            found[words] = command

    walk(typer.main.get_command(app), "")
    return found


def test_every_command_is_a_function_of_the_library() -> None:
    assert set(commands()) == set(LIBRARY)
    for function in LIBRARY.values():
        assert function.__doc__
        assert not function.__module__.startswith("speedproof.cli")


@pytest.mark.parametrize("words", commands())
def test_every_command_and_option_says_what_it_is_for(words: str) -> None:
    command = commands()[words]
    assert command.help and command.help.strip().endswith(".")
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{words} {parameter.name}"


def test_help_names_every_command(tmp_path: Path) -> None:
    done = run("--help", cwd=tmp_path, cache=tmp_path)
    assert done.returncode == 0
    assert all(words.split()[0] in done.stdout for words in commands())


def test_a_reader_that_leaves_early_meets_no_traceback(tmp_path: Path) -> None:
    pipeline = subprocess.run(
        ["sh", "-c", '"$@" schema | head -n 1', "sh", *PROGRAM],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    assert (pipeline.stdout, pipeline.stderr) == ("{\n", "")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, project: Project, cache: Cache) -> Iterator[Path]:
    """A folder with a suite and one run of it: the expert and the no-op patch."""
    folder = tmp_path_factory.mktemp("commands")
    write_suite(folder, task_of(project))
    done = call(*RUN, cwd=folder, cache=cache.root)
    assert done.returncode == 0, done.stderr
    report = RunReport.model_validate(read_json(done.stdout))
    assert {r.control: r.proven for r in report.rows} == {"expert": True, "noop": False}
    yield folder


RUN = ("run", "suite.yaml", "--agent", "patch:expert", "--agent", "patch:noop", "--max-blocks", "12", "--json")


def test_plan_as_json_holds_the_items_of_the_run(place: Path, cache: Cache) -> None:
    done = call("plan", *RUN[1:6], "--json", cwd=place, cache=cache.root)
    items = [planned.item for planned in Plan.model_validate(read_json(done.stdout)).items]
    assert tuple(items) == Store(place / "state").run("latest").manifest().items
    shown = call("plan", *RUN[1:6], cwd=place, cache=cache.root)
    assert all(item.id in shown.stdout for item in items)
    assert "2 items of 1 tasks" in shown.stdout


def test_the_run_s_manifest_says_where_each_setting_came_from(place: Path) -> None:
    manifest = Store(place / "state").run("latest").manifest()
    assert manifest.method == Method().up_to(12)
    assert manifest.suite == "small"
    assert (manifest.settings["max_blocks"].value, manifest.settings["max_blocks"].source) == (12, "flag")
    assert (manifest.settings["sandbox"].value, manifest.settings["sandbox"].source) == ("bubblewrap", "default")


def test_report_as_json_is_the_report_of_the_library_and_its_files_lie_beside(place: Path, cache: Cache) -> None:
    done = call("report", "--json", "-o", "elsewhere", cwd=place, cache=cache.root)
    expected = run_report(Store(place / "state").run("latest"))
    assert RunReport.model_validate(read_json(done.stdout)) == expected
    written = RunReport.model_validate_json((place / "elsewhere" / "report.json").read_text())
    assert written == expected
    assert (place / "elsewhere" / "report.html").read_text().startswith("<!doctype html>")
    shown = call("report", cwd=place, cache=cache.root)
    assert "faster" in shown.stdout and "report.html" in shown.stdout


def test_explain_takes_an_item_s_beginning_and_says_why(place: Path, cache: Cache) -> None:
    expert, _ = Store(place / "state").run("latest").manifest().items
    done = call("explain", expert.id[:5], cwd=place, cache=cache.root)
    assert done.returncode == 0
    assert "× the speed of base" in " ".join(done.stdout.split())
    assert f"items/{expert.id}/01" in "".join(done.stdout.split())


def test_evaluate_again_adds_evaluations_and_by_another_method_they_do_not_count(place: Path, cache: Cache) -> None:
    found = Store(place / "state").run("latest")
    before = [len(store.evaluations()) for store in found.attempts()]
    nothing = call("evaluate", cwd=place, cache=cache.root)
    assert "0 attempts judged" in nothing.stderr
    done = call("evaluate", "--max-blocks", "18", "--json", cwd=place, cache=cache.root)
    assert done.returncode == 0, done.stderr
    after = [store.evaluations() for store in found.attempts()]
    assert [len(e) for e in after] == [n + 1 for n in before]
    assert [e[-1].declared for e in after] == [False, False]
    report = RunReport.model_validate(read_json(done.stdout))
    assert [r.undeclared_evaluations for r in report.rows] == [1, 1]


def test_doctor_as_json_checks_machine_agent_model_and_task(place: Path, cache: Cache) -> None:
    words = ("doctor", "suite.yaml", "--agent", "patch:expert", "--json")
    done = call(*words, "--model", "openai/gpt-5", cwd=place, cache=cache.root)
    findings = {f.what: f for f in map(Finding.model_validate, read_json(done.stdout))}
    assert done.returncode == 2, "a model without a key is something to be mended"
    assert [name for name, f in findings.items() if not f.ok] == ["model openai/gpt-5"]
    assert "export OPENAI_API_KEY" in findings["model openai/gpt-5"].hint
    assert "1 test commands, 1 workloads" in findings["task unique"].said
    assert call(*words, cwd=place, cache=cache.root).returncode == 0


def test_schema_is_one_that_suites_fit(place: Path, cache: Cache) -> None:
    done = call("schema", cwd=place, cache=cache.root)
    schema = read_json(done.stdout)
    assert schema == json.loads(json.dumps(suite_schema()))
    jsonschema.Draft202012Validator(schema).validate(
        load_suite(place / "suite.yaml").suite.model_dump(mode="json", exclude_defaults=True)
    )


def test_a_list_of_commits_becomes_a_suite_that_plans_and_runs(tmp_path: Path, cache: Cache) -> None:
    project = make_project(tmp_path / "tools")
    (project.path / "tools.py").write_text(EXPERT + "\n\ndef count(items):\n    return len(unique(items))\n")
    git(project.path, "commit", "--quiet", "-am", "Count")
    third = git(project.path, "rev-parse", "HEAD").decode().strip()
    (tmp_path / "commits.txt").write_text(f"{project.expert}  # linear\n{third[:10]} {project.base}\n")
    made = call("suite", "from-commits", "tools", "commits.txt", "-o", "suite.yaml", cwd=tmp_path, cache=cache.root)
    assert made.returncode == 0, made.stderr
    words = ("suite.yaml", "--agent", "patch:expert", "--json")
    plan = Plan.model_validate(read_json(call("plan", *words, cwd=tmp_path, cache=cache.root).stdout))
    assert [(t.base, t.expert) for t in plan.tasks] == [(project.base, project.expert), (project.base, third)]
    planned = [planned.item for planned in plan.items]
    assert [item.task for item in planned] == [f"tools-{project.expert[:8]}", f"tools-{third[:8]}"]
    done = call("run", *words, cwd=tmp_path, cache=cache.root)
    assert done.returncode == 0, done.stderr
    rows = RunReport.model_validate(read_json(done.stdout)).rows
    assert [row.item for row in rows] == [item.id for item in planned]
    for row in rows:
        assert (row.run, row.patch, row.applies) == ("completed", "applied", True)
        assert (row.speed, row.correctness, row.proven) == ("not_measured", "unknown", False)
    assert rows[1].patch_files == ("tools.py",)

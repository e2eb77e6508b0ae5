"""`speedproof errors` on our own runs: what broke in judging a patch stands apart from what broke in its attempt."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from record_builder import EXPERT_PATCH, GENUINE, OUT_OF_MEMORY, PATCH, QUOTA, START, build, plan, tell
from shell_agent import Shell, finds
from small_project import METHOD, Project, task_of, write_suite
from speedproof.analysis.collection import collect
from speedproof.analysis.errors import BY, ErrorGroup, Errors, errors
from speedproof.cli.app import app
from speedproof.errors import RecordError, SandboxError
from speedproof.evaluation.judge import Judge
from speedproof.execution import judging, preflight
from speedproof.execution.engine import execute_run, resume_run
from speedproof.execution.judging import evaluate_run
from speedproof.execution.plan import Lane, plan_items
from speedproof.execution.progress import progress_of
from speedproof.execution.setup import Setup
from speedproof.journal import AttemptStore, Diagnosis, Evaluation, RunStore, Store
from speedproof.journal import FailureClass as F
from speedproof.journal.events import Judged, JudgingBegan
from speedproof.sandbox import HostSandbox
from speedproof.tasks.suite import load_suite
from speedproof.workspace.cache import Cache
from test_execution_engine import Quiet

FASTER = "sed -i 's/^    found = \\[\\]$/    return list(dict.fromkeys(items))/' tools.py"


class Place:
    """The small project, worked on by a command in the open: what it leaves on the machine is there for judging."""

    def __init__(self, folder: Path, cache: Cache, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.cache, self.project, self.monkeypatch = folder, cache, project, monkeypatch
        self.state = folder / "state"

    def run(self, command: str, tasks: Sequence[str] = ("unique",), **task: Any) -> RunStore:
        """One attempt at each task by `command`, and the no-op patch as a control."""
        self.monkeypatch.setattr(preflight, "get_agent", finds(Shell(command, uses_model=False)))
        common = {"workloads": [], "tests": [], **task}
        given = [task_of(self.project, name=name, instructions=f"Do {name}.\n", **common) for name in tasks]
        loaded = load_suite(write_suite(self.folder / "suite", *given))
        lanes = [Lane("shell", None), Lane("patch", None, "noop")]
        return execute_run(
            loaded,
            plan_items(loaded, loaded.suite.tasks, lanes),
            Setup(sandbox="none"),
            state=self.state,
            cache=self.cache,
            method=METHOD,
            settings={},
            audience=Quiet(),
        )

    def found(self) -> Errors:
        return errors(collect((), self.state))

    def shown(self, *words: str) -> Result:
        return CliRunner().invoke(app, ["errors", "--state", str(self.state), *words])


@pytest.fixture
def place(tmp_path: Path, cache: Cache, project: Project, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, cache, project, monkeypatch)


def attempt_of(run: RunStore, *, control: bool = False) -> AttemptStore:
    """The agent's attempt, or the control."""
    return next(store for store in run.attempts() if (store.read().control is not None) is control)


def says(run: RunStore, group: ErrorGroup) -> str:
    """The line of the run's folder that a group's example names."""
    place = group.example.evidence[0]
    assert place.line is not None
    line = (run.folder / place.file).read_text().split("\n")[place.line - 1]
    assert place.excerpt and place.excerpt[:200] in line
    return line


def test_an_arm_that_cannot_be_built_is_shown_with_class_cause_and_place_and_is_no_failure_of_the_attempt(
    place: Place,
) -> None:
    gone = place.folder / "compiler-gone"
    run = place.run(f"{FASTER}; touch {gone}", build=f"test ! -e {gone} || {{ echo no compiler >&2; false; }}")
    found = place.found()
    assert (found.attempts, found.groups, found.completed) == (1, (), ())
    (group,) = found.judging.groups
    assert group.attempts == (attempt_of(run).name,)
    assert (group.failure, group.fault, group.next) == (F.SETUP_FAILED, "task", (F.SETUP_FAILED.info.next,))
    assert "the build command" in group.example.message and "no compiler" in group.example.message
    (evaluation,) = attempt_of(run).evaluations()
    assert group.example.evidence[0].file.endswith(f"/01/evaluations/{evaluation.digest}.json")
    assert "no compiler" in says(run, group)
    (control,) = found.judging.controls
    assert control.attempts == (attempt_of(run, control=True).name,)
    assert (found.judging.tasks, found.judging.ended) == (("unique",), ())
    text = place.shown().output
    assert "1 attempt of 1 archive or run: 0 ended by a failure" in text
    assert "1 attempt and 1 control or given patch of 1 task could not be judged" in text
    assert "Failures that ended an attempt" not in text
    assert "Patches that could not be judged, by class" in text and "1 × task/setup_failed" in text
    assert f"{evaluation.digest}.json:" in "".join(text.split())


def test_what_is_judged_again_and_succeeds_is_a_failure_no_more(place: Place) -> None:
    gone = place.folder / "compiler-gone"
    run = place.run(f"{FASTER}; touch {gone}", build=f"test ! -e {gone}")
    gone.unlink()
    evaluate_run(run, load_suite(place.folder / "suite" / "suite.yaml"), HostSandbox(), place.cache, again=True)
    assert [len(store.evaluations()) for store in run.attempts()] == [2, 2]
    found = place.found().judging
    assert (found.groups, found.controls, found.tasks) == ((), (), ())


class Killed(BaseException):
    """Nothing of ours hears of it."""


def test_the_task_that_cannot_be_judged_is_named_with_its_error_and_the_others_are_judged(place: Place) -> None:
    class Breaks(Judge):
        def judge(self, *patches: Any, **how: Any) -> dict[str, Evaluation]:
            if self.prepared.task.name == "first":
                raise SandboxError("bwrap is gone", hint="install it")
            return super().judge(*patches, **how)

    with place.monkeypatch.context() as patched:
        patched.setattr(judging, "Judge", Breaks)
        with pytest.raises(SandboxError, match="bwrap is gone"):
            place.run(FASTER, ("first", "second"))
    run = Store(place.state).run("latest")
    assert {store.read().task for store in run.attempts() if store.evaluations()} == {"second"}
    assert progress_of(run).phase == "failed"
    (group,) = place.found().judging.groups
    assert (group.failure, group.confidence["direct"]) == (F.SANDBOX, 1)
    assert [store.read().task for store in run.attempts() if store.name in group.attempts] == ["first"]
    assert "SandboxError: bwrap is gone" in group.example.message
    assert json.loads(says(run, group))["event"] == "judging_failed"
    assert "bwrap is gone" in place.shown().output
    loaded = load_suite(place.folder / "suite" / "suite.yaml")
    assert resume_run(run, loaded, cache=place.cache, audience=Quiet())
    assert progress_of(run).phase == "ended"
    assert place.found().judging.groups == ()


@pytest.mark.parametrize(
    ("raised", "kind", "failure", "words", "line"),
    [
        (RecordError("No space left on device"), RecordError, F.DISK_FULL, "No space left", "judging_failed"),
        (ZeroDivisionError("a bug"), ZeroDivisionError, F.DEFECT, "ZeroDivisionError: a bug", "judging_failed"),
        (KeyboardInterrupt(), KeyboardInterrupt, F.INTERRUPTED, "judging was stopped (SIGINT)", "stopped"),
        (Killed(), Killed, F.INTERRUPTED, "why is not on record", "judging_began"),
    ],
)
def test_judging_that_broke_off_is_shown_for_every_patch_that_waits_for_its_verdict(
    place: Place, raised: BaseException, kind: type[BaseException], failure: F, words: str, line: str
) -> None:
    def breaks(*_: object, **__: object) -> None:
        raise raised

    with place.monkeypatch.context() as patched:
        patched.setattr(judging, "Judge", breaks)
        with pytest.raises(kind):
            place.run(FASTER, ("first", "second"))
    run = Store(place.state).run("latest")
    found = place.found()
    assert found.groups == ()
    (group,) = found.judging.groups
    assert (group.failure, len(group.attempts)) == (failure, 2)
    assert group.confidence["weak" if isinstance(raised, Killed) else "direct"] == 2
    assert words in group.example.message
    assert group.example.evidence[0].file == "events.jsonl"
    assert json.loads(says(run, group))["event"] == line
    with run.held():
        assert place.found().judging.groups == (), "somebody judges at this moment"
    evaluate_run(run, load_suite(place.folder / "suite" / "suite.yaml"), HostSandbox(), place.cache)
    assert place.found().judging.groups == ()


# Records made by hand: what no real run can be made to show in a second

BROKEN = Diagnosis(
    failure=F.WORKLOAD_BROKEN,
    message="task tomli-loads: the workload on control: long ended with exit code 1",
    stage="evaluate",
    confidence="direct",
    evidence=(),
)


def broken(run: RunStore, tasks: Sequence[str], diagnosis: Diagnosis = BROKEN, hours: float = 5) -> None:
    """Judge the attempts at these tasks once more, later, and in vain."""
    for store in run.attempts():
        attempt = store.read()
        if attempt.task not in tasks or attempt.state != "sealed":
            continue
        made = store.evaluations() or next(run.attempts()).evaluations()
        patch = attempt.patch.sha256 if attempt.patch and attempt.patch.size else None
        verdict = made[0].verdict.model_copy(
            update={"correctness": "unknown", "speed": "not_measured", "proven": False}
        )
        changes = {"digest": f"{hours:016.0f}", "evaluated_at": START + timedelta(hours=hours), "patch_sha256": patch}
        changes |= {"measurement": None, "arm": None, "diagnosis": diagnosis, "verdict": verdict}
        store.add_evaluation(made[0].model_copy(update=changes))


@pytest.fixture
def records(tmp_path: Path) -> RunStore:
    """Two tasks; at one all attempts are broken in judging: a good one, one that a limit ended, one without a patch."""
    ended = replace(OUT_OF_MEMORY, patch="applied", diff=PATCH)
    run = build(
        tmp_path,
        [
            (plan("sortedlib-merge", "codex", "openai/gpt-5"), [GENUINE]),
            (plan("tomli-loads", "codex", "openai/gpt-5"), [GENUINE]),
            (plan("tomli-loads", "mini", "openai/gpt-5"), [ended]),
            (plan("tomli-loads", "trae", "openai/gpt-5"), [QUOTA]),
            (plan("tomli-loads", "patch", None, control="expert"), [EXPERT_PATCH]),
        ],
    )
    broken(run, ["tomli-loads"])
    return run


def agents(run: RunStore, names: Sequence[str]) -> list[str]:
    every = {store.name: store.read().agent for store in run.attempts()}
    return sorted(every[name] for name in names)


def test_an_attempt_that_failed_and_whose_judging_failed_is_named_as_both_and_counted_once_in_each(
    records: RunStore, tmp_path: Path
) -> None:
    found = errors(collect((), tmp_path))
    assert {g.name: agents(records, g.attempts) for g in found.groups} == {
        "model/quota/exhausted": ["trae"],
        "agent/limit/memory": ["mini"],
    }
    (group,) = found.judging.groups
    assert agents(records, group.attempts) == ["codex", "mini"], "without a patch there was nothing to judge"
    assert agents(records, found.judging.ended) == ["mini"]
    assert [agents(records, g.attempts) for g in found.judging.controls] == [["patch"]]
    assert found.judging.tasks == ("tomli-loads",)
    assert found.attempts == 4
    assert group.example.evidence[0].file.startswith("items/") and BROKEN.message in says(records, group)


def test_however_often_the_same_is_judged_in_vain_it_counts_once(records: RunStore, tmp_path: Path) -> None:
    before = errors(collect((), tmp_path)).judging
    broken(records, ["tomli-loads"], hours=6)
    after = errors(collect((), tmp_path)).judging
    assert [g.attempts for g in after.groups] == [g.attempts for g in before.groups]
    assert [g.attempts for g in after.controls] == [g.attempts for g in before.controls]


@pytest.mark.parametrize("by", BY)
def test_every_failure_of_judging_is_in_exactly_one_group_whatever_groups_are_by(
    by: Any, records: RunStore, tmp_path: Path
) -> None:
    broken(records, ["sortedlib-merge"], BROKEN.model_copy(update={"failure": F.EXPERT_NOT_FASTER, "message": "same"}))
    found = errors(collect((), tmp_path), by).judging
    names = [name for group in found.groups for name in group.attempts]
    assert len(names) == len(set(names)) == 3
    for group in found.groups:
        inner = [name for one in group.groups for name in one.attempts]
        assert sorted(inner) == (sorted(group.attempts) if by != "fingerprint" else [])
        assert all("memory" not in str(one.name) for one in (group, *group.groups)), "by what judging failed with"


def test_attempts_made_after_judging_broke_off_wait_and_did_not_fail(tmp_path: Path) -> None:
    unjudged = replace(GENUINE, judged=False)
    items = [plan("tomli-loads", "codex", "openai/gpt-5"), plan("tomli-loads", "mini", "openai/gpt-5")]
    run = build(tmp_path, [(items[0], [unjudged]), (items[1], [unjudged])])
    first, later = sorted(s.read().sealed_at for s in run.attempts())  # type: ignore[type-var]
    assert first is not None and later is not None and first < later
    tell(run, JudgingBegan(at=first))
    (group,) = errors(collect((), tmp_path)).judging.groups
    assert len(group.attempts) == 1
    tell(run, JudgingBegan(at=later))
    (group,) = errors(collect((), tmp_path)).judging.groups
    assert len(group.attempts) == 2 and group.example.evidence[0].line == len(run.events()[0])
    tell(run, Judged(at=later))
    assert errors(collect((), tmp_path)).judging.groups == ()


def test_an_evaluation_that_cannot_be_read_is_named_with_its_file(records: RunStore, tmp_path: Path) -> None:
    store = next(store for store in records.attempts() if store.read().task == "sortedlib-merge")
    (file,) = (store.folder / "evaluations").iterdir()
    file.write_text("{")
    found = errors(collect((), tmp_path))
    (line,) = found.unread
    assert line.startswith(f"{store.name}: evaluations/{file.name}") and "damaged record" in line
    (store.folder / "attempt.json").write_text("{")
    found = errors(collect((), tmp_path))
    (line,) = found.unread
    assert store.name in line and "attempt.json" in line
    shown = CliRunner().invoke(app, ["errors", "--state", str(tmp_path)]).output
    assert "Records that cannot be read" in shown


def test_failures_of_judging_can_be_read_back_from_json(records: RunStore, tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["errors", "--state", str(tmp_path), "--json"]).output
    assert Errors.model_validate_json(shown) == errors(collect((), tmp_path))


def test_a_patch_that_is_judged_wrong_is_a_verdict_and_no_failure_of_judging(tmp_path: Path) -> None:
    wrong = replace(GENUINE, correctness="fail", reasons=("2 tests fail",))
    build(tmp_path, [(plan("tomli-loads", "codex", "openai/gpt-5"), [wrong])])
    found = errors(collect((), tmp_path))
    assert (found.groups, found.judging.groups, found.unread) == ((), (), ())
